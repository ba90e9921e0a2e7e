//! From a plant's labelled examples to a head that may serve: training,
//! evaluation with intervals, comparison, reports, and the rule of promotion.
//!
//! Bytes in, bytes out: no files, no clock and no store. The same examples,
//! labels, encoder and glossary give the same head, bit for bit, on any number
//! of threads.
//!
//! Start at [`learn()`], which does all of it; [`evaluate::Evaluation`] is what is
//! known of the answers to a task, [`comparison::compare`] says who is shown to be better,
//! [`report::Report`] holds all of it, [`promotion::not_worse`] says whether a candidate may
//! take the place of the one that serves, and [`choose::choose`] what to label next.

pub mod answer;
pub mod choose;
pub mod comparison;
pub mod evaluate;
pub mod extract;
pub mod interval;
pub mod mend;
pub mod normalise;
pub mod paired;
pub mod promotion;
pub mod report;

mod bootstrap;
mod embed;
mod error;
mod fold;
mod learn;
mod minimise;
mod random;
mod recipe;
mod score;
mod second;
mod stranger;
mod study;
mod train;
mod tune;
mod tuned;

pub use error::LearnError;
pub use fold::assign as folds;
pub use learn::{Candidate, Clock, Lesson, Progress, Stage, cross_validate, evaluate_head, learn};
pub use score::{Calibrated, Scored, calibrate_labels, evaluate_adapter, score_labels};
pub use tune::{Labelled, Tune, Tuned};

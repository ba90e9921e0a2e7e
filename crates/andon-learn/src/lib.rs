//! From a plant's labelled examples to a head that may serve: training,
//! cross-validated evaluation with intervals, and the rule of promotion.
//!
//! Bytes in, bytes out: no files, no clock and no store. The same examples,
//! labels, encoder and glossary give the same head, bit for bit, on any number
//! of threads.
//!
//! Start at [`learn()`], which does all of it; [`evaluate::Evaluation`] is what is
//! known of a head, and [`promotion::not_worse`] says whether a candidate may
//! take the place of the one that serves.

pub mod evaluate;
pub mod interval;
pub mod promotion;

mod bootstrap;
mod contradiction;
mod embed;
mod error;
mod fold;
mod learn;
mod minimise;
mod random;
mod recipe;
mod study;
mod train;
mod tune;

pub use contradiction::{Contradiction, contradictions};
pub use error::LearnError;
pub use learn::{
    Candidate, Clock, Lesson, Progress, Stage, cross_validate, evaluate_head, learn, renew,
};
pub use tune::{Labelled, Tune, Tuned};

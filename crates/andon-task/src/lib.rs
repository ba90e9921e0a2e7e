//! The domain of Andon, pure: what a plant, a task, a record and a run are, how
//! probabilities are calibrated and where a decision is routed.
//!
//! There is no IO here, no clock and no async runtime: everything is a function
//! of its arguments. Reading files, keeping records and running models belong to
//! the crates above, which meet the engine only through the traits in
//! [`engine`].
//!
//! Start at [`plant::Plant`], which holds everything that is particular to a
//! site, then [`task::Task`] and [`run::Run`].

pub mod access;
pub mod adapter;
pub mod answer;
pub mod audit;
pub mod calibration;
pub mod certificate;
pub mod cost;
pub mod digest;
pub mod drift;
pub mod duplicate;
pub mod engine;
pub mod example;
pub mod extract;
pub mod glossary;
pub mod head;
pub mod label;
pub mod mapping;
pub mod normalise;
pub mod period;
pub mod plant;
pub mod policy;
pub mod procedure;
pub mod prompt;
pub mod reach;
pub mod redact;
pub mod route;
pub mod run;
pub mod schema;
pub mod summarise;
pub mod task;
mod timestamp;
pub mod upstream;
pub mod weights;
pub mod worth;

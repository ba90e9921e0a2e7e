//! The egress policy of a plant, in Cedar: what may leave, and where to.
//!
//! Principals are tasks (`Task::"failure-code"`) and callers of the API
//! (`Caller::"mes"`), the action is `Action::"send"`, resources are fields
//! (`Field::"input"`) with a `class`, and the context says which `upstream`. What no
//! policy permits is denied, and a policy that cannot be evaluated permits nothing.
//!
//! A crate of its own because Cedar takes long to build. It reads no files and sends
//! nothing. Start at [`CedarPolicy::new`]; [`check`] finds policies that can never
//! apply, [`run_tests`] runs the tests that a plant keeps beside its policies.

mod check;
mod decide;
mod plant_tests;

#[cfg(test)]
mod tests;

pub use check::{Finding, check};
pub use decide::{CedarPolicy, SCHEMA};
pub use plant_tests::{Outcome, run_tests};

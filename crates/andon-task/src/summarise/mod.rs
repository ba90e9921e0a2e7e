//! What happened in a period: computed facts first, then sentences from them.
//!
//! [`Period::read`] takes the records of a shift, a line or a week as JSON, JSON lines or
//! CSV, [`Facts::of`] computes, [`findings`] says in plain sentences what follows, each with
//! the records that it rests on. A language model may put a finding into its own words
//! ([`words::prompt`]); [`words::accept`] takes its sentence only where every number,
//! identifier, time and word of substance stands in the finding. So a summary without a
//! language model says the same.
//!
//! What a record says is data. It is quoted, never followed.

mod event;
mod facts;
mod field;
mod finding;
mod moment;
mod period;
mod reading;
pub mod support;
pub mod words;

pub use event::{Event, Priority, Status};
pub use facts::{Before, Duration, Facts, Recurrence};
pub use finding::{Finding, Section, Wording, Wrote, findings};
pub use period::{Period, PeriodError};
pub use reading::Reading;

#[cfg(test)]
mod tests;

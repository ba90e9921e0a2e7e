//! The store: records, runs, people's answers, certificates, promotions, API keys and
//! the audit log in one SQLite database.
//!
//! What a call acknowledges is on disk: the journal is a write-ahead log, synced
//! at every commit. One thread owns the writing connection and commits what
//! waits together, so that many callers share one sync; each caller is answered
//! after that, and a command that fails undoes itself and nothing else. Reads go
//! to a few read-only connections beside it.
//!
//! Calls block. There is no clock here: points in time are passed in. No other
//! crate holds SQL, and nothing here decides what a record means.
//!
//! Start at [`Store`]; its methods stand in files that are named after what they
//! keep, the schema in `migrations/`.

mod answer;
mod audit;
mod candidate;
mod certificate;
mod corpus;
mod error;
mod inbox;
mod json;
mod key;
mod listing;
mod measure;
mod promotion;
mod queue;
mod readers;
mod record;
mod run;
mod schema;
mod store;
mod tally;
mod writer;

pub use answer::{NewAnswer, PersonAnswer, SpotCheck};
pub use audit::{AuditFilter, AuditId, Inspected};
pub use candidate::{Candidate, Forgotten, Kind};
pub use certificate::{StoredCertificate, Suspension};
pub use corpus::{StoredDocument, StoredVectors};
pub use error::Error;
pub use inbox::{InboxFilter, Waiting};
pub use key::{KeySecret, NewKey, StoredKey};
pub use listing::Page;
pub use promotion::Promotion;
pub use queue::{NewPlace, Paid, Place, PlaceState, Placed, QueueCounts, QueueFilter};
pub use record::{EmbeddedRecord, OpenRecord, RecordFilter, Vector};
pub use run::{Observation, RunFilter};
pub use store::{Counts, RunsByRoute, Store};
pub use tally::{Spent, Tally};

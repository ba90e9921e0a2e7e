//! Runs the tasks of a plant: takes records in, answers at the edge, routes.
//!
//! A [`Node`] is one plant with its models, its promoted heads and adapters, and its store.
//! Calls block; a caller with an async runtime puts them on a thread for blocking
//! work. Nothing here knows HTTP, SQL or which engine runs the models.
//!
//! Start at [`Node::take_in`] and [`Node::run`]: a record is on disk before
//! `take_in` returns it, and a run before `run` returns it.

mod account;
mod adapters;
mod answer;
mod answers;
mod certificates;
mod corpus;
mod decide;
mod egress;
mod error;
mod extract;
mod files;
mod heads;
mod inbox;
mod intake;
mod model;
mod node;
mod normalise;
mod probe;
mod rankers;
mod readers;
mod run;
mod summarise;
mod tuned;

#[cfg(test)]
mod tests;

pub use account::{Thousand, estimated_tokens};
pub use adapters::{AdapterFiles, AdapterStatus};
pub use answer::{MAX_QUESTION, Shelf};
pub use certificates::{CertificateStatus, Validity};
pub use corpus::{Corpus, Ingested, ReadDocument};
pub use egress::{Consulted, Drained, Egress, EgressParts, Outbound, Rules};
pub use error::Error;
pub use extract::{Tokens, WriteError, Writer, grammar};
pub use heads::{HeadFiles, HeadStatus, Serving};
pub use inbox::{Inbox, Open, Order};
pub use intake::{MAX_TEXT_BYTES, Taken};
pub use model::LanguageModel;
pub use node::{Clock, Node, Parts};
pub use probe::{Check, Readiness};
pub use rankers::{RankerFiles, RankerStatus};
pub use readers::{ReaderFiles, ReaderStatus, ServingReader};
pub use run::{Tell, Told};
pub use tuned::{ReadEncoder, TunedEncoders};

//! Extraction by pointers: the value of each field of a JSON Schema is a place of the text.
//!
//! [`Fields`] says what a schema asks for, [`Page`] divides a text, [`Search`] finds the places
//! that may be a field's value and what is seen of them, and a [`Reader`] chooses among them
//! by weights that were learnt from a plant's examples. A value is thereby never made up: it
//! is a place of the text, one of the schema's choices, or a value that an example had and
//! the text says about the same, in which case [`Pointed::verbatim`] is false.
//!
//! Fields that a document has once are a choice among candidates, places that say the same
//! being one answer. Fields of lists are found by asking of each candidate which of the
//! lists' fields it is, if any; [`Grouping`] makes items of them.

mod alike;
mod assemble;
mod candidate;
mod date;
mod feature;
mod fields;
mod format;
mod fusion;
mod gold;
mod hash;
mod locate;
mod look;
mod meaning;
mod memory;
mod number;
mod page;
mod reader;
mod spelling;
mod trust;
mod weights;
mod written;

pub use candidate::{Candidate, Demand, OF_TEXTS, Source};
pub use fields::{Field, Fields, MOST_FIELDS, SchemaError, Type};
pub use fusion::{Balance, Features, Fused, Fusion, Habit, Opinion, Shown, View, view};
pub use gold::{Gold, Matches, is_empty};
pub use locate::locate;
pub use look::{Look, Search};
pub use meaning::{Meaning, Meanings, ROLES, roles};
pub use memory::{Remembered, remember};
pub use page::Page;
pub use reader::{Grouping, Parts, Pointed, Reader, Reading};
pub use spelling::{Spelling, distance, folded, same};
pub use trust::{Line, Trust, log_odds, logistic, of_record};
pub use weights::{PLACES, Weights, place};
pub use written::Written;

use serde_json::Value;

use crate::digest::Digest;

/// Why a reader cannot be used, or cannot read a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReaderError {
    /// The file is none of a reader.
    #[error("this is no file of a reader")]
    NotAReader,
    /// The file was written by a later version.
    #[error("the file has format {found}, but this version knows {known}: use a later one")]
    NewerFormat {
        /// Its format.
        found: u32,
        /// The latest one known here.
        known: u32,
    },
    /// The file was written by an earlier version, whose weights mean something else.
    #[error("the reader was trained by an earlier version: learn again")]
    OlderFormat,
    /// The words' meanings are missing.
    #[error("the reader was trained with what another encoder makes of words: learn again")]
    OtherEncoder,
    /// The file is not as it was written.
    #[error("the file of the reader is damaged: {0}")]
    Damaged(&'static str),
    /// The reader was trained for another schema.
    #[error("the reader was trained for another schema: learn again")]
    OtherSchema,
    /// The schema cannot be read by pointers.
    #[error(transparent)]
    Schema(SchemaError),
    /// The text has no value for a field that must have one.
    #[error(
        "nothing in the text can be '{0}', which the schema requires: let it be null or leave it out of 'required'"
    )]
    NothingFound(String),
}

/// The digest of a schema.
pub fn digest_of(schema: &Value) -> Digest {
    Digest::of(schema.to_string().as_bytes())
}

impl From<SchemaError> for ReaderError {
    fn from(error: SchemaError) -> Self {
        Self::Schema(error)
    }
}

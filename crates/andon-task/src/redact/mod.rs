//! Redaction: what may leave the plant leaves without its names and numbers.
//!
//! A [`Redactor`] holds what a site looks for: names of its gazetteer, and forms
//! that betray themselves (accounts, tax numbers, cards, telephones, addresses,
//! places, serial numbers, plates, keys). A [`Session`] replaces what it finds in one
//! request by placeholders, the same in every field, and keeps what they stand for,
//! so that the answer can be given back in the plant's own words. Texts are looked
//! through in a folded form, with escapes and encodings read (`view`, `escape`,
//! `encoded`), and before bytes leave they are scanned once more, whole.
//!
//! What is replaced is pseudonymised, never anonymous: who holds the site's key and
//! the names can tell who is meant. Any error means that nothing may leave.
//!
//! Start at [`Session::request`].

mod checksum;
mod encoded;
mod escape;
mod fold;
mod gazetteer;
mod number;
mod pattern;
mod placeholder;
mod request;
mod restore;
mod scan;
mod session;
mod view;

#[cfg(test)]
mod tests;

pub use gazetteer::{Gazetteer, GazetteerError};
pub use placeholder::SiteKey;
pub use request::{CHAT_FIELDS, Field, TASK_FIELDS};
pub use restore::{Restorer, Stream};
pub use session::{Counts, Redactor, Session};

/// Why a text may not leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedactError {
    /// More than is looked through.
    #[error("the text has {0} bytes, more than is redacted at once: send less")]
    TooLong(usize),
    /// Replacing what was found made something else to be found, again and again.
    #[error("the text does not settle: what replaces a name makes another")]
    Unsettled,
    /// What is found stands where no placeholder can.
    #[error("{0} holds what may not leave and cannot be replaced: change it")]
    Fixed(&'static str),
    /// Something was still found in the bytes that were to leave.
    #[error("the last look found something of the kind {0} in what was to leave")]
    Left(String),
    /// What masks words of the plant's notes cannot be used.
    #[error("the normaliser that masks words cannot be used: {0}")]
    Masks(String),
    /// The bytes that were to leave are no JSON.
    #[error("what was to leave is no JSON")]
    NotJson,
    /// An expression is wrong: a fault of the program.
    #[error("a pattern cannot be used: {0}")]
    Pattern(String),
}

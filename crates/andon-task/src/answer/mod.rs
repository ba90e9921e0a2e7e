//! Answers from a plant's documents, word for word: cutting documents into sections and
//! sentences, finding the sections that a question is about, picking the sentences that
//! answer it, and saying how probable it is that they do.
//!
//! All of it is a function of its arguments. Start at [`Document::parse`], then [`Index`]
//! and [`select()`].

mod document;
mod index;
mod markdown;
mod ranker;
mod relevance;
mod rouge;
mod search;
mod select;
mod sentence;
mod span;
mod support;
mod table;
mod term;
mod usual;
mod vector;

pub use document::{Citation, Document, Form, Section, Sentence, slug};
pub use index::{Index, Passage, Vectors, heading_text, passage_text, passages};
pub use ranker::{
    FEATURES, Learned, Linear, Quoted, Ranker, RankerError, Remembered, SPAN_FEATURES,
    SUPPORT_FEATURES,
};
pub use relevance::{SENTENCE_FEATURES, Sifted};
pub use rouge::{Rouge, Running, rouge_l};
pub use search::{Found, Hidden, Question, rank, search};
pub use select::{Selection, conclude, select};
pub use span::{SECTIONS, Span, sentences, spans};
pub use table::{Reckoned, Table};
pub use term::{Term, terms};
pub use vector::Vector;

use andon_task::engine::EngineError;
use andon_task::extract::ReaderError;

use crate::answer::MAX_QUESTION;
use crate::intake::MAX_TEXT_BYTES;

/// Why the node did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is empty, or nothing but white space.
    #[error("the text is empty: send the note's words")]
    EmptyText,
    /// The text is too long for a record.
    #[error("the text has {bytes} bytes, a record holds {MAX_TEXT_BYTES}: shorten or split it")]
    TextTooLong {
        /// Bytes of the text.
        bytes: usize,
    },
    /// A document has no text that can be read. It is named, with the remedy.
    #[error("{0}")]
    Unreadable(String),
    /// `meta` is neither an object nor null.
    #[error("meta must be an object or null")]
    Meta,
    /// The asset is not in the plant's register.
    #[error("the asset '{0}' is not in the plant's register: check the id or add it to assets.csv")]
    UnknownAsset(String),
    /// The plant has no such task.
    #[error("the plant has no task '{0}': GET /api/tasks lists them")]
    UnknownTask(String),
    /// There is no such record.
    #[error("there is no record {0}")]
    UnknownRecord(i64),
    /// There is no such run.
    #[error("there is no run {0}")]
    UnknownRun(i64),
    /// The plant has no such upstream.
    #[error("the plant has no upstream '{0}': plant.toml names them under [[upstream]]")]
    UnknownUpstream(String),
    /// There is no such place in the queue.
    #[error("there is no place {0} in the queue: `andon queue list` shows them")]
    UnknownPlace(i64),
    /// Only what was given up can be tried again.
    #[error("place {place} is {state}: only an expired one can be sent again")]
    NotGivenUp {
        /// The place.
        place: i64,
        /// How it stands.
        state: &'static str,
    },
    /// What was given up cannot wait again.
    #[error("place {place} does not wait again: {reason}")]
    NotQueued {
        /// The place.
        place: i64,
        /// Why.
        reason: String,
    },
    /// The task has no such label.
    #[error("the task '{task}' has no label '{label}': GET /api/tasks lists them")]
    UnknownLabel {
        /// The task.
        task: String,
        /// What was given.
        label: String,
    },
    /// The name of a person is empty or too long.
    #[error(
        "the name of who answers is empty or longer than 200 bytes: leave it out or shorten it"
    )]
    Name,
    /// Nothing here can answer the task.
    #[error(
        "nothing can answer the task '{0}': load a language model or promote a head with 'andon learn {0}'"
    )]
    NothingAnswers(String),
    /// Nothing was learned for the task yet.
    #[error("nothing answers the task '{0}': train it with 'andon learn {0}'")]
    NothingLearned(String),
    /// What was promoted for the task cannot answer.
    #[error("what is promoted for '{task}' does not answer: {reason}")]
    Refused {
        /// The task.
        task: String,
        /// Why.
        reason: String,
    },
    /// The text holds no records of a period.
    #[error(transparent)]
    Period(#[from] andon_task::summarise::PeriodError),
    /// The question is too long.
    #[error(
        "the question has {characters} characters, at most {MAX_QUESTION} are read: ask it in a sentence or two"
    )]
    QuestionTooLong {
        /// Characters of the question.
        characters: usize,
    },
    /// There is nothing to answer from.
    #[error(
        "the task '{0}' has no documents to answer from: put Markdown, text, HTML or PDF files into manuals/"
    )]
    NoDocuments(String),
    /// The text has no value for a field that must have one.
    #[error(transparent)]
    Reader(#[from] ReaderError),
    /// The language model did not end its answer within what it may write.
    #[error(
        "the language model wrote {0} tokens and no whole object: give examples and learn a reader with 'andon learn', or divide the schema"
    )]
    Unfinished(usize),
    /// The documents are not there yet.
    #[error("the documents of the task '{0}' are still being read: try again in a moment")]
    StillReading(String),
    /// A model did not answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] andon_store::Error),
}

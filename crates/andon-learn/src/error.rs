//! Why examples did not become a head.

use andon_task::engine::EngineError;
use andon_task::extract::ReaderError;
use andon_task::head::HeadError;

/// Why learning or evaluating did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// There is nothing to learn from or to measure on.
    #[error("task '{task}' has no examples: add lines to examples/{task}.jsonl")]
    NoExamples {
        /// The task.
        task: String,
    },
    /// There are too few to hold any out.
    #[error(
        "task '{task}' has {examples} examples and needs {needed}: add lines to examples/{task}.jsonl"
    )]
    FewExamples {
        /// The task.
        task: String,
        /// How many it has.
        examples: usize,
        /// How many it needs at least.
        needed: usize,
    },
    /// A decision between labels cannot be learned from one of them.
    #[error(
        "the examples of task '{task}' show only the label '{label}': add examples of at least one more"
    )]
    OneLabel {
        /// The task.
        task: String,
        /// The only label that has examples.
        label: String,
    },
    /// All examples are one text, so nothing can be held out.
    #[error("the examples of task '{task}' all have the same text: add others")]
    OneText {
        /// The task.
        task: String,
    },
    /// An example's label does not belong to the task's set.
    #[error(
        "example {example} has label number {label}, but task '{task}' has {labels} labels: read the examples with this task's labels"
    )]
    ForeignLabel {
        /// The task.
        task: String,
        /// The example's position, from 1.
        example: usize,
        /// The label's position, from 0.
        label: usize,
        /// How many labels the task has.
        labels: usize,
    },
    /// An expected value has another form than the task's kind asks for.
    #[error(
        "example {example}: expected must be {{\"answer\": text, \"sources\": [\"document#section\"]}}, or null where the documents do not say"
    )]
    Question {
        /// The example's position, from 1.
        example: usize,
    },
    /// The encoder did not take a text.
    #[error("the encoder did not take {text}")]
    Encoder {
        /// Which text: an example by number or a label's description.
        text: String,
        /// What the encoder says.
        source: EngineError,
    },
    /// The language model did not score the labels of a text.
    #[error("the language model did not take {text}")]
    LanguageModel {
        /// Which text: an example by number or the task's own.
        text: String,
        /// What the model says.
        source: EngineError,
    },
    /// The encoder could not be tuned on the examples.
    #[error("the encoder could not be tuned")]
    Tuning(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An encoder was to be tuned on too little.
    #[error(
        "{found} examples are too few to tune an encoder on: give {needed} at least, or learn without `--tune`"
    )]
    TooFewToTune {
        /// Examples that there are.
        found: usize,
        /// Examples that are needed.
        needed: usize,
    },
    /// An encoder was to be tuned for words, and the texts are pages.
    #[error(
        "the examples are longer than notes of {0} words: a reader finds values by the layout there, so learn without `--tune`"
    )]
    LongTexts(usize),
    /// An example does not satisfy the schema of its task.
    #[error("example {example}: {reason}: correct the example or the schema")]
    Expected {
        /// The example's position, from 1.
        example: usize,
        /// Where and why not.
        reason: String,
    },
    /// The reader cannot be made, or does not belong to the task.
    #[error(transparent)]
    Reader(#[from] ReaderError),
    /// The head and what it is used with do not belong together.
    #[error(transparent)]
    Head(#[from] HeadError),
}

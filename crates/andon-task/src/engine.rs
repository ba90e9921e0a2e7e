//! What an engine must do: three small traits.
//!
//! Calls block; a caller with an async runtime puts them on a thread for
//! blocking work. Implementations queue internally and answer many callers at
//! once.

use std::ops::ControlFlow;

use crate::digest::Digest;

/// Which model answers, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name under which the model was loaded, as `smollm2:135m`.
    pub name: String,
    /// The digest of the model file, taken while it was loaded.
    pub digest: Digest,
    /// The most tokens that a prompt and its answer may have together.
    pub context_tokens: usize,
}

/// Why an engine did not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The prompt, with the tokens asked for, is longer than the context.
    /// Nothing was cut.
    #[error(
        "the prompt has {prompt_tokens} tokens and {answer_tokens} are wanted for the answer, but the model '{model}' holds {context_tokens}: shorten the text"
    )]
    DoesNotFit {
        /// The model that was asked.
        model: String,
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// Tokens asked for the answer (or taken by the longest label).
        answer_tokens: usize,
        /// Tokens that the model holds.
        context_tokens: usize,
    },
    /// The text is so long that its tokens were not even counted: whatever it
    /// says, it does not fit the context. Nothing was cut.
    #[error(
        "the text has {bytes} bytes, but the {context_tokens} tokens that the model '{model}' holds are {most_bytes} at most: shorten the text"
    )]
    TooLong {
        /// The model that was asked.
        model: String,
        /// Bytes of the text.
        bytes: usize,
        /// Bytes that are read at all.
        most_bytes: usize,
        /// Tokens that the model holds.
        context_tokens: usize,
    },
    /// The request cannot be carried out as it stands.
    #[error("{0}")]
    Invalid(String),
    /// The queue is full; asking again later may succeed.
    #[error("the engine's queue is full ({waiting} requests wait): try again later")]
    Overloaded {
        /// Requests that wait now.
        waiting: usize,
    },
    /// The engine failed in this request and recovered; asking again may succeed.
    #[error("the engine failed in this request and was rebuilt: {0}")]
    Failed(String),
    /// The caller left before the answer was ready.
    #[error("the request was cancelled by its caller")]
    Cancelled,
}

/// Who speaks in a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions from whoever runs the node.
    System,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
}

/// One turn of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said. Text that looks like a control token stays text.
    pub content: String,
}

/// What a model is given to continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Continue this text as it stands.
    Text(String),
    /// Answer the last turn; rendered by the model's own chat template.
    Chat(Vec<Message>),
}

/// How tokens are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// 0 takes the most probable token; larger values flatten the distribution.
    pub temperature: f32,
    /// The smallest set of tokens whose probabilities add up to this is drawn from.
    pub top_p: f32,
    /// The same seed on the same artefacts gives the same answer.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_p: 1.0,
            seed: 0,
        }
    }
}

/// A request to continue a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateRequest {
    /// What to continue.
    pub prompt: Prompt,
    /// The most tokens to generate; `None`: as many as the context holds.
    pub max_tokens: Option<usize>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Generation ends before any of these texts, which is not part of the answer.
    pub stop: Vec<String>,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model ended its turn, or a stop text came.
    Stop,
    /// The tokens asked for, or the context, ran out.
    Length,
}

/// Tokens that a request cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Of these, tokens found in the prefix cache.
    pub cached_tokens: usize,
    /// Tokens generated, or evaluated for labels.
    pub completion_tokens: usize,
}

/// A finished generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The whole text.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// What it cost.
    pub usage: Usage,
}

/// A model that continues text.
pub trait Generate: Send + Sync {
    /// Which model this is.
    fn identity(&self) -> &Identity;

    /// Continues `request.prompt`, handing each piece of text to `on_text` as it
    /// comes. `on_text` returning `Break` ends the work within one decode step
    /// and gives [`EngineError::Cancelled`].
    fn generate(
        &self,
        request: &GenerateRequest,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, EngineError>;
}

/// The exact scores of a closed set of labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// For each label, in the order given, the natural logarithm of the
    /// probability that the model continues the prompt with exactly this label
    /// and then ends its turn. Not normalised over the labels.
    pub log_probabilities: Vec<f64>,
    /// What it cost.
    pub usage: Usage,
}

/// A model that says how probable each of a set of labels is.
pub trait Score: Send + Sync {
    /// Which model this is.
    fn identity(&self) -> &Identity;

    /// Scores every label as a continuation of `prompt`. The labels may have any
    /// number of tokens; the prompt is evaluated once for all of them.
    fn score(&self, prompt: &Prompt, labels: &[String]) -> Result<Scores, EngineError>;
}

/// An encoder: text in, a vector of unit length out.
pub trait Embed: Send + Sync {
    /// Which model this is.
    fn identity(&self) -> &Identity;

    /// The length of the vectors.
    fn dimensions(&self) -> usize;

    /// The number of tokens in `text`, as the encoder counts them.
    fn count_tokens(&self, text: &str) -> Result<usize, EngineError>;

    /// One vector of unit length for each text. A text that does not fit the
    /// context is refused with both counts.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EngineError>;
}

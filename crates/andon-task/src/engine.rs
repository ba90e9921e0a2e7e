//! What an engine must do: three small traits.
//!
//! Calls block; a caller with an async runtime puts them on a thread for
//! blocking work. Implementations queue internally and answer many callers at
//! once.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::digest::Digest;
use crate::task::Class;

mod embed;

pub use embed::{Embed, States};

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
    /// The answer was to satisfy a schema, an expression or a choice that
    /// cannot be enforced; nothing was generated.
    #[error("the answer cannot be held to what was asked: {0}")]
    Grammar(String),
    /// There is no adapter of this name.
    #[error("the model '{model}' has no adapter '{adapter}': load it first")]
    UnknownAdapter {
        /// The model that was asked.
        model: String,
        /// The adapter that was asked for.
        adapter: String,
    },
    /// The queue is full; asking again later may succeed.
    #[error("the engine's queue is full ({waiting} requests wait): try again later")]
    Overloaded {
        /// Requests that wait now.
        waiting: usize,
        /// When there may be room.
        retry_after: Duration,
    },
    /// By the speeds measured so far the answer would come after its deadline;
    /// the work was not begun.
    #[error(
        "the answer would take some {} ms and has {} ms: allow more time or try again later",
        needed.as_millis(),
        left.as_millis()
    )]
    Late {
        /// How long the answer would take, with all that goes before it.
        needed: Duration,
        /// The time until the deadline.
        left: Duration,
        /// When the same request may be taken.
        retry_after: Duration,
    },
    /// The deadline passed while the request waited or was worked on.
    #[error("the deadline passed before the answer was ready: allow more time")]
    DeadlinePassed,
    /// The engine failed in this request and recovered; asking again may succeed.
    #[error("the engine failed in this request and was rebuilt: {0}")]
    Failed(String),
    /// What was asked would leave the plant, and may not.
    #[error("{0}")]
    Forbidden(String),
    /// What would answer cannot be reached; asking again later may succeed.
    #[error("{reason}")]
    Unreachable {
        /// Why.
        reason: String,
        /// When to ask again.
        retry_after: Duration,
    },
    /// The caller left before the answer was ready.
    #[error("the request was cancelled by its caller")]
    Cancelled,
}

/// Until when an answer is of use, and to whom.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Machines come before people, people before batches.
    pub class: Class,
    /// When the answer is of no use any more; within a class the earliest comes
    /// first.
    pub deadline: Option<Instant>,
    /// How the caller says that it has left.
    pub departure: Departure,
}

impl Default for Terms {
    /// A person waits, for as long as it takes.
    fn default() -> Self {
        Self {
            class: Class::Person,
            deadline: None,
            departure: Departure::default(),
        }
    }
}

impl Terms {
    /// The class of a request, with no deadline and a caller who stays.
    pub fn of(class: Class) -> Self {
        Self {
            class,
            ..Self::default()
        }
    }
}

/// Whether the caller has left; clones speak of the same caller. Work for one who
/// has left ends within a step.
#[derive(Clone, Debug, Default)]
pub struct Departure(Arc<AtomicBool>);

impl Departure {
    /// Says that the caller has left.
    pub fn announce(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the caller has left.
    pub fn is_announced(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Which adapter a request is answered with.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// The name under which it was loaded.
    pub name: String,
    /// What its own strength is multiplied by; 1 as it was trained.
    pub scale: f32,
}

/// What an answer must satisfy, whatever the model would say.
#[derive(Clone, Debug, PartialEq)]
pub enum Grammar {
    /// A JSON value that satisfies this JSON Schema, written without blanks.
    Json(Value),
    /// A text that this regular expression describes from end to end.
    Regex(String),
    /// One of these texts.
    Choice(Vec<String>),
    /// A text of this context-free grammar, in llguidance's form of Lark.
    Lark(String),
    /// Calls of tools.
    Calls(Calls),
}

/// Calls of tools as an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Calls {
    /// What may be called; the parameters are schemas of objects.
    pub tools: Vec<Tool>,
    /// How a call is written.
    pub form: CallForm,
    /// Whether the answer may be words as well: instead of calls and, where calls
    /// have tags, before them.
    pub words: bool,
    /// How many calls there are at most; [`CallForm::Plain`] has room for one.
    pub most: usize,
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
    /// A tool that the model has called.
    Tool,
}

/// One turn of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said. Text that looks like a control token stays text.
    pub content: String,
    /// The tools that the model calls in this turn.
    pub calls: Vec<ToolCall>,
}

impl Message {
    /// A turn of words alone.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
            calls: Vec::new(),
        }
    }
}

/// A call of a tool, as the model made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The tool.
    pub name: String,
    /// What it is called with.
    pub arguments: Value,
}

/// A tool that the model may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// The JSON Schema of what it is called with.
    pub parameters: Value,
}

/// How a model writes the call of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallForm {
    /// `{"name": …, "arguments": …}` on a line of its own between `<tool_call>`
    /// and `</tool_call>`; several may follow each other.
    Tagged,
    /// `{"name": …, "parameters": …}` and nothing else.
    Plain,
}

impl CallForm {
    /// The tag before a call of [`CallForm::Tagged`].
    pub const TAG: &str = "<tool_call>";

    /// A call, from the beginning of its JSON to the name.
    pub fn before_name(self) -> &'static str {
        "{\"name\": \""
    }

    /// A call, from the name to the arguments.
    pub fn behind_name(self) -> &'static str {
        match self {
            Self::Tagged => "\", \"arguments\": ",
            Self::Plain => "\", \"parameters\": ",
        }
    }
}

/// Turns, and the tools that the answer may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// The turns so far.
    pub messages: Vec<Message>,
    /// The tools; none for an answer in words.
    pub tools: Vec<Tool>,
}

impl From<Vec<Message>> for Chat {
    fn from(messages: Vec<Message>) -> Self {
        Self {
            messages,
            tools: Vec::new(),
        }
    }
}

/// What a model is given to continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Continue this text as it stands.
    Text(String),
    /// Answer the last turn; rendered by the model's own chat template.
    Chat(Chat),
}

impl Prompt {
    /// The answer to the last of these turns.
    pub fn chat(messages: Vec<Message>) -> Self {
        Self::Chat(messages.into())
    }
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
#[derive(Clone, Debug)]
pub struct GenerateRequest {
    /// What to continue.
    pub prompt: Prompt,
    /// The most tokens to generate; `None`: as many as the context holds.
    pub max_tokens: Option<usize>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Generation ends before any of these texts, which is not part of the answer.
    pub stop: Vec<String>,
    /// What the answer must satisfy.
    pub grammar: Option<Grammar>,
    /// The adapter that answers.
    pub adapter: Option<Adapter>,
    /// How many of the most probable tokens are told beside each drawn one, with
    /// their log-probabilities; `None`: nothing is told.
    pub alternatives: Option<usize>,
    /// Until when, and for whom.
    pub terms: Terms,
}

impl GenerateRequest {
    /// The most probable continuation, as long as the context allows.
    pub fn new(prompt: Prompt) -> Self {
        Self {
            prompt,
            max_tokens: None,
            sampling: Sampling::default(),
            stop: Vec::new(),
            grammar: None,
            adapter: None,
            alternatives: None,
            terms: Terms::default(),
        }
    }
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

/// What an engine has done since it was loaded, and does now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Requests that wait.
    pub waiting: usize,
    /// Requests that run.
    pub running: usize,
    /// Requests that were refused at once: too many waited, or too little time.
    pub refused: u64,
    /// Steps.
    pub steps: u64,
    /// Tokens that were computed.
    pub computed_tokens: u64,
    /// Tokens that were found in the prefix cache instead.
    pub cached_tokens: u64,
    /// Requests that gave their memory to others and began anew later.
    pub suspended: u64,
    /// Steps that failed.
    pub failures: u64,
    /// Threads that made no progress and were replaced.
    pub replaced: u64,
    /// Blocks of the KV cache.
    pub blocks: usize,
    /// Of these, blocks that nobody holds.
    pub free_blocks: usize,
}

/// A token with the logarithm of its probability over the whole vocabulary, at
/// temperature 1 and before any grammar.
#[derive(Clone, Debug, PartialEq)]
pub struct Likelihood {
    /// Its bytes; a piece of a character, perhaps.
    pub bytes: Vec<u8>,
    /// The natural logarithm of its probability.
    pub log_probability: f64,
}

/// A token of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// The token.
    pub token: Likelihood,
    /// The most probable tokens at its place, as many as were asked for.
    pub alternatives: Vec<Likelihood>,
}

/// A part of an answer as it comes.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Its text; may be empty where tokens have come that are no whole character.
    pub text: &'a str,
    /// The tokens that have come since the last piece, if they were asked for.
    pub drawn: &'a [Drawn],
}

/// A finished generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// The whole text.
    pub text: String,
    /// Its tokens, if they were asked for.
    pub drawn: Vec<Drawn>,
    /// Why it ended.
    pub finish: Finish,
    /// What it cost.
    pub usage: Usage,
}

/// A model that continues text.
pub trait Generate: Send + Sync {
    /// Which model this is.
    fn identity(&self) -> &Identity;

    /// The adapters that requests may name.
    fn adapters(&self) -> Vec<String> {
        Vec::new()
    }

    /// How the model writes the call of a tool, as its chat template shows it.
    fn call_form(&self) -> CallForm {
        CallForm::Tagged
    }

    /// What the engine has done and does; nothing, for one that does not say.
    fn statistics(&self) -> Statistics {
        Statistics::default()
    }

    /// Continues `request.prompt`, handing each piece to `on_piece` as it comes.
    /// `on_piece` returning `Break` ends the work within one decode step and gives
    /// [`EngineError::Cancelled`].
    fn generate(
        &self,
        request: &GenerateRequest,
        on_piece: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Result<Generation, EngineError>;
}

/// A request to score labels.
#[derive(Clone, Debug)]
pub struct ScoreRequest {
    /// What the labels continue.
    pub prompt: Prompt,
    /// The labels; any number of tokens each.
    pub labels: Vec<String>,
    /// The adapter that answers.
    pub adapter: Option<Adapter>,
    /// Until when, and for whom.
    pub terms: Terms,
}

impl ScoreRequest {
    /// The labels as continuations of the prompt, on ordinary terms.
    pub fn new(prompt: Prompt, labels: Vec<String>) -> Self {
        Self {
            prompt,
            labels,
            adapter: None,
            terms: Terms::default(),
        }
    }
}

/// The scores of a closed set of labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// For each label, in the order given, the probability that the model says it
    /// when it is held to the labels, token by token. Exact to 1e-4.
    pub shares: Vec<f64>,
    /// What it cost.
    pub usage: Usage,
}

/// A model that says how probable each of a set of labels is.
pub trait Score: Send + Sync {
    /// Which model this is.
    fn identity(&self) -> &Identity;

    /// Weighs every label as a continuation of the prompt, which is evaluated once
    /// for all of them.
    fn score(&self, request: &ScoreRequest) -> Result<Scores, EngineError> {
        let mut scores = self.score_all(std::slice::from_ref(request))?;
        Ok(scores.pop().expect("an answer for each request"))
    }

    /// Answers several requests together: what their prompts begin with in common
    /// is evaluated once. Fails as a whole.
    fn score_all(&self, requests: &[ScoreRequest]) -> Result<Vec<Scores>, EngineError>;

    /// Holds the adapter in a GGUF file, so that requests may name it by the digest of
    /// the file, as it stands in hexadecimal. It is held until it was let go as often
    /// as it was held.
    ///
    /// # Errors
    /// If the file is damaged or for another model, or the model takes no adapters.
    fn hold_adapter(&self, file: &[u8]) -> Result<(), EngineError> {
        let _ = file;
        Err(EngineError::Invalid(format!(
            "the model '{}' takes no adapters: name a model of this node",
            self.identity().name
        )))
    }

    /// Lets go of an adapter that was held. A request that has begun ends with it.
    fn let_adapter_go(&self, file: Digest) {
        let _ = file;
    }

    /// Evaluates what all of `prompts` begin with and keeps it at hand until the
    /// model goes, so that later prompts with the same beginning cost only what
    /// follows it. Returns the tokens kept; an engine that keeps nothing says 0.
    fn pin(&self, prompts: &[Prompt]) -> Result<usize, EngineError>;
}

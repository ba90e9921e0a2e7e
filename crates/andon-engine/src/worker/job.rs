//! What can be asked of the thread.

use std::sync::mpsc::SyncSender;

use andon_kernels::kv;
use andon_task::engine::{EngineError, Finish, Sampling, Terms, Usage};

use super::generating::Generating;
use crate::adapter::{Applied, Variant};
use crate::grammar::Constraint;
use crate::schedule::Rank;

/// Work for the model, with the place where its outcome goes. A place that nobody
/// listens at ends the work.
pub enum Work {
    /// Continue a text.
    Generate(Generate),
    /// Weigh labels.
    Score(Score),
    /// The logits after every token.
    Evaluate(Evaluate),
    /// Compute a beginning and keep it.
    Pin(Pin),
    /// Take back a beginning that was computed before.
    Restore(Restore),
}

/// Continue a text.
pub struct Generate {
    /// The text.
    pub tokens: Vec<u32>,
    /// Tokens to generate, at most.
    pub most: usize,
    /// Tokens that end the text.
    pub ends: Vec<u32>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// How many alternatives are told with each token; `None`: nothing is told.
    pub alternatives: Option<usize>,
    /// What the text must satisfy.
    pub constraint: Option<Box<Constraint>>,
    /// The kind of work that it is: whether drafts pay is measured for each.
    pub kind: u64,
    /// What the text has come to, if it was begun and had to wait.
    pub progress: Option<Box<Generating>>,
    /// Where events go; it has room for all of them.
    pub events: SyncSender<Event>,
}

/// What happens while a text is continued.
pub enum Event {
    /// The next token.
    Token {
        /// The token.
        token: u32,
        /// What is told of it.
        told: Option<Told>,
        /// Tokens of the prompt that were found in the cache.
        cached_tokens: usize,
    },
    /// The end.
    End(Result<(Finish, Usage), EngineError>),
}

/// How probable a token was, and what else there was.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The natural logarithm of its probability.
    pub log_probability: f64,
    /// The most probable tokens with the same of theirs.
    pub alternatives: Vec<(u32, f64)>,
}

/// Weigh labels.
pub struct Score {
    /// The text before them.
    pub prompt: Vec<u32>,
    /// Each label's tokens, with the token that ends the turn.
    pub labels: Vec<Vec<u32>>,
    /// Where their shares go.
    pub outcome: SyncSender<Result<(Vec<f64>, Usage), EngineError>>,
}

/// The logits after every token.
pub struct Evaluate {
    /// The text.
    pub tokens: Vec<u32>,
    /// Where the logits go, a row for each token.
    pub outcome: SyncSender<Result<Vec<f32>, EngineError>>,
}

/// Compute a beginning and keep it: nobody takes its blocks away.
pub struct Pin {
    /// The beginning.
    pub tokens: Vec<u32>,
    /// Where the content of its blocks goes, layer after layer.
    pub outcome: SyncSender<Result<Vec<u8>, EngineError>>,
}

/// Take back a beginning that was computed before, and keep it.
pub struct Restore {
    /// The beginning.
    pub tokens: Vec<u32>,
    /// The content of its blocks, as [`Pin`] gave it.
    pub content: Vec<u8>,
    /// Where the outcome goes.
    pub outcome: SyncSender<Result<(), EngineError>>,
}

impl Work {
    /// Blocks without which the work cannot be done at all.
    pub(super) fn blocks(&self) -> usize {
        let tokens = match self {
            Self::Generate(work) => work.tokens.len() + work.most,
            Self::Score(work) => {
                let longest = work.labels.iter().map(Vec::len).max();
                work.prompt.len() + longest.unwrap_or(0) + kv::BLOCK
            }
            Self::Evaluate(work) => work.tokens.len(),
            Self::Pin(work) => work.tokens.len(),
            Self::Restore(work) => work.tokens.len(),
        };
        tokens.div_ceil(kv::BLOCK)
    }

    /// The text that is computed before anything can be answered.
    pub(super) fn prompt(&self) -> &[u32] {
        match self {
            Self::Generate(work) => &work.tokens,
            Self::Score(work) => &work.prompt,
            Self::Evaluate(work) => &work.tokens,
            Self::Pin(work) => &work.tokens,
            Self::Restore(_) => &[],
        }
    }

    /// Tells whoever waits that it failed.
    pub fn fail(&self, error: EngineError) {
        // A caller that has left needs no answer: the errors of `send` say no more.
        match self {
            Self::Generate(work) => drop(work.events.send(Event::End(Err(error)))),
            Self::Score(work) => drop(work.outcome.send(Err(error))),
            Self::Evaluate(work) => drop(work.outcome.send(Err(error))),
            Self::Pin(work) => drop(work.outcome.send(Err(error))),
            Self::Restore(work) => drop(work.outcome.send(Err(error))),
        }
    }
}

/// Work, and on which terms.
pub(crate) struct Job {
    /// What.
    pub(crate) work: Work,
    /// The adapter that it is computed with.
    pub(crate) adapter: Option<Applied>,
    /// Until when, and for whom.
    pub(crate) terms: Terms,
    /// Its place among others.
    pub(crate) rank: Rank,
}

impl Job {
    /// What shapes its keys and values beside its tokens.
    pub(super) fn variant(&self) -> Variant {
        Variant::of(self.adapter.as_ref())
    }
}

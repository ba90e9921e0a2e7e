//! What a text under way has come to, and its next tokens.

use std::sync::mpsc::SyncSender;

use andon_kernels::Kernels;
use andon_task::engine::{EngineError, Finish, Usage};

use super::job::{Event, Generate, Told};
use crate::grammar::{Constraint, Mask};
use crate::lookup::{Lookup, Reach};
use crate::sample::Sampler;

/// A text under way: what was drawn, what must follow, whom it is told.
pub struct Generating {
    sampler: Sampler,
    most: usize,
    ends: Vec<u32>,
    alternatives: Option<usize>,
    constraint: Option<Box<Constraint>>,
    mask: Mask,
    /// Where the answer may be copied from, if that pays.
    lookup: Option<Lookup>,
    /// The tokens of the answer so far.
    answer: Vec<u32>,
    usage: Usage,
    events: SyncSender<Event>,
    /// Tokens that were drafted and whose turn has come, and how many of these came true.
    drafted: usize,
    accepted: usize,
}

/// How a text goes on after a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// With these tokens: the one that was drawn, and those that must follow it.
    Tokens(Vec<u32>),
    /// Not at all: it has ended, or nobody listens.
    Nothing,
}

impl Generating {
    /// The text of a job; the usage is that of its prompt.
    pub fn new(work: &mut Generate, usage: Usage) -> Self {
        Self {
            sampler: Sampler::new(work.sampling),
            most: work.most,
            ends: work.ends.clone(),
            alternatives: work.alternatives,
            constraint: work.constraint.take(),
            mask: Mask::default(),
            lookup: None,
            answer: Vec::new(),
            usage,
            events: work.events.clone(),
            drafted: 0,
            accepted: 0,
        }
    }

    /// Lets the answer be drafted from its prompt.
    pub(super) fn look_up(&mut self, prompt: &[u32]) {
        self.lookup = Some(Lookup::new(prompt.to_vec(), Reach::default()));
    }

    /// What the answer must begin with.
    pub fn begin(&mut self) -> Next {
        let mut tokens = Vec::new();
        match self.follow(&mut tokens) {
            Ok(None) => Next::Tokens(tokens),
            Ok(Some(finish)) => self.end(Ok((finish, self.usage))),
            Err(error) => self.end(Err(error)),
        }
    }

    /// The next token, and what must follow it, sent on their way.
    pub fn next(&mut self, kernels: &Kernels, logits: &[f32]) -> Next {
        match self.draw(kernels, logits) {
            Ok(Drawing::Tokens(tokens)) => Next::Tokens(tokens),
            Ok(Drawing::Last(finish)) => self.end(Ok((finish, self.usage))),
            Ok(Drawing::Unheard) => Next::Nothing,
            Err(error) => self.end(Err(error)),
        }
    }

    fn draw(&mut self, kernels: &Kernels, logits: &[f32]) -> Result<Drawing, EngineError> {
        let allowed = match &mut self.constraint {
            Some(constraint) => {
                constraint.mask(&mut self.mask)?;
                Some(&self.mask)
            }
            None => None,
        };
        let no_number = || EngineError::Failed("the model's logits are no numbers".into());
        let token = self.sampler.draw(logits, allowed).ok_or_else(no_number)?;
        if self.ends.contains(&token) {
            self.usage.completion_tokens += 1;
            return Ok(Drawing::Last(Finish::Stop));
        }
        if let Some(constraint) = &mut self.constraint {
            constraint.accept(token)?;
        }
        let told = self.alternatives;
        let told = told.map(|count| Told::new(kernels, token, logits, count));
        if !self.tell(token, told) {
            return Ok(Drawing::Unheard);
        }
        let mut tokens = vec![token];
        Ok(match self.follow(&mut tokens)? {
            None => Drawing::Tokens(tokens),
            Some(finish) => Drawing::Last(finish),
        })
    }

    /// Adds the tokens that must come now, whatever the model says; says how the
    /// answer ends, if it does. Where the probabilities of all tokens are asked
    /// for, each is drawn.
    fn follow(&mut self, tokens: &mut Vec<u32>) -> Result<Option<Finish>, EngineError> {
        if self.usage.completion_tokens >= self.most {
            return Ok(Some(Finish::Length));
        }
        let Some(constraint) = &mut self.constraint else {
            return Ok(None);
        };
        if self.alternatives.is_none() {
            for token in constraint.forced() {
                let Some(constraint) = &mut self.constraint else {
                    break;
                };
                constraint.accept(token)?;
                tokens.push(token);
                // Who has left is found out by the next drawn token.
                self.tell(token, None);
                if self.usage.completion_tokens >= self.most {
                    return Ok(Some(Finish::Length));
                }
            }
        }
        let constraint = self.constraint.as_mut();
        let is_finished = constraint.is_some_and(|constraint| constraint.is_finished());
        Ok(is_finished.then_some(Finish::Stop))
    }

    /// Tokens that are likely to come: what they cost less than one by one is lost
    /// if they do not.
    pub(super) fn draft(&mut self) -> Vec<u32> {
        let Some(lookup) = &self.lookup else {
            return Vec::new();
        };
        let room = self.most - self.usage.completion_tokens;
        let draft = lookup.draft(&self.answer);
        let mut draft = draft[..draft.len().min(room.saturating_sub(1))].to_vec();
        if let Some(constraint) = &mut self.constraint {
            // A constraint that has failed says so when the next token is drawn.
            draft.truncate(constraint.check(&draft).unwrap_or(0));
        }
        draft
    }

    /// Notes what became of a draft.
    pub(super) fn judge(&mut self, drafted: usize, accepted: usize) {
        self.drafted += drafted;
        self.accepted += accepted;
    }

    /// Tokens that were drafted, and how many of these came true.
    pub(super) fn drafts(&self) -> (usize, usize) {
        (self.drafted, self.accepted)
    }

    /// Tells whoever waits that it failed.
    pub fn fail(&self, error: EngineError) {
        self.end(Err(error));
    }

    fn end(&self, end: Result<(Finish, Usage), EngineError>) -> Next {
        // A caller that has left needs no end.
        drop(self.events.send(Event::End(end)));
        Next::Nothing
    }

    /// Sends a token; false if nobody listens.
    fn tell(&mut self, token: u32, told: Option<Told>) -> bool {
        self.answer.push(token);
        self.usage.completion_tokens += 1;
        let event = Event::Token {
            token,
            told,
            cached_tokens: self.usage.cached_tokens,
        };
        // The channel has room for every event: an error means that the other end
        // is gone.
        self.events.try_send(event).is_ok()
    }
}

/// What came of drawing a token.
enum Drawing {
    /// The token and those that must follow it.
    Tokens(Vec<u32>),
    /// The answer ends, and why.
    Last(Finish),
    /// Nobody listens.
    Unheard,
}

impl Told {
    fn new(kernels: &Kernels, token: u32, logits: &[f32], count: usize) -> Self {
        let total = kernels.log_sum_exp(logits);
        let logarithm = |token: u32| f64::from(logits[token as usize]) - total;
        let mut best: Vec<u32> = Vec::with_capacity(count + 1);
        if count > 0 {
            for other in 0..logits.len() as u32 {
                let is_better = |than: &u32| logits[other as usize] > logits[*than as usize];
                if best.len() < count || best.last().is_some_and(is_better) {
                    let at = best.partition_point(|than| !is_better(than));
                    best.insert(at, other);
                    best.truncate(count);
                }
            }
        }
        Self {
            log_probability: logarithm(token),
            alternatives: best
                .into_iter()
                .map(|token| (token, logarithm(token)))
                .collect(),
        }
    }
}

//! One sequence of tokens on its way through the model.

use std::sync::mpsc::SyncSender;

use andon_kernels::Kernels;
use andon_task::engine::{EngineError, Finish, Usage};

use super::score::Scoring;
use super::{Evaluate, Event, Generate};
use crate::cache::{Blocks, Held};
use crate::llama::Slot;
use crate::sample::Sampler;

pub(super) struct Sequence {
    pub(super) tokens: Vec<u32>,
    /// Tokens whose keys and values are in the cache.
    pub(super) computed: usize,
    /// Logits are wanted after this token and all that follow.
    pub(super) wants_from: usize,
    pub(super) held: Held,
    pub(super) purpose: Purpose,
}

pub(super) enum Purpose {
    Generate(Box<Generating>),
    Evaluate(Evaluating),
    /// The text before labels.
    Prompt,
    /// The label with this number.
    Label(usize),
}

pub(super) struct Generating {
    sampler: Sampler,
    most: usize,
    ends: Vec<u32>,
    usage: Usage,
    pub(super) events: SyncSender<Event>,
}

pub(super) struct Evaluating {
    logits: Vec<f32>,
    pub(super) outcome: SyncSender<Result<Vec<f32>, EngineError>>,
}

impl Sequence {
    pub(super) fn generate(job: Generate, blocks: &mut Blocks) -> Self {
        let held = blocks.match_prefix(&job.tokens);
        let cached = held.numbers().len() * andon_kernels::kv::BLOCK;
        let usage = Usage {
            prompt_tokens: job.tokens.len(),
            cached_tokens: cached,
            completion_tokens: 0,
        };
        let mut sequence = Self {
            computed: cached,
            wants_from: job.tokens.len() - 1,
            tokens: job.tokens,
            held,
            purpose: Purpose::Generate(Box::new(Generating {
                sampler: Sampler::new(job.sampling),
                most: job.most,
                ends: job.ends,
                usage,
                events: job.events,
            })),
        };
        sequence.grow(blocks);
        sequence
    }

    pub(super) fn evaluate(job: Evaluate, blocks: &mut Blocks) -> Self {
        let mut sequence = Self {
            tokens: job.tokens,
            computed: 0,
            wants_from: 0,
            held: Held::default(),
            purpose: Purpose::Evaluate(Evaluating {
                logits: Vec::new(),
                outcome: job.outcome,
            }),
        };
        sequence.grow(blocks);
        sequence
    }

    /// Takes the blocks that the tokens need; they were promised at admission.
    pub(super) fn grow(&mut self, blocks: &mut Blocks) {
        let is_granted = blocks.grow(&mut self.held, self.tokens.len());
        assert!(is_granted, "blocks that were promised are there");
    }

    /// Tokens that are still to be computed.
    pub(super) fn left(&self) -> usize {
        self.tokens.len() - self.computed
    }

    /// The next `count` tokens.
    pub(super) fn slots(&self, count: usize) -> impl Iterator<Item = Slot<'_>> {
        (self.computed..self.computed + count).map(|position| Slot {
            token: self.tokens[position],
            position,
            blocks: self.held.numbers(),
            wants_logits: position >= self.wants_from,
        })
    }

    /// How many of the next `count` tokens want logits.
    pub(super) fn wanted(&self, count: usize) -> usize {
        let end = self.computed + count;
        end.saturating_sub(self.wants_from.max(self.computed))
    }

    pub(super) fn advance(&mut self, count: usize, blocks: &mut Blocks) {
        self.computed += count;
        blocks.note(&mut self.held, &self.tokens, self.computed);
        if let Purpose::Generate(_) = self.purpose {
            // Room for the token that is about to be drawn.
            let is_granted = blocks.grow(&mut self.held, self.tokens.len() + 1);
            assert!(is_granted, "blocks that were promised are there");
        }
    }

    /// Uses the logits of the tokens just computed; false when all is done.
    pub(super) fn settle(
        &mut self,
        kernels: &Kernels,
        rows: &[&[f32]],
        scoring: Option<&mut Scoring>,
    ) -> bool {
        let is_complete = self.computed == self.tokens.len();
        match &mut self.purpose {
            Purpose::Generate(state) => match rows.last() {
                Some(logits) => match state.next(logits) {
                    Some(token) => {
                        self.tokens.push(token);
                        self.wants_from = self.tokens.len() - 1;
                        true
                    }
                    None => false,
                },
                None => true,
            },
            Purpose::Evaluate(state) => {
                rows.iter().for_each(|row| state.logits.extend(*row));
                if is_complete {
                    let logits = std::mem::take(&mut state.logits);
                    drop(state.outcome.send(Ok(logits)));
                }
                !is_complete
            }
            Purpose::Prompt => {
                let scoring = scoring.expect("a prompt before labels has its scoring");
                if let Some(logits) = rows.last() {
                    let held = std::mem::take(&mut self.held);
                    scoring.begin(kernels, logits, held);
                }
                !is_complete
            }
            Purpose::Label(label) => {
                let scoring = scoring.expect("a label has its scoring");
                let first = self.computed - rows.len();
                for (row, logits) in rows.iter().enumerate() {
                    scoring.add(kernels, *label, first + row + 1, logits);
                }
                !is_complete
            }
        }
    }
}

impl Generating {
    /// The next token, sent on its way; `None` when the text has ended or
    /// nobody listens.
    fn next(&mut self, logits: &[f32]) -> Option<u32> {
        let Some(token) = self.sampler.draw(logits, None) else {
            let error = EngineError::Failed("the model's logits are no numbers".into());
            drop(self.events.send(Event::End(Err(error))));
            return None;
        };
        self.usage.completion_tokens += 1;
        let event = Event::Token {
            token,
            cached_tokens: self.usage.cached_tokens,
        };
        let finish = if self.ends.contains(&token) {
            Some(Finish::Stop)
        } else if self.events.try_send(event).is_err() {
            // The channel has room for every event: an error means that the
            // other end is gone.
            return None;
        } else if self.usage.completion_tokens >= self.most {
            Some(Finish::Length)
        } else {
            None
        };
        match finish {
            None => Some(token),
            Some(finish) => {
                drop(self.events.send(Event::End(Ok((finish, self.usage)))));
                None
            }
        }
    }
}

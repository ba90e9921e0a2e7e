//! What a text under way has come to, and its next token.

use std::sync::mpsc::SyncSender;

use andon_kernels::Kernels;
use andon_task::engine::{EngineError, Finish, Usage};

use super::job::{Event, Generate, Told};
use crate::sample::Sampler;

pub(crate) struct Generating {
    sampler: Sampler,
    most: usize,
    ends: Vec<u32>,
    alternatives: Option<usize>,
    usage: Usage,
    events: SyncSender<Event>,
}

impl Generating {
    pub(super) fn new(work: &Generate, usage: Usage) -> Self {
        Self {
            sampler: Sampler::new(work.sampling),
            most: work.most,
            ends: work.ends.clone(),
            alternatives: work.alternatives,
            usage,
            events: work.events.clone(),
        }
    }

    /// The next token, sent on its way; `None` when the text has ended or nobody
    /// listens.
    pub(super) fn next(&mut self, kernels: &Kernels, logits: &[f32]) -> Option<u32> {
        let Some(token) = self.sampler.draw(logits, None) else {
            let error = EngineError::Failed("the model's logits are no numbers".into());
            drop(self.events.send(Event::End(Err(error))));
            return None;
        };
        self.usage.completion_tokens += 1;
        let finish = if self.ends.contains(&token) {
            Some(Finish::Stop)
        } else if !self.tell(kernels, token, logits) {
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

    /// Sends a token; false if nobody listens.
    fn tell(&self, kernels: &Kernels, token: u32, logits: &[f32]) -> bool {
        let event = Event::Token {
            token,
            told: self
                .alternatives
                .map(|count| Told::new(kernels, token, logits, count)),
            cached_tokens: self.usage.cached_tokens,
        };
        // The channel has room for every event: an error means that the other end
        // is gone.
        self.events.try_send(event).is_ok()
    }
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

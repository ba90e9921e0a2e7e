//! The labels of one job: the prompt once, then a branch for each label.

use std::sync::mpsc::SyncSender;

use andon_kernels::{Kernels, kv};
use andon_task::engine::{EngineError, Usage};

use super::Score;
use super::sequence::{Purpose, Sequence};
use crate::cache::{Blocks, Held};

/// Blocks that branches may hold at the same time, unless one needs more.
const BRANCH_BLOCKS: usize = 64;

pub(super) struct Scoring {
    labels: Vec<Vec<u32>>,
    prompt: Vec<u32>,
    /// The prompt's blocks, once they are computed.
    held: Option<Held>,
    log_probabilities: Vec<f64>,
    /// The next label to branch off.
    next: usize,
    usage: Usage,
    outcome: SyncSender<Result<(Vec<f64>, Usage), EngineError>>,
}

impl Scoring {
    /// Blocks that a job may hold at the same time.
    pub(super) fn blocks(job: &Score) -> usize {
        let prompt = job.prompt.len();
        job.prompt.len().div_ceil(kv::BLOCK) + branch_blocks(prompt, &job.labels)
    }

    pub(super) fn start(job: Score, blocks: &mut Blocks) -> (Sequence, Self) {
        let held = blocks.match_prefix(&job.prompt);
        let cached = held.numbers().len() * kv::BLOCK;
        let evaluated = job.labels.iter().map(Vec::len).sum();
        let usage = Usage {
            prompt_tokens: job.prompt.len(),
            cached_tokens: cached,
            completion_tokens: evaluated,
        };
        let mut sequence = Sequence {
            tokens: job.prompt.clone(),
            computed: cached,
            wants_from: job.prompt.len() - 1,
            held,
            purpose: Purpose::Prompt,
        };
        sequence.grow(blocks);
        let scoring = Self {
            log_probabilities: vec![0.0; job.labels.len()],
            labels: job.labels,
            prompt: job.prompt,
            held: None,
            next: 0,
            usage,
            outcome: job.outcome,
        };
        (sequence, scoring)
    }

    /// The prompt is computed: every label's first token has its probability.
    pub(super) fn begin(&mut self, kernels: &Kernels, logits: &[f32], held: Held) {
        let total = kernels.log_sum_exp(logits);
        for (label, sum) in self.labels.iter().zip(&mut self.log_probabilities) {
            *sum = f64::from(logits[label[0] as usize]) - total;
        }
        self.held = Some(held);
    }

    /// The token at `position` of a label's sequence is about to come.
    pub(super) fn add(&mut self, kernels: &Kernels, label: usize, position: usize, logits: &[f32]) {
        let token = self.labels[label][position - self.prompt.len()];
        self.log_probabilities[label] +=
            f64::from(logits[token as usize]) - kernels.log_sum_exp(logits);
    }

    /// Starts as many further labels as the promised blocks allow.
    pub(super) fn branch(
        &mut self,
        sequences: &mut Vec<Sequence>,
        blocks: &mut Blocks,
        cache: &mut [kv::Layer],
    ) {
        let Some(held) = &self.held else {
            return;
        };
        let prompt = self.prompt.len();
        let mut room = branch_blocks(prompt, &self.labels);
        for sequence in sequences.iter() {
            room -= own_blocks(prompt, sequence.tokens.len() - prompt);
        }
        while let Some(label) = self.labels.get(self.next) {
            // The last token is predicted, never computed.
            let (_, computed) = label.split_last().expect("a label ends its turn");
            let own = own_blocks(prompt, computed.len());
            if !computed.is_empty() {
                if own > room {
                    return;
                }
                room -= own;
                let (held, copy) = blocks
                    .fork(held, prompt)
                    .expect("blocks that were promised are there");
                if let Some((from, to)) = copy {
                    cache
                        .iter_mut()
                        .for_each(|layer| layer.copy_block(from, to));
                }
                let mut sequence = Sequence {
                    tokens: [self.prompt.as_slice(), computed].concat(),
                    computed: prompt,
                    wants_from: prompt,
                    held,
                    purpose: Purpose::Label(self.next),
                };
                sequence.grow(blocks);
                sequences.push(sequence);
            }
            self.next += 1;
        }
    }

    /// Whether labels are still to be branched off.
    pub(super) fn goes_on(&self) -> bool {
        self.next < self.labels.len()
    }

    /// All labels are scored.
    pub(super) fn finish(self, blocks: &mut Blocks) {
        if let Some(held) = self.held {
            blocks.release(held);
        }
        let is_finite = self.log_probabilities.iter().all(|p| !p.is_nan());
        let outcome = if is_finite {
            Ok((self.log_probabilities, self.usage))
        } else {
            Err(EngineError::Failed(
                "the model's logits are no numbers".into(),
            ))
        };
        // A caller that has left needs no answer.
        drop(self.outcome.send(outcome));
    }

    pub(super) fn fail(self, error: EngineError) {
        drop(self.outcome.send(Err(error)));
    }
}

/// Blocks that branches of this prompt may hold together.
fn branch_blocks(prompt: usize, labels: &[Vec<u32>]) -> usize {
    let own = |label: &Vec<u32>| own_blocks(prompt, label.len().saturating_sub(1));
    let all: usize = labels.iter().map(own).sum();
    let largest = labels.iter().map(own).max().unwrap_or(0);
    all.min(BRANCH_BLOCKS.max(largest))
}

/// Blocks that a branch of `tokens` tokens has besides the prompt's whole ones.
fn own_blocks(prompt: usize, tokens: usize) -> usize {
    (prompt + tokens).div_ceil(kv::BLOCK) - prompt / kv::BLOCK
}

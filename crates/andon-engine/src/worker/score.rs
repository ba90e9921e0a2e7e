//! The labels of one job: the prompt once, then a branch for each label that is
//! worth evaluating.

use andon_kernels::{Kernels, kv};
use andon_task::engine::{EngineError, Usage};

use super::job::Score;
use super::sequence::{Purpose, Sequence};
use crate::cache::{Blocks, Held};
use crate::labels::{Branch, Labels};

pub(super) struct Scoring {
    labels: Labels,
    prompt: Vec<u32>,
    /// The prompt's blocks, once they are computed.
    held: Option<Held>,
    /// Branches of this round that are not begun.
    waiting: Vec<Branch>,
    /// Branches of this round that are not ended.
    open: usize,
    usage: Usage,
}

impl Scoring {
    pub(super) fn start(work: &Score, blocks: &mut Blocks) -> (Sequence, Self) {
        let sequence = Sequence::prompt(&work.prompt, blocks);
        let scoring = Self {
            labels: Labels::new(work.labels.clone()),
            prompt: work.prompt.clone(),
            held: None,
            waiting: Vec::new(),
            open: 0,
            usage: Usage {
                prompt_tokens: work.prompt.len(),
                cached_tokens: sequence.computed,
                completion_tokens: 0,
            },
        };
        (sequence, scoring)
    }

    /// The prompt is computed: every first token has its weight.
    pub(super) fn begin(&mut self, logits: &[f32], held: Held) {
        self.held = Some(held);
        self.labels
            .learn(0, 0, |token| f64::from(logits[token as usize]));
        self.begin_round();
    }

    /// The distribution after the token of a label at `position`.
    pub(super) fn add(&mut self, kernels: &Kernels, label: usize, position: usize, logits: &[f32]) {
        let total = kernels.log_sum_exp(logits);
        let depth = position + 1 - self.prompt.len();
        self.labels.learn(label, depth, |token| {
            f64::from(logits[token as usize]) - total
        });
    }

    /// A branch has come to its end.
    pub(super) fn end_branch(&mut self) {
        self.open -= 1;
        if self.open == 0 {
            self.begin_round();
        }
    }

    fn begin_round(&mut self) {
        self.waiting = self.labels.next_round();
        self.open = self.waiting.len();
    }

    /// Starts as many further labels as there are blocks for.
    pub(super) fn branch(
        &mut self,
        sequences: &mut Vec<Sequence>,
        blocks: &mut Blocks,
        cache: &mut [kv::Layer],
    ) {
        let Some(held) = &self.held else {
            return;
        };
        while let Some(&Branch { label, known }) = self.waiting.last() {
            let prompt = self.prompt.len();
            // The last token is predicted, never computed.
            let (_, computed) = self
                .labels
                .tokens(label)
                .split_last()
                .expect("a label ends its turn");
            let Some((held, copy)) = blocks.fork(held, prompt) else {
                return;
            };
            if let Some((from, to)) = copy {
                cache
                    .iter_mut()
                    .for_each(|layer| layer.copy_block(from, to));
            }
            self.usage.completion_tokens += computed.len();
            sequences.push(Sequence {
                tokens: [self.prompt.as_slice(), computed].concat(),
                computed: prompt,
                wants_from: prompt + known - 1,
                held,
                purpose: Purpose::Label(label),
            });
            self.waiting.pop();
        }
    }

    /// Whether labels are still to be branched off.
    pub(super) fn goes_on(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn release(&mut self, blocks: &mut Blocks) {
        if let Some(held) = self.held.take() {
            blocks.release(held);
        }
    }

    /// All labels are weighed.
    pub(super) fn outcome(&self) -> Result<(Vec<f64>, Usage), EngineError> {
        let shares = self.labels.shares();
        if shares.iter().all(|share| share.is_finite()) {
            Ok((shares, self.usage))
        } else {
            Err(EngineError::Failed(
                "the model's logits are no numbers".into(),
            ))
        }
    }
}

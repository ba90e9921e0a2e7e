//! The labels of one job: the prompt once, then a branch for each label that is
//! worth evaluating.

use andon_kernels::kv;
use andon_task::engine::{EngineError, Usage};

use super::job::Score;
use super::sequence::{Purpose, Sequence};
use crate::cache::{Blocks, Found, Held};
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
    pub(super) fn start(work: &Score, found: Found) -> (Sequence, Self) {
        let labels = Labels::new(work.labels.clone());
        let root = Branch { label: 0, depth: 0 };
        let sequence = Sequence::prompt(&work.prompt, found, labels.choices(root));
        let scoring = Self {
            labels,
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
        let root = Branch { label: 0, depth: 0 };
        self.labels.learn(root, |token| logits[token as usize]);
        self.begin_round();
    }

    /// What the model thinks of what may follow at a branch.
    pub(super) fn add(&mut self, branch: Branch, logits: &[f32]) {
        self.labels.learn(branch, |token| logits[token as usize]);
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
        while let Some(&branch) = self.waiting.last() {
            let prompt = self.prompt.len();
            let Some((held, copy)) = blocks.fork(held, prompt) else {
                return;
            };
            if let Some((from, to)) = copy {
                cache
                    .iter_mut()
                    .for_each(|layer| layer.copy_block(from, to));
            }
            let path = &self.labels.tokens(branch.label)[..branch.depth];
            self.usage.completion_tokens += path.len();
            let tokens = [self.prompt.as_slice(), path].concat();
            sequences.push(Sequence {
                computed: prompt,
                drafted: 0,
                wants_from: tokens.len() - 1,
                choices: self.labels.choices(branch),
                tokens,
                held,
                purpose: Purpose::Label(branch),
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
            blocks.retire(held, &self.prompt, self.prompt.len());
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

//! The labels of one job: the prompt once, then a branch for each label that is
//! worth evaluating.
//!
//! A step costs about as much as some tokens. So where all branches together are few
//! tokens they are computed in the step that ends the prompt, whether they will be
//! asked for or not; who is never asked for changes nothing.

use andon_kernels::kv;
use andon_task::engine::{EngineError, Usage};

use super::job::Score;
use super::sequence::{Purpose, Sequence};
use crate::cache::{Blocks, Found, Held};
use crate::labels::{Branch, Labels};

/// Tokens of branches that are computed with the end of the prompt, at most.
const MOST_FORESEEN: usize = 16;

pub(super) struct Scoring {
    labels: Labels,
    prompt: Vec<u32>,
    /// The prompt's blocks, once they are computed.
    held: Option<Held>,
    /// Branches of this round that are not begun.
    waiting: Vec<Branch>,
    /// Branches of this round that are not ended.
    open: usize,
    /// The logits of branches that were computed before they were asked for.
    foreseen: Vec<(Branch, Vec<(u32, f32)>)>,
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
            foreseen: Vec::new(),
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
    }

    /// Begins the branches of a prompt that ends with this step, if they are `room`
    /// tokens at most and there are blocks for all of them.
    pub(super) fn foresee(
        &self,
        prompt: &mut Sequence,
        room: usize,
        blocks: &mut Blocks,
        cache: &mut [kv::Layer],
    ) -> Vec<Sequence> {
        let inner = self.labels.inner();
        let tokens: usize = inner.iter().map(|branch| branch.depth).sum();
        // Two blocks are the most that a branch may need.
        if tokens > room.min(MOST_FORESEEN) || 2 * inner.len() > blocks.available() {
            return Vec::new();
        }
        let is_begun = prompt.computed / kv::BLOCK == self.prompt.len() / kv::BLOCK;
        let begin = |branch: Branch| {
            let (mut held, copy) = blocks.fork(&prompt.held, self.prompt.len())?;
            if let Some((from, to)) = copy {
                prompt.copies.push(to);
                // What earlier steps wrote; this one writes the rest to both.
                if is_begun {
                    copy_block(cache, from, to);
                }
            }
            let is_grown = blocks.grow(&mut held, self.prompt.len() + branch.depth);
            debug_assert!(is_grown, "as many blocks as were asked for");
            Some(self.sequence(branch, held, Purpose::Foreseen(branch)))
        };
        inner.into_iter().map_while(begin).collect()
    }

    /// A branch behind the prompt.
    fn sequence(&self, branch: Branch, held: Held, purpose: Purpose) -> Sequence {
        let path = &self.labels.tokens(branch.label)[..branch.depth];
        let tokens = [self.prompt.as_slice(), path].concat();
        Sequence {
            computed: self.prompt.len(),
            drafted: 0,
            wants_from: tokens.len() - 1,
            choices: self.labels.choices(branch),
            tokens,
            held,
            copies: Vec::new(),
            purpose,
        }
    }

    /// What the model thinks of what may follow at a branch.
    pub(super) fn add(&mut self, branch: Branch, logits: &[f32]) {
        self.labels.learn(branch, |token| logits[token as usize]);
    }

    /// As [`Scoring::add`], of a branch that nobody has asked for yet.
    pub(super) fn add_foreseen(&mut self, branch: Branch, logits: &[f32]) {
        let choices = self.labels.choices(branch).into_iter();
        let logits = choices.map(|token| (token, logits[token as usize]));
        self.foreseen.push((branch, logits.collect()));
    }

    /// A branch has come to its end.
    pub(super) fn end_branch(&mut self) {
        self.open -= 1;
    }

    /// After a step: begins the next round if this one is over. What is asked for and
    /// was foreseen is known at once.
    pub(super) fn proceed(&mut self) {
        if self.held.is_none() {
            return;
        }
        while self.open == 0 {
            let asked = self.labels.next_round();
            if asked.is_empty() {
                return;
            }
            for branch in asked {
                let known = self.foreseen.iter().find(|(other, _)| *other == branch);
                let Some((_, logits)) = known else {
                    self.waiting.push(branch);
                    continue;
                };
                self.usage.completion_tokens += branch.depth;
                let logit = |wanted| {
                    let found = logits.iter().find(|(token, _)| *token == wanted);
                    found.map_or(f32::NAN, |(_, logit)| *logit)
                };
                self.labels.learn(branch, logit);
            }
            self.open = self.waiting.len();
        }
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
            let Some((held, copy)) = blocks.fork(held, self.prompt.len()) else {
                return;
            };
            if let Some((from, to)) = copy {
                copy_block(cache, from, to);
            }
            self.usage.completion_tokens += branch.depth;
            sequences.push(self.sequence(branch, held, Purpose::Label(branch)));
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

fn copy_block(cache: &mut [kv::Layer], from: u32, to: u32) {
    let layers = cache.iter_mut();
    layers.for_each(|layer| layer.copy_block(from, to));
}

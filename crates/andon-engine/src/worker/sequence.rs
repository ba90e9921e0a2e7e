//! One sequence of tokens on its way through the model.

use andon_kernels::{Kernels, kv};
use andon_task::engine::Usage;

use super::generating::{Generating, Next};
use super::job::{Evaluate, Generate};
use super::pin;
use super::score::Scoring;
use crate::adapter::Applied;
use crate::cache::{Blocks, Found, Held};
use crate::decoder::{Slot, Wants};
use crate::labels::Branch;

pub(super) struct Sequence {
    pub(super) tokens: Vec<u32>,
    /// Tokens whose keys and values are in the cache.
    pub(super) computed: usize,
    /// Tokens at the end that are drafts: they may be wrong.
    pub(super) drafted: usize,
    /// Logits are wanted after this token and all that follow.
    pub(super) wants_from: usize,
    /// The tokens whose logits are wanted; none: those of all.
    pub(super) choices: Vec<u32>,
    pub(super) held: Held,
    /// Blocks of branches that begin within its last block, for the tokens there.
    pub(super) copies: Vec<u32>,
    pub(super) purpose: Purpose,
}

pub(super) enum Purpose {
    Generate(Box<Generating>),
    /// The logits so far.
    Evaluate(Vec<f32>),
    /// A beginning that is to be kept.
    Pin,
    /// The text before labels.
    Prompt,
    /// The beginning of a label.
    Label(Branch),
    /// The same, begun before anybody asks for it: in the step that ends the prompt.
    Foreseen(Branch),
}

/// Whether answers are drafted from their prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drafts {
    /// Where the prompt has what may come next.
    Made,
    /// It does not pay.
    NotMade,
}

/// How a sequence came out of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// There is more to compute.
    GoesOn,
    /// All is done.
    Ended,
}

impl Sequence {
    fn new(tokens: Vec<u32>, found: Found, purpose: Purpose) -> Self {
        let Found {
            held,
            tokens: computed,
            ..
        } = found;
        Self {
            computed,
            drafted: 0,
            wants_from: tokens.len() - 1,
            choices: Vec::new(),
            tokens,
            held,
            copies: Vec::new(),
            purpose,
        }
    }

    /// A text to continue, or one that was continued before and had to wait.
    /// If there is nothing to say, the blocks come back.
    pub(super) fn generate(
        work: &mut Generate,
        found: Found,
        drafts: Drafts,
    ) -> Result<Self, Held> {
        let usage = Usage {
            prompt_tokens: work.tokens.len(),
            cached_tokens: found.tokens,
            completion_tokens: 0,
        };
        let mut tokens = work.tokens.clone();
        let state = match work.progress.take() {
            Some(state) => state,
            None => {
                let mut state = Generating::new(work, usage);
                if drafts == Drafts::Made {
                    state.look_up(&tokens);
                }
                match state.begin() {
                    Next::Tokens(forced) => tokens.extend(forced),
                    Next::Nothing => return Err(found.held),
                }
                Box::new(state)
            }
        };
        Ok(Self::new(tokens, found, Purpose::Generate(state)))
    }

    pub(super) fn evaluate(work: &Evaluate, found: Found) -> Self {
        let purpose = Purpose::Evaluate(Vec::new());
        let mut sequence = Self::new(work.tokens.clone(), found, purpose);
        sequence.wants_from = 0;
        sequence
    }

    /// The text before labels.
    pub(super) fn prompt(tokens: &[u32], found: Found, choices: Vec<u32>) -> Self {
        Self {
            choices,
            ..Self::new(tokens.to_vec(), found, Purpose::Prompt)
        }
    }

    /// A beginning to keep: nobody wants logits.
    pub(super) fn pin(tokens: &[u32], found: Found) -> Self {
        let mut sequence = Self::new(tokens.to_vec(), found, Purpose::Pin);
        sequence.wants_from = tokens.len();
        sequence
    }

    /// Takes the blocks that the next `count` tokens need; false if there are too few.
    pub(super) fn secure(&mut self, count: usize, blocks: &mut Blocks) -> bool {
        blocks.grow(&mut self.held, self.computed + count)
    }

    /// Tokens that are still to be computed.
    pub(super) fn left(&self) -> usize {
        self.tokens.len() - self.computed
    }

    /// Blocks that its tokens still need.
    pub(super) fn missing_blocks(&self) -> usize {
        let needed = self.tokens.len().div_ceil(kv::BLOCK);
        needed.saturating_sub(self.held.numbers().len())
    }

    /// How many of the first blocks of `prompt` this sequence has or will have, and
    /// others will find.
    pub(super) fn common_blocks(&self, prompt: &[u32]) -> usize {
        if let Purpose::Label(_) | Purpose::Foreseen(_) | Purpose::Evaluate(_) = self.purpose {
            return 0;
        }
        let own = self.tokens.chunks_exact(kv::BLOCK);
        own.zip(prompt.chunks_exact(kv::BLOCK))
            .take_while(|(own, other)| own == other)
            .count()
    }

    /// The next `count` tokens, computed with an adapter.
    pub(super) fn slots<'a>(
        &'a self,
        count: usize,
        adapter: Option<&'a Applied>,
    ) -> impl Iterator<Item = Slot<'a>> {
        let last_block = (self.tokens.len() - 1) / kv::BLOCK;
        (self.computed..self.computed + count).map(move |position| Slot {
            token: self.tokens[position],
            position,
            blocks: self.held.numbers(),
            copies: match position / kv::BLOCK == last_block {
                true => &self.copies,
                false => &[],
            },
            wants: match self.choices.as_slice() {
                _ if position < self.wants_from => Wants::Nothing,
                [] => Wants::Everything,
                choices => Wants::Tokens(choices),
            },
            adapter,
        })
    }

    /// How many of the next `count` tokens want logits.
    pub(super) fn wanted(&self, count: usize) -> usize {
        let end = self.computed + count;
        end.saturating_sub(self.wants_from.max(self.computed))
    }

    pub(super) fn advance(&mut self, count: usize, blocks: &mut Blocks) {
        self.computed += count;
        let certain = self.certain().min(self.computed);
        blocks.note(&mut self.held, &self.tokens, certain);
    }

    /// Tokens that are no drafts.
    fn certain(&self) -> usize {
        self.tokens.len() - self.drafted
    }

    /// Uses the logits of the tokens just computed.
    pub(super) fn settle(
        &mut self,
        kernels: &Kernels,
        rows: &[&[f32]],
        scoring: Option<&mut Scoring>,
    ) -> Course {
        let is_complete = self.computed == self.tokens.len();
        let ended = match (&mut self.purpose, scoring) {
            (Purpose::Generate(_), _) => return self.continue_text(kernels, rows),
            (Purpose::Evaluate(logits), _) => {
                rows.iter().for_each(|row| logits.extend(*row));
                is_complete
            }
            (Purpose::Prompt, Some(scoring)) => {
                if let Some(logits) = rows.last() {
                    scoring.begin(logits, std::mem::take(&mut self.held));
                }
                is_complete
            }
            (Purpose::Label(branch), Some(scoring)) => {
                if let Some(logits) = rows.last() {
                    scoring.add(*branch, logits);
                    scoring.end_branch();
                }
                is_complete
            }
            (Purpose::Foreseen(branch), Some(scoring)) => {
                if let Some(logits) = rows.last() {
                    scoring.add_foreseen(*branch, logits);
                }
                is_complete
            }
            (Purpose::Pin | Purpose::Prompt | Purpose::Label(_) | Purpose::Foreseen(_), _) => {
                is_complete
            }
        };
        match ended {
            true => Course::Ended,
            false => Course::GoesOn,
        }
    }

    /// Draws as many tokens as the rows allow: one, and one more for each draft that
    /// comes true.
    fn continue_text(&mut self, kernels: &Kernels, rows: &[&[f32]]) -> Course {
        let first = self.computed - rows.len();
        let drafted = self.drafted;
        for (row, logits) in rows.iter().enumerate() {
            // The row of a draft that turned out wrong, or of a token that had to
            // come after another, says nothing.
            let position = first + row;
            if position + 1 != self.certain() || position >= self.computed {
                continue;
            }
            let Purpose::Generate(state) = &mut self.purpose else {
                return Course::Ended;
            };
            match state.next(kernels, logits) {
                Next::Tokens(tokens) => tokens.into_iter().for_each(|token| self.push(token)),
                Next::Nothing => {
                    self.forget_drafts();
                    return Course::Ended;
                }
            }
        }
        if self.drafted == 0
            && let Purpose::Generate(state) = &mut self.purpose
            && !rows.is_empty()
        {
            let came_true = (self.computed - first).saturating_sub(1).min(drafted);
            state.judge(drafted, came_true);
            let draft = state.draft();
            self.drafted = draft.len();
            self.tokens.extend(draft);
        }
        self.wants_from = self.certain() - 1;
        Course::GoesOn
    }

    /// Adds a certain token: the first draft comes true, or all are wrong.
    fn push(&mut self, token: u32) {
        let at = self.certain();
        if self.drafted > 0 && self.tokens[at] == token {
            self.drafted -= 1;
            return;
        }
        self.forget_drafts();
        self.tokens.push(token);
    }

    /// What was drafted and has not come true was never said.
    fn forget_drafts(&mut self) {
        self.tokens.truncate(self.certain());
        self.drafted = 0;
        self.computed = self.computed.min(self.tokens.len());
    }

    /// Gives all blocks back, and keeps what is certain; what the blocks hold may be
    /// found by others.
    pub(super) fn retire(&mut self, blocks: &mut Blocks) {
        self.forget_drafts();
        let held = std::mem::take(&mut self.held);
        // A prompt before labels has handed its blocks on.
        if !held.numbers().is_empty() {
            blocks.retire(held, &self.tokens, self.computed);
        }
    }

    /// Takes hold of the blocks of a beginning that is computed, and their content.
    pub(super) fn keep(self, blocks: &mut Blocks, cache: &[kv::Layer]) -> (Held, Vec<u8>) {
        let held = blocks.pin(self.held, &self.tokens);
        let content = pin::content(&held, cache);
        (held, content)
    }
}

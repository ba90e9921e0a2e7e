//! A job that runs: its sequences, and what becomes of them at their end.

use andon_kernels::kv;
use andon_task::engine::EngineError;

use super::job::{Job, Work};
use super::score::Scoring;
use super::sequence::{Purpose, Sequence};
use crate::cache::{Blocks, Held};

/// A job that runs.
pub(super) struct Running {
    pub(super) job: Job,
    pub(super) sequences: Vec<Sequence>,
    /// For labels: what is known of them.
    pub(super) scoring: Option<Scoring>,
}

impl Running {
    /// Whether this job, not behind `other` in rank, is about to compute more of the
    /// beginning of its prompt than the cache has: who waits a little saves that.
    pub(super) fn is_computing(&self, other: &Job, blocks: &Blocks) -> bool {
        let (prompt, variant) = (other.work.prompt(), other.variant());
        self.job.rank < other.rank
            && self.job.variant() == variant
            && self.sequences.iter().any(|sequence| {
                let common = sequence.common_blocks(prompt);
                common * kv::BLOCK > sequence.computed && common > blocks.known(variant, prompt) + 1
            })
    }

    /// Starts the branches of labels that there is room for.
    pub(super) fn branch(&mut self, blocks: &mut Blocks, cache: &mut [kv::Layer]) {
        if let Some(scoring) = &mut self.scoring {
            scoring.branch(&mut self.sequences, blocks, cache);
        }
    }

    /// Begins what a prompt that ends with this step may ask for next.
    pub(super) fn foresee(
        &mut self,
        counts: &[usize],
        room: usize,
        blocks: &mut Blocks,
        cache: &mut [kv::Layer],
    ) {
        let Some(scoring) = &self.scoring else {
            return;
        };
        if let ([prompt], [count]) = (self.sequences.as_mut_slice(), counts)
            && matches!(prompt.purpose, Purpose::Prompt)
            && *count == prompt.left()
        {
            let begun = scoring.foresee(prompt, room, blocks, cache);
            self.sequences.extend(begun);
        }
    }

    pub(super) fn goes_on(&self) -> bool {
        let labels_left = self.scoring.as_ref().is_some_and(Scoring::goes_on);
        !self.sequences.is_empty() || labels_left
    }

    /// Gives all blocks back.
    pub(super) fn release(&mut self, blocks: &mut Blocks) {
        for sequence in &mut self.sequences {
            sequence.retire(blocks);
        }
        if let Some(scoring) = &mut self.scoring {
            scoring.release(blocks);
        }
    }

    /// Lets go of a sequence at its end; what is to be kept for good is returned.
    pub(super) fn end(
        &self,
        mut sequence: Sequence,
        blocks: &mut Blocks,
        cache: &[kv::Layer],
    ) -> Option<Held> {
        // Callers that have left need no answers.
        match (&self.job.work, &mut sequence.purpose) {
            (Work::Evaluate(work), Purpose::Evaluate(logits)) => {
                drop(work.outcome.send(Ok(std::mem::take(logits))));
            }
            (Work::Pin(work), Purpose::Pin) => {
                let (held, content) = sequence.keep(blocks, cache);
                drop(work.outcome.send(Ok(content)));
                return Some(held);
            }
            _ => {}
        }
        sequence.retire(blocks);
        None
    }

    /// Answers what is answered at the end of all sequences.
    pub(super) fn finish(&mut self, blocks: &mut Blocks) {
        if let (Some(scoring), Work::Score(work)) = (&mut self.scoring, &self.job.work) {
            scoring.release(blocks);
            drop(work.outcome.send(scoring.outcome()));
        }
    }

    /// Puts into the job what it has come to, so that it can go on later.
    pub(super) fn remember(&mut self) {
        for sequence in self.sequences.drain(..) {
            if let (Purpose::Generate(state), Work::Generate(work)) =
                (sequence.purpose, &mut self.job.work)
            {
                work.tokens = sequence.tokens;
                work.progress = Some(state);
            }
        }
    }

    pub(super) fn fail(&self, error: &EngineError) {
        self.job.work.fail(error.clone());
    }
}

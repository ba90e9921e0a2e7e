//! Sequences of the context: which are free, and which hold the beginnings of requests
//! that were answered, for those that begin in the same way.

use crate::native::{Native, SEQUENCES};

/// Beginnings that are kept beside those that are pinned.
const KEPT: usize = 24;

/// A beginning whose keys and values are there.
struct Kept {
    sequence: usize,
    tokens: Vec<u32>,
    is_pinned: bool,
    used: u64,
}

/// Which sequences there are.
pub(crate) struct Sequences {
    free: Vec<usize>,
    kept: Vec<Kept>,
    clock: u64,
}

impl Sequences {
    pub(crate) fn new() -> Self {
        Self {
            free: (0..SEQUENCES).rev().collect(),
            kept: Vec::new(),
            clock: 0,
        }
    }

    /// A sequence that nobody uses.
    pub(crate) fn take(&mut self, native: &mut Native) -> Option<usize> {
        if self.free.is_empty() {
            self.drop_oldest(native);
        }
        self.free.pop()
    }

    /// Gives a sequence back.
    pub(crate) fn give(&mut self, native: &mut Native, sequence: usize) {
        native.forget(sequence, 0);
        self.free.push(sequence);
    }

    /// Lets a sequence begin with what is known of a prompt. The tokens that need not be
    /// computed; the last one always is.
    pub(crate) fn begin(&mut self, native: &mut Native, sequence: usize, prompt: &[u32]) -> usize {
        let common = |kept: &Kept| {
            let pairs = kept.tokens.iter().zip(prompt);
            pairs.take_while(|(a, b)| a == b).count()
        };
        let best = self.kept.iter_mut().max_by_key(|kept| common(kept));
        let Some(best) = best else {
            return 0;
        };
        let known = common(best).min(prompt.len().saturating_sub(1));
        if known > 0 {
            self.clock += 1;
            best.used = self.clock;
            native.share(best.sequence, sequence, known);
        }
        known
    }

    /// Keeps the beginning of a sequence. False if it is not kept.
    pub(crate) fn keep(
        &mut self,
        native: &mut Native,
        (sequence, tokens): (usize, &[u32]),
        is_pinned: bool,
    ) -> bool {
        if let Some(known) = self.kept.iter_mut().find(|kept| kept.tokens == tokens) {
            known.is_pinned |= is_pinned;
            return true;
        }
        let loose = self.kept.iter().filter(|kept| !kept.is_pinned).count();
        if !is_pinned && loose >= KEPT {
            self.drop_oldest(native);
        }
        let Some(to) = self.free.pop() else {
            return false;
        };
        native.share(sequence, to, tokens.len());
        self.clock += 1;
        self.kept.push(Kept {
            sequence: to,
            tokens: tokens.to_vec(),
            is_pinned,
            used: self.clock,
        });
        true
    }

    /// Tokens that pinned beginnings have.
    pub(crate) fn pinned(&self) -> usize {
        let pinned = self.kept.iter().filter(|kept| kept.is_pinned);
        pinned.map(|kept| kept.tokens.len()).sum()
    }

    /// Tokens that beginnings have which may be dropped.
    pub(crate) fn loose(&self) -> usize {
        let loose = self.kept.iter().filter(|kept| !kept.is_pinned);
        loose.map(|kept| kept.tokens.len()).sum()
    }

    /// Drops the beginning that was not used for longest; false if there is none.
    pub(crate) fn drop_oldest(&mut self, native: &mut Native) -> bool {
        let loose = self.kept.iter().enumerate();
        let loose = loose.filter(|(_, kept)| !kept.is_pinned);
        let Some((oldest, _)) = loose.min_by_key(|(_, kept)| kept.used) else {
            return false;
        };
        let dropped = self.kept.swap_remove(oldest);
        self.give(native, dropped.sequence);
        true
    }

    /// Forgets everything: what the context held is lost.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }
}

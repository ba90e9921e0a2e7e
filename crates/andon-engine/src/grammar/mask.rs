//! Which tokens may come next, as bits.

/// A set of tokens. One is made per sequence and written anew at every step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    words: Vec<u32>,
}

impl Mask {
    /// The set of these tokens.
    pub fn of(tokens: &[u32]) -> Self {
        let mut mask = Self::default();
        for &token in tokens {
            mask.insert(token);
        }
        mask
    }

    /// Whether the token is in the set.
    pub fn allows(&self, token: u32) -> bool {
        let word = self.words.get(token as usize / 32);
        word.is_some_and(|word| word >> (token % 32) & 1 == 1)
    }

    /// The tokens of the set, from the lowest.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(&self.words).flat_map(|(at, &word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(at * 32 + bit)
            })
        })
    }

    /// How many tokens the set has.
    pub fn count(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    pub(super) fn copy(&mut self, words: &[u32]) {
        self.words.clear();
        self.words.extend_from_slice(words);
    }

    pub(super) fn clear(&mut self) {
        self.words.clear();
    }

    pub(super) fn insert(&mut self, token: u32) {
        let at = token as usize / 32;
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        self.words[at] |= 1 << (token % 32);
    }
}

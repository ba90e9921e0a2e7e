//! Where a text says about the same as a value.

use std::collections::HashMap;

/// Bits of a word of the table.
const WORD: usize = u64::BITS as usize;

/// A value that is looked for with a bounded number of edits, 64 of its letters at a time
/// (Myers, 1999; Hyyrö, 2003).
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    letters: Vec<char>,
    /// The most edits.
    most: usize,
    /// For each letter the places of the value that have it, a bit each.
    places: HashMap<char, Vec<u64>>,
}

/// A place that is most like a value: its first and last letter, and the edits between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alike {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) edits: usize,
}

impl Wanted {
    pub(super) fn new(letters: Vec<char>, most: usize) -> Self {
        let words = letters.len().div_ceil(WORD);
        let mut places: HashMap<char, Vec<u64>> = HashMap::new();
        for (at, &letter) in letters.iter().enumerate() {
            let row = places.entry(letter).or_insert_with(|| vec![0; words]);
            row[at / WORD] |= 1 << (at % WORD);
        }
        Self {
            letters,
            most,
            places,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }

    /// The first place of a text with the fewest edits.
    pub(super) fn find(&self, text: &[char]) -> Option<Alike> {
        let (last, edits) = self.end(text)?;
        // A place with so few edits is not longer than this.
        let from = (last + 1).saturating_sub(self.letters.len() + self.most);
        let first = from + self.start(&text[from..=last]);
        Some(Alike { first, last, edits })
    }

    /// The last letter of the first place with the fewest edits, and how many they are.
    fn end(&self, text: &[char]) -> Option<(usize, usize)> {
        let words = self.letters.len().div_ceil(WORD);
        let top = 1u64 << ((self.letters.len() + WORD - 1) % WORD);
        // Whether the edits grow or shrink from one letter of the value to the next.
        let mut grow = vec![u64::MAX; words];
        let mut shrink = vec![0u64; words];
        let mut edits = self.letters.len();
        let mut best: Option<(usize, usize)> = None;
        let nowhere = vec![0; words];
        for (at, letter) in text.iter().enumerate() {
            let row = self.places.get(letter).unwrap_or(&nowhere);
            let (mut more, mut less) = (0u64, 0u64);
            for word in 0..words {
                let same = row[word];
                let down = same | shrink[word];
                let same = same | less;
                let across = ((same & grow[word]).wrapping_add(grow[word]) ^ grow[word]) | same;
                let mut rises = shrink[word] | !(across | grow[word]);
                let mut falls = grow[word] & across;
                let high = if word + 1 == words {
                    top
                } else {
                    1 << (WORD - 1)
                };
                let (out_more, out_less) = (rises & high != 0, falls & high != 0);
                rises = rises << 1 | more;
                falls = falls << 1 | less;
                grow[word] = falls | !(down | rises);
                shrink[word] = rises & down;
                (more, less) = (u64::from(out_more), u64::from(out_less));
            }
            edits = (edits + more as usize).saturating_sub(less as usize);
            if edits <= self.most && best.is_none_or(|(_, fewest)| edits < fewest) {
                best = Some((at, edits));
            }
        }
        best
    }

    /// Where the place begins that ends with the last letter of a text (Sellers, 1980).
    fn start(&self, text: &[char]) -> usize {
        // For each length of the value's beginning: edits, and where the place began.
        let mut column: Vec<(usize, usize)> =
            (0..=self.letters.len()).map(|edits| (edits, 0)).collect();
        for (at, &letter) in text.iter().enumerate() {
            let mut diagonal = column[0];
            column[0] = (0, at + 1);
            for (row, &wanted) in self.letters.iter().enumerate() {
                let replaced = (diagonal.0 + usize::from(wanted != letter), diagonal.1);
                diagonal = column[row + 1];
                let skipped = (diagonal.0 + 1, diagonal.1);
                let missing = (column[row].0 + 1, column[row].1);
                let mut least = replaced;
                if skipped.0 < least.0 {
                    least = skipped;
                }
                if missing.0 < least.0 {
                    least = missing;
                }
                column[row + 1] = least;
            }
        }
        column[self.letters.len()].1.min(text.len() - 1)
    }
}

#[cfg(test)]
mod tests;

//! How like two texts are, word by word.

use std::collections::HashMap;

use super::term::words;

/// ROUGE-L (Lin, 2004) against one text: the F1 of the longest common subsequence of words,
/// without case and accents. On English text it is what `rouge_score` computes without its
/// stemmer. The other text may come piece by piece.
pub struct Rouge {
    /// Where each word of the expected text stands, as bits.
    places: HashMap<String, Vec<u64>>,
    expected: usize,
}

/// The part of the other text that came so far.
#[derive(Clone)]
pub struct Running {
    row: Vec<u64>,
    words: usize,
    common: usize,
}

impl Running {
    /// The share of the words so far that the expected text has too, in this order.
    pub fn precision(&self) -> f64 {
        self.common as f64 / self.words.max(1) as f64
    }
}

impl Rouge {
    /// Against an expected text.
    pub fn new(expected: &str) -> Self {
        let words = words(expected);
        let blocks = words.len().div_ceil(64);
        let mut places: HashMap<String, Vec<u64>> = HashMap::new();
        for (at, word) in words.iter().enumerate() {
            let bits = places
                .entry(word.key.clone())
                .or_insert_with(|| vec![0; blocks]);
            bits[at / 64] |= 1 << (at % 64);
        }
        Self {
            places,
            expected: words.len(),
        }
    }

    /// Before the first piece.
    pub fn begin(&self) -> Running {
        Running {
            row: vec![u64::MAX; self.expected.div_ceil(64)],
            words: 0,
            common: 0,
        }
    }

    /// Adds a piece, and gives the F1 so far. The rows of the common subsequence are bits of
    /// numbers (Hyyrö, 2004).
    pub fn add(&self, running: &mut Running, piece: &str) -> f64 {
        for word in words(piece) {
            running.words += 1;
            let Some(places) = self.places.get(&word.key) else {
                continue;
            };
            let mut carry = false;
            for (row, places) in running.row.iter_mut().zip(places) {
                let matched = *row & places;
                let (sum, over) = row.overflowing_add(matched);
                let (sum, again) = sum.overflowing_add(u64::from(carry));
                carry = over || again;
                *row = sum | (*row & !places);
            }
        }
        let common = (0..self.expected).filter(|at| running.row[at / 64] >> (at % 64) & 1 == 0);
        running.common = common.count();
        let both = running.words + self.expected;
        if both == 0 {
            0.0
        } else {
            2.0 * running.common as f64 / both as f64
        }
    }
}

/// ROUGE-L of an answer.
pub fn rouge_l(answer: &str, expected: &str) -> f64 {
    let rouge = Rouge::new(expected);
    rouge.add(&mut rouge.begin(), answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_words_in_order_count() {
        assert!((rouge_l("lock the valve", "Lock valve") - 0.8).abs() < 1e-9);
        assert_eq!(rouge_l("a b", "c d"), 0.0);
        assert_eq!(rouge_l("", "c"), 0.0);
        assert_eq!(rouge_l("Válvula 3", "valvula 3"), 1.0);
        assert!((rouge_l("b a c", "a b c") - 2.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn pieces_add_up_over_many_words() {
        let long: Vec<String> = (0..150).map(|n| format!("w{n}")).collect();
        let text = long.join(" ");
        let rouge = Rouge::new(&text);
        let mut running = rouge.begin();
        rouge.add(&mut running, &long[..70].join(" "));
        assert_eq!(rouge.add(&mut running, &long[70..].join(" ")), 1.0);
        assert!((rouge_l(&long[75..].join(" "), &text) - 2.0 / 3.0).abs() < 1e-9);
    }
}

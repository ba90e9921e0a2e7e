//! How like two texts are, word by word.

use super::term::words;

/// ROUGE-L (Lin, 2004): the F1 of the longest common subsequence of words, without case
/// and accents.
pub fn rouge_l(answer: &str, expected: &str) -> f64 {
    let keys = |text: &str| -> Vec<String> { words(text).into_iter().map(|w| w.key).collect() };
    let (answer, expected) = (keys(answer), keys(expected));
    if answer.is_empty() || expected.is_empty() {
        return 0.0;
    }
    let mut row = vec![0usize; expected.len() + 1];
    for word in &answer {
        let mut diagonal = 0;
        for (at, other) in expected.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if word == other {
                diagonal + 1
            } else {
                above.max(row[at])
            };
            diagonal = above;
        }
    }
    let common = row[expected.len()] as f64;
    2.0 * common / (answer.len() + expected.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::rouge_l;

    #[test]
    fn common_words_in_order_count() {
        assert!((rouge_l("lock the valve", "Lock valve") - 0.8).abs() < 1e-9);
        assert_eq!(rouge_l("a b", "c d"), 0.0);
        assert_eq!(rouge_l("", "c"), 0.0);
        assert_eq!(rouge_l("Válvula 3", "valvula 3"), 1.0);
    }
}

//! Words as search compares them: without case and accents, without endings, and without
//! those that every question has.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Words that say nothing of what a question is about, in English and Spanish.
const EMPTY: &[&str] = &[
    "a", "about", "after", "al", "algun", "alguna", "also", "am", "an", "and", "any", "are", "as",
    "at", "be", "been", "but", "by", "can", "como", "con", "could", "cual", "cuales", "cuando",
    "cuanta", "cuantas", "cuanto", "cuantos", "cuyo", "de", "debe", "debo", "del", "did", "do",
    "does", "donde", "during", "e", "el", "ella", "en", "entre", "era", "es", "esa", "ese", "eso",
    "esta", "este", "esto", "explain", "for", "from", "fue", "fueron", "get", "give", "ha",
    "haber", "hace", "hacer", "had", "hago", "han", "has", "have", "hay", "he", "how", "i", "if",
    "in", "into", "is", "it", "its", "la", "las", "le", "les", "lo", "los", "mas", "may", "me",
    "mi", "must", "my", "no", "not", "o", "of", "on", "or", "our", "para", "pero", "please", "por",
    "puede", "puedo", "que", "quien", "quienes", "se", "ser", "shall", "should", "si", "sido",
    "sin", "sobre", "son", "su", "sus", "tambien", "tell", "than", "that", "the", "their", "them",
    "then", "there", "these", "they", "this", "those", "tiene", "to", "un", "una", "unas", "uno",
    "unos", "used", "using", "want", "was", "we", "were", "what", "when", "where", "which", "who",
    "why", "will", "with", "would", "y", "you", "your",
];

/// Endings that are taken off, the longest that fits first, as long as four letters remain.
const ENDINGS: &[&str] = &[
    "aciones", "acion", "amiento", "imiento", "ations", "ation", "iendo", "mente", "ciones",
    "ando", "adas", "ados", "idas", "idos", "cion", "ions", "ings", "able", "ment", "ada", "ado",
    "ida", "ido", "ion", "ing", "ies", "ers", "ed", "er", "ar", "ir", "es", "os", "as", "ly", "s",
    "a", "o", "e", "y",
];

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// As it is compared.
    pub key: String,
    /// Where it stands, in bytes.
    pub place: Range<usize>,
}

/// Whether two characters belong to one word.
fn belongs(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// A word without case and accents.
pub(crate) fn fold(word: &str) -> String {
    if word
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    {
        return word.to_owned();
    }
    word.nfkd()
        .filter(|&c| !is_combining_mark(c))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The words of a text with their places, folded, none left out.
pub(crate) fn words(text: &str) -> Vec<Term> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match start {
            None if belongs(c) => start = Some(at),
            Some(from) if !belongs(c) => {
                let key = fold(&text[from..at]);
                if !key.is_empty() {
                    words.push(Term {
                        key,
                        place: from..at,
                    });
                }
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// The terms of a text: its telling words without their endings.
pub fn terms(text: &str) -> Vec<Term> {
    let mut terms = words(text);
    terms.retain(|term| EMPTY.binary_search(&term.key.as_str()).is_err());
    for term in &mut terms {
        let length = stem(&term.key).len();
        term.key.truncate(length);
    }
    terms
}

/// A folded word without its ending. Numbers and identifiers stay whole.
fn stem(word: &str) -> &str {
    if word.bytes().any(|b| b.is_ascii_digit()) {
        return word;
    }
    let long_enough = |rest: &&str| rest.chars().count() >= 4;
    let mut rest = word;
    // Twice, for a plural behind another ending.
    for _ in 0..2 {
        let cut = ENDINGS
            .iter()
            .find_map(|ending| rest.strip_suffix(ending).filter(long_enough));
        match cut {
            Some(cut) => rest = cut,
            None => break,
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        terms(text).into_iter().map(|term| term.key).collect()
    }

    #[test]
    fn the_list_of_empty_words_is_in_order() {
        assert!(EMPTY.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn forms_of_a_word_are_one_term() {
        assert_eq!(
            keys("connecting connected connections connect"),
            ["connect"; 4]
        );
        assert_eq!(keys("válvulas Válvula valvula"), ["valvul"; 3]);
        assert_eq!(keys("How do I lock Q-122?"), ["lock", "q", "122"]);
        assert_eq!(keys("M12 PCO1881"), ["m12", "pco1881"]);
    }

    #[test]
    fn a_term_says_where_it_stands() {
        let text = "¿Par de apriete?";
        let places: Vec<&str> = terms(text).iter().map(|t| &text[t.place.clone()]).collect();
        assert_eq!(places, ["Par", "apriete"]);
    }
}

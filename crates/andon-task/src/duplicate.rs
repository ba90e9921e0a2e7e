//! How alike two notes are, from their characters, their vectors and what they
//! lead to, and which open note a new one repeats.

use std::collections::HashMap;

use crate::run::Repeat;

/// A note as it is compared.
#[derive(Clone, Copy, Debug)]
pub struct Note<'a> {
    /// Its text.
    pub text: &'a str,
    /// Its vector, of unit length, where an encoder made one.
    pub vector: Option<&'a [f32]>,
    /// The calibrated probability of each procedure that it may lead to, where a
    /// head tells it. Two notes of one machine in two languages have little else
    /// in common.
    pub procedures: Option<&'a [f64]>,
}

/// How alike two notes are, from 0 to 1: they are as alike as their texts, or
/// lead to the same procedure, taken as two independent reasons.
///
/// Texts are as alike as the mean of the cosine of their character trigrams and
/// the cosine of their vectors. What one of the notes has not (or not in the same
/// length) does not speak.
pub fn likeness(one: Note<'_>, other: Note<'_>) -> f64 {
    compare(&trigrams(one.text), one, other)
}

/// The open note that `new` repeats: the most alike of those that are at least
/// `threshold` alike, the earlier of two that are equally so.
pub fn repeated<'a>(
    new: Note<'_>,
    open: impl IntoIterator<Item = (i64, Note<'a>)>,
    threshold: f64,
) -> Option<Repeat> {
    let profile = trigrams(new.text);
    open.into_iter()
        .map(|(record, note)| Repeat {
            record,
            likeness: compare(&profile, new, note),
        })
        .filter(|repeat| repeat.likeness >= threshold)
        .min_by(|a, b| {
            b.likeness
                .total_cmp(&a.likeness)
                .then(a.record.cmp(&b.record))
        })
}

type Trigrams = HashMap<[char; 3], f64>;

fn compare(profile: &Trigrams, one: Note<'_>, other: Note<'_>) -> f64 {
    let characters = cosine_of_counts(profile, &trigrams(other.text));
    let text = match (one.vector, other.vector) {
        (Some(one), Some(other)) if one.len() == other.len() => {
            0.5 * (characters + cosine(one, other))
        }
        _ => characters,
    };
    let same_procedure = match (one.procedures, other.procedures) {
        (Some(one), Some(other)) if one.len() == other.len() => {
            let both: f64 = one.iter().zip(other).map(|(a, b)| a * b).sum();
            both.clamp(0.0, 1.0)
        }
        _ => 0.0,
    };
    1.0 - (1.0 - text) * (1.0 - same_procedure)
}

/// The cosine of two vectors of unit length, no less than 0.
fn cosine(one: &[f32], other: &[f32]) -> f64 {
    let products = one.iter().zip(other);
    let sum: f64 = products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    sum.clamp(0.0, 1.0)
}

/// Counts of the character trigrams within the words of a text, each word with a
/// space before and after it, in lower case and without Spanish accents.
fn trigrams(text: &str) -> Trigrams {
    let mut counts = Trigrams::new();
    let mut word = Vec::new();
    for part in text.split(|c: char| !c.is_alphanumeric()) {
        if part.is_empty() {
            continue;
        }
        word.clear();
        word.push(' ');
        word.extend(part.chars().flat_map(char::to_lowercase).map(plain));
        word.push(' ');
        for window in word.windows(3) {
            *counts.entry([window[0], window[1], window[2]]).or_default() += 1.0;
        }
    }
    counts
}

fn plain(letter: char) -> char {
    match letter {
        'á' => 'a',
        'é' => 'e',
        'í' => 'i',
        'ó' => 'o',
        'ú' | 'ü' => 'u',
        'ñ' => 'n',
        other => other,
    }
}

fn cosine_of_counts(one: &Trigrams, other: &Trigrams) -> f64 {
    let product: f64 = one
        .iter()
        .filter_map(|(trigram, count)| Some(count * other.get(trigram)?))
        .sum();
    let square = |counts: &Trigrams| counts.values().map(|count| count * count).sum::<f64>();
    let lengths = (square(one) * square(other)).sqrt();
    if lengths > 0.0 {
        (product / lengths).min(1.0)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests;

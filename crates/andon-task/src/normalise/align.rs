//! Which words of a normalised text each token became: the cheapest monotone alignment.

use super::lexicon::distance;
use super::memory::{Held, Memory, keys};
use super::token::Token;

/// Words that one token may become, at most.
const SPAN: usize = 8;
/// Tokens that one word may stand for, at most.
const MERGED: usize = 3;
/// What each token beyond the first costs.
const MERGE: f64 = 0.7;

/// What each token became: its words, joined by spaces; nothing where it was merged into
/// another. The memory, where there is one, knows what tokens became elsewhere; `known`
/// is what the memory took these tokens for, and does not count.
pub fn align(
    tokens: &[Token<'_>],
    expected: &str,
    memory: Option<&Memory>,
    known: &[String],
) -> Vec<String> {
    let words: Vec<&str> = expected.split_whitespace().collect();
    let columns = words.len() + 1;
    let mut best = vec![f64::INFINITY; (tokens.len() + 1) * columns];
    // Where the tokens that share the words before a place begin, and where the words do.
    let mut from = vec![(0usize, 0usize); (tokens.len() + 1) * columns];
    best[0] = 0.0;
    for (at, token) in tokens.iter().enumerate() {
        let held = known.get(at).map(|target| Held { target });
        let seen = memory.map(|memory| memory.counts(keys(tokens, at)[1], held));
        let cost = |span: &[&str]| {
            let target = span.join(" ");
            let alike = unlikeness(&token.fold, span, &target);
            let (Some(memory), Some(seen)) = (memory, &seen) else {
                return alike;
            };
            let total: u32 = seen.iter().map(|&(_, count)| count).sum();
            let same = |(number, _): &&(u32, u32)| memory.target(*number) == target;
            let count = seen.iter().find(same).map_or(0, |&(_, count)| count);
            // The likeness stands for the first sights of a target.
            let share = (f64::from(count) + 2.0 * (-alike).exp()) / (f64::from(total) + 2.0);
            -share.ln()
        };
        let mut joined = token.fold.clone();
        for merged in 1..=MERGED.min(tokens.len() - at) {
            if merged > 1 {
                joined.push_str(&tokens[at + merged - 1].fold);
            }
            let last = at + merged == tokens.len();
            for start in 0..columns {
                let so_far = best[at * columns + start];
                if so_far.is_infinite() {
                    continue;
                }
                let longest = if last { words.len() - start } else { SPAN };
                for length in 0..=longest.min(words.len() - start) {
                    let span = &words[start..start + length];
                    let total = match merged {
                        1 => so_far + cost(span),
                        // Merged tokens become one word.
                        _ if length != 1 => continue,
                        _ => {
                            let further = MERGE * (merged - 1) as f64;
                            so_far + further + unlikeness(&joined, span, span[0])
                        }
                    };
                    let place = (at + merged) * columns + start + length;
                    if total < best[place] {
                        best[place] = total;
                        from[place] = (at, start);
                    }
                }
            }
        }
    }
    let (mut at, mut end) = (tokens.len(), words.len());
    let mut targets = vec![String::new(); tokens.len()];
    while at > 0 {
        let (first, start) = from[at * columns + end];
        targets[first] = words[start..end].join(" ");
        (at, end) = (first, start);
    }
    targets
}

/// How little a token looks like what it would have become.
fn unlikeness(fold: &str, span: &[&str], target: &str) -> f64 {
    let lower = target.to_lowercase();
    if span.is_empty() {
        return 4.0;
    }
    if lower == fold {
        return 0.05;
    }
    // Each further word needs a reason in the token.
    let length = 0.6 * (span.len() - 1) as f64;
    let letters =
        |text: &str| -> Vec<char> { text.chars().filter(|c| c.is_alphanumeric()).collect() };
    let (own, their) = (letters(fold), letters(&lower));
    if target.contains('<') {
        let masks = span.iter().filter(|word| word.contains('<')).count();
        let has_digit = own.iter().any(char::is_ascii_digit);
        let digits = if has_digit { 0.5 } else { 2.0 };
        // The letters of '3m' stand for the month beside the mask.
        let plain = span.iter().filter(|word| !word.contains('<'));
        let plain: Vec<char> = plain.flat_map(|word| word.chars()).collect();
        let mut rest = plain.iter().flat_map(|c| c.to_lowercase());
        let letters = own.iter().filter(|c| !c.is_ascii_digit());
        let further = match plain.first() {
            None => 0.0,
            Some(_) if letters.copied().all(|letter| rest.any(|c| c == letter)) => 0.2,
            Some(_) => 1.0,
        };
        return digits + 1.2 * (masks - 1) as f64 + further + 0.2 * (span.len() - masks) as f64;
    }
    if own == their {
        return 0.1;
    }
    if own.is_empty() || their.is_empty() {
        return 2.0 + length;
    }
    let mut rest = their.iter();
    let in_order = own.iter().all(|letter| rest.any(|other| other == letter));
    let starts = own[0] == their[0];
    // Initials: 'l/h' is left hand.
    if in_order && starts {
        let mut rest = own.iter();
        let all = span.iter().all(|word| {
            let initial = word.chars().flat_map(char::to_lowercase).next();
            rest.any(|letter| Some(*letter) == initial)
        });
        return if all {
            0.5 + 0.1 * length
        } else {
            0.8 + length
        };
    }
    let most = own.len().max(their.len());
    let apart = distance(&own, &their, most).unwrap_or(most);
    let share = apart as f64 / most as f64;
    if starts {
        0.8 + 3.0 * share + length
    } else {
        1.2 + 4.0 * share + length
    }
}

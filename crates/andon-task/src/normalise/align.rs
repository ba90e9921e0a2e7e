//! Which words of a normalised text each token became: the cheapest monotone alignment.

use std::ops::Range;

use super::lexicon::distance;
use super::memory::{Held, Memory, keys};
use super::token::Token;

/// Words that one token may become, at most.
const SPAN: usize = 8;

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
    let (rows, columns) = (tokens.len() + 1, words.len() + 1);
    let mut best = vec![f64::INFINITY; rows * columns];
    let mut from = vec![0usize; rows * columns];
    best[0] = 0.0;
    for (at, token) in tokens.iter().enumerate() {
        let held = known.get(at).map(|target| Held { target });
        let seen = memory.map(|memory| memory.counts(keys(tokens, at)[1], held));
        let cost = |span: &[&str]| {
            let target = span.join(" ");
            let alike = unlikeness(token, span, &target);
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
        let last = at + 1 == tokens.len();
        for start in 0..columns {
            let so_far = best[at * columns + start];
            if so_far.is_infinite() {
                continue;
            }
            let longest = if last { words.len() - start } else { SPAN };
            for length in 0..=longest.min(words.len() - start) {
                let place = (at + 1) * columns + start + length;
                let total = so_far + cost(&words[start..start + length]);
                // Of equals the longer span: the first of merged tokens has the words.
                if total <= best[place] {
                    best[place] = total;
                    from[place] = start;
                }
            }
        }
    }
    let mut ends = words.len();
    let mut spans: Vec<Range<usize>> = Vec::with_capacity(tokens.len());
    for at in (0..tokens.len()).rev() {
        let start = from[(at + 1) * columns + ends];
        spans.push(start..ends);
        ends = start;
    }
    let targets = spans.into_iter().rev();
    targets.map(|span| words[span].join(" ")).collect()
}

/// How little a token looks like what it would have become.
fn unlikeness(token: &Token<'_>, span: &[&str], target: &str) -> f64 {
    let fold = token.fold.as_str();
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
        let plain = span.len() - masks;
        let digits = if token.has_digit() { 0.5 } else { 2.0 };
        let room = if fold.len() > 2 { 0.0 } else { 1.0 };
        return digits + 1.2 * (masks - 1) as f64 + plain as f64 * (0.4 + room);
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
    let initials: Vec<char> = span
        .iter()
        .filter_map(|w| w.to_lowercase().chars().next())
        .collect();
    if in_order && starts {
        let all = initials.iter().all(|initial| own.contains(initial));
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

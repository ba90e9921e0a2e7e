//! What the ranker sees of a candidate: hashed indicators and a few numbers.

use super::candidate::{Candidate, Choice, source};
use super::hash::{mix, text};
use super::token::Token;

/// Bits of a feature's place among the weights.
pub(crate) const BITS: u32 = 20;
/// Numbers that come with each candidate.
pub(crate) const NUMBERS: usize = 6;

/// The features of one candidate.
#[derive(Clone, Debug, Default)]
pub struct Features {
    /// Places among the weights.
    pub places: Vec<u32>,
    /// One for each level of the memory.
    pub numbers: [f32; 6],
}

/// A text as the features need it, hashed once.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    folds: Vec<u64>,
    patterns: Vec<u64>,
    shapes: Vec<u64>,
    is_upper: bool,
    /// Texts that fill their field are often cut off.
    is_long: bool,
}

impl Context {
    pub(crate) fn of(tokens: &[Token<'_>]) -> Self {
        let letters = || tokens.iter().flat_map(|token| token.text.chars());
        Self {
            folds: tokens.iter().map(|token| text(&token.fold)).collect(),
            patterns: tokens.iter().map(|token| text(&token.pattern)).collect(),
            shapes: tokens.iter().map(|token| text(&token.shape)).collect(),
            is_upper: !letters().any(char::is_lowercase),
            is_long: tokens.last().is_some_and(|last| last.place.end >= 38),
        }
    }
}

/// A candidate without its letters: what holds of words that were never seen.
fn class(token: &Token<'_>, candidate: &Candidate) -> u64 {
    let target = candidate.target.as_str();
    if target.is_empty() {
        1
    } else if target == token.fold {
        2
    } else if target == token.text {
        3
    } else if target.contains('<') {
        text(target)
    } else if candidate.from & (source::MARKS | source::DIGITS) != 0 {
        4
    } else if candidate.from & source::STRIPPED != 0 {
        5
    } else {
        6
    }
}

fn bucket(share: f64) -> u64 {
    match share {
        s if s <= 0.0 => 0,
        s if s < 0.05 => 1,
        s if s < 0.2 => 2,
        s if s < 0.5 => 3,
        s if s < 0.8 => 4,
        s if s < 0.95 => 5,
        s if s < 1.0 => 6,
        _ => 7,
    }
}

fn size(count: u32) -> u64 {
    match count {
        0..=2 => u64::from(count),
        3..=5 => 3,
        6..=15 => 4,
        16..=99 => 5,
        _ => 6,
    }
}

/// Collects the features of a candidate for the token at `at`; `previous` is what became
/// of the token before it.
pub(crate) fn collect(
    (tokens, context): (&[Token<'_>], &Context),
    at: usize,
    (choice, candidate): (&Choice, &Candidate),
    previous: &str,
    features: &mut Features,
) {
    let token = &tokens[at];
    features.places.clear();
    let places = &mut features.places;
    let mut add = |template: u64, left: u64, right: u64| {
        let key = mix(mix(template, left), right);
        places.push((key >> (64 - BITS)) as u32);
    };

    let mut levels = [0; 6];
    for (level, of) in levels.iter_mut().enumerate() {
        let (count, total) = (candidate.counts[level], choice.totals[level]);
        let share = f64::from(count) / f64::from(total.max(1));
        *of = if total == 0 { 8 } else { bucket(share) };
        features.numbers[level] = match total {
            0 => 0.0,
            _ => ((f64::from(count) + 0.05) / (f64::from(total) + 0.1)).ln() as f32,
        };
        add(1, level as u64, mix(*of, size(total)));
    }
    let [exact, fold, pattern, shape, before, after] = levels;
    add(2, fold, before);
    add(3, fold, after);
    add(4, before, after);
    add(5, mix(fold, exact), mix(before, after));
    add(6, mix(fold, pattern), shape);

    let class = class(token, candidate);
    let target = text(&candidate.target);
    let own = context.folds[at];
    let last = tokens.len() - 1;
    let position = match at {
        0 => 0,
        1 => 1,
        at if at == last => 2,
        _ => 3,
    };
    let beside = |offset: isize, of: &[u64]| {
        let place = at.checked_add_signed(offset);
        place.and_then(|place| of.get(place)).copied().unwrap_or(9)
    };
    let (left, right) = (beside(-1, &context.folds), beside(1, &context.folds));
    let previous = text(previous);

    add(10, class, u64::from(candidate.from));
    add(11, class, mix(position, tokens.len().min(8) as u64));
    add(
        12,
        class,
        mix(u64::from(at == last), u64::from(context.is_long)),
    );
    add(13, class, u64::from(context.is_upper));
    add(14, class, context.shapes[at]);
    add(15, class, context.patterns[at]);
    add(16, class, mix(context.shapes[at], position));
    add(17, class, mix(context.shapes[at], left));
    add(18, class, mix(context.shapes[at], right));
    add(
        19,
        class,
        mix(context.shapes[at], beside(-1, &context.shapes)),
    );
    add(
        20,
        class,
        mix(context.shapes[at], beside(1, &context.shapes)),
    );
    add(21, class, left);
    add(22, class, right);
    add(23, class, previous);
    add(24, mix(class, size(choice.totals[1])), exact);
    add(25, class, size(candidate.count));

    let spelt = size(candidate.spelt);
    add(26, class, spelt);
    add(
        27,
        mix(u64::from(candidate.from), spelt),
        size(choice.totals[1]),
    );
    let best = choice
        .candidates
        .iter()
        .map(|candidate| candidate.spelt)
        .max();
    add(28, mix(class, spelt), size(best.unwrap_or(0)));

    add(30, target, own);
    add(31, target, left);
    add(32, target, right);
    add(33, target, previous);
    add(34, target, position);
    add(35, mix(target, own), position);
    add(36, mix(target, own), beside(-1, &context.patterns));
    add(37, mix(target, own), beside(1, &context.patterns));
    add(38, target, mix(left, right));
    add(39, mix(target, own), u64::from(context.is_upper));
    for (place, &other) in context.folds.iter().enumerate() {
        if place.abs_diff(at) > 1 {
            add(40, target, other);
        }
    }
    add(41, mix(target, own), context.shapes[0]);

    let near = source::MISSPELT | source::CUT_OFF | source::ABBREVIATED;
    if candidate.from & near != 0 {
        let kind = u64::from(candidate.from & near);
        let distance = mix(candidate.distance as u64, token.fold.len().min(9) as u64);
        add(50, kind, distance);
        add(
            51,
            kind,
            mix(candidate.distance as u64, size(candidate.count)),
        );
        add(
            52,
            kind,
            mix(u64::from(at == last), u64::from(context.is_long)),
        );
    }
    // The letters of a token matter where the memory does not know it.
    if choice.totals[1] < 3 {
        let letters: Vec<char> = token.text.chars().collect();
        for length in [1, 2, 3] {
            if letters.len() >= length {
                let spelt = |letters: &[char]| {
                    letters
                        .iter()
                        .fold(length as u64, |key, &c| mix(key, u64::from(c)))
                };
                add(60, class, spelt(&letters[..length]));
                add(61, class, spelt(&letters[letters.len() - length..]));
                for gram in letters.windows(length + 1) {
                    add(62, class, spelt(gram));
                }
            }
        }
        add(63, class, letters.len().min(12) as u64);
    }
}

//! What a token may become: from memory, copied, cut into pieces, or as the known word
//! that it resembles.

use super::lexicon::{How, Lexicon};
use super::memory::{Counts, Held, LEVELS, Level, Memory, Side, keys};
use super::token::{Cut, Token, pieces};

/// Targets that are taken from one level of the memory, at most.
const REMEMBERED: usize = 6;

/// Where a candidate comes from: one bit each.
pub(crate) mod source {
    pub(crate) const LOWER: u32 = 1 << 6;
    pub(crate) const RAW: u32 = 1 << 7;
    pub(crate) const MARKS: u32 = 1 << 8;
    pub(crate) const DIGITS: u32 = 1 << 9;
    pub(crate) const STRIPPED: u32 = 1 << 10;
    pub(crate) const MISSPELT: u32 = 1 << 11;
    pub(crate) const CUT_OFF: u32 = 1 << 12;
    pub(crate) const ABBREVIATED: u32 = 1 << 13;
    pub(crate) const JOINED: u32 = 1 << 14;
}

/// One thing that a token may become.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) target: String,
    /// Bits of [`source`]; the first six are the levels of the memory.
    pub(crate) from: u32,
    /// How often each level of the memory has it.
    pub(crate) counts: [u32; 6],
    /// How far from the known word that it resembles.
    pub(crate) distance: usize,
    /// How often that word is known.
    pub(crate) count: u32,
    /// How often its rarest word stands in targets.
    pub(crate) spelt: u32,
}

/// What a token may become, with how often the memory knows its keys.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) totals: [u32; 6],
}

/// What may become of the token at `at`.
pub(crate) fn choice(
    (memory, lexicon): (&Memory, &Lexicon),
    tokens: &[Token<'_>],
    at: usize,
    held: Option<Held<'_>>,
) -> Choice {
    let token = &tokens[at];
    let counts = keys(tokens, at).map(|key| memory.counts(key, held));
    let mut found = Found::default();
    for (bit, (level, counts)) in LEVELS.iter().zip(&counts).enumerate() {
        let fits = |target: &str| match level {
            Level::Exact | Level::Fold | Level::Before | Level::After => true,
            Level::Pattern => target.contains('<') || !token.has_digit(),
            Level::Shape => target.contains('<'),
        };
        for &(number, _) in counts.iter().take(REMEMBERED) {
            let target = memory.target(number);
            if fits(target) {
                found.add(target.to_owned(), 1 << bit, None);
            }
        }
    }
    found.add(token.fold.clone(), source::LOWER, None);
    found.add(token.text.to_owned(), source::RAW, None);
    composed(memory, token, &mut found);
    let known = counts[Level::Fold as usize].len();
    if known == 0 {
        resembling((memory, lexicon), token, held, &mut found);
    }
    let mut candidates = found.0;
    for candidate in &mut candidates {
        candidate.spelt = memory.spelt(&candidate.target, held);
        candidate.counts = counts.each_ref().map(|counts: &Counts| {
            let same = |(number, _): &&(u32, u32)| memory.target(*number) == candidate.target;
            counts.iter().find(same).map_or(0, |&(_, count)| count)
        });
    }
    let total = |counts: &Counts| counts.iter().map(|&(_, count)| count).sum();
    Choice {
        candidates,
        totals: counts.each_ref().map(total),
    }
}

#[derive(Default)]
struct Found(Vec<Candidate>);

impl Found {
    fn add(&mut self, target: String, from: u32, near: Option<(usize, u32)>) {
        let (distance, count) = near.unwrap_or_default();
        match self.0.iter_mut().find(|known| known.target == target) {
            Some(known) => {
                known.from |= from;
                known.count = known.count.max(count);
            }
            None => self.0.push(Candidate {
                target,
                from,
                counts: [0; 6],
                distance,
                count,
                spelt: 0,
            }),
        }
    }
}

/// Pieces on their own, each as it is usual.
fn composed(memory: &Memory, token: &Token<'_>, found: &mut Found) {
    if token.is_word() {
        return;
    }
    let usual = |piece: &str| {
        let fold = piece.to_lowercase();
        memory.usual(&fold).map_or(fold, str::to_owned)
    };
    for (cut, from) in [
        (Cut::Marks, source::MARKS),
        (Cut::MarksAndDigits, source::DIGITS),
    ] {
        let pieces = pieces(token.text, cut);
        if pieces.len() > 1 {
            let made: Vec<String> = pieces.into_iter().map(usual).collect();
            found.add(made.join(" "), from, None);
        }
    }
    let bare: String = token.text.chars().filter(|c| c.is_alphanumeric()).collect();
    if !bare.is_empty() && bare.len() < token.text.len() {
        found.add(usual(&bare), source::STRIPPED, None);
        found.add(bare.to_lowercase(), source::STRIPPED, None);
    }
}

/// Known words that an unknown token resembles, and two known words written as one.
fn resembling(
    (memory, lexicon): (&Memory, &Lexicon),
    token: &Token<'_>,
    held: Option<Held<'_>>,
    found: &mut Found,
) {
    if token.has_digit() {
        return;
    }
    let bare = token.fold.trim_matches(|c: char| !c.is_alphanumeric());
    for near in lexicon.near(bare, held) {
        let target = match near.of {
            Side::Target => Some(near.word),
            Side::Token => memory.usual(near.word),
        };
        let from = match near.how {
            How::Misspelt => source::MISSPELT,
            How::CutOff => source::CUT_OFF,
            How::Abbreviated => source::ABBREVIATED,
        };
        if let Some(target) = target {
            found.add(target.to_owned(), from, Some((near.distance, near.count)));
        }
    }
    let joined = (2..bare.len().saturating_sub(1))
        .filter(|&at| bare.is_char_boundary(at))
        .filter_map(|at| {
            let (left, right) = bare.split_at(at);
            let both = (memory.usual(left)?, memory.usual(right)?);
            // The longer the shorter half, the less likely it is chance.
            Some((left.len().min(right.len()), both))
        })
        .max_by_key(|(shorter, _)| *shorter);
    if let Some((_, (left, right))) = joined {
        found.add(format!("{left} {right}"), source::JOINED, None);
    }
}

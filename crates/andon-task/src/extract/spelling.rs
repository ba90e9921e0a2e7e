//! How values are compared, and how a value is written that stands on several lines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A text as it is compared: in upper case, a blank for punctuation, single blanks. Whether a
/// blank follows a comma is chance in texts that were read by machines.
pub fn folded(text: &str) -> String {
    let kept: String = text
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .flat_map(char::to_uppercase)
        .collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The letters and digits of a text in upper case.
pub(super) fn compact(text: &str) -> Vec<char> {
    text.chars().flat_map(compact_char).collect()
}

pub(super) fn compact_char(c: char) -> impl Iterator<Item = char> {
    c.is_alphanumeric()
        .then(|| c.to_uppercase())
        .into_iter()
        .flatten()
}

/// Whether two values of a field are the same: texts as [`folded`], numbers as numbers,
/// absent as null.
pub fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    let present = |value: Option<&'_ Value>| value.is_some_and(|value| !value.is_null());
    match (a, b) {
        (Some(a), Some(b)) if present(Some(a)) && present(Some(b)) => match (a, b) {
            (Value::String(a), Value::String(b)) => folded(a) == folded(b),
            (Value::Number(a), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(1.0),
                _ => a == b,
            },
            (a, b) => a == b,
        },
        (a, b) => !present(a) && !present(b),
    }
}

/// How far two texts are apart, from 0 to 1: edits by the length of the longer.
pub fn distance(a: &[char], b: &[char]) -> f64 {
    let longer = a.len().max(b.len());
    if longer == 0 {
        return 0.0;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()] as f64 / longer as f64
}

/// What stands between two parts of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Gap {
    before: Kind,
    between: Between,
    behind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Kind {
    Letter,
    Digit,
    Comma,
    Stop,
    Opening,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Between {
    Nothing,
    Blank,
    Break,
}

impl Kind {
    fn of(c: char) -> Self {
        match c {
            c if c.is_alphabetic() => Self::Letter,
            c if c.is_numeric() => Self::Digit,
            ',' => Self::Comma,
            '.' => Self::Stop,
            '(' | '[' => Self::Opening,
            _ => Self::Other,
        }
    }
}

/// How the examples write what the texts write: where blanks go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spelling {
    /// Gaps with how often the examples have no blank there, and one.
    gaps: BTreeMap<Gap, (u32, u32)>,
}

impl Spelling {
    /// Learns from a place of a text and the value that it stands for.
    pub fn learn(&mut self, source: &str, value: &str) {
        let (gaps, written) = (gaps(source), has_blanks(value));
        // Both have the same letters and digits, so their gaps pair up.
        if gaps.len() != written.len() {
            return;
        }
        for ((gap, _, _), has_blank) in gaps.into_iter().zip(written) {
            let counts = self.gaps.entry(gap).or_default();
            match has_blank {
                true => counts.1 += 1,
                false => counts.0 += 1,
            }
        }
    }

    /// A place of a text as the examples would write it.
    pub fn write(&self, source: &str) -> String {
        let mut written = String::with_capacity(source.len());
        let mut at = 0;
        for (gap, start, end) in gaps(source) {
            written.push_str(&source[at..start]);
            let by_itself = gap.between != Between::Nothing;
            let has_blank = match self.gaps.get(&gap) {
                Some((without, with)) if without + with >= 3 => with > without,
                _ => by_itself,
            };
            if has_blank {
                written.push(' ');
            }
            at = end;
        }
        written.push_str(&source[at..]);
        written.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// The gaps before each letter or digit that does not simply go on: gap, and the bytes of
/// the blanks there.
fn gaps(text: &str) -> Vec<(Gap, usize, usize)> {
    let mut gaps = Vec::new();
    let mut before: Option<char> = None;
    let mut blank: Option<(usize, Between)> = None;
    for (at, c) in text.char_indices() {
        if c.is_whitespace() {
            let between = match (c, blank) {
                ('\n', _) | (_, Some((_, Between::Break))) => Between::Break,
                _ => Between::Blank,
            };
            blank = Some((blank.map_or(at, |(start, _)| start), between));
            continue;
        }
        if let Some(before) = before
            && c.is_alphanumeric()
        {
            let (start, between) = blank.unwrap_or((at, Between::Nothing));
            let gap = Gap {
                before: Kind::of(before),
                between,
                behind: Kind::of(c),
            };
            gaps.push((gap, start, at));
        }
        before = Some(c);
        blank = None;
    }
    gaps
}

/// Whether there is a blank before each letter or digit of a text but the first sign.
fn has_blanks(text: &str) -> Vec<bool> {
    let gaps = gaps(text).into_iter();
    gaps.map(|(gap, _, _)| gap.between != Between::Nothing)
        .collect()
}

#[cfg(test)]
mod tests;

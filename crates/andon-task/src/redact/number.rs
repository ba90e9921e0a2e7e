//! Runs of digits: cards, telephones and numbers of persons, however they are grouped.

use std::ops::Range;

use super::checksum;
use super::pattern::Found;

/// Digits that stand together.
struct Group {
    at: Range<usize>,
    digits: String,
}

/// The most digits that are one number.
const MOST: usize = 19;

/// The numbers in a folded text.
pub(super) fn numbers(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for run in runs(text) {
        let mut first = 0;
        while first < run.len() {
            match longest(text, &run[first..]) {
                Some((tag, groups)) => {
                    let range = run[first].at.start..run[first + groups - 1].at.end;
                    found.push(Found {
                        tag,
                        range: lead(text, range),
                    });
                    first += groups;
                }
                None => first += 1,
            }
        }
    }
    found
}

/// With the plus before it.
fn lead(text: &str, range: Range<usize>) -> Range<usize> {
    let before = text[..range.start].trim_end_matches(['(', ' ']);
    match before.ends_with('+') {
        true => before.len() - 1..range.end,
        false => range,
    }
}

/// Groups that nothing but blanks, hyphens, dots, slashes or brackets parts.
fn runs(text: &str) -> Vec<Vec<Group>> {
    let bytes = text.as_bytes();
    let mut runs: Vec<Vec<Group>> = Vec::new();
    let mut at = 0;
    let mut last_end = None;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && bytes[at].is_ascii_digit() {
            at += 1;
        }
        let group = Group {
            at: start..at,
            digits: text[start..at].to_owned(),
        };
        let joins = last_end.is_some_and(|end: usize| {
            start - end <= 3
                && bytes[end..start]
                    .iter()
                    .all(|byte| matches!(byte, b' ' | b'-' | b'.' | b'/' | b'(' | b')'))
        });
        match runs.last_mut().filter(|_| joins) {
            Some(run) => run.push(group),
            None => runs.push(vec![group]),
        }
        last_end = Some(at);
    }
    runs
}

/// The longest number at the beginning of these groups, and how many they are.
fn longest(text: &str, groups: &[Group]) -> Option<(&'static str, usize)> {
    let start = groups[0].at.start;
    let before = text[..start].trim_end_matches(['(', ' ']);
    let is_international = before.ends_with('+')
        || (groups[0].digits.starts_with("00") && !groups[0].digits.starts_with("000"));
    let is_called = is_called(&text[..start]);
    let is_glued = text[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let mut digits = String::new();
    let mut best = None;
    for (index, group) in groups.iter().enumerate() {
        digits.push_str(&group.digits);
        if digits.len() > MOST {
            break;
        }
        let end = group.at.end;
        // A number with a point is a measure.
        let is_measure = groups.len() <= 2
            && text[start..end].matches('.').count() == 1
            && index == 1
            && text.as_bytes()[groups[0].at.end] == b'.'
            && groups[1].at.start == groups[0].at.end + 1;
        let tag = if is_card(&digits) {
            "CARD"
        } else if (digits.len() == 15 && checksum::french(&digits))
            || (digits.len() == 11 && checksum::german(&digits))
        {
            "TAXID"
        } else if is_measure && !is_called {
            continue;
        } else if is_phone(&digits, is_international, is_called, &text[start..end])
            && (!is_glued || digits.len() >= 9)
        {
            "PHONE"
        } else {
            continue;
        };
        best = Some((tag, index + 1));
    }
    best
}

fn is_card(digits: &str) -> bool {
    let is_issued = matches!(digits.as_bytes()[0], b'2'..=b'6');
    let varies = digits.bytes().any(|byte| byte != digits.as_bytes()[0]);
    (13..=19).contains(&digits.len()) && is_issued && varies && checksum::luhn(digits)
}

fn is_phone(digits: &str, is_international: bool, is_called: bool, written: &str) -> bool {
    let length = digits.len();
    let is_spanish = length == 9 && matches!(digits.as_bytes()[0], b'6'..=b'9');
    let is_american = length == 10
        && written.contains(['-', '(', ')'])
        && matches!(digits.as_bytes()[0], b'2'..=b'9');
    is_spanish
        || is_american
        || (is_international && (8..=15).contains(&length))
        || (is_called && (6..=15).contains(&length))
}

/// Whether the words before say that a telephone's number comes.
fn is_called(before: &str) -> bool {
    const WORDS: &[&str] = &[
        "tel", "telefono", "tlf", "tfno", "phone", "mobile", "movil", "fax", "whatsapp", "cell",
        "call", "llamar", "ext",
    ];
    let before = before.trim_end_matches(|c: char| !c.is_alphanumeric());
    let word = before.rsplit(|c: char| !c.is_alphanumeric()).next();
    word.is_some_and(|word| WORDS.contains(&word.to_lowercase().as_str()))
}

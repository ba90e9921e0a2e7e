//! Texts within texts: what base64 and hexadecimal digits stand for.

use std::ops::Range;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The fewest characters that are tried.
const SHORTEST: usize = 4;
/// From this length on a run may begin or end with something else.
const LONG: usize = 10;
/// The fewest readable characters in a row that a longer run may say.
const SHORTEST_SAID: usize = 4;

/// The runs of `text` that can be decoded to something readable, with all readings
/// of each.
pub(super) fn runs(text: &str) -> Vec<(Range<usize>, Vec<String>)> {
    let mut found = base64_runs(text);
    found.extend(hex_runs(text));
    found
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

fn base64_runs(text: &str) -> Vec<(Range<usize>, Vec<String>)> {
    let bytes = text.as_bytes();
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !is_base64(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && is_base64(bytes[at]) {
            at += 1;
        }
        let word = at;
        while at < bytes.len() && bytes[at] == b'=' && at < word + 2 {
            at += 1;
        }
        words.push(start..at);
    }
    let mut found = Vec::new();
    // Lines of a longer text are one text.
    let mut first = 0;
    while first < words.len() {
        let mut last = first;
        while last + 1 < words.len()
            && words[last].len() >= 40
            && words[last + 1].start == words[last].end + 1
        {
            last += 1;
        }
        if last > first {
            let whole = words[first].start..words[last].end;
            let joined: String = text[whole.clone()].split(' ').collect();
            found.extend(reading(whole, &joined));
        }
        for word in &words[first..=last] {
            found.extend(reading(word.clone(), &text[word.clone()]));
            let pieces = text[word.clone()].split(['/', '-', '_', '+']);
            let pieces: Vec<&str> = pieces.collect();
            if pieces.len() > 1 {
                let mut start = word.start;
                for piece in pieces {
                    found.extend(reading(start..start + piece.len(), piece));
                    start += piece.len() + 1;
                }
            }
        }
        first = last + 1;
    }
    found
}

fn reading(range: Range<usize>, run: &str) -> Option<(Range<usize>, Vec<String>)> {
    let run = run.trim_end_matches('=');
    if run.len() < SHORTEST - 1 {
        return None;
    }
    let offsets = if run.len() >= LONG { 0..4 } else { 0..1 };
    let said: Vec<String> = offsets
        .flat_map(|offset| {
            let mut part = &run[offset..];
            if part.len() % 4 == 1 {
                part = &part[..part.len() - 1];
            }
            said(&decode(part))
        })
        .collect();
    (!said.is_empty()).then_some((range, said))
}

fn decode(part: &str) -> Vec<u8> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let alphabet = match part.contains(['-', '_']) {
        true => &URL_SAFE,
        false => &STANDARD,
    };
    let decoded = GeneralPurpose::new(alphabet, config).decode(part);
    decoded.unwrap_or_default()
}

fn hex_runs(text: &str) -> Vec<(Range<usize>, Vec<String>)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let mut digits = Vec::new();
        let mut end = start;
        // Where whole pairs ended before something that parts them.
        let mut parted = None;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let is_pair = rest.len() > 1 && rest[0] == b'0' && rest[1].eq_ignore_ascii_case(&b'x');
            if is_pair || rest.starts_with(b"\\x") {
                at += 2;
            } else if rest[0].is_ascii_hexdigit() {
                digits.push(rest[0]);
                at += 1;
                end = at;
            } else if !digits.is_empty()
                && matches!(rest[0], b' ' | b':' | b',' | b'-')
                && digits.len() % 2 == 0
                && at < end + 2
            {
                parted = Some((digits.len(), end));
                at += 1;
            } else {
                break;
            }
        }
        if let Some((count, pairs_end)) = parted
            && digits.len() % 2 == 1
        {
            digits.truncate(count);
            end = pairs_end;
        }
        if digits.len() >= SHORTEST {
            let both = [0, 1].into_iter().flat_map(|offset| {
                let pairs = digits[offset..].chunks_exact(2);
                let value = |digit: u8| char::from(digit).to_digit(16).unwrap_or(0) as u8;
                let decoded: Vec<u8> = pairs
                    .map(|pair| value(pair[0]) * 16 + value(pair[1]))
                    .collect();
                said(&decoded)
            });
            let both: Vec<String> = both.collect();
            if !both.is_empty() {
                found.push((start..end, both));
            }
        }
        at = at.max(start + 1);
    }
    found
}

/// What is readable of some bytes, as UTF-8 or as UTF-16. Few bytes have to be
/// readable from end to end.
fn said(bytes: &[u8]) -> Vec<String> {
    let is_readable = |c: char| (!c.is_control() || c.is_whitespace()) && c != '\u{FFFD}';
    if bytes.len() < LONG * 3 / 4 {
        let text = std::str::from_utf8(bytes).ok();
        let text = text.filter(|text| text.chars().count() > 1 && text.chars().all(is_readable));
        return text.map(str::to_owned).into_iter().collect();
    }
    let mut found = Vec::new();
    let mut keep = |text: &str| {
        let parts = text.split(|c| !is_readable(c));
        let parts = parts.filter(|part| part.chars().count() >= SHORTEST_SAID);
        found.extend(parts.map(str::to_owned));
    };
    keep(&String::from_utf8_lossy(bytes));
    if bytes.contains(&0) {
        for start in [0, 1] {
            let units = bytes[start..].chunks_exact(2);
            let units: Vec<u16> = units
                .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
                .collect();
            keep(&String::from_utf16_lossy(&units));
        }
    }
    found
}

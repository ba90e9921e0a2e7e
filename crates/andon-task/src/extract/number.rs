//! Numbers as people write them.

use serde_json::{Number, Value};

/// Which sign divides whole from parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decimal {
    /// 1,234.50
    Point,
    /// 1.234,50
    Comma,
}

/// A number in a text: its bytes, with the currency or sign around it and without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Where the number begins, sign included.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Where it begins with a currency that touches it or stands one blank before it.
    pub outer: usize,
}

const CURRENCIES: [&str; 9] = ["RM", "USD", "EUR", "GBP", "MYR", "US$", "$", "€", "£"];

/// The places of a text that read like a number.
pub(super) fn find(text: &str) -> Vec<Found> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() {
            let inside = bytes[at].is_ascii_digit()
                || (matches!(bytes[at], b'.' | b',' | b'\'')
                    && bytes.get(at + 1).is_some_and(u8::is_ascii_digit));
            if !inside {
                break;
            }
            at += 1;
        }
        let end = at;
        let (start, outer) = before(text, start);
        found.push(Found { start, end, outer });
    }
    found
}

/// The beginning with a sign, and with a currency.
fn before(text: &str, start: usize) -> (usize, usize) {
    let head = &text[..start];
    let is_word = |head: &str| head.chars().next_back().is_some_and(char::is_alphanumeric);
    let mut signed = start;
    if let Some(rest) = head.strip_suffix('-')
        && !is_word(rest)
        && !rest.ends_with('-')
    {
        signed = rest.len();
    }
    let bare = text[..signed].strip_suffix(' ').unwrap_or(&text[..signed]);
    for currency in CURRENCIES {
        if let Some(rest) = bare.strip_suffix(currency)
            && (!is_word(rest) || !currency.is_ascii())
        {
            return (signed, rest.len());
        }
    }
    (signed, signed)
}

/// The number that a text says, with this sign for decimals.
pub(super) fn read(text: &str, decimal: Decimal) -> Option<f64> {
    let (mark, group) = match decimal {
        Decimal::Point => ('.', ','),
        Decimal::Comma => (',', '.'),
    };
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, parts) = match digits.split_once(mark) {
        Some((whole, parts)) => (whole, parts),
        None => (digits, ""),
    };
    if !parts.bytes().all(|byte| byte.is_ascii_digit()) || whole.is_empty() {
        return None;
    }
    let groups: Vec<&str> = whole.split([group, '\'', ' ']).collect();
    let sound = groups.iter().enumerate().all(|(index, part)| {
        let length = match index {
            0 => groups.len() == 1 || (1..=3).contains(&part.len()),
            _ => part.len() == 3,
        };
        length && !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
    });
    if !sound {
        return None;
    }
    let written = format!(
        "{}.{}",
        groups.concat(),
        if parts.is_empty() { "0" } else { parts }
    );
    let number: f64 = written.parse().ok()?;
    Some(if negative { -number } else { number })
}

/// A number as JSON: whole ones without a point.
pub(super) fn json(number: f64) -> Option<Value> {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return Some(Value::from(number as i64));
    }
    Number::from_f64(number).map(Value::Number)
}

#[cfg(test)]
mod tests;

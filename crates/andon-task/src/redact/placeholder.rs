//! Placeholders: what stands for a value, the same at a site whenever it comes.

use std::fmt::{self, Write as _};

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// The secret of a site, from which its placeholders are made.
#[derive(Clone)]
pub struct SiteKey([u8; 32]);

impl SiteKey {
    /// The key of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digits that stand for a value of a kind, in upper-case hexadecimal.
    pub(super) fn digits(&self, tag: &str, value: &str) -> String {
        let mut mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(&self.0)
            .expect("a key may have any length");
        mac.update(tag.as_bytes());
        mac.update(&[0]);
        mac.update(value.as_bytes());
        let bytes = mac.finalize().into_bytes();
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02X}").expect("a string takes all");
            text
        })
    }
}

impl fmt::Debug for SiteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SiteKey(…)")
    }
}

/// The longest placeholder.
pub(super) const LONGEST: usize = 64;

/// How many digits a placeholder begins with.
pub(super) const DIGITS: usize = 6;

/// Whether `text` is the beginning of a placeholder, or one: `[TAG_0123AB]`, perhaps
/// with `_2` for another way of writing the same.
pub(super) fn read(text: &str) -> Reading {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'[') {
        return Reading::Not;
    }
    let mut at = 1;
    let mut run = |is: fn(&u8) -> bool| {
        let start = at;
        while at < bytes.len() && is(&bytes[at]) {
            at += 1;
        }
        (at - start, at)
    };
    let (letters, end) = run(u8::is_ascii_uppercase);
    if end == bytes.len() {
        return if end <= LONGEST {
            Reading::Beginning
        } else {
            Reading::Not
        };
    }
    if letters == 0 || bytes[end] != b'_' {
        return Reading::Not;
    }
    at = end + 1;
    let start = at;
    while at < bytes.len() && matches!(bytes[at], b'0'..=b'9' | b'A'..=b'F') {
        at += 1;
    }
    if at == bytes.len() {
        return if at <= LONGEST {
            Reading::Beginning
        } else {
            Reading::Not
        };
    }
    if at - start < DIGITS {
        return Reading::Not;
    }
    if bytes[at] == b'_' {
        at += 1;
        let start = at;
        while at < bytes.len() && bytes[at].is_ascii_digit() {
            at += 1;
        }
        if at == bytes.len() {
            return if at <= LONGEST {
                Reading::Beginning
            } else {
                Reading::Not
            };
        }
        if at == start {
            return Reading::Not;
        }
    }
    match bytes[at] == b']' && at < LONGEST {
        true => Reading::Whole(at + 1),
        false => Reading::Not,
    }
}

/// What stands at a place of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Nothing of the kind.
    Not,
    /// What may become a placeholder if more comes.
    Beginning,
    /// A placeholder of so many bytes.
    Whole(usize),
}

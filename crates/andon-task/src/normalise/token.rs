//! Tokens: what stands between white space, and the forms under which the memory knows
//! them.

use std::ops::Range;

/// A token of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// As it is written.
    pub text: &'a str,
    /// Where, in bytes.
    pub place: Range<usize>,
    /// Without case.
    pub fold: String,
    /// Without case, each run of digits written as one `0`.
    pub(crate) pattern: String,
    /// Letters as `a`, digits as `0`, everything else as it is; runs of up to five.
    pub(crate) shape: String,
}

/// The tokens of a text.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    text.split_whitespace()
        .map(|word| {
            // Both point into `text`.
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            let fold = word.to_lowercase();
            Token {
                text: word,
                place: start..start + word.len(),
                pattern: pattern(&fold),
                shape: shape(&fold),
                fold,
            }
        })
        .collect()
}

impl Token<'_> {
    /// Whether a digit is in it.
    pub(crate) fn has_digit(&self) -> bool {
        self.text.bytes().any(|byte| byte.is_ascii_digit())
    }

    /// Whether it is made of letters alone.
    pub(crate) fn is_word(&self) -> bool {
        self.text.chars().all(char::is_alphabetic)
    }
}

pub(crate) fn pattern(fold: &str) -> String {
    let mut pattern = String::with_capacity(fold.len());
    for c in fold.chars() {
        match c.is_ascii_digit() {
            true if pattern.ends_with('0') => {}
            true => pattern.push('0'),
            false => pattern.push(c),
        }
    }
    pattern
}

fn shape(fold: &str) -> String {
    let mut shape = String::with_capacity(fold.len());
    let (mut last, mut run) = (None, 0);
    for c in fold.chars() {
        let class = match c {
            c if c.is_ascii_digit() => '0',
            c if c.is_alphabetic() => 'a',
            c => c,
        };
        run = if last == Some(class) { run + 1 } else { 1 };
        last = Some(class);
        if run <= 5 {
            shape.push(class);
        }
    }
    shape
}

/// Where pieces of a token begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Around each mark that is neither letter nor digit.
    Marks,
    /// There, and between letters and digits.
    MarksAndDigits,
}

/// The pieces of a token.
pub(crate) fn pieces(token: &str, cut: Cut) -> Vec<&str> {
    let class = |c: char| match c {
        c if c.is_ascii_digit() && cut == Cut::MarksAndDigits => 1,
        c if c.is_alphanumeric() => 0,
        _ => 2,
    };
    let mut pieces = Vec::new();
    let (mut start, mut last) = (0, None);
    for (at, c) in token.char_indices() {
        let this = class(c);
        if last.is_some_and(|last| last != this || this == 2) {
            pieces.push(&token[start..at]);
            start = at;
        }
        last = Some(this);
    }
    pieces.push(&token[start..]);
    pieces
}

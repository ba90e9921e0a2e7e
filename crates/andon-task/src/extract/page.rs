//! A text as a reader sees it: lines, cells and words.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::hash;
use super::number::{self, Found};
use super::{date, spelling};

/// A word or a sign of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
    pub(super) line: usize,
    pub(super) cell: usize,
    /// What it says, without case, accents and digits' values.
    pub(super) word: u64,
    /// What it looks like.
    pub(super) shape: u64,
    pub(super) prefix: u64,
    pub(super) suffix: u64,
    pub(super) class: Class,
}

/// What a token is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Letters,
    Digits,
    Mixed,
    Sign,
}

/// A line of a text.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) tokens: Range<usize>,
    /// Cells between tabs or wide gaps: their tokens.
    pub(super) cells: Vec<Range<usize>>,
    /// The words, without their numbers.
    pub(super) words: u64,
    /// What all of it looks like.
    pub(super) shape: u64,
    /// The line that names the columns of this one.
    pub(super) header: Option<usize>,
}

/// A number with what it is among the numbers of its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Amount {
    pub(super) found: Found,
    pub(super) tokens: (usize, usize),
    /// How many different numbers of its form are greater.
    pub(super) rank: usize,
    /// How often the same number is there.
    pub(super) times: usize,
    /// How many of the same number stand before it.
    pub(super) before: usize,
    /// Whether it is the difference of two others, or their sum.
    pub(super) difference: bool,
    pub(super) decimals: usize,
    pub(super) value: f64,
}

/// A text divided into lines, cells and tokens.
#[derive(Debug)]
pub struct Page<'t> {
    /// The text.
    pub text: &'t str,
    pub(super) tokens: Vec<Token>,
    pub(super) lines: Vec<Line>,
    pub(super) amounts: Vec<Amount>,
    /// Dates: bytes, and first and last token.
    pub(super) dates: Vec<((usize, usize), (usize, usize))>,
    /// All letters and digits in upper case, and from which byte each comes.
    pub(super) compact: Vec<char>,
    pub(super) origin: Vec<usize>,
    /// The different words.
    pub(super) vocabulary: Vec<u64>,
}

/// Signs that are tokens of their own wherever they stand.
fn is_sign(c: char) -> bool {
    matches!(
        c,
        ':' | '('
            | ')'
            | ','
            | ';'
            | '#'
            | '='
            | '['
            | ']'
            | '{'
            | '}'
            | '"'
            | '|'
            | '*'
            | '“'
            | '”'
    )
}

impl<'t> Page<'t> {
    /// The bytes of each of its words.
    pub fn words(&self) -> impl Iterator<Item = (usize, usize)> {
        self.tokens.iter().map(|word| (word.start, word.end))
    }

    /// Divides a text.
    pub fn new(text: &'t str) -> Self {
        let mut page = Self {
            text,
            tokens: Vec::new(),
            lines: Vec::new(),
            amounts: Vec::new(),
            dates: Vec::new(),
            compact: Vec::new(),
            origin: Vec::new(),
            vocabulary: Vec::new(),
        };
        let mut start = 0;
        for line in text.split('\n') {
            page.divide(line, start);
            start += line.len() + 1;
        }
        page.find_headers();
        page.find_amounts();
        page.dates = date::find(text)
            .into_iter()
            .filter_map(|(start, end)| Some(((start, end), page.around(start, end)?)))
            .collect();
        for (byte, character) in text.char_indices() {
            for folded in spelling::compact_char(character) {
                page.compact.push(folded);
                page.origin.push(byte);
            }
        }
        page.vocabulary = page
            .tokens
            .iter()
            .filter(|token| token.class != Class::Sign)
            .map(|token| token.word)
            .collect();
        page.vocabulary.sort_unstable();
        page.vocabulary.dedup();
        page
    }

    fn divide(&mut self, line: &str, offset: usize) {
        let first = self.tokens.len();
        let number = self.lines.len();
        let mut cells: Vec<Range<usize>> = Vec::new();
        let mut cell_first = first;
        let mut blanks = 0;
        let mut word_start: Option<usize> = None;
        for (at, c) in line.char_indices().chain([(line.len(), '\n')]) {
            if let Some(start) = word_start
                && (c.is_whitespace() || is_sign(c))
            {
                self.word(offset + start, offset + at, number, cells.len());
                word_start = None;
            }
            if c.is_whitespace() {
                blanks += if c == '\t' { 2 } else { 1 };
                continue;
            }
            if blanks >= 2 && self.tokens.len() > cell_first && word_start.is_none() {
                cells.push(cell_first..self.tokens.len());
                cell_first = self.tokens.len();
            }
            blanks = 0;
            if is_sign(c) {
                self.token(offset + at, offset + at + c.len_utf8(), number, cells.len());
            } else if word_start.is_none() {
                word_start = Some(at);
            }
        }
        if self.tokens.len() > cell_first {
            cells.push(cell_first..self.tokens.len());
        }
        let tokens = first..self.tokens.len();
        let of = |value: fn(&Token) -> u64| {
            let tokens = &self.tokens[tokens.clone()];
            tokens
                .iter()
                .fold(7, |sum, token| hash::pair(sum, value(token)))
        };
        let words = self.tokens[tokens.clone()]
            .iter()
            .filter(|token| matches!(token.class, Class::Letters))
            .fold(11, |sum, token| hash::pair(sum, token.word));
        let shape = of(|token| token.shape);
        self.lines.push(Line {
            tokens,
            cells,
            words,
            shape,
            header: None,
        });
    }

    /// A word without blanks; stops at its end are tokens of their own.
    fn word(&mut self, start: usize, end: usize, line: usize, cell: usize) {
        let word = &self.text[start..end];
        let body = word.trim_end_matches(['.', '!', '?']);
        if body.is_empty() {
            self.token(start, end, line, cell);
            return;
        }
        self.token(start, start + body.len(), line, cell);
        if body.len() < word.len() {
            self.token(start + body.len(), end, line, cell);
        }
    }

    fn token(&mut self, start: usize, end: usize, line: usize, cell: usize) {
        let text = &self.text[start..end];
        let folded = fold(text);
        let characters: Vec<char> = folded.chars().collect();
        let has_letter = characters.iter().any(|c| c.is_alphabetic());
        let has_digit = text.chars().any(char::is_numeric);
        let class = match (has_letter, has_digit) {
            (true, false) => Class::Letters,
            (false, true) => Class::Digits,
            (true, true) => Class::Mixed,
            (false, false) => Class::Sign,
        };
        let piece = |characters: &[char]| {
            characters
                .iter()
                .fold(3, |sum, &c| hash::pair(sum, u64::from(c)))
        };
        let three = characters.len().min(3);
        self.tokens.push(Token {
            start,
            end,
            line,
            cell,
            word: hash::text(&folded),
            shape: hash::text(&shape(text)),
            prefix: piece(&characters[..three]),
            suffix: piece(&characters[characters.len() - three..]),
            class,
        });
    }

    /// For each line the nearest one above with several cells and no digits.
    fn find_headers(&mut self) {
        let mut header = None;
        for index in 0..self.lines.len() {
            let line = &self.lines[index];
            let tokens = &self.tokens[line.tokens.clone()];
            let digits = tokens
                .iter()
                .any(|t| matches!(t.class, Class::Digits | Class::Mixed));
            let several = line.cells.len() >= 2;
            self.lines[index].header = header;
            if several && !digits {
                header = Some(index);
            }
        }
    }

    fn find_amounts(&mut self) {
        let found = number::find(self.text);
        let mut amounts: Vec<Amount> = Vec::new();
        for found in found {
            let Some(tokens) = self.around(found.start, found.end) else {
                continue;
            };
            let text = &self.text[found.start..found.end];
            let decimals = text.rfind(['.', ',']).map_or(0, |at| text.len() - at - 1);
            let value = number::read(text, number::Decimal::Point)
                .or_else(|| number::read(text, number::Decimal::Comma))
                .unwrap_or(f64::NAN);
            amounts.push(Amount {
                found,
                tokens,
                rank: 0,
                times: 0,
                before: 0,
                difference: false,
                decimals,
                value,
            });
        }
        let money: Vec<i64> = amounts
            .iter()
            .filter(|a| a.decimals == 2 && a.value.is_finite())
            .map(|a| cents(a.value))
            .collect();
        let mut distinct = money.clone();
        distinct.sort_unstable();
        distinct.dedup();
        for index in 0..amounts.len() {
            let value = amounts[index].value;
            let same =
                |other: &Amount| other.value == value && other.decimals == amounts[index].decimals;
            let times = amounts.iter().filter(|other| same(other)).count();
            let before = amounts[..index].iter().filter(|other| same(other)).count();
            let own = cents(value);
            let rank = distinct.len() - distinct.partition_point(|&other| other <= own);
            let difference = own > 0
                && amounts[index].decimals == 2
                && distinct.len() <= 200
                && distinct.iter().any(|&more| {
                    more > own && more - own != own && distinct.binary_search(&(more - own)).is_ok()
                });
            let amount = &mut amounts[index];
            (amount.times, amount.before, amount.rank, amount.difference) =
                (times, before, rank, difference);
        }
        self.amounts = amounts;
    }

    /// The line of the token at a byte, or of the last one before it.
    pub(super) fn line_at(&self, byte: usize) -> usize {
        let behind = self.tokens.partition_point(|token| token.start <= byte);
        behind
            .checked_sub(1)
            .map_or(0, |token| self.tokens[token].line)
    }

    /// The first and last token that a range of bytes touches.
    pub(super) fn around(&self, start: usize, end: usize) -> Option<(usize, usize)> {
        let first = self.tokens.partition_point(|token| token.end <= start);
        let behind = self.tokens.partition_point(|token| token.start < end);
        (first < behind).then(|| (first, behind - 1))
    }

    /// The cell of a line that a token stands in.
    pub(super) fn cell(&self, token: usize) -> Range<usize> {
        let Token { line, cell, .. } = self.tokens[token];
        self.lines[line].cells[cell].clone()
    }
}

fn cents(value: f64) -> i64 {
    (value.abs() * 100.0).round() as i64
}

/// A word without case, accents and the values of its digits.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text
            .chars()
            .map(|c| {
                if c.is_ascii_digit() {
                    '0'
                } else {
                    c.to_ascii_lowercase()
                }
            })
            .collect();
    }
    text.nfkd()
        .filter(|&c| !is_combining_mark(c))
        .flat_map(char::to_lowercase)
        .map(|c| if c.is_numeric() { '0' } else { c })
        .collect()
}

/// What a text looks like: runs of capitals, small letters and digits, and signs.
pub(super) fn shape(text: &str) -> String {
    let mut shape = String::new();
    let mut last = ('\0', 0);
    for c in text.chars() {
        let class = match c {
            c if c.is_uppercase() => 'A',
            c if c.is_alphabetic() => 'a',
            c if c.is_numeric() => '9',
            c if c.is_whitespace() => ' ',
            c => c,
        };
        last = if class == last.0 {
            (class, last.1 + 1)
        } else {
            (class, 1)
        };
        // Up to four digits are told apart, of letters only the kind.
        let most = if class == '9' { 4 } else { 1 };
        if last.1 <= most {
            shape.push(class);
        }
    }
    shape
}

#[cfg(test)]
mod tests;

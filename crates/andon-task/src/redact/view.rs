//! A text as it is looked through: folded, with the way back to where it was written.
//!
//! Names and numbers hide behind accents, look-alikes, invisible characters and
//! escapes. Each of these is folded away here, and every byte of the folded text
//! knows the bytes of the original that it came from.

use std::ops::Range;

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

use super::escape;
use super::fold::{fold, is_invisible};

/// Stands for a placeholder in a text that is looked through again: nothing that is
/// found reaches across it.
pub(super) const BARRIER: char = '\u{FFFC}';

/// A text and, for each of its bytes, where that byte comes from.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) text: String,
    /// The original's bytes, by byte of `text`.
    from: Vec<(u32, u32)>,
}

impl View {
    /// The text as it is.
    pub(super) fn plain(text: &str) -> Self {
        let mut view = Self::with_room(text.len());
        for (at, c) in text.char_indices() {
            view.push(c, at..at + c.len_utf8());
        }
        view
    }

    pub(super) fn with_room(bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            from: Vec::with_capacity(bytes),
        }
    }

    /// Adds a character that stands for these bytes of the original.
    pub(super) fn push(&mut self, c: char, from: Range<usize>) {
        self.text.push(c);
        // Longer texts are refused before.
        let from = (from.start as u32, from.end as u32);
        self.from.resize(self.text.len(), from);
    }

    /// Counts bytes that are not shown as part of the character before them.
    fn absorb(&mut self, end: usize) {
        let Some(&(start, _)) = self.from.last() else {
            return;
        };
        let last = self.text.chars().next_back().map_or(0, char::len_utf8);
        let from = self.from.len() - last;
        self.from[from..].fill((start, end as u32));
    }

    /// The bytes of the original that a part of the text stands for.
    pub(super) fn origin(&self, part: Range<usize>) -> Range<usize> {
        let within = &self.from[part];
        let start = within.iter().map(|from| from.0).min().unwrap_or(0);
        let end = within.iter().map(|from| from.1).max().unwrap_or(0);
        start as usize..end as usize
    }

    /// Each character, where it stands, and what it stands for.
    pub(super) fn chars(&self) -> impl Iterator<Item = (usize, char, Range<usize>)> {
        self.text.char_indices().map(|(at, c)| {
            let (start, end) = self.from[at];
            (at, c, start as usize..end as usize)
        })
    }

    /// The same with compatibility forms, accents, look-alikes, digits of other
    /// scripts, white space and invisible characters folded.
    pub(super) fn folded(&self) -> Self {
        let mut folded = Self::with_room(self.text.len());
        for (_, c, from) in self.chars() {
            if c.is_ascii_graphic() {
                folded.push(c, from);
            } else if c.is_whitespace() {
                folded.space(from);
            } else if is_invisible(c) {
                folded.absorb(from.end);
            } else {
                decompose_compatible(c, |part| {
                    if is_combining_mark(part) || is_invisible(part) {
                        folded.absorb(from.end);
                    } else if part.is_whitespace() {
                        folded.space(from.clone());
                    } else {
                        for plain in fold(part) {
                            folded.push(plain, from.clone());
                        }
                    }
                });
            }
        }
        folded
    }

    /// Runs of white space are one blank.
    fn space(&mut self, from: Range<usize>) {
        match self.text.ends_with(' ') {
            true => self.absorb(from.end),
            false => self.push(' ', from),
        }
    }

    /// The same with one layer of escapes read: percent, HTML entities, backslashes,
    /// quoted-printable, characters of the tag block. `None` where there are none.
    pub(super) fn unescaped(&self) -> Option<Self> {
        escape::read(self)
    }
}

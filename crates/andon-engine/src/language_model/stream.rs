//! From the bytes of tokens to text, up to a stop text.

use std::ops::ControlFlow;

use andon_task::engine::{Drawn, Finish, Generation, Piece, Usage};

/// Who hears the pieces.
pub(super) type OnPiece<'a> = dyn FnMut(Piece<'_>) -> ControlFlow<()> + 'a;

/// Text as it comes: handed out in whole characters, and never a part of it
/// that may turn out to begin a stop text.
pub(super) struct TextStream<'a> {
    stops: &'a [String],
    /// Bytes that are not yet a whole character.
    rest: Vec<u8>,
    text: String,
    /// How much of the text was handed out.
    sent: usize,
    /// The tokens, where they are asked for.
    drawn: Vec<Drawn>,
    /// How many of them were handed out.
    told: usize,
    is_stopped: bool,
}

impl<'a> TextStream<'a> {
    pub(super) fn new(stops: &'a [String]) -> Self {
        Self {
            stops,
            rest: Vec::new(),
            text: String::new(),
            sent: 0,
            drawn: Vec::new(),
            told: 0,
            is_stopped: false,
        }
    }

    /// Whether a stop text has come; it is not part of the text.
    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Adds the bytes of a token, and what is told of it.
    pub(super) fn push(&mut self, bytes: &[u8], drawn: Option<Drawn>) {
        self.drawn.extend(drawn);
        self.rest.extend_from_slice(bytes);
        loop {
            match std::str::from_utf8(&self.rest) {
                Ok(text) => {
                    self.text.push_str(text);
                    self.rest.clear();
                    break;
                }
                Err(error) => {
                    let valid = error.valid_up_to();
                    self.text
                        .push_str(&String::from_utf8_lossy(&self.rest[..valid]));
                    // Bytes that no further byte can mend are shown as such;
                    // a character that has only begun waits.
                    let Some(wrong) = error.error_len() else {
                        self.rest.drain(..valid);
                        break;
                    };
                    self.text.push(char::REPLACEMENT_CHARACTER);
                    self.rest.drain(..valid + wrong);
                }
            }
        }
        self.find_stop();
    }

    fn find_stop(&mut self) {
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let mut from = self.sent.min(self.text.len().saturating_sub(longest));
        while !self.text.is_char_boundary(from) {
            from -= 1;
        }
        let found = self
            .stops
            .iter()
            .filter(|stop| !stop.is_empty())
            .filter_map(|stop| self.text[from..].find(stop.as_str()))
            .min();
        if let Some(at) = found {
            self.text.truncate(from + at);
            self.is_stopped = true;
        }
    }

    /// Hands out what can no longer become a stop text; false if the receiver
    /// has had enough.
    pub(super) fn flush(&mut self, on_piece: &mut OnPiece<'_>) -> bool {
        let held_back = if self.is_stopped {
            0
        } else {
            self.begun_stop()
        };
        self.hand_out(self.text.len() - held_back, on_piece)
    }

    /// Hands out everything: nothing more comes.
    pub(super) fn finish(&mut self, on_piece: &mut OnPiece<'_>) -> bool {
        if !self.rest.is_empty() {
            self.text.push(char::REPLACEMENT_CHARACTER);
            self.rest.clear();
        }
        self.hand_out(self.text.len(), on_piece)
    }

    fn hand_out(&mut self, end: usize, on_piece: &mut OnPiece<'_>) -> bool {
        let drawn = &self.drawn[self.told..];
        let text = self.text.get(self.sent..end).unwrap_or("");
        if text.is_empty() && drawn.is_empty() {
            return true;
        }
        self.sent = end.max(self.sent);
        self.told = self.drawn.len();
        on_piece(Piece { text, drawn }).is_continue()
    }

    /// Bytes at the end of the text that a stop text begins with.
    fn begun_stop(&self) -> usize {
        let begun = |stop: &String| {
            (1..stop.len())
                .rev()
                .filter(|&length| stop.is_char_boundary(length))
                .find(|&length| self.text.ends_with(&stop[..length]))
        };
        self.stops.iter().filter_map(begun).max().unwrap_or(0)
    }

    pub(super) fn into_generation(self, finish: Finish, usage: Usage) -> Generation {
        Generation {
            text: self.text,
            drawn: self.drawn,
            finish,
            usage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stops: &[&str], tokens: &[&[u8]], pieces: &[&str], is_stopped: bool) {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.to_owned()).collect();
        let mut stream = TextStream::new(&stops);
        let mut heard = Vec::new();
        let mut on_piece = |piece: Piece<'_>| {
            heard.push(piece.text.to_owned());
            ControlFlow::Continue(())
        };
        for token in tokens {
            stream.push(token, None);
            assert!(stream.flush(&mut on_piece));
            if stream.is_stopped() {
                break;
            }
        }
        stream.finish(&mut on_piece);
        assert_eq!(stream.is_stopped(), is_stopped);
        assert_eq!(stream.text, pieces.concat());
        assert_eq!(heard, pieces);
    }

    #[test]
    fn text_comes_in_whole_characters_and_without_the_stop() {
        check(&[], &[b"a", b"b"], &["a", "b"], false);
        check(&[], &[b"a\xc3", b"\xb1o"], &["a", "\u{f1}o"], false);
        check(&[], &[b"a\xff", b"b"], &["a\u{fffd}", "b"], false);
        check(&[], &[b"a\xc3"], &["a", "\u{fffd}"], false);
        check(&["END"], &[b"one E", b"ND two"], &["one "], true);
        check(&["END"], &[b"one E", b"lse"], &["one ", "Else"], false);
        check(&["\n\n", "x"], &[b"a\n", b"b", b"x"], &["a", "\nb"], true);
    }
}

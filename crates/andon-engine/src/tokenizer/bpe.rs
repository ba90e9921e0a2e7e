//! Byte-pair encoding by a list of merges (Sennrich et al. 2016), over bytes
//! (Radford et al. 2019) or over characters.

use ahash::AHashMap;

use super::merge::{Merge, Piece, merge_all};
use super::split::Split;
use super::vocabulary::{Kind, Vocabulary, texts};
use crate::error::{LoadError, damaged};
use crate::gguf::Gguf;

/// What a text is made of before anything is merged.
enum Alphabet {
    /// Bytes, under the printable stand-ins that such vocabularies write.
    Bytes {
        tokens: Box<[Option<u32>; 256]>,
        /// Whole words that are tokens, where those go before all merges.
        words: AHashMap<Vec<u8>, u32>,
    },
    /// Characters, and bytes for those that have no token.
    Characters {
        tokens: AHashMap<char, u32>,
        /// Runs of line feeds by their length.
        line_feeds: AHashMap<usize, u32>,
        bytes: Box<[Option<u32>; 256]>,
    },
}

/// An encoder by merges.
pub(super) struct Bpe {
    split: Split,
    merges: AHashMap<(u32, u32), Merge>,
    alphabet: Alphabet,
}

impl Bpe {
    pub(super) fn from_gguf(
        gguf: &Gguf<'_>,
        vocabulary: &Vocabulary<'_>,
        split: Split,
    ) -> Result<Self, LoadError> {
        let listed = texts(gguf, "tokenizer.ggml.merges")?;
        let mut merges = AHashMap::with_capacity(listed.len());
        let mut joined = String::new();
        for (rank, text) in (0u32..).zip(listed) {
            let bad = || damaged!("the merge '{text}' is not of the vocabulary");
            // A left part may itself begin with a blank.
            let first = text.chars().next().map_or(0, char::len_utf8);
            let blank = text[first..].find(' ').ok_or_else(bad)? + first;
            let (left, right) = (&text[..blank], &text[blank + 1..]);
            joined.clear();
            joined.push_str(left);
            joined.push_str(right);
            let id = |text: &str| vocabulary.id(text).ok_or_else(bad);
            let (left, right, token) = (id(left)?, id(right)?, id(&joined)?);
            // Text does not become a control token, whatever a file says.
            if vocabulary.kinds[token as usize] != Kind::Control {
                merges.entry((left, right)).or_insert(Merge { rank, token });
            }
        }
        let alphabet = if split.is_of_bytes() {
            bytes(vocabulary, split.takes_whole_words())
        } else {
            characters(vocabulary)
        };
        Ok(Self {
            split,
            merges,
            alphabet,
        })
    }

    pub(super) fn encode(&self, text: &str, tokens: &mut Vec<u32>) {
        let escaped;
        let text = match &self.alphabet {
            Alphabet::Bytes { .. } => text,
            Alphabet::Characters { .. } => {
                escaped = text.replace(' ', "\u{2581}");
                escaped.as_str()
            }
        };
        let mut pieces = Vec::new();
        self.split.words(text, &mut |word| {
            if let Some(token) = self.whole(word) {
                tokens.push(token);
                return;
            }
            self.spell(word, &mut pieces);
            merge_all(&mut pieces, |left, right| {
                self.merges.get(&(left.token?, right.token?)).copied()
            });
            for piece in &pieces {
                match (piece.token, &self.alphabet) {
                    (Some(token), _) => tokens.push(token),
                    // Some vocabularies leave out control characters.
                    (None, Alphabet::Bytes { .. }) => {}
                    (None, Alphabet::Characters { bytes, .. }) => {
                        let spelt = &word.as_bytes()[piece.start..][..piece.length];
                        tokens.extend(spelt.iter().filter_map(|&byte| bytes[usize::from(byte)]));
                    }
                }
            }
        });
    }

    /// The token of a word that is not merged.
    fn whole(&self, word: &str) -> Option<u32> {
        match &self.alphabet {
            Alphabet::Bytes { words, .. } if words.is_empty() => None,
            Alphabet::Bytes { words, .. } => words.get(word.as_bytes()).copied(),
            Alphabet::Characters { line_feeds, .. } => {
                let is_run = word.bytes().all(|byte| byte == b'\n');
                line_feeds.get(&word.len()).filter(|_| is_run).copied()
            }
        }
    }

    fn spell(&self, word: &str, pieces: &mut Vec<Piece>) {
        pieces.clear();
        match &self.alphabet {
            Alphabet::Bytes { tokens, .. } => {
                pieces.extend(word.bytes().enumerate().map(|(start, byte)| Piece {
                    start,
                    length: 1,
                    token: tokens[usize::from(byte)],
                }));
            }
            Alphabet::Characters { tokens, .. } => {
                pieces.extend(word.char_indices().map(|(start, character)| Piece {
                    start,
                    length: character.len_utf8(),
                    token: tokens.get(&character).copied(),
                }));
            }
        }
    }
}

fn bytes(vocabulary: &Vocabulary<'_>, takes_whole_words: bool) -> Alphabet {
    let mut tokens = Box::new([None; 256]);
    for (character, byte) in stand_ins() {
        let mut buffer = [0; 4];
        tokens[usize::from(byte)] = vocabulary.id(character.encode_utf8(&mut buffer));
    }
    let stand_ins: AHashMap<char, u8> = stand_ins().collect();
    let words = vocabulary
        .words()
        .filter(|_| takes_whole_words)
        .filter_map(|(id, text, _)| {
            let bytes = text.chars().map(|c| stand_ins.get(&c).copied());
            Some((bytes.collect::<Option<Vec<u8>>>()?, id))
        });
    Alphabet::Bytes {
        tokens,
        words: words.collect(),
    }
}

fn characters(vocabulary: &Vocabulary<'_>) -> Alphabet {
    let mut tokens = AHashMap::new();
    let mut line_feeds = AHashMap::new();
    for (id, text, _) in vocabulary.words() {
        let mut characters = text.chars();
        if let (Some(character), None) = (characters.next(), characters.next()) {
            tokens.insert(character, id);
        }
        if text.bytes().all(|byte| byte == b'\n') {
            line_feeds.insert(text.len(), id);
        }
    }
    let bytes = Box::new(std::array::from_fn(|byte| vocabulary.byte(byte as u8)));
    Alphabet::Characters {
        tokens,
        line_feeds,
        bytes,
    }
}

/// The printable stand-in of every byte in byte-level vocabularies: itself where
/// it is printable, the others from 256 on.
pub(super) fn stand_ins() -> impl Iterator<Item = (char, u8)> {
    let is_printable = |byte: &u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let others = (0..=u8::MAX).filter(move |byte| !is_printable(byte));
    let printable = (0..=u8::MAX).filter(is_printable);
    printable
        .map(|byte| (char::from(byte), byte))
        .chain(('\u{100}'..).zip(others))
}

//! WordPiece: the longest token that a word begins with, then the longest that
//! its rest begins with, and so on, after BERT's normalisation (Devlin et al.
//! 2019). A word that cannot be spelt so is unknown as a whole.

use regex::Regex;
use unicode_normalization::UnicodeNormalization;

use super::prefixes::Prefixes;
use super::vocabulary::Vocabulary;
use crate::error::{LoadError, damaged};
use crate::gguf::Gguf;

/// Bytes of a token, at most.
const LONGEST: usize = 1024;

/// Control characters, and what stands for characters that were lost.
const DROPPED: &str = r"[\p{Cc}\p{Cf}\p{Co}\x{fffd}&&[^\s]]+";
/// Marks that take no room of their own. llama.cpp also drops vowel signs, and
/// all but the first letter of a Hangul syllable; models were not trained so.
const ACCENTS: &str = r"\p{Mn}+";
/// Every punctuation mark and every ideograph is a word.
const WORDS: &str = r"[\p{P}$+<=>^`|~\x{4e00}-\x{9fff}\x{3400}-\x{4dbf}\x{20000}-\x{2a6df}\x{2a700}-\x{2b73f}\x{2b740}-\x{2b81f}\x{2b920}-\x{2ceaf}\x{f900}-\x{faff}\x{2f800}-\x{2fa1f}]|[^\s\p{P}$+<=>^`|~\x{4e00}-\x{9fff}\x{3400}-\x{4dbf}\x{20000}-\x{2a6df}\x{2a700}-\x{2b73f}\x{2b740}-\x{2b81f}\x{2b920}-\x{2ceaf}\x{f900}-\x{faff}\x{2f800}-\x{2fa1f}]+";

/// An encoder by longest matches.
pub(super) struct WordPiece {
    /// Tokens that begin a word, without the mark that the file puts before them.
    first: Prefixes,
    /// Tokens within a word.
    inner: Prefixes,
    unknown: u32,
    dropped: Regex,
    accents: Option<Regex>,
    words: Regex,
    lowers: bool,
}

impl WordPiece {
    pub(super) fn from_gguf(
        gguf: &Gguf<'_>,
        vocabulary: &Vocabulary<'_>,
    ) -> Result<Self, LoadError> {
        vocabulary.check_lengths(LONGEST)?;
        let first = vocabulary.words().filter_map(|(id, text, _)| {
            let text = text.strip_prefix('\u{2581}')?;
            (!text.is_empty()).then_some((id, text))
        });
        let inner = vocabulary.words().map(|(id, text, _)| (id, text));
        let unknown = vocabulary
            .named(gguf, "tokenizer.ggml.unknown_token_id")?
            .or_else(|| vocabulary.id("[UNK]"))
            .ok_or_else(|| damaged!("'tokenizer.ggml.unknown_token_id' is missing"))?;
        let lowers = gguf.flag_or("tokenizer.ggml.normalizer.lowercase", true)?;
        let strips = gguf.flag_or("tokenizer.ggml.normalizer.strip_accents", lowers)?;
        let regex = |pattern| Regex::new(pattern).map_err(|error| damaged!("words: {error}"));
        Ok(Self {
            first: Prefixes::new(first),
            inner: Prefixes::new(inner),
            unknown,
            dropped: regex(DROPPED)?,
            accents: if strips { Some(regex(ACCENTS)?) } else { None },
            words: regex(WORDS)?,
            lowers,
        })
    }

    pub(super) fn encode(&self, text: &str, tokens: &mut Vec<u32>) {
        let mut text = self.dropped.replace_all(text, "").into_owned();
        if let Some(accents) = &self.accents {
            let decomposed: String = text.nfd().collect();
            text = accents.replace_all(&decomposed, "").into_owned();
        }
        if self.lowers {
            text = text.chars().flat_map(char::to_lowercase).collect();
        }
        for word in self.words.find_iter(&text) {
            let start = tokens.len();
            if !self.spell(word.as_str(), tokens) {
                tokens.truncate(start);
                tokens.push(self.unknown);
            }
        }
    }

    /// Whether the whole word could be spelt.
    fn spell(&self, word: &str, tokens: &mut Vec<u32>) -> bool {
        let mut rest = word.as_bytes();
        let mut pieces = &self.first;
        while !rest.is_empty() {
            let Some((length, token)) = pieces.of(rest).last() else {
                return false;
            };
            tokens.push(token);
            rest = &rest[length..];
            pieces = &self.inner;
        }
        true
    }
}

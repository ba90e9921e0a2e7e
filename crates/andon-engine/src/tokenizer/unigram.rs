//! The most probable tokens of a text under a unigram model (Kudo 2018), after
//! the normalisation that the vocabulary carries.

use super::charsmap::Charsmap;
use super::prefixes::Prefixes;
use super::vocabulary::{Kind, Vocabulary};
use crate::error::{LoadError, damaged};
use crate::gguf::Gguf;

/// How much less probable the unknown is than the least probable token.
const PENALTY: f64 = 10.0;

/// Bytes of a token, at most.
const LONGEST: usize = 1024;

/// An encoder by probabilities.
pub(super) struct Unigram {
    tokens: Prefixes,
    scores: Vec<f64>,
    unknown: u32,
    unknown_score: f64,
    charsmap: Charsmap,
    leads_with_blank: bool,
    merges_blanks: bool,
}

/// The best way to a place in a text: its last token, where that begins, and
/// the sum of all scores.
#[derive(Clone, Copy)]
struct Way {
    token: u32,
    from: usize,
    score: f64,
}

impl Unigram {
    pub(super) fn from_gguf(
        gguf: &Gguf<'_>,
        vocabulary: &Vocabulary<'_>,
    ) -> Result<Self, LoadError> {
        vocabulary.check_lengths(LONGEST)?;
        let mut scores = vocabulary.scores(gguf)?;
        let mut least = f64::from(f32::MAX);
        for (id, _, kind) in vocabulary.words() {
            match kind {
                Kind::Defined => scores[id as usize] = 0.0,
                Kind::Normal => least = least.min(scores[id as usize]),
                Kind::Control | Kind::Unused | Kind::Byte => {}
            }
        }
        let unknown = vocabulary
            .named(gguf, "tokenizer.ggml.unknown_token_id")?
            .or_else(|| vocabulary.id("<unk>"))
            .ok_or_else(|| damaged!("'tokenizer.ggml.unknown_token_id' is missing"))?;
        Ok(Self {
            tokens: Prefixes::new(vocabulary.words().map(|(id, text, _)| (id, text))),
            scores,
            unknown,
            unknown_score: least - PENALTY,
            charsmap: Charsmap::from_gguf(gguf)?,
            leads_with_blank: gguf.flag_or("tokenizer.ggml.add_space_prefix", false)?,
            merges_blanks: gguf.flag_or("tokenizer.ggml.remove_extra_whitespaces", false)?,
        })
    }

    /// Whether a blank is put before every text.
    pub(super) fn leads_with_blank(&self) -> bool {
        self.leads_with_blank
    }

    pub(super) fn encode(&self, text: &str, tokens: &mut Vec<u32>) {
        let text = self.normalise(text);
        let mut ways = vec![
            Way {
                token: self.unknown,
                from: 0,
                score: f64::NEG_INFINITY,
            };
            text.len() + 1
        ];
        ways[0].score = 0.0;
        for (at, character) in text.char_indices() {
            let before = ways[at].score;
            let mut offer = |length: usize, token: u32, score: f64| {
                let way = &mut ways[at + length];
                if before + score > way.score {
                    *way = Way {
                        token,
                        from: at,
                        score: before + score,
                    };
                }
            };
            let mut is_known = false;
            for (length, token) in self.tokens.of(&text.as_bytes()[at..]) {
                is_known |= length == character.len_utf8();
                offer(length, token, self.scores[token as usize]);
            }
            if !is_known {
                offer(character.len_utf8(), self.unknown, self.unknown_score);
            }
        }
        let start = tokens.len();
        let mut at = text.len();
        while at > 0 {
            let way = ways[at];
            // What is unknown is one token, however long it is.
            if way.token != self.unknown || tokens[start..].last() != Some(&self.unknown) {
                tokens.push(way.token);
            }
            at = way.from;
        }
        tokens[start..].reverse();
    }

    /// Replaces characters as the vocabulary says, and writes blanks as it does.
    fn normalise(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + text.len() / 2);
        let mut is_in_word = false;
        let mut has_lead = !self.leads_with_blank;
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let (length, replaced) = match self.charsmap.longest(rest.as_bytes()) {
                Some(found) => found,
                None => (first.len_utf8(), &rest[..first.len_utf8()]),
            };
            for character in replaced.chars() {
                if character == ' ' {
                    is_in_word = false;
                    if !self.merges_blanks {
                        out.push('\u{2581}');
                    }
                    continue;
                }
                if !is_in_word && (!has_lead || self.merges_blanks) {
                    out.push('\u{2581}');
                    has_lead = true;
                }
                is_in_word = true;
                out.push(character);
            }
            rest = &rest[length..];
        }
        out
    }
}

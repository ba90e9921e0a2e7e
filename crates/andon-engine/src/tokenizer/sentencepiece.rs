//! Byte-pair encoding by scores, as SentencePiece does it (Kudo and Richardson
//! 2018): of all neighbours whose texts together are a token, those with the
//! best score are merged first. What has no token is spelt in bytes.

use ahash::AHashMap;

use super::merge::{Merge, Piece, merge_all};
use super::vocabulary::Vocabulary;
use crate::error::LoadError;
use crate::gguf::Gguf;

/// Bytes of a token, at most.
const LONGEST: usize = 1024;

/// An encoder by scores.
pub(super) struct SentencePiece {
    tokens: AHashMap<String, Merge>,
    bytes: Box<[Option<u32>; 256]>,
    unknown: Option<u32>,
    leads_with_blank: bool,
}

impl SentencePiece {
    pub(super) fn from_gguf(
        gguf: &Gguf<'_>,
        vocabulary: &Vocabulary<'_>,
    ) -> Result<Self, LoadError> {
        vocabulary.check_lengths(LONGEST)?;
        let scores = vocabulary.scores(gguf)?;
        let mut ordered: Vec<f64> = scores.clone();
        ordered.sort_by(|a, b| b.total_cmp(a));
        ordered.dedup();
        let tokens = vocabulary.words().map(|(token, text, _)| {
            let score = scores[token as usize];
            let rank = ordered.partition_point(|&other| other > score) as u32;
            (text.to_owned(), Merge { rank, token })
        });
        Ok(Self {
            tokens: tokens.collect(),
            bytes: Box::new(std::array::from_fn(|byte| vocabulary.byte(byte as u8))),
            unknown: vocabulary.named(gguf, "tokenizer.ggml.unknown_token_id")?,
            leads_with_blank: gguf.flag_or("tokenizer.ggml.add_space_prefix", true)?,
        })
    }

    /// Whether a blank is put before every text.
    pub(super) fn leads_with_blank(&self) -> bool {
        self.leads_with_blank
    }

    pub(super) fn encode(&self, text: &str, tokens: &mut Vec<u32>) {
        let mut escaped = text.replace(' ', "\u{2581}");
        if self.leads_with_blank {
            escaped.insert(0, '\u{2581}');
        }
        let find = |start: usize, length: usize| self.tokens.get(&escaped[start..start + length]);
        let characters = escaped.char_indices();
        let mut pieces: Vec<Piece> = characters
            .map(|(start, character)| Piece {
                start,
                length: character.len_utf8(),
                token: find(start, character.len_utf8()).map(|merge| merge.token),
            })
            .collect();
        merge_all(&mut pieces, |left, right| {
            find(left.start, left.length + right.length).copied()
        });
        for piece in pieces {
            match piece.token {
                Some(token) => tokens.push(token),
                None => {
                    let spelt = &escaped.as_bytes()[piece.start..][..piece.length];
                    let byte = |&byte: &u8| self.bytes[usize::from(byte)].or(self.unknown);
                    tokens.extend(spelt.iter().filter_map(byte));
                }
            }
        }
    }
}

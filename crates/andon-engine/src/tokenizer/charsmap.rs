//! The table of replaced characters that SentencePiece vocabularies carry: a
//! double array (Kanda 2018) of texts, and behind it what they become.

use crate::error::{LoadError, damaged};
use crate::gguf::{Gguf, Value};

/// What texts are replaced by.
#[derive(Default)]
pub(super) struct Charsmap {
    nodes: Vec<u32>,
    /// The replacements, each with the zero that ends it.
    texts: String,
}

impl Charsmap {
    /// Reads the table; a file without one replaces nothing.
    pub(super) fn from_gguf(gguf: &Gguf<'_>) -> Result<Self, LoadError> {
        let key = "tokenizer.ggml.precompiled_charsmap";
        if gguf.get(key).is_none() {
            return Ok(Self::default());
        }
        let byte = |value: &Value| match *value {
            Value::Unsigned(byte) => u8::try_from(byte).ok(),
            Value::Signed(byte) => i8::try_from(byte).ok().map(i8::cast_unsigned),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = gguf.list(key)?.iter().map(byte).collect();
        bytes
            .and_then(|bytes| Self::parse(&bytes))
            .ok_or_else(|| damaged!("'{key}' is no table of characters"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk()?;
        let size = u32::from_le_bytes(*size) as usize;
        let (nodes, texts) = rest.split_at_checked(size)?;
        let (nodes, odd) = nodes.as_chunks();
        if !odd.is_empty() || !matches!(texts.last(), Some(0)) {
            return None;
        }
        Some(Self {
            nodes: nodes.iter().map(|node| u32::from_le_bytes(*node)).collect(),
            texts: String::from_utf8(texts.to_vec()).ok()?,
        })
    }

    /// The longest beginning of `text` that is replaced: its bytes, and what it
    /// becomes. Always whole characters.
    pub(super) fn longest(&self, text: &[u8]) -> Option<(usize, &str)> {
        let mut found = None;
        let mut at = base(*self.nodes.first()?);
        for (length, &byte) in (1..).zip(text) {
            at ^= u32::from(byte);
            let Some(&node) = self.nodes.get(at as usize) else {
                break;
            };
            // The label of a node is in its lowest byte; ends of texts carry bit 31.
            if byte == 0 || node & (1 << 31 | 0xff) != u32::from(byte) {
                break;
            }
            at ^= base(node);
            let is_whole = text.get(length).is_none_or(|next| next & 0xc0 != 0x80);
            if node >> 8 & 1 == 1 && is_whole {
                let place = *self.nodes.get(at as usize)? & !(1 << 31);
                let rest = self.texts.get(place as usize..)?;
                found = Some((length, rest.split('\0').next()?));
            }
        }
        found
    }
}

/// Where the children of a node lie.
fn base(node: u32) -> u32 {
    (node >> 10) << ((node & 1 << 9) >> 6)
}

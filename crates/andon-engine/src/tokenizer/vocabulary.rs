//! The vocabulary as a file's metadata lists it.

use ahash::AHashMap;

use super::bpe::stand_ins;
use crate::error::{LoadError, damaged};
use crate::gguf::{Gguf, Value};

/// The largest vocabulary that is believed.
const MOST_TOKENS: usize = 1 << 20;

/// Tokens that end a turn or a text, by the names that model families give
/// them: they are control tokens whatever a file says.
pub(super) const TURN_ENDS: [&str; 7] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<eos>",
];

/// What a token is, by the numbers of `tokenizer.ggml.token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Normal,
    /// Meant by templates alone; also the token for what is unknown.
    Control,
    /// Text that is found before all other.
    Defined,
    /// Text that no model was trained on.
    Unused,
    /// One byte, written as `<0x0A>`.
    Byte,
}

/// Texts, kinds and the way back from a text to its token.
pub(super) struct Vocabulary<'a> {
    pub(super) texts: Vec<&'a str>,
    pub(super) kinds: Vec<Kind>,
    ids: AHashMap<&'a str, u32>,
}

impl<'a> Vocabulary<'a> {
    pub(super) fn from_gguf(gguf: &'a Gguf<'_>) -> Result<Self, LoadError> {
        let texts = texts(gguf, "tokenizer.ggml.tokens")?;
        if texts.len() > MOST_TOKENS {
            return Err(damaged!("the vocabulary has {} tokens", texts.len()));
        }
        let mut ids = AHashMap::with_capacity(texts.len());
        for (id, text) in (0u32..).zip(&texts) {
            if !text.is_empty() && ids.insert(*text, id).is_some() {
                return Err(damaged!(
                    "the token '{text}' stands twice in the vocabulary"
                ));
            }
        }
        let numbers = gguf.list("tokenizer.ggml.token_type")?;
        if numbers.len() != texts.len() {
            return Err(damaged!(
                "there are {} token types for {} tokens",
                numbers.len(),
                texts.len()
            ));
        }
        let kinds = numbers.iter().zip(&texts).map(kind).collect();
        Ok(Self { texts, kinds, ids })
    }

    /// The token with this text.
    pub(super) fn id(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    /// The token that stands for a byte by its number.
    pub(super) fn byte(&self, byte: u8) -> Option<u32> {
        self.id(&format!("<0x{byte:02X}>"))
    }

    /// Every token that has a text, with it and its kind.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &'a str, Kind)> {
        let kinds = self.kinds.iter().copied();
        (0u32..)
            .zip(self.texts.iter().copied())
            .zip(kinds)
            .map(|((id, text), kind)| (id, text, kind))
            .filter(|(_, text, _)| !text.is_empty())
    }

    /// The tokens that text may become: not those for bytes and templates.
    pub(super) fn words(&self) -> impl Iterator<Item = (u32, &'a str, Kind)> {
        self.iter()
            .filter(|(_, _, kind)| !matches!(kind, Kind::Control | Kind::Byte))
    }

    /// The length of the longest token, refused where it is more than `most`.
    pub(super) fn check_lengths(&self, most: usize) -> Result<(), LoadError> {
        match self.texts.iter().find(|text| text.len() > most) {
            Some(text) => Err(damaged!("a token has {} bytes", text.len())),
            None => Ok(()),
        }
    }

    /// The bytes that every token stands for.
    pub(super) fn bytes(&self, is_of_bytes: bool) -> Vec<Vec<u8>> {
        let stand_ins: AHashMap<char, u8> = stand_ins().collect();
        let spelt = |text: &str| {
            let mut bytes = Vec::with_capacity(text.len());
            for character in text.chars() {
                match stand_ins.get(&character) {
                    Some(&byte) => bytes.push(byte),
                    None => bytes.extend(character.to_string().bytes()),
                }
            }
            bytes
        };
        let texts = self.texts.iter().zip(&self.kinds);
        texts
            .map(|(text, kind)| match kind {
                Kind::Control => Vec::new(),
                Kind::Defined => text.as_bytes().to_vec(),
                Kind::Byte => {
                    let digits = text
                        .strip_prefix("<0x")
                        .and_then(|text| text.strip_suffix('>'));
                    let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                    byte.into_iter().collect()
                }
                Kind::Normal | Kind::Unused if is_of_bytes => spelt(text),
                Kind::Normal | Kind::Unused => text.replace('\u{2581}', " ").into_bytes(),
            })
            .collect()
    }

    /// The token that a key names.
    pub(super) fn named(&self, gguf: &Gguf<'_>, key: &str) -> Result<Option<u32>, LoadError> {
        match gguf.get(key) {
            None => Ok(None),
            Some(&Value::Unsigned(id)) if id < self.texts.len() as u64 => Ok(Some(id as u32)),
            Some(other) => Err(damaged!("'{key}' is {other:?}, no token")),
        }
    }

    /// The scores of the tokens, as many as there are tokens.
    pub(super) fn scores(&self, gguf: &Gguf<'_>) -> Result<Vec<f64>, LoadError> {
        let key = "tokenizer.ggml.scores";
        let values = gguf.list(key)?;
        if values.len() != self.texts.len() {
            return Err(damaged!(
                "there are {} scores for {} tokens",
                values.len(),
                self.texts.len()
            ));
        }
        let score = |value: &Value| match value {
            Value::Float(score) if score.is_finite() => Ok(*score),
            Value::Unsigned(score) => Ok(*score as f64),
            Value::Signed(score) => Ok(*score as f64),
            other => Err(damaged!("'{key}' holds {other:?}, no score")),
        };
        values.iter().map(score).collect()
    }
}

/// A list of texts.
pub(super) fn texts<'a>(gguf: &'a Gguf<'_>, key: &str) -> Result<Vec<&'a str>, LoadError> {
    gguf.list(key)?
        .iter()
        .map(|value| match value {
            Value::Text(text) => Ok(text.as_str()),
            other => Err(damaged!("'{key}' holds {other:?}, not only texts")),
        })
        .collect()
}

fn kind((number, text): (&Value, &&str)) -> Kind {
    // Files mark some of these as text, and text must not give them.
    let reads_like_control = text.len() > 4 && text.starts_with("<|") && text.ends_with("|>");
    match number {
        _ if TURN_ENDS.contains(text) => Kind::Control,
        Value::Unsigned(2 | 3) => Kind::Control,
        Value::Unsigned(4) if reads_like_control => Kind::Control,
        Value::Unsigned(4) => Kind::Defined,
        Value::Unsigned(5) => Kind::Unused,
        Value::Unsigned(6) => Kind::Byte,
        _ => Kind::Normal,
    }
}

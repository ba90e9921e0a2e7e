//! Tokens: from the vocabulary of a GGUF file to the `tokenizers` crate.

use ahash::AHashMap;
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, Tokenizer as Inner};

use crate::error::{LoadError, damaged, unsupported};
use crate::gguf::{Gguf, Value};

/// The largest vocabulary that is believed.
const MOST_TOKENS: usize = 1 << 20;

/// Turns text into tokens and back.
pub struct Tokenizer {
    inner: Inner,
    /// The bytes that each token stands for.
    bytes: Vec<Vec<u8>>,
    /// The texts of the control tokens.
    controls: Vec<String>,
    begin: Option<u32>,
    ends: Vec<u32>,
}

/// How text that reads like a control token is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controls {
    /// As the control token: for templates.
    Meant,
    /// As the characters it is written with: for what people write.
    Text,
}

impl Tokenizer {
    /// Reads the vocabulary of a GGUF file.
    ///
    /// # Errors
    /// If the vocabulary is damaged or of a kind that is not supported.
    pub fn from_gguf(gguf: &Gguf<'_>) -> Result<Self, LoadError> {
        let model = gguf.text("tokenizer.ggml.model")?;
        if model != "gpt2" {
            return Err(unsupported!(
                "the tokenizer model '{model}'; this version reads 'gpt2'"
            ));
        }
        let tokens = texts(gguf, "tokenizer.ggml.tokens")?;
        if tokens.len() > MOST_TOKENS {
            return Err(damaged!("the vocabulary has {} tokens", tokens.len()));
        }
        let mut vocabulary = AHashMap::with_capacity(tokens.len());
        for (id, token) in (0u32..).zip(&tokens) {
            if vocabulary.insert((*token).to_owned(), id).is_some() {
                return Err(damaged!(
                    "the token '{token}' stands twice in the vocabulary"
                ));
            }
        }
        let merges = texts(gguf, "tokenizer.ggml.merges")?
            .into_iter()
            .map(|merge| {
                merge
                    .split_once(' ')
                    .filter(|(left, right)| {
                        vocabulary.contains_key(*left)
                            && vocabulary.contains_key(*right)
                            && vocabulary.contains_key(&format!("{left}{right}"))
                    })
                    .map(|(left, right)| (left.to_owned(), right.to_owned()))
                    .ok_or_else(|| damaged!("the merge '{merge}' is not of the vocabulary"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let controls = controls(gguf, &tokens)?;
        let stand_ins = stand_ins();
        let mut bytes: Vec<Vec<u8>> = tokens
            .iter()
            .map(|token| bytes_of(token, &stand_ins))
            .collect();
        for &control in &controls {
            bytes[control as usize].clear();
        }

        let bpe = BPE::builder()
            .vocab_and_merges(vocabulary, merges)
            .build()
            .map_err(|error| damaged!("the vocabulary: {error}"))?;
        let mut inner = Inner::new(bpe);
        inner.with_pre_tokenizer(Some(pre_tokenizer(gguf)?));
        let added: Vec<_> = controls
            .iter()
            .map(|&id| AddedToken::from(tokens[id as usize], true))
            .collect();
        inner.add_special_tokens(&added);

        let id = |key: &str| match gguf.get(key) {
            None => Ok(None),
            Some(&Value::Unsigned(id)) if id < tokens.len() as u64 => Ok(Some(id as u32)),
            Some(other) => Err(damaged!("'{key}' is {other:?}, no token")),
        };
        let begin = id("tokenizer.ggml.bos_token_id")?;
        let adds_begin = gguf.flag_or("tokenizer.ggml.add_bos_token", false)?;
        let mut ends: Vec<u32> = id("tokenizer.ggml.eos_token_id")?.into_iter().collect();
        ends.extend(id("tokenizer.ggml.eot_token_id")?);
        // The turn's end of the chat formats that do not name it in the metadata.
        for name in ["<|im_end|>", "<|eot_id|>", "<|end|>", "<|endoftext|>"] {
            let found = controls.iter().find(|&&id| tokens[id as usize] == name);
            ends.extend(found.filter(|id| !ends.contains(id)).copied());
        }
        if ends.is_empty() {
            return Err(damaged!(
                "no token ends a text: 'tokenizer.ggml.eos_token_id' is missing"
            ));
        }
        Ok(Self {
            inner,
            bytes,
            controls: controls
                .iter()
                .map(|&id| tokens[id as usize].to_owned())
                .collect(),
            begin: begin.filter(|_| adds_begin),
            ends,
        })
    }

    /// The tokens of a text. Bytes that the vocabulary has no token for (some
    /// control characters) give none.
    pub fn encode(&self, text: &str, controls: Controls) -> Vec<u32> {
        match controls {
            Controls::Meant => self.encode_whole(text),
            Controls::Text => self
                .split_controls(text)
                .into_iter()
                .flat_map(|part| self.encode_whole(part))
                .collect(),
        }
    }

    fn encode_whole(&self, text: &str) -> Vec<u32> {
        if text.is_empty() {
            return Vec::new();
        }
        let encoding = self.inner.encode_fast(text, false);
        encoding
            .expect("byte-level tokens never fail")
            .get_ids()
            .to_vec()
    }

    /// Cuts a text behind the first character of everything that reads like a
    /// control token: no part does any more.
    pub fn split_controls<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let found = self
                .controls
                .iter()
                .filter_map(|control| Some((rest.find(control.as_str())?, control)))
                .min();
            let Some((at, control)) = found else {
                parts.push(rest);
                return parts;
            };
            let first = control.chars().next().map_or(1, char::len_utf8);
            let (part, after) = rest.split_at(at + first);
            parts.push(part);
            rest = after;
        }
    }

    /// The bytes that a token stands for; a piece of a character, perhaps.
    /// Control tokens stand for none.
    pub fn bytes(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map_or(&[], Vec::as_slice)
    }

    /// Bytes of the longest token.
    pub fn longest(&self) -> usize {
        self.bytes.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Tokens in the vocabulary.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The token that every text begins with, where the model wants one.
    pub fn begin(&self) -> Option<u32> {
        self.begin
    }

    /// The tokens that end a turn; the first is the usual one.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The text of a control token, for templates.
    pub fn control_text(&self, token: u32) -> String {
        self.inner.id_to_token(token).unwrap_or_default()
    }
}

fn texts<'a>(gguf: &'a Gguf<'_>, key: &str) -> Result<Vec<&'a str>, LoadError> {
    gguf.list(key)?
        .iter()
        .map(|value| match value {
            Value::Text(text) => Ok(text.as_str()),
            other => Err(damaged!("'{key}' holds {other:?}, not only texts")),
        })
        .collect()
}

/// The tokens that the vocabulary marks as control (3) or the user's own (4).
fn controls(gguf: &Gguf<'_>, tokens: &[&str]) -> Result<Vec<u32>, LoadError> {
    let kinds = gguf.list("tokenizer.ggml.token_type")?;
    if kinds.len() != tokens.len() {
        return Err(damaged!(
            "there are {} token types for {} tokens",
            kinds.len(),
            tokens.len()
        ));
    }
    let marked = (0u32..)
        .zip(kinds)
        .filter(|(id, kind)| {
            matches!(kind, Value::Unsigned(3 | 4)) && !tokens[*id as usize].is_empty()
        })
        .map(|(id, _)| id)
        .collect();
    Ok(marked)
}

fn pre_tokenizer(gguf: &Gguf<'_>) -> Result<PreTokenizerWrapper, LoadError> {
    let bytes = PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, true));
    let name = match gguf.get("tokenizer.ggml.pre") {
        None => "gpt-2",
        Some(_) => gguf.text("tokenizer.ggml.pre")?,
    };
    match name {
        "gpt-2" => Ok(bytes),
        "smollm" => {
            let digits = PreTokenizerWrapper::Digits(Digits::new(true));
            Ok(PreTokenizerWrapper::Sequence(Sequence::new(vec![
                digits, bytes,
            ])))
        }
        other => Err(unsupported!(
            "the pre-tokenizer '{other}'; this version reads 'gpt-2' and 'smollm'"
        )),
    }
}

/// The printable stand-in of every byte in byte-level vocabularies
/// (Radford et al. 2019): itself where it is printable, the others from 256 on.
fn stand_ins() -> AHashMap<char, u8> {
    let is_printable = |byte: &u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let others = (0..=u8::MAX).filter(|byte| !is_printable(byte));
    let printable = (0..=u8::MAX).filter(is_printable);
    printable
        .map(|byte| (char::from(byte), byte))
        .chain(('\u{100}'..).zip(others))
        .collect()
}

/// The bytes that a token of the vocabulary stands for.
fn bytes_of(token: &str, stand_ins: &AHashMap<char, u8>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(token.len());
    for character in token.chars() {
        match stand_ins.get(&character) {
            Some(&byte) => bytes.push(byte),
            None => bytes.extend(character.to_string().bytes()),
        }
    }
    bytes
}

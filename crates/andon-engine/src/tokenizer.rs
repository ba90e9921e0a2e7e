//! Tokens: text to the numbers that a model was trained on, and back, by the
//! vocabulary of its GGUF file.
//!
//! The kinds of vocabularies, each in a module of its own: `bpe` merges by a
//! list, `sentencepiece` by scores, `unigram` takes what is most probable,
//! `wordpiece` what is longest. All give the tokens that llama.cpp gives, but
//! for two things: text never becomes a control token, and BERT's normalisation
//! loses no letters. None takes longer than in proportion to n log n of the text.

use crate::error::{LoadError, unsupported};
use crate::gguf::Gguf;

mod bpe;
mod charsmap;
mod finder;
mod merge;
mod prefixes;
mod sentencepiece;
mod special;
mod split;
mod unigram;
mod vocabulary;
mod wordpiece;

use bpe::Bpe;
use finder::Finder;
use sentencepiece::SentencePiece;
use special::Special;
use split::Split;
use unigram::Unigram;
use vocabulary::{Kind, Vocabulary};
use wordpiece::WordPiece;

/// Turns text into tokens and back.
pub struct Tokenizer {
    model: Model,
    /// The bytes that each token stands for.
    bytes: Vec<Vec<u8>>,
    kinds: Vec<Kind>,
    controls: Finder,
    /// Texts that are tokens before anything else is looked at.
    defined: Finder,
    /// The texts of the control tokens, by token.
    control_texts: Vec<(u32, String)>,
    special: Special,
}

/// How the vocabulary is used.
enum Model {
    Bpe(Bpe),
    SentencePiece(SentencePiece),
    Unigram(Unigram),
    WordPiece(WordPiece),
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
        if !["gpt2", "gemma4", "llama", "t5", "bert"].contains(&model) {
            return Err(unsupported!(
                "the tokenizer model '{model}'; this version reads 'gpt2', 'gemma4', 'llama', 't5' and 'bert'"
            ));
        }
        // A pre-tokenizer that is not known is named before all else.
        let split = match model {
            "gpt2" | "gemma4" => Some(Split::from_gguf(gguf)?),
            _ => None,
        };
        let vocabulary = Vocabulary::from_gguf(gguf)?;
        let is_of_bytes = split.as_ref().is_some_and(Split::is_of_bytes);
        let adds_begin = match (model, &split) {
            ("llama" | "gemma4", _) => true,
            (_, Some(split)) => split.takes_whole_words(),
            _ => false,
        };
        let special = Special::from_gguf(gguf, &vocabulary, adds_begin, model == "t5")?;
        let model = match (model, split) {
            (_, Some(split)) => Model::Bpe(Bpe::from_gguf(gguf, &vocabulary, split)?),
            ("llama", _) => Model::SentencePiece(SentencePiece::from_gguf(gguf, &vocabulary)?),
            ("t5", _) => Model::Unigram(Unigram::from_gguf(gguf, &vocabulary)?),
            _ => Model::WordPiece(WordPiece::from_gguf(gguf, &vocabulary)?),
        };
        let texts = |wanted: Kind| {
            let all = vocabulary.iter();
            all.filter(move |(_, _, kind)| *kind == wanted)
                .map(|(id, text, _)| (id, text.to_owned()))
                .collect::<Vec<_>>()
        };
        let control_texts = texts(Kind::Control);
        Ok(Self {
            bytes: vocabulary.bytes(is_of_bytes),
            controls: Finder::new(&control_texts)?,
            defined: Finder::new(&texts(Kind::Defined))?,
            control_texts,
            kinds: vocabulary.kinds,
            model,
            special,
        })
    }

    /// The tokens of a text. Bytes that the vocabulary has no token for (some
    /// control characters) give none.
    pub fn encode(&self, text: &str, controls: Controls) -> Vec<u32> {
        match controls {
            Controls::Meant => self.encode_parts([text]),
            Controls::Text => {
                let mut tokens = Vec::new();
                self.encode_text(text, &mut tokens);
                tokens
            }
        }
    }

    /// The tokens of the text that the parts make together. What reads like a
    /// control token is one where it lies within a part, and text where it was
    /// cut.
    pub fn encode_parts<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> Vec<u32> {
        let mut tokens = Vec::new();
        let mut text = String::new();
        let mut is_greedy = false;
        let mut flush = |text: &mut String, control: Option<u32>| {
            let rest = match is_greedy {
                true => text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}'),
                false => text,
            };
            self.encode_text(rest, &mut tokens);
            text.clear();
            tokens.extend(control);
            is_greedy = control.is_some_and(|control| self.special.greedy.contains(&control));
        };
        for part in parts {
            let mut from = 0;
            for (range, control) in self.controls.all(part) {
                text.push_str(&part[from..range.start]);
                flush(&mut text, Some(control));
                from = range.end;
            }
            text.push_str(&part[from..]);
        }
        flush(&mut text, None);
        tokens
    }

    /// The tokens of a text between those that begin and end it, as encoders
    /// take it. What reads like a control token is text.
    pub fn encode_closed(&self, text: &str) -> Vec<u32> {
        let mut tokens: Vec<u32> = self.special.begin.into_iter().collect();
        self.encode_text(text, &mut tokens);
        tokens.extend(self.special.closes);
        tokens
    }

    fn encode_text(&self, text: &str, tokens: &mut Vec<u32>) {
        let mut from = 0;
        for (range, token) in self.defined.all(text) {
            self.model.encode(&text[from..range.start], tokens);
            tokens.push(token);
            from = range.end;
        }
        self.model.encode(&text[from..], tokens);
    }

    /// Cuts a text behind the first character of everything that reads like a
    /// control token: no part does any more.
    pub fn split_controls<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(range) = self.controls.first(rest) {
            let first = rest[range.start..].chars().next();
            let (part, after) = rest.split_at(range.start + first.map_or(1, char::len_utf8));
            parts.push(part);
            rest = after;
        }
        parts.push(rest);
        parts
    }

    /// The bytes that a token stands for; a piece of a character, perhaps.
    /// Control tokens stand for none.
    pub fn bytes(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether a token is for templates alone, and never text.
    pub fn is_control(&self, token: u32) -> bool {
        self.kinds.get(token as usize) == Some(&Kind::Control)
    }

    /// Whether a blank is put before every text, so that the tokens of a text
    /// stand for one byte more.
    pub fn leads_with_blank(&self) -> bool {
        match &self.model {
            Model::Bpe(_) | Model::WordPiece(_) => false,
            Model::SentencePiece(model) => model.leads_with_blank(),
            Model::Unigram(model) => model.leads_with_blank(),
        }
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
        self.special.begin
    }

    /// The token that ends a text, as templates mean it.
    pub fn end(&self) -> Option<u32> {
        self.special.end
    }

    /// The tokens that end a turn; the first is the usual one. Encoders have
    /// none, perhaps.
    pub fn ends(&self) -> &[u32] {
        &self.special.ends
    }

    /// The text of a control token, for templates.
    pub fn control_text(&self, token: u32) -> &str {
        let found = self
            .control_texts
            .binary_search_by_key(&token, |entry| entry.0);
        found.map_or("", |at| &self.control_texts[at].1)
    }
}

impl Model {
    fn encode(&self, text: &str, tokens: &mut Vec<u32>) {
        if text.is_empty() {
            return;
        }
        match self {
            Self::Bpe(model) => model.encode(text, tokens),
            Self::SentencePiece(model) => model.encode(text, tokens),
            Self::Unigram(model) => model.encode(text, tokens),
            Self::WordPiece(model) => model.encode(text, tokens),
        }
    }
}

//! Tokens: text to the numbers that a model was trained on, and back, by the
//! vocabulary of its GGUF file.
//!
//! The kinds of vocabularies, each in a module of its own: [`bpe`] merges by a
//! list, [`sentencepiece`] by scores, [`unigram`] takes what is most probable,
//! [`wordpiece`] what is longest. All give the tokens that llama.cpp gives, but
//! for one thing: text never becomes a control token. None takes longer than in
//! proportion to n log n of the text.

use aho_corasick::{AhoCorasick, MatchKind};

use crate::error::{LoadError, damaged, unsupported};
use crate::gguf::Gguf;

mod bpe;
mod charsmap;
mod merge;
mod prefixes;
mod sentencepiece;
mod split;
mod unigram;
mod vocabulary;
mod wordpiece;

use bpe::{Bpe, stand_ins};
use sentencepiece::SentencePiece;
use split::Split;
use unigram::Unigram;
use vocabulary::{Kind, TURN_ENDS, Vocabulary};
use wordpiece::WordPiece;

/// Bytes of a control token, at most.
const LONGEST_CONTROL: usize = 1024;

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
    /// The control tokens that take the blanks behind them.
    greedy: Vec<u32>,
    begin: Option<u32>,
    end: Option<u32>,
    closes: Option<u32>,
    ends: Vec<u32>,
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
            ("llama" | "bert" | "gemma4", _) => true,
            (_, Some(split)) => split.takes_whole_words(),
            _ => false,
        };
        let model = match (model, split) {
            (_, Some(split)) => Model::Bpe(Bpe::from_gguf(gguf, &vocabulary, split)?),
            ("llama", _) => Model::SentencePiece(SentencePiece::from_gguf(gguf, &vocabulary)?),
            ("t5", _) => Model::Unigram(Unigram::from_gguf(gguf, &vocabulary)?),
            _ => Model::WordPiece(WordPiece::from_gguf(gguf, &vocabulary)?),
        };

        let named = |key: &str| vocabulary.named(gguf, key);
        let mut begin = named("tokenizer.ggml.bos_token_id")?;
        let end = named("tokenizer.ggml.eos_token_id")?;
        let closes = match &model {
            Model::WordPiece(_) => {
                let cls = named("tokenizer.ggml.cls_token_id")?;
                begin = cls.or(begin).or_else(|| vocabulary.id("[CLS]"));
                // The key is misspelt in every file.
                named("tokenizer.ggml.seperator_token_id")?.or_else(|| vocabulary.id("[SEP]"))
            }
            _ => end,
        };
        let adds_end = match &model {
            Model::WordPiece(_) => true,
            Model::Unigram(_) => gguf.flag_or("tokenizer.ggml.add_eos_token", true)?,
            _ => gguf.flag_or("tokenizer.ggml.add_eos_token", false)?,
        };
        let adds_begin = gguf.flag_or("tokenizer.ggml.add_bos_token", adds_begin)?;
        let ends = ends(gguf, &vocabulary, end)?;
        let writes_text = matches!(model, Model::Bpe(_) | Model::SentencePiece(_));
        if ends.is_empty() && writes_text {
            return Err(damaged!(
                "no token ends a text: 'tokenizer.ggml.eos_token_id' is missing"
            ));
        }
        let texts = |wanted: Kind| {
            let all = vocabulary.iter();
            all.filter(move |(_, _, kind)| *kind == wanted)
                .map(|(id, text, _)| (id, text.to_owned()))
                .collect::<Vec<_>>()
        };
        let control_texts = texts(Kind::Control);
        Ok(Self {
            bytes: bytes(&vocabulary, is_of_bytes),
            controls: Finder::new(&control_texts)?,
            defined: Finder::new(&texts(Kind::Defined))?,
            greedy: greedy(gguf, &model, &control_texts)?,
            control_texts,
            kinds: vocabulary.kinds,
            model,
            begin: begin.filter(|_| adds_begin),
            end,
            closes: closes.filter(|_| adds_end),
            ends,
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
            is_greedy = control.is_some_and(|control| self.greedy.contains(&control));
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
        let mut tokens: Vec<u32> = self.begin.into_iter().collect();
        self.encode_text(text, &mut tokens);
        tokens.extend(self.closes);
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
        self.begin
    }

    /// The token that ends a text, as templates mean it.
    pub fn end(&self) -> Option<u32> {
        self.end
    }

    /// The tokens that end a turn; the first is the usual one. Encoders have
    /// none, perhaps.
    pub fn ends(&self) -> &[u32] {
        &self.ends
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

/// Finds the texts of tokens, all of them at once: the first in a text, and of
/// several that begin there the longest.
struct Finder {
    /// None where there is nothing to find.
    texts: Option<AhoCorasick>,
    tokens: Vec<u32>,
}

impl Finder {
    fn new(texts: &[(u32, String)]) -> Result<Self, LoadError> {
        // Every search may look this far ahead.
        if let Some((id, text)) = texts.iter().find(|(_, text)| text.len() > LONGEST_CONTROL) {
            return Err(damaged!("the control token {id} has {} bytes", text.len()));
        }
        let found = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(texts.iter().map(|(_, text)| text))
            .map_err(|error| damaged!("the control tokens: {error}"))?;
        Ok(Self {
            texts: (!texts.is_empty()).then_some(found),
            tokens: texts.iter().map(|(id, _)| *id).collect(),
        })
    }

    fn all(&self, text: &str) -> impl Iterator<Item = (std::ops::Range<usize>, u32)> {
        let found = self
            .texts
            .iter()
            .flat_map(move |texts| texts.find_iter(text));
        found.map(|found| (found.range(), self.tokens[found.pattern()]))
    }

    fn first(&self, text: &str) -> Option<std::ops::Range<usize>> {
        Some(self.texts.as_ref()?.find(text)?.range())
    }
}

/// The tokens that end a turn, the one that the chat template writes first.
fn ends(
    gguf: &Gguf<'_>,
    vocabulary: &Vocabulary<'_>,
    end: Option<u32>,
) -> Result<Vec<u32>, LoadError> {
    let turn = vocabulary.named(gguf, "tokenizer.ggml.eot_token_id")?;
    let template = match gguf.get("tokenizer.chat_template") {
        None => "",
        Some(_) => gguf.text("tokenizer.chat_template")?,
    };
    // Some files do not say what ends a turn, and their template does.
    let (written, others): (Vec<_>, Vec<_>) = TURN_ENDS
        .into_iter()
        .filter_map(|name| Some((name, vocabulary.id(name)?)))
        .partition(|(name, _)| template.contains(name));
    let mut ends = Vec::new();
    let written = written.into_iter().map(|(_, id)| id);
    let others = others.into_iter().map(|(_, id)| id);
    for id in written.chain(turn).chain(end).chain(others) {
        if !ends.contains(&id) {
            ends.push(id);
        }
    }
    Ok(ends)
}

/// The control tokens that take the blanks behind them: those of Phi-3.
fn greedy(
    gguf: &Gguf<'_>,
    model: &Model,
    controls: &[(u32, String)],
) -> Result<Vec<u32>, LoadError> {
    let is_phi3 = match gguf.get("general.architecture") {
        None => false,
        Some(_) => gguf.text("general.architecture")? == "phi3",
    };
    if !is_phi3 || !matches!(model, Model::SentencePiece(_)) {
        return Ok(Vec::new());
    }
    let modest = ["<unk>", "<s>", "<|endoftext|>"];
    let greedy = controls
        .iter()
        .filter(|(_, text)| !modest.contains(&text.as_str()));
    Ok(greedy.map(|(id, _)| *id).collect())
}

/// The bytes that every token stands for.
fn bytes(vocabulary: &Vocabulary<'_>, is_of_bytes: bool) -> Vec<Vec<u8>> {
    let stand_ins: ahash::AHashMap<char, u8> = stand_ins().collect();
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
    let texts = vocabulary.texts.iter().zip(&vocabulary.kinds);
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

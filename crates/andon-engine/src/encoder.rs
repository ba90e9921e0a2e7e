//! An encoder that answers: text in, a vector out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use andon_kernels::Kernels;
use andon_task::digest::Digest;
use andon_task::engine::{Embed, EngineError, Identity, States};
use andon_task::weights::{EncoderLayer, EncoderShape, EncoderWeights};
use tokenizers::Tokenizer;

use crate::bert::safetensors::{self, Config};
use crate::bert::{self, Bert, Pooling};
use crate::error::{LoadError, damaged};
use crate::gguf::Gguf;
use crate::tokenizer::Tokenizer as Vocabulary;

/// Tokens that are computed together, at most.
const BATCH_TOKENS: usize = 512;

/// Bytes that a token may take, blanks around it included: words that are longer
/// are unknown to every vocabulary.
const LONGEST_WORD: usize = 512;

/// The files of an encoder.
#[derive(Clone, Debug)]
pub struct EncoderFiles {
    /// The weights, `model.safetensors`.
    pub weights: PathBuf,
    /// The tokenizer, `tokenizer.json`.
    pub tokenizer: PathBuf,
    /// The shape, `config.json`.
    pub config: PathBuf,
    /// What makes one vector of a text's states; without it, their mean.
    pub pooling: Option<PathBuf>,
}

impl EncoderFiles {
    /// The files under their usual names in one folder.
    pub fn within(folder: &Path) -> Self {
        Self {
            weights: folder.join("model.safetensors"),
            tokenizer: folder.join("tokenizer.json"),
            config: folder.join("config.json"),
            pooling: Some(folder.join("1_Pooling/config.json")).filter(|path| path.exists()),
        }
    }
}

/// The bytes of those files.
#[derive(Clone, Copy, Debug)]
pub struct EncoderParts<'a> {
    /// The weights.
    pub weights: &'a [u8],
    /// The tokenizer.
    pub tokenizer: &'a [u8],
    /// The shape.
    pub config: &'a [u8],
    /// What makes one vector of a text's states; without it, their mean.
    pub pooling: Option<&'a [u8]>,
}

/// An encoder: the vector of a text is the mean of its tokens' states, or the
/// state of the first, at unit length. Callers compute on their own threads.
pub struct Encoder {
    identity: Identity,
    tokens: Arc<Tokens>,
    model: Bert,
    kernels: Arc<Kernels>,
}

/// Where tokens come from.
enum Tokens {
    /// A `tokenizer.json`.
    Json(Box<Tokenizer>),
    /// The vocabulary of a GGUF file.
    Vocabulary(Box<Vocabulary>),
}

impl Encoder {
    /// Loads an encoder under the name that it is to be known by. Its digest is
    /// that of all files together.
    ///
    /// # Errors
    /// If a file cannot be read, is damaged or is not supported.
    pub fn load(
        name: &str,
        files: &EncoderFiles,
        kernels: Arc<Kernels>,
    ) -> Result<Self, LoadError> {
        let pooling = files.pooling.as_ref().map(std::fs::read).transpose()?;
        let parts = EncoderParts {
            weights: &std::fs::read(&files.weights)?,
            tokenizer: &std::fs::read(&files.tokenizer)?,
            config: &std::fs::read(&files.config)?,
            pooling: pooling.as_deref(),
        };
        Self::from_parts(name, parts, kernels)
    }

    /// As [`Encoder::load`], from the bytes of the files.
    ///
    /// # Errors
    /// If a file is damaged or not supported.
    pub fn from_parts(
        name: &str,
        parts: EncoderParts<'_>,
        kernels: Arc<Kernels>,
    ) -> Result<Self, LoadError> {
        let pooling = parts
            .pooling
            .map_or(Ok(Pooling::Mean), safetensors::pooling)?;
        let model = safetensors::load(&Config::parse(parts.config)?, pooling, parts.weights)?;
        let mut tokenizer = unbroken(|| Tokenizer::from_bytes(parts.tokenizer))
            .map_err(|error| damaged!("tokenizer.json: {error}"))?;
        // The file may ask to cut texts silently and to fill them up.
        tokenizer
            .with_truncation(None)
            .map_err(|error| damaged!("tokenizer.json: {error}"))?;
        tokenizer.with_padding(None);
        let largest = tokenizer.get_vocab(true).into_values().max();
        if let Some(token) = largest.filter(|&token| token as usize >= model.vocabulary()) {
            return Err(damaged!(
                "tokenizer.json has a token {token}, the model only {}",
                model.vocabulary()
            ));
        }
        let files = [parts.weights, parts.tokenizer, parts.config];
        let encoder = Self {
            identity: Identity {
                name: name.to_owned(),
                digest: Digest::of_parts(files.into_iter().chain(parts.pooling)),
                context_tokens: model.context(),
            },
            tokens: Arc::new(Tokens::Json(Box::new(tokenizer))),
            model,
            kernels,
        };
        // What it does to every text shows with any.
        encoder
            .tokenize("a")
            .map_err(|error| damaged!("tokenizer.json: {error}"))?;
        Ok(encoder)
    }

    /// Loads an encoder from a GGUF file, under the name that it is to be known by.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged or is not supported.
    pub fn load_gguf(name: &str, path: &Path, kernels: Arc<Kernels>) -> Result<Self, LoadError> {
        Self::from_gguf(name, &std::fs::read(path)?, kernels)
    }

    /// Loads an encoder from the bytes of a GGUF file, under the name that it is to
    /// be known by.
    ///
    /// # Errors
    /// If the file is damaged or not supported.
    pub fn from_gguf(name: &str, file: &[u8], kernels: Arc<Kernels>) -> Result<Self, LoadError> {
        let gguf = Gguf::parse(file)?;
        let vocabulary = Vocabulary::from_gguf(&gguf)?;
        let model = bert::gguf::load(&gguf, vocabulary.size())?;
        Ok(Self {
            identity: Identity {
                name: name.to_owned(),
                digest: Digest::of(file),
                context_tokens: model.context(),
            },
            tokens: Arc::new(Tokens::Vocabulary(Box::new(vocabulary))),
            model,
            kernels,
        })
    }

    /// This encoder and beside it itself with the tuned layers of a file.
    ///
    /// # Errors
    /// If the file is damaged or was tuned from another encoder.
    pub fn tuned(self: &Arc<Self>, file: &[u8]) -> Result<EncoderPair, LoadError> {
        let tuned = Self {
            identity: Identity {
                digest: Digest::of(file),
                ..self.identity.clone()
            },
            tokens: Arc::clone(&self.tokens),
            model: self.model.tuned(self.identity.digest, file)?,
            kernels: Arc::clone(&self.kernels),
        };
        let base = Arc::clone(self);
        Ok(EncoderPair { base, tuned })
    }

    /// The tokens of a text, with those that begin and end it.
    ///
    /// # Errors
    /// If the tokenizer refuses the text, or it is longer than any that fits.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        let context_tokens = self.identity.context_tokens;
        let most_bytes = context_tokens * LONGEST_WORD;
        if text.len() > most_bytes {
            return Err(EngineError::TooLong {
                model: self.identity.name.clone(),
                bytes: text.len(),
                most_bytes,
                context_tokens,
            });
        }
        let tokens = match &*self.tokens {
            Tokens::Json(tokenizer) => unbroken(|| tokenizer.encode_fast(text, true))
                .map(|encoding| encoding.get_ids().to_vec())
                .map_err(|error| {
                    EngineError::Invalid(format!("the text has no tokens: {error}"))
                })?,
            Tokens::Vocabulary(vocabulary) => vocabulary.encode_closed(text),
        };
        // Those that begin and end a text need not be of the vocabulary.
        let vocabulary = self.model.vocabulary();
        match tokens.iter().find(|&&token| token as usize >= vocabulary) {
            Some(token) => Err(EngineError::Invalid(format!(
                "the tokenizer of '{}' gives the token {token}, which the model has not",
                self.identity.name
            ))),
            None => Ok(tokens),
        }
    }

    /// The tokens of a text and the bytes of it that each stands for; those that begin and end
    /// it stand for none. `None` where the tokenizer does not say, or the text does not fit.
    ///
    /// # Errors
    /// If the tokenizer refuses the text.
    pub fn tokens_with_spans(&self, text: &str) -> Result<Option<SpannedTokens>, EngineError> {
        let Tokens::Json(tokenizer) = &*self.tokens else {
            return Ok(None);
        };
        let tokens = match self.tokenize(text) {
            Err(EngineError::TooLong { .. }) => return Ok(None),
            tokens => tokens?,
        };
        if tokens.len() > self.identity.context_tokens {
            return Ok(None);
        }
        let encoding = unbroken(|| tokenizer.encode(text, true))
            .map_err(|error| EngineError::Invalid(format!("the text has no tokens: {error}")))?;
        Ok(Some(SpannedTokens {
            spans: encoding.get_offsets().to_vec(),
            tokens,
        }))
    }

    fn states_by(
        &self,
        text: &str,
        states: impl FnOnce(Vec<u32>) -> Vec<f32>,
    ) -> Result<Option<States>, EngineError> {
        let spanned = self.tokens_with_spans(text)?;
        Ok(spanned.map(|spanned| States {
            spans: spanned.spans,
            states: states(spanned.tokens),
            width: self.model.width(),
        }))
    }

    fn pool(&self, states: &[f32]) -> Result<Vec<f32>, EngineError> {
        let width = self.model.width();
        let mut sums = vec![0.0f64; width];
        let pooled = match self.model.pooling() {
            Pooling::Mean => states,
            Pooling::First => &states[..width.min(states.len())],
        };
        for state in pooled.chunks_exact(width) {
            sums.iter_mut()
                .zip(state)
                .for_each(|(sum, &x)| *sum += f64::from(x));
        }
        let length = sums.iter().map(|x| x * x).sum::<f64>().sqrt();
        if !length.is_normal() {
            return Err(EngineError::Failed(format!(
                "the states of '{}' are no numbers",
                self.identity.name
            )));
        }
        Ok(sums.iter().map(|x| (x / length) as f32).collect())
    }
}

impl Embed for Encoder {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn dimensions(&self) -> usize {
        self.model.width()
    }

    fn count_tokens(&self, text: &str) -> Result<usize, EngineError> {
        Ok(self.tokenize(text)?.len())
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EngineError> {
        let tokens = texts
            .iter()
            .map(|text| self.tokenize(text))
            .collect::<Result<Vec<_>, _>>()?;
        let context_tokens = self.identity.context_tokens;
        if let Some(long) = tokens.iter().find(|tokens| tokens.len() > context_tokens) {
            return Err(EngineError::DoesNotFit {
                model: self.identity.name.clone(),
                prompt_tokens: long.len(),
                answer_tokens: 0,
                context_tokens,
            });
        }
        let mut vectors = Vec::with_capacity(texts.len());
        let mut rest = tokens.as_slice();
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(batch_length(rest));
            let states = self.model.states(&self.kernels, batch);
            let mut from = 0;
            for text in batch {
                let count = text.len() * self.model.width();
                vectors.push(self.pool(&states[from..from + count])?);
                from += count;
            }
            rest = after;
        }
        Ok(vectors)
    }

    fn states(&self, text: &str) -> Result<Option<States>, EngineError> {
        self.states_by(text, |tokens| self.model.middle(&self.kernels, &[tokens]))
    }
}

/// A text's tokens, with those that begin and end it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpannedTokens {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// The bytes that each stands for.
    pub spans: Vec<(usize, usize)>,
}

/// An encoder beside the one that it was tuned from. What tuning forgets the other still
/// knows, so a text's vector is both: the one's, then the tuned one's, each of unit length.
/// Its digest is that of the file with the tuned layers.
pub struct EncoderPair {
    base: Arc<Encoder>,
    tuned: Encoder,
}

impl Embed for EncoderPair {
    fn identity(&self) -> &Identity {
        &self.tuned.identity
    }

    fn dimensions(&self) -> usize {
        self.base.dimensions() + self.tuned.dimensions()
    }

    fn count_tokens(&self, text: &str) -> Result<usize, EngineError> {
        self.base.count_tokens(text)
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EngineError> {
        let mut vectors = self.base.embed(texts)?;
        for (vector, tuned) in vectors.iter_mut().zip(self.tuned.embed(texts)?) {
            vector.extend(tuned);
        }
        Ok(vectors)
    }

    /// What the last layer of the tuned one makes of each token: that is what was tuned.
    fn states(&self, text: &str) -> Result<Option<States>, EngineError> {
        let tuned = &self.tuned;
        tuned.states_by(text, |tokens| tuned.model.states(&tuned.kernels, &[tokens]))
    }
}

impl EncoderWeights for Encoder {
    fn shape(&self) -> EncoderShape {
        self.model.shape_to_train()
    }

    fn layer(&self, index: usize) -> EncoderLayer {
        self.model.layer_to_train(index)
    }

    fn embed_tokens(&self, tokens: &[u32]) -> Vec<f32> {
        self.model.embedded(&self.kernels, tokens)
    }
}

/// Calls the tokenizer, which panics where its file contradicts itself.
fn unbroken<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> tokenizers::Result<T> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err("the tokenizer contradicts itself".into()))
}

/// How many of the first texts are computed together: one at least.
fn batch_length(texts: &[Vec<u32>]) -> usize {
    let mut tokens = 0;
    let fitting = texts.iter().take_while(|text| {
        tokens += text.len();
        tokens <= BATCH_TOKENS
    });
    fitting.count().max(1)
}

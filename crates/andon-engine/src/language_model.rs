//! A language model that answers: text in, text or scores out.

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use andon_kernels::{Kernels, kv};
use andon_task::digest::Digest;
use andon_task::engine::{
    Adapter, CallForm, Chat, Drawn, EngineError, Finish, Generate, GenerateRequest, Generation,
    Grammar, Identity, Likelihood, Prompt, Score, ScoreRequest, Scores, Statistics, Terms, Usage,
};

use crate::adapter::{Applied, Variant};
use crate::chat::{CUT, Template, with_texts};
use crate::decoder::Decoder;
use crate::drive::{self, Drive, Event, Told, Work, wait};
use crate::error::LoadError;
use crate::gguf::Gguf;
use crate::grammar::{Constraint, Grammars};
use crate::prefix::Prefixes;
use crate::tokenizer::{Controls, Tokenizer};
use crate::worker::Worker;

mod adapters;
mod path;
mod prompt;
mod stream;

use adapters::Adapters;
pub use path::{Chooser, Step};
use prompt::{beginning, bytes_of, kind_of};
use stream::{OnPiece, TextStream};

/// Where a file carries its chat template.
const CHAT_TEMPLATE: &str = "tokenizer.chat_template";

/// A cache holds so many whole contexts, at most.
const MOST_CONTEXTS: usize = 64;
/// A cache has so many blocks, at least.
const FEWEST_BLOCKS: usize = 64;
/// Blocks that a context leaves free: for the branches of labels.
const SPARE_BLOCKS: usize = 2;

/// What a language model may use, and where it keeps what it needs again.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of the KV cache, at most; memory is taken as it is used. A longer
    /// context is cut to what fits, and the model's identity says so.
    pub cache_bytes: usize,
    /// A folder for the prefixes that are pinned, so that a restarted node need not
    /// compute them again.
    pub prefixes: Option<PathBuf>,
    /// How long a step may take before its thread counts as stuck; longer where
    /// steps are known to take longer.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 1 << 30,
            prefixes: None,
            patience: Duration::from_secs(10),
        }
    }
}

/// A language model, ready to answer many callers at once.
pub struct LanguageModel {
    identity: Identity,
    tokenizer: Arc<Tokenizer>,
    /// Made by a thread of its own from the load on: whoever needs it sooner waits.
    grammars: Arc<OnceLock<Result<Grammars, EngineError>>>,
    template: Option<Template>,
    vocabulary: usize,
    drive: Box<dyn Drive>,
    adapters: Adapters,
    prefixes: Option<Prefixes>,
    /// Beginnings that are pinned, and what computed them.
    pinned: Mutex<Vec<(Variant, Vec<u32>)>>,
}

impl LanguageModel {
    /// Loads a GGUF file under the name that it is to be known by. The file is
    /// read once, whole: what is hashed is what runs.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged or is not supported.
    pub fn load(name: &str, path: &Path, kernels: Arc<Kernels>) -> Result<Self, LoadError> {
        Self::load_with(name, path, kernels, Options::default())
    }

    /// As [`LanguageModel::load`], with options.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged or is not supported.
    pub fn load_with(
        name: &str,
        path: &Path,
        kernels: Arc<Kernels>,
        options: Options,
    ) -> Result<Self, LoadError> {
        Self::read(name, &std::fs::read(path)?, kernels, options)
    }

    /// As [`LanguageModel::load`], from the bytes of a file.
    ///
    /// # Errors
    /// If the file is damaged or not supported.
    pub fn from_bytes(name: &str, file: &[u8], kernels: Arc<Kernels>) -> Result<Self, LoadError> {
        Self::read(name, file, kernels, Options::default())
    }

    fn read(
        name: &str,
        file: &[u8],
        kernels: Arc<Kernels>,
        options: Options,
    ) -> Result<Self, LoadError> {
        let gguf = Gguf::parse(file)?;
        let tokenizer = Tokenizer::from_gguf(&gguf)?;
        let model = decoder(&gguf, &tokenizer, &options)?;
        let block_bytes: usize = model
            .new_cache(0)
            .iter()
            .map(|layer| layer.block_bytes())
            .sum();
        let blocks = (options.cache_bytes / block_bytes)
            .min(MOST_CONTEXTS * model.context().div_ceil(kv::BLOCK))
            .max(FEWEST_BLOCKS);
        let context_tokens = model.context().min((blocks - SPARE_BLOCKS) * kv::BLOCK);
        let (adapters, vocabulary) = (Adapters::new(Some(model.layout())), model.vocabulary());
        let worker = Worker::start(model, kernels, blocks, options.patience)?;
        let mut model = Self::with(
            name,
            file,
            (&gguf, tokenizer),
            context_tokens,
            Box::new(worker),
        )?;
        let digest = model.identity.digest;
        model.adapters = adapters;
        model.vocabulary = vocabulary;
        model.prefixes = options.prefixes.map(|folder| Prefixes::new(folder, digest));
        Ok(model)
    }

    /// The model of a GGUF file whose jobs are computed by something else, which holds so
    /// many tokens. It takes no adapters.
    ///
    /// # Errors
    /// If the file is damaged, or its vocabulary or chat template is not supported.
    pub fn driven(
        name: &str,
        file: &[u8],
        context_tokens: usize,
        drive: Box<dyn Drive>,
    ) -> Result<Self, LoadError> {
        let gguf = Gguf::parse(file)?;
        let tokenizer = Tokenizer::from_gguf(&gguf)?;
        Self::with(name, file, (&gguf, tokenizer), context_tokens, drive)
    }

    fn with(
        name: &str,
        file: &[u8],
        (gguf, tokenizer): (&Gguf<'_>, Tokenizer),
        context_tokens: usize,
        drive: Box<dyn Drive>,
    ) -> Result<Self, LoadError> {
        let template = match gguf.get(CHAT_TEMPLATE) {
            None => None,
            Some(_) => {
                let source = gguf.text(CHAT_TEMPLATE)?;
                let text = |token: Option<u32>| {
                    token.map_or_else(String::new, |token| {
                        tokenizer.control_text(token).to_owned()
                    })
                };
                let begin = text(tokenizer.begin());
                let end = text(tokenizer.end());
                Some(Template::new(source, begin, end)?)
            }
        };
        let tokenizer = Arc::new(tokenizer);
        Ok(Self {
            identity: Identity {
                name: name.to_owned(),
                digest: Digest::of(file),
                context_tokens,
            },
            grammars: prepare_grammars(&tokenizer),
            vocabulary: tokenizer.size(),
            tokenizer,
            template,
            adapters: Adapters::new(None),
            drive,
            prefixes: None,
            pinned: Mutex::new(Vec::new()),
        })
    }

    /// The weights of a GGUF file's model as a language model of these options holds
    /// them, for training against them.
    ///
    /// # Errors
    /// As [`LanguageModel::load`].
    pub fn weights(file: &[u8], options: &Options) -> Result<Decoder, LoadError> {
        let gguf = Gguf::parse(file)?;
        let tokenizer = Tokenizer::from_gguf(&gguf)?;
        decoder(&gguf, &tokenizer, options)
    }

    /// The tokens of a prompt, as the model gets them.
    ///
    /// # Errors
    /// If the model has no chat template, or its template refuses the messages,
    /// or the prompt is empty or longer than any that fits.
    pub fn tokenize(&self, prompt: &Prompt) -> Result<Vec<u32>, EngineError> {
        let bytes = match prompt {
            Prompt::Text(text) => text.len(),
            Prompt::Chat(chat) => bytes_of(chat),
        };
        let context_tokens = self.identity.context_tokens;
        let most_bytes = context_tokens * self.tokenizer.longest();
        if bytes > most_bytes {
            return Err(EngineError::TooLong {
                model: self.identity.name.clone(),
                bytes,
                most_bytes,
                context_tokens,
            });
        }
        let tokens = match prompt {
            Prompt::Text(text) => {
                let begin = self.tokenizer.begin().into_iter();
                begin
                    .chain(self.tokenizer.encode(text, Controls::Text))
                    .collect()
            }
            Prompt::Chat(chat) => self.tokenize_chat(chat)?,
        };
        if tokens.is_empty() {
            return Err(EngineError::Invalid("the prompt is empty".into()));
        }
        Ok(tokens)
    }

    /// The tokens of an answer, with the one that ends the turn.
    pub fn tokenize_answer(&self, answer: &str) -> Vec<u32> {
        let mut tokens = self.tokenizer.encode(answer, Controls::Text);
        tokens.push(self.tokenizer.ends()[0]);
        tokens
    }

    fn tokenize_chat(&self, chat: &Chat) -> Result<Vec<u32>, EngineError> {
        let Some(template) = &self.template else {
            return Err(EngineError::Invalid(format!(
                "the model '{}' has no chat template: use /v1/completions",
                self.identity.name
            )));
        };
        // What people write must not become control tokens: it is cut where it
        // would, and the parts are encoded one by one.
        let chat = with_texts(chat, &|text| {
            let text = text.replace(CUT, "\u{fffd}");
            let parts = self.tokenizer.split_controls(&text);
            parts.join(&CUT.to_string())
        });
        let text = template.render(&chat).map_err(EngineError::Invalid)?;
        Ok(self.tokenizer.encode_parts(text.split(CUT)))
    }

    /// The logits after every one of `tokens`, a row each.
    ///
    /// # Errors
    /// If the tokens do not fit, are not of the vocabulary, or the engine fails.
    pub fn evaluate(&self, tokens: &[u32]) -> Result<Vec<Vec<f32>>, EngineError> {
        self.evaluate_with(tokens, None)
    }

    /// As [`LanguageModel::evaluate`], with an adapter.
    ///
    /// # Errors
    /// As there, or if there is no such adapter.
    pub fn evaluate_with(
        &self,
        tokens: &[u32],
        adapter: Option<&Adapter>,
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        let applied = self.applied(adapter)?;
        self.check_fit(tokens.len(), 0)?;
        if let Some(token) = tokens
            .iter()
            .find(|&&token| token as usize >= self.vocabulary)
        {
            return Err(EngineError::Invalid(format!("there is no token {token}")));
        }
        let (outcome, logits) = sync_channel(1);
        let work = Work::Evaluate(drive::Evaluate {
            tokens: tokens.to_vec(),
            outcome,
        });
        let terms = Terms::default();
        self.drive.submit(work, applied, &terms)?;
        let logits = wait(&*self.drive, &logits, &terms)??;
        Ok(logits
            .chunks_exact(self.vocabulary)
            .map(<[f32]>::to_vec)
            .collect())
    }

    fn check_fit(&self, prompt_tokens: usize, answer_tokens: usize) -> Result<(), EngineError> {
        let context_tokens = self.identity.context_tokens;
        if prompt_tokens == 0 {
            return Err(EngineError::Invalid("the prompt is empty".into()));
        }
        if prompt_tokens.saturating_add(answer_tokens) > context_tokens {
            return Err(EngineError::DoesNotFit {
                model: self.identity.name.clone(),
                prompt_tokens,
                answer_tokens,
                context_tokens,
            });
        }
        Ok(())
    }
}

impl Generate for LanguageModel {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn adapters(&self) -> Vec<String> {
        self.adapters.names()
    }

    fn call_form(&self) -> CallForm {
        let template = self.template.as_ref();
        template.map_or(CallForm::Tagged, Template::call_form)
    }

    fn statistics(&self) -> Statistics {
        self.drive.statistics()
    }

    fn generate(
        &self,
        request: &GenerateRequest,
        on_piece: &mut OnPiece<'_>,
    ) -> Result<Generation, EngineError> {
        let applied = self.applied(request.adapter.as_ref())?;
        let tokens = self.tokenize(&request.prompt)?;
        let most = match request.max_tokens {
            Some(most) => most,
            None => self
                .identity
                .context_tokens
                .saturating_sub(tokens.len())
                .max(1),
        };
        if most == 0 {
            return Err(EngineError::Invalid(
                "max_tokens is 0: ask for one at least".into(),
            ));
        }
        self.check_fit(tokens.len(), most)?;
        let constraint = match &request.grammar {
            Some(grammar) => Some(Box::new(self.constrain(grammar)?)),
            None => None,
        };
        let prompt_tokens = tokens.len();
        let kind = kind_of(&tokens);
        let (events, incoming) = sync_channel(most + 1);
        let work = Work::Generate(drive::Generate {
            tokens,
            most,
            ends: self.tokenizer.ends().to_vec(),
            sampling: request.sampling,
            alternatives: request.alternatives,
            constraint,
            kind,
            progress: None,
            events,
        });
        self.drive.submit(work, applied, &request.terms)?;
        let mut stream = TextStream::new(&request.stop);
        let mut usage = Usage {
            prompt_tokens,
            ..Usage::default()
        };
        // Dropping `incoming` ends the work: the thread finds nobody listening.
        loop {
            match wait(&*self.drive, &incoming, &request.terms)? {
                Event::Token {
                    token,
                    told,
                    cached_tokens,
                } => {
                    usage.cached_tokens = cached_tokens;
                    usage.completion_tokens += 1;
                    let drawn = told.map(|told| self.drawn(token, told));
                    stream.push(self.tokenizer.bytes(token), drawn);
                    if !stream.flush(on_piece) {
                        return Err(EngineError::Cancelled);
                    }
                    if stream.is_stopped() {
                        return Ok(stream.into_generation(Finish::Stop, usage));
                    }
                }
                Event::End(end) => {
                    let (finish, usage) = end?;
                    if !stream.finish(on_piece) {
                        return Err(EngineError::Cancelled);
                    }
                    return Ok(stream.into_generation(finish, usage));
                }
            }
        }
    }
}

impl Score for LanguageModel {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn score_all(&self, requests: &[ScoreRequest]) -> Result<Vec<Scores>, EngineError> {
        let outcomes = requests
            .iter()
            .map(|request| {
                let (outcome, scores) = sync_channel(1);
                let applied = self.applied(request.adapter.as_ref())?;
                let work = Work::Score(self.to_score(request, outcome)?);
                self.drive.submit(work, applied, &request.terms)?;
                Ok((scores, &request.terms))
            })
            // All are under way before the first is waited for.
            .collect::<Result<Vec<_>, EngineError>>()?;
        outcomes
            .into_iter()
            .map(|(scores, terms)| {
                let (shares, usage) = wait(&*self.drive, &scores, terms)??;
                Ok(Scores { shares, usage })
            })
            .collect()
    }

    fn hold_adapter(&self, file: &[u8]) -> Result<(), EngineError> {
        let held = self.adapters.hold(file);
        held.map_err(|error| EngineError::Invalid(error.to_string()))
    }

    fn let_adapter_go(&self, file: Digest) {
        self.adapters.let_go(file);
    }

    fn pin(&self, prompts: &[Prompt]) -> Result<usize, EngineError> {
        self.pin_with(prompts, None)
    }
}

impl LanguageModel {
    /// As [`Score::pin`], for requests with an adapter.
    ///
    /// # Errors
    /// As there, or if there is no such adapter.
    pub fn pin_with(
        &self,
        prompts: &[Prompt],
        adapter: Option<&Adapter>,
    ) -> Result<usize, EngineError> {
        let applied = self.applied(adapter)?;
        let variant = Variant::of(applied.as_ref());
        let prompts = prompts
            .iter()
            .map(|prompt| self.tokenize(prompt))
            .collect::<Result<Vec<_>, _>>()?;
        let tokens = beginning(&prompts);
        self.check_fit(tokens.len().max(1), 0)?;
        if tokens.is_empty() {
            return Ok(0);
        }
        let mut pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |(other, known): &(Variant, Vec<u32>)| *other == variant && known == tokens;
        if !pinned.iter().any(is_it) {
            self.pin_tokens(tokens, applied)?;
            pinned.push((variant, tokens.to_vec()));
        }
        Ok(tokens.len())
    }

    /// From disk, if it is there; computed and saved if not.
    fn pin_tokens(&self, tokens: &[u32], applied: Option<Applied>) -> Result<(), EngineError> {
        let variant = Variant::of(applied.as_ref());
        let terms = Terms::default();
        let files = self.prefixes.as_ref();
        let saved = files.and_then(|files| files.load(variant, tokens));
        if let Some(content) = saved {
            let (outcome, restored) = sync_channel(1);
            let work = Work::Restore(drive::Restore {
                tokens: tokens.to_vec(),
                content,
                outcome,
            });
            self.drive.submit(work, applied, &terms)?;
            return wait(&*self.drive, &restored, &terms)?;
        }
        let (outcome, content) = sync_channel(1);
        let work = Work::Pin(drive::Pin {
            tokens: tokens.to_vec(),
            outcome,
        });
        self.drive.submit(work, applied, &terms)?;
        let content = wait(&*self.drive, &content, &terms)??;
        if let Some(files) = files
            && let Err(error) = files.save(variant, tokens, &content)
        {
            tracing::warn!(%error, "a pinned prefix cannot be saved: a restart will compute it again");
        }
        Ok(())
    }

    fn to_score(
        &self,
        request: &ScoreRequest,
        outcome: std::sync::mpsc::SyncSender<Result<(Vec<f64>, Usage), EngineError>>,
    ) -> Result<drive::Score, EngineError> {
        if request.labels.is_empty() {
            return Err(EngineError::Invalid("there are no labels to score".into()));
        }
        let prompt = self.tokenize(&request.prompt)?;
        let labels: Vec<Vec<u32>> = request
            .labels
            .iter()
            .map(|label| self.tokenize_answer(label))
            .collect();
        let longest = labels.iter().map(Vec::len).max().unwrap_or(0);
        self.check_fit(prompt.len(), longest)?;
        Ok(drive::Score {
            prompt,
            labels,
            outcome,
        })
    }

    fn constrain(&self, grammar: &Grammar) -> Result<Constraint, EngineError> {
        let made = self.grammars.get_or_init(|| make_grammars(&self.tokenizer));
        let grammars = made.as_ref().map_err(Clone::clone)?;
        grammars.compile(grammar)
    }

    fn drawn(&self, token: u32, told: Told) -> Drawn {
        let likelihood = |token, log_probability| Likelihood {
            bytes: self.tokenizer.bytes(token).to_vec(),
            log_probability,
        };
        Drawn {
            token: likelihood(token, told.log_probability),
            alternatives: told
                .alternatives
                .into_iter()
                .map(|(token, log_probability)| likelihood(token, log_probability))
                .collect(),
        }
    }
}

/// Makes the grammars beside the load, so that no request has to wait for them.
fn prepare_grammars(tokenizer: &Arc<Tokenizer>) -> Arc<OnceLock<Result<Grammars, EngineError>>> {
    let grammars = Arc::new(OnceLock::new());
    let (to, tokenizer) = (Arc::clone(&grammars), Arc::clone(tokenizer));
    let thread = std::thread::Builder::new().name("andon-grammars".into());
    let started = thread.spawn(move || {
        to.get_or_init(|| make_grammars(&tokenizer));
    });
    if let Err(error) = started {
        tracing::warn!(%error, "grammars are prepared by the first request that needs them");
    }
    grammars
}

fn make_grammars(tokenizer: &Arc<Tokenizer>) -> Result<Grammars, EngineError> {
    Grammars::new(Arc::clone(tokenizer))
}

fn decoder(
    gguf: &Gguf<'_>,
    tokenizer: &Tokenizer,
    options: &Options,
) -> Result<Decoder, LoadError> {
    let fitting = |token_bytes: usize| {
        let least = FEWEST_BLOCKS * kv::BLOCK;
        (options.cache_bytes / token_bytes).max(least)
    };
    Decoder::from_gguf(gguf, tokenizer.size(), fitting)
}

//! A language model that answers: text in, text or scores out.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use andon_kernels::{Kernels, kv};
use andon_task::digest::Digest;
use andon_task::engine::{
    CallForm, Chat, EngineError, Finish, Generate, GenerateRequest, Generation, Identity, Prompt,
    Score, ScoreRequest, Scores, Usage,
};

use crate::chat::{CUT, Template, with_texts};
use crate::error::LoadError;
use crate::gguf::Gguf;
use crate::llama::Llama;
use crate::tokenizer::{Controls, Tokenizer};
use crate::worker::{self, Event, Job, Worker, stopped};

mod stream;

use stream::{OnPiece, TextStream};

/// Where a file carries its chat template.
const CHAT_TEMPLATE: &str = "tokenizer.chat_template";

/// Tokens that the KV cache of a model holds, at most: a longer context is cut
/// to it, and the model's identity says so.
const CACHE_TOKENS: usize = 16_384;

/// A language model, ready to answer many callers at once.
pub struct LanguageModel {
    identity: Identity,
    tokenizer: Tokenizer,
    template: Option<Template>,
    vocabulary: usize,
    worker: Worker,
}

impl LanguageModel {
    /// Loads a GGUF file under the name that it is to be known by. The file is
    /// read once, whole: what is hashed is what runs.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged or is not supported.
    pub fn load(name: &str, path: &Path, kernels: Arc<Kernels>) -> Result<Self, LoadError> {
        Self::from_bytes(name, &std::fs::read(path)?, kernels)
    }

    /// As [`LanguageModel::load`], from the bytes of a file.
    ///
    /// # Errors
    /// If the file is damaged or not supported.
    pub fn from_bytes(name: &str, file: &[u8], kernels: Arc<Kernels>) -> Result<Self, LoadError> {
        let gguf = Gguf::parse(file)?;
        let tokenizer = Tokenizer::from_gguf(&gguf)?;
        let model = Llama::from_gguf(&gguf, tokenizer.size())?;
        let template = match gguf.get(CHAT_TEMPLATE) {
            None => None,
            Some(_) => {
                let source = gguf.text(CHAT_TEMPLATE)?;
                let text = |token: Option<u32>| {
                    token.map_or_else(String::new, |token| tokenizer.control_text(token))
                };
                let begin = text(tokenizer.begin());
                let end = text(tokenizer.ends().first().copied());
                Some(Template::new(source, begin, end)?)
            }
        };
        let cache_tokens = CACHE_TOKENS.min(4 * model.context().max(kv::BLOCK));
        let blocks = cache_tokens / kv::BLOCK;
        Ok(Self {
            identity: Identity {
                name: name.to_owned(),
                digest: Digest::of(file),
                context_tokens: model.context().min(blocks * kv::BLOCK),
            },
            tokenizer,
            template,
            vocabulary: model.vocabulary(),
            worker: Worker::start(model, kernels, blocks)?,
        })
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
        let parts = text.split(CUT);
        Ok(parts
            .flat_map(|part| self.tokenizer.encode(part, Controls::Meant))
            .collect())
    }

    /// The logits after every one of `tokens`, a row each.
    ///
    /// # Errors
    /// If the tokens do not fit, are not of the vocabulary, or the engine fails.
    pub fn evaluate(&self, tokens: &[u32]) -> Result<Vec<Vec<f32>>, EngineError> {
        self.check_fit(tokens.len(), 0)?;
        if let Some(token) = tokens
            .iter()
            .find(|&&token| token as usize >= self.vocabulary)
        {
            return Err(EngineError::Invalid(format!("there is no token {token}")));
        }
        let (outcome, logits) = sync_channel(1);
        self.worker.submit(Job::Evaluate(worker::Evaluate {
            tokens: tokens.to_vec(),
            outcome,
        }))?;
        let logits = logits.recv().map_err(|_| stopped())??;
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

    fn call_form(&self) -> CallForm {
        let template = self.template.as_ref();
        template.map_or(CallForm::Tagged, Template::call_form)
    }

    fn generate(
        &self,
        request: &GenerateRequest,
        on_piece: &mut OnPiece<'_>,
    ) -> Result<Generation, EngineError> {
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
        let prompt_tokens = tokens.len();
        let (events, incoming) = sync_channel(most + 1);
        self.worker.submit(Job::Generate(worker::Generate {
            tokens,
            most,
            ends: self.tokenizer.ends().to_vec(),
            sampling: request.sampling,
            events,
        }))?;
        let mut stream = TextStream::new(&request.stop);
        let mut usage = Usage {
            prompt_tokens,
            ..Usage::default()
        };
        // Dropping `incoming` ends the work: the thread finds nobody listening.
        loop {
            match incoming.recv().map_err(|_| stopped())? {
                Event::Token {
                    token,
                    cached_tokens,
                } => {
                    usage.cached_tokens = cached_tokens;
                    usage.completion_tokens += 1;
                    stream.push(self.tokenizer.bytes(token), None);
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
        requests
            .iter()
            .map(|request| self.score_one(request))
            .collect()
    }

    fn pin(&self, _: &[Prompt]) -> Result<usize, EngineError> {
        Ok(0)
    }
}

/// Bytes that a chat has at least, however its template writes it.
fn bytes_of(chat: &Chat) -> usize {
    let said = chat.messages.iter().map(|message| {
        let calls = message.calls.iter();
        let calls = calls.map(|call| call.arguments.to_string().len());
        message.content.len() + calls.sum::<usize>()
    });
    let tools = chat.tools.iter().map(|tool| {
        let description = tool.description.as_ref().map_or(0, String::len);
        description + tool.parameters.to_string().len()
    });
    said.chain(tools).sum()
}

impl LanguageModel {
    fn score_one(&self, request: &ScoreRequest) -> Result<Scores, EngineError> {
        let ScoreRequest { prompt, labels, .. } = request;
        if labels.is_empty() {
            return Err(EngineError::Invalid("there are no labels to score".into()));
        }
        let prompt = self.tokenize(prompt)?;
        let end = self.tokenizer.ends()[0];
        let labels: Vec<Vec<u32>> = labels
            .iter()
            .map(|label| {
                let mut tokens = self.tokenizer.encode(label, Controls::Text);
                tokens.push(end);
                tokens
            })
            .collect();
        let longest = labels.iter().map(Vec::len).max().unwrap_or(0);
        self.check_fit(prompt.len(), longest)?;
        let (outcome, scores) = sync_channel(1);
        self.worker.submit(Job::Score(worker::Score {
            prompt,
            labels,
            outcome,
        }))?;
        let (log_probabilities, usage) = scores.recv().map_err(|_| stopped())??;
        Ok(Scores {
            shares: softmax(&log_probabilities),
            usage,
        })
    }
}

fn softmax(logarithms: &[f64]) -> Vec<f64> {
    let largest = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<f64> = logarithms
        .iter()
        .map(|logarithm| (logarithm - largest).exp())
        .collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.iter().map(|share| share / sum).collect()
}

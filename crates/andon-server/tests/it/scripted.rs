//! An engine without a model.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use andon_task::digest::Digest;
use andon_task::engine::{
    Drawn, Embed, EngineError, Finish, Generate, GenerateRequest, Generation, Grammar, Identity,
    Likelihood, Piece, Prompt, Score, ScoreRequest, Scores, Statistics, Terms, Usage,
};
use andon_task::task::Class;

const CONTEXT: usize = 100;

/// What the scripted engine has seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) pieces: AtomicUsize,
    pub(crate) departed: AtomicBool,
    /// Set by a test: scoring takes as long as it is.
    pub(crate) hangs: AtomicBool,
    /// The class of the latest request, and whether it has a deadline.
    pub(crate) terms: Mutex<Option<(Class, bool)>>,
    /// The adapter of the latest request, with its scale.
    pub(crate) adapter: Mutex<Option<(String, f32)>>,
}

/// An engine whose tokens are words. It repeats the last words it was given; a
/// word in capitals makes it misbehave.
pub(crate) struct Scripted {
    identity: Identity,
    pub(crate) seen: Arc<Seen>,
}

impl Scripted {
    pub(crate) fn new(name: &str) -> Self {
        let identity = Identity {
            name: name.to_owned(),
            digest: Digest::of(name.as_bytes()),
            context_tokens: CONTEXT,
        };
        Self {
            identity,
            seen: Arc::default(),
        }
    }

    fn read(&self, prompt: &Prompt, answer_tokens: usize) -> Result<Vec<String>, EngineError> {
        let text = match prompt {
            Prompt::Text(text) => text.clone(),
            Prompt::Chat(chat) => chat
                .messages
                .iter()
                .map(|message| message.content.as_str())
                .collect::<Vec<_>>()
                .join(" "),
        };
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let has = |word: &str| words.iter().any(|w| w == word);
        if has("PANIC") {
            panic!("the script says so: {text}");
        }
        if has("FULL") {
            return Err(EngineError::Overloaded {
                waiting: 7,
                retry_after: Duration::from_secs(1),
            });
        }
        if has("FAIL") {
            return Err(EngineError::Failed("the script says so".to_owned()));
        }
        if has("LATE") {
            return Err(EngineError::Late {
                needed: Duration::from_millis(80),
                left: Duration::from_millis(30),
                retry_after: Duration::from_secs(2),
            });
        }
        if has("PAST") {
            return Err(EngineError::DeadlinePassed);
        }
        if words.len() + answer_tokens > CONTEXT {
            return Err(EngineError::DoesNotFit {
                model: self.identity.name.clone(),
                prompt_tokens: words.len(),
                answer_tokens,
                context_tokens: CONTEXT,
            });
        }
        Ok(words)
    }
}

/// What a tool is called with where the script says so.
const CALL: &str = "<tool_call>\n{\"name\": \"level\", \"arguments\": {\"tank\": \"T{1}\", \"n\": 2}}\n</tool_call>";

impl Scripted {
    fn note(&self, terms: &Terms) {
        let seen = (terms.class, terms.deadline.is_some());
        *self.seen.terms.lock().expect("no panic") = Some(seen);
    }

    /// The tokens of the answer: what a grammar wants or the last words.
    fn tokens(
        &self,
        request: &GenerateRequest,
        words: &[String],
    ) -> Result<Vec<String>, EngineError> {
        let has = |word: &str| words.iter().any(|w| w == word);
        let cut = |text: String| {
            let characters: Vec<char> = text.chars().collect();
            characters
                .chunks(6)
                .map(|part| part.iter().collect())
                .collect()
        };
        let said = words
            .iter()
            .rev()
            .take(5)
            .rev()
            .map(|word| format!("{word} "));
        Ok(match &request.grammar {
            Some(Grammar::Json(schema)) if schema.get("bad").is_some() => {
                return Err(EngineError::Grammar("'bad' is no keyword".to_owned()));
            }
            Some(Grammar::Json(_)) => cut("{\"ok\":true}".to_owned()),
            Some(Grammar::Regex(regex)) => vec![regex.clone()],
            Some(Grammar::Choice(choice)) => vec![choice[0].clone()],
            Some(Grammar::Calls(_)) if has("CALL") => cut(CALL.to_owned()),
            Some(Grammar::Calls(_)) if has("TWICE") => cut(format!("Let me see.\n{CALL}\n{CALL}")),
            Some(Grammar::Lark(_) | Grammar::Calls(_)) | None
                if request.sampling.temperature > 0.0 =>
            {
                vec![format!("seed {}", request.sampling.seed)]
            }
            Some(Grammar::Lark(_) | Grammar::Calls(_)) | None => said.collect(),
        })
    }
}

fn likelihood(text: &str, log_probability: f64) -> Likelihood {
    Likelihood {
        bytes: text.as_bytes().to_vec(),
        log_probability,
    }
}

impl Generate for Scripted {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn adapters(&self) -> Vec<String> {
        vec!["plant-7".to_owned()]
    }

    fn statistics(&self) -> Statistics {
        Statistics {
            steps: self.seen.pieces.load(Ordering::SeqCst) as u64,
            free_blocks: 8,
            ..Statistics::default()
        }
    }

    fn generate(
        &self,
        request: &GenerateRequest,
        on_piece: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Result<Generation, EngineError> {
        self.note(&request.terms);
        let adapter = request.adapter.as_ref();
        *self.seen.adapter.lock().expect("no panic") =
            adapter.map(|adapter| (adapter.name.clone(), adapter.scale));
        let words = self.read(&request.prompt, request.max_tokens.unwrap_or(1))?;
        let endless = words.iter().any(|word| word == "ENDLESS");
        let tokens = self.tokens(request, &words)?;
        let limit = request.max_tokens.unwrap_or(CONTEXT);
        let mut generation = Generation {
            text: String::new(),
            drawn: Vec::new(),
            finish: Finish::Stop,
            usage: Usage {
                prompt_tokens: words.len(),
                cached_tokens: 1,
                completion_tokens: 0,
            },
        };
        loop {
            let told = generation.usage.completion_tokens;
            let token = match (tokens.get(told), endless) {
                (_, true) => "more ".to_owned(),
                (Some(token), false) => token.clone(),
                (None, false) => break,
            };
            if endless {
                std::thread::sleep(Duration::from_millis(2));
            } else if told == limit {
                generation.finish = Finish::Length;
                return Ok(generation);
            }
            generation.usage.completion_tokens += 1;
            generation.text.push_str(&token);
            self.seen.pieces.fetch_add(1, Ordering::SeqCst);
            let drawn = request.alternatives.map(|number| Drawn {
                token: likelihood(&token, -0.25),
                alternatives: [
                    (token.as_str(), -0.25),
                    ("é", -1.5),
                    ("\u{0}", f64::NEG_INFINITY),
                ]
                .into_iter()
                .take(number)
                .map(|(text, logarithm)| likelihood(text, logarithm))
                .collect(),
            });
            generation.drawn.extend(drawn.clone());
            let piece = Piece {
                text: &token,
                drawn: drawn.as_slice(),
            };
            let left = request.terms.departure.is_announced();
            if on_piece(piece).is_break() || left {
                self.seen.departed.store(true, Ordering::SeqCst);
                return Err(EngineError::Cancelled);
            }
            if generation.text.contains("BREAKS ") {
                panic!("the script says so, in the middle");
            }
        }
        Ok(generation)
    }
}

impl Score for Scripted {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    /// A label is the more probable the more often it stands in the prompt.
    fn score_all(&self, requests: &[ScoreRequest]) -> Result<Vec<Scores>, EngineError> {
        let score = |request: &ScoreRequest| {
            self.note(&request.terms);
            while self.seen.hangs.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(2));
            }
            let words = self.read(&request.prompt, 1)?;
            let weights: Vec<f64> = request
                .labels
                .iter()
                .map(|label| {
                    let times = words.iter().filter(|word| *word == label).count();
                    (times as f64 - label.len() as f64 / 100.0).exp()
                })
                .collect();
            let sum: f64 = weights.iter().sum();
            Ok(Scores {
                shares: weights.iter().map(|weight| weight / sum).collect(),
                usage: Usage {
                    prompt_tokens: words.len(),
                    cached_tokens: 0,
                    completion_tokens: request.labels.len(),
                },
            })
        };
        requests.iter().map(score).collect()
    }

    fn pin(&self, _: &[Prompt]) -> Result<usize, EngineError> {
        Ok(0)
    }
}

impl Embed for Scripted {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn dimensions(&self) -> usize {
        4
    }

    fn count_tokens(&self, text: &str) -> Result<usize, EngineError> {
        Ok(text.split_whitespace().count())
    }

    /// Counts of letters by their code modulo four.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EngineError> {
        texts
            .iter()
            .map(|text| {
                self.read(&Prompt::Text((*text).to_owned()), 0)?;
                let mut vector = vec![0.0_f32; 4];
                for byte in text.bytes() {
                    vector[usize::from(byte % 4)] += 1.0;
                }
                let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-9);
                Ok(vector.into_iter().map(|v| v / length).collect())
            })
            .collect()
    }
}

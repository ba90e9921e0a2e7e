//! A node with a scripted engine, and ways to ask it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use andon_runtime::{HeadFiles, Node, Parts};
use andon_server::Limits;
use andon_store::Store;
use andon_task::digest::Digest;
use andon_task::engine::{
    Embed, EngineError, Finish, Generate, GenerateRequest, Generation, Identity, Piece, Prompt,
    Score, ScoreRequest, Scores, Usage,
};
use andon_task::plant::Plant;
use andon_task::run::Timestamp;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use serde_json::Value;
use tower::ServiceExt as _;

pub(crate) const MODEL: &str = "scripted:1m";
pub(crate) const ENCODER: &str = "letters:4";
const CONTEXT: usize = 100;

/// What the scripted engine has seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) pieces: AtomicUsize,
    pub(crate) departed: AtomicBool,
}

/// An engine whose tokens are words. It repeats the last words it was given; a
/// word in capitals makes it misbehave.
pub(crate) struct Scripted {
    identity: Identity,
    pub(crate) seen: Arc<Seen>,
}

impl Scripted {
    fn new(name: &str) -> Self {
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
            panic!("the script says so");
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

impl Generate for Scripted {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn generate(
        &self,
        request: &GenerateRequest,
        on_piece: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Result<Generation, EngineError> {
        let words = self.read(&request.prompt, request.max_tokens.unwrap_or(1))?;
        let endless = words.iter().any(|word| word == "ENDLESS");
        let usage = |completion_tokens| Usage {
            prompt_tokens: words.len(),
            cached_tokens: 1,
            completion_tokens,
        };
        let limit = request.max_tokens.unwrap_or(CONTEXT);
        let mut text = String::new();
        let mut tokens = 0;
        loop {
            let said = words.iter().rev().take(5).rev().nth(tokens).cloned();
            let piece = match (said, endless) {
                (_, true) => "more ".to_owned(),
                (Some(word), false) => format!("{word} "),
                (None, false) => break,
            };
            if endless {
                std::thread::sleep(Duration::from_millis(2));
            } else if tokens == limit {
                return Ok(Generation {
                    text,
                    drawn: Vec::new(),
                    finish: Finish::Length,
                    usage: usage(tokens),
                });
            }
            tokens += 1;
            text.push_str(&piece);
            self.seen.pieces.fetch_add(1, Ordering::SeqCst);
            let piece = Piece {
                text: &piece,
                drawn: &[],
            };
            let left = request.terms.departure.is_announced();
            if on_piece(piece).is_break() || left {
                self.seen.departed.store(true, Ordering::SeqCst);
                return Err(EngineError::Cancelled);
            }
            if text.contains("BREAKS ") {
                panic!("the script says so, in the middle");
            }
        }
        Ok(Generation {
            text,
            drawn: Vec::new(),
            finish: Finish::Stop,
            usage: usage(tokens),
        })
    }
}

impl Score for Scripted {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    /// A label is the more probable the more often it stands in the prompt.
    fn score_all(&self, requests: &[ScoreRequest]) -> Result<Vec<Scores>, EngineError> {
        let score = |request: &ScoreRequest| {
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

/// A node on its own database.
pub(crate) struct Bench {
    pub(crate) node: Arc<Node>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) limits: Limits,
    _directory: tempfile::TempDir,
}

pub(crate) fn plant() -> Plant {
    let files = [
        (
            "plant.toml",
            "name = \"test\"\nlanguage_model = \"scripted:1m\"\nencoder = \"letters:4\"\n",
        ),
        (
            "tasks/failure-code.toml",
            "name = \"failure-code\"\nkind = \"decide\"\ninstructions = \"Which failure?\"\nlabels = \"codes/modes.csv\"\n",
        ),
        (
            "codes/modes.csv",
            "label,description,procedure,critical\nleak,Fluid escapes,leak.md,true\nnoise,Unusual sound,,\njam,Product stuck,,\n",
        ),
        (
            "procedures/leak.md",
            "---\nid: P-7\ntitle: Stop a leak\nrevision: C\n---\n# Stop a leak\n\n1. Lock out.\n2. Tighten to 25 N·m.\n",
        ),
        (
            "assets.csv",
            "id,path,name\nF1,filling/line-1/filler,Filler 1\nC2,packing/line-1/conveyor,Conveyor 2\n",
        ),
    ];
    let files = files
        .into_iter()
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
        .collect();
    Plant::parse(&files).expect("a plant")
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = Arc::new(Scripted::new(MODEL));
        let seen = Arc::clone(&engine.seen);
        let node = Node::new(Parts {
            plant: plant(),
            encoder: Some(Arc::new(Scripted::new(ENCODER))),
            language_model: Some(engine),
            store: Store::open(directory.path().join("andon.db")).expect("a store"),
            heads: HeadFiles::new(directory.path().join("heads")),
            clock: Box::new(|| Timestamp(1_767_225_600_000)),
        });
        Self {
            node: Arc::new(node.expect("a node")),
            seen,
            limits,
            _directory: directory,
        }
    }

    pub(crate) fn router(&self) -> Router {
        andon_server::router(Arc::clone(&self.node), self.limits)
    }
}

/// Asks with a JSON body and shows the answer: status, `Retry-After`, body.
pub(crate) async fn post(router: &Router, path: &str, body: impl Into<Body>) -> String {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.into())
        .expect("a request");
    ask(router, request).await
}

pub(crate) async fn get(router: &Router, path: &str) -> String {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    ask(router, request).await
}

pub(crate) async fn ask(router: &Router, request: Request<Body>) -> String {
    let response = router.clone().oneshot(request).await.expect("an answer");
    let mut shown = response.status().to_string();
    if let Some(wait) = response.headers().get(header::RETRY_AFTER) {
        shown.push_str(&format!("\nretry-after: {}", wait.to_str().expect("text")));
    }
    let bytes = to_bytes(response.into_body(), usize::MAX)
        .await
        .expect("a body");
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    shown.push('\n');
    match serde_json::from_str::<Value>(&text) {
        Ok(mut json) => {
            hide_times(&mut json);
            shown.push_str(&serde_json::to_string_pretty(&json).expect("JSON"));
        }
        Err(_) => shown.push_str(&text),
    }
    shown
}

fn hide_times(json: &mut Value) {
    match json {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| {
            if name == "took_ms" {
                *value = Value::from("[ms]");
            }
            hide_times(value);
        }),
        Value::Array(items) => items.iter_mut().for_each(hide_times),
        _ => {}
    }
}

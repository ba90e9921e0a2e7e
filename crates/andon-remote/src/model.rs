use std::ops::ControlFlow;
use std::sync::OnceLock;

use andon_task::digest::Digest;
use andon_task::engine::{
    Adapter, EngineError, Generate, GenerateRequest, Generation, Identity, Message, Piece, Prompt,
    Role, Score, ScoreRequest, Scores, Terms,
};
use serde_json::Value;

use crate::endpoint::Endpoint;
use crate::error::ConnectError;
use crate::exchange::Ask;
use crate::key::Key;
use crate::line::{Lines, Patience};

/// The context of a model whose server does not say how much it holds: more than
/// any, so that the server refuses what it cannot take.
const UNTOLD_CONTEXT: usize = u32::MAX as usize;

/// How a server is asked for an answer that is one of a choice or fits an
/// expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// By `structured_outputs`, as vLLM and Andon have it.
    Structured,
    /// By `response_format` alone, as a JSON string.
    Plain,
}

/// What a server is, by its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    Vllm,
    LlamaServer,
    Andon,
    Other,
}

impl Maker {
    fn of(entry: &Value) -> Self {
        match entry["owned_by"].as_str() {
            Some("vllm") => Self::Vllm,
            Some("llamacpp") => Self::LlamaServer,
            Some("andon") => Self::Andon,
            _ => Self::Other,
        }
    }
}

/// A server, and the model of it that is meant.
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    pub(crate) key: Option<Key>,
    pub(crate) lines: Lines,
    /// The model, as the server names it.
    pub(crate) model: String,
    pub(crate) maker: Maker,
    pub(crate) dialect: Dialect,
    /// What the server called its configuration when it was first asked; nothing,
    /// if it did not call it anything.
    fingerprint: OnceLock<Option<String>>,
}

impl Server {
    pub(crate) fn ask<'a>(&'a self, url: &'a str, body: Option<&'a Value>) -> Ask<'a> {
        Ask {
            url,
            body,
            key: self.key.as_ref(),
            model: &self.model,
            taken: self.lines.taken(),
        }
    }

    /// Asks for something that is not a stream.
    pub(crate) fn json(
        &self,
        url: &str,
        body: Option<&Value>,
        terms: &Terms,
    ) -> Result<Value, EngineError> {
        let call = self.lines.take(terms)?;
        self.ask(url, body).json(&call)
    }

    pub(crate) fn refuse_adapter(&self, adapter: Option<&Adapter>) -> Result<(), EngineError> {
        match adapter {
            None => Ok(()),
            Some(adapter) => Err(EngineError::UnknownAdapter {
                model: self.model.clone(),
                adapter: adapter.name.clone(),
            }),
        }
    }

    /// A run names the model that answered it: one that was replaced since must
    /// not answer under the digest of the other.
    pub(crate) fn check_fingerprint(&self, told: Option<&str>) -> Result<(), EngineError> {
        let Some(told) = told else {
            return Ok(());
        };
        let known = self.fingerprint.get_or_init(|| Some(told.to_owned()));
        match known.as_deref() {
            Some(known) if known == told => Ok(()),
            known => Err(EngineError::Failed(format!(
                "the server at {} answers as '{}' now and not as '{}': restart this node to accept it",
                self.endpoint,
                told.chars().take(80).collect::<String>(),
                known.unwrap_or("before")
            ))),
        }
    }

    /// Has the server say one token, which shows that it answers, and gives what it
    /// calls its configuration.
    fn introduce(&self) -> Result<(), EngineError> {
        let greeting = Prompt::chat(vec![Message::new(Role::User, "ready")]);
        let said = self.introduce_by(greeting);
        match said {
            // Models without a template for chats still continue texts.
            Err(EngineError::Invalid(_)) => self.introduce_by(Prompt::Text("ready".into())),
            said => said,
        }
    }

    fn introduce_by(&self, prompt: Prompt) -> Result<(), EngineError> {
        let request = GenerateRequest {
            max_tokens: Some(1),
            ..GenerateRequest::new(prompt)
        };
        self.generate(&request, &mut |_| ControlFlow::Continue(()))
            .map(drop)
    }
}

/// A model behind an OpenAI-compatible server on the plant's network.
///
/// Its digest is none of weights, which a client never sees: it is made of what
/// the server says of the model (its name, owner, origin and digest, and the
/// fingerprint of the server's configuration). A server that lies is believed;
/// one that says something else later than when it was connected to is refused.
pub struct RemoteModel {
    server: Server,
    identity: Identity,
}

impl RemoteModel {
    /// Finds the model and has it say a token.
    ///
    /// # Errors
    /// If the server cannot be reached, has no such model or does not answer.
    pub fn connect(
        endpoint: Endpoint,
        key: Option<Key>,
        patience: Patience,
    ) -> Result<Self, ConnectError> {
        let shown = endpoint.to_string();
        let cannot = |source| ConnectError::Server {
            server: shown.clone(),
            source,
        };
        let mut server = Server {
            lines: Lines::new(patience),
            model: endpoint.model().unwrap_or_default().to_owned(),
            maker: Maker::Other,
            dialect: Dialect::Plain,
            fingerprint: OnceLock::new(),
            endpoint,
            key,
        };
        let listed = server.endpoint.api("/models");
        let models = server
            .json(&listed, None, &Terms::default())
            .map_err(cannot)?;
        let entry = choose(&server.endpoint, &models)?;
        server.model = entry["id"].as_str().unwrap_or_default().to_owned();
        server.maker = Maker::of(entry);
        server.dialect = match server.maker {
            Maker::Vllm | Maker::Andon => Dialect::Structured,
            Maker::LlamaServer | Maker::Other => Dialect::Plain,
        };
        server.introduce().map_err(cannot)?;
        let fingerprint = server.fingerprint.get_or_init(|| None).as_deref();
        let identity = Identity {
            name: server.model.clone(),
            digest: digest(entry, fingerprint),
            context_tokens: context(entry).unwrap_or(UNTOLD_CONTEXT),
        };
        Ok(Self { server, identity })
    }
}

/// The model that is meant.
fn choose<'a>(endpoint: &Endpoint, models: &'a Value) -> Result<&'a Value, ConnectError> {
    let listed = models["data"].as_array().map_or(&[][..], Vec::as_slice);
    let name = |entry: &'a Value| entry["id"].as_str().filter(|id| !id.is_empty());
    // An encoder answers no chats: Andon says which is one.
    let named = || listed.iter().filter(|entry| name(entry).is_some());
    let speaks = |entry: &&Value| entry["kind"].as_str() != Some("encoder");
    let found = match endpoint.model() {
        Some(wanted) => named().find(|entry| name(entry) == Some(wanted)),
        None => {
            let mut candidates = named().filter(speaks);
            candidates.next().filter(|_| candidates.next().is_none())
        }
    };
    found.ok_or_else(|| {
        let names: Vec<&str> = named().take(20).filter_map(name).collect();
        let found = match names.is_empty() {
            true => "no models".to_owned(),
            false => names.join(", "),
        };
        let server = endpoint.to_string();
        match endpoint.model() {
            Some(wanted) => ConnectError::NoSuchModel {
                server,
                wanted: wanted.to_owned(),
                found,
            },
            None => ConnectError::Unnamed { server, found },
        }
    })
}

/// What a model is known by: all that its server says of it and that stays. The
/// time of an entry does not; some servers give that of the question.
fn digest(entry: &Value, fingerprint: Option<&str>) -> Digest {
    let mut parts = vec!["remote model"];
    for name in ["id", "owned_by", "root", "digest"] {
        parts.extend([name, entry[name].as_str().unwrap_or("")]);
    }
    parts.extend(["system_fingerprint", fingerprint.unwrap_or("")]);
    Digest::of_parts(parts.into_iter().map(str::as_bytes))
}

/// How many tokens the model holds, under the names that servers have for it.
fn context(entry: &Value) -> Option<usize> {
    let told = [
        &entry["max_model_len"],
        &entry["context_tokens"],
        &entry["meta"]["n_ctx"],
        &entry["context_length"],
        &entry["max_context_length"],
    ];
    let told = told.into_iter().find_map(Value::as_u64)?;
    usize::try_from(told).ok()
}

impl Generate for RemoteModel {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn generate(
        &self,
        request: &GenerateRequest,
        on_piece: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Result<Generation, EngineError> {
        self.server.generate(request, on_piece)
    }
}

impl Score for RemoteModel {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn score_all(&self, requests: &[ScoreRequest]) -> Result<Vec<Scores>, EngineError> {
        requests
            .iter()
            .map(|request| self.server.score(request))
            .collect()
    }

    fn pin(&self, _: &[Prompt]) -> Result<usize, EngineError> {
        // What a server keeps at hand is its own affair.
        Ok(0)
    }
}

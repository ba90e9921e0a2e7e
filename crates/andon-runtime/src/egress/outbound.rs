//! A chat that goes to an upstream: a language model like others, to whoever asks.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use andon_task::digest::Digest;
use andon_task::engine::{
    EngineError, Generate, GenerateRequest, Generation, Grammar, Identity, Message, Piece, Prompt,
    Role, Score, ScoreRequest, Scores, ToolCall,
};
use andon_task::policy::Principal;
use andon_task::redact::{Field, Restorer};
use andon_task::task::DataClass;
use andon_task::upstream::{Delivery, UpstreamError};
use serde_json::{Value, json};

use super::Egress;
use super::passage::{Closed, Order};

/// When to ask again where the link is down.
const RETRY: Duration = Duration::from_secs(5);
/// The context of an upstream is its own affair.
const UNTOLD_CONTEXT: usize = u32::MAX as usize;

/// An upstream as a language model, for one caller.
pub struct Outbound {
    egress: Arc<Egress>,
    place: usize,
    principal: Principal,
    identity: Identity,
}

impl Outbound {
    /// The upstream of this name, for a caller known by this name.
    pub fn new(egress: &Arc<Egress>, upstream: &str, caller: &str) -> Option<Self> {
        let place = egress.upstreams().position(|name| name == upstream)?;
        let settings = egress.lines[place].upstream.settings();
        let parts = ["upstream", &settings.url, &settings.model];
        Some(Self {
            identity: Identity {
                name: format!("upstream:{upstream}"),
                digest: Digest::of_parts(parts.into_iter().map(str::as_bytes)),
                context_tokens: UNTOLD_CONTEXT,
            },
            egress: Arc::clone(egress),
            place,
            principal: Principal::Caller(caller.to_owned()),
        })
    }

    /// Whether policy lets the caller send a request there, and what may be spent on it
    /// suffices. Nothing is sent or noted.
    pub fn admits(&self, request: &GenerateRequest) -> bool {
        let line = &self.egress.lines[self.place];
        let rules = self.egress.rules();
        let denied = self
            .egress
            .denied_by(&rules, &self.principal, &fields(request), line);
        denied.is_none() && self.affords(request)
    }

    fn affords(&self, request: &GenerateRequest) -> bool {
        let line = &self.egress.lines[self.place];
        let bytes = request_bytes(request);
        let most = request.max_tokens.unwrap_or(1024);
        self.egress.affords(line, bytes / 3 + 1, most)
    }

    fn error_of(&self, closed: &Closed) -> EngineError {
        let message = format!("the upstream '{}': {closed}", self.name());
        match closed {
            Closed::Denied(_) => EngineError::Forbidden(message),
            Closed::Upstream(UpstreamError::Cancelled) => EngineError::Cancelled,
            Closed::Upstream(UpstreamError::DeadlinePassed) => EngineError::DeadlinePassed,
            Closed::Upstream(UpstreamError::Refused(_)) | Closed::Redaction(_) => {
                EngineError::Invalid(message)
            }
            closed if closed.is_of_link() => EngineError::Unreachable {
                reason: message,
                retry_after: RETRY,
            },
            _ => EngineError::Failed(message),
        }
    }

    fn name(&self) -> &str {
        self.egress.lines[self.place].name()
    }
}

/// The parts of a request that would leave, which are all internal.
fn fields(request: &GenerateRequest) -> Vec<(Field, DataClass)> {
    let fields = Field::of(request).into_iter();
    fields.map(|field| (field, DataClass::Internal)).collect()
}

impl Generate for Outbound {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn generate(
        &self,
        request: &GenerateRequest,
        on_piece: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Result<Generation, EngineError> {
        let _place = self.egress.wait().ok_or(EngineError::Overloaded {
            waiting: super::MOST_WAITING,
            retry_after: RETRY,
        })?;
        let line = &self.egress.lines[self.place];
        let fields = fields(request);
        let order = Order {
            principal: &self.principal,
            fields: &fields,
            record: None,
            delivery: Delivery::Pieces,
        };
        if !self.affords(request) {
            let spent = format!(
                "what may be spent on the upstream '{}' is spent",
                self.name()
            );
            return Err(EngineError::Forbidden(spent));
        }
        let ready = self
            .egress
            .prepare(line, &order, request, &words(request))
            .map_err(|closed| self.error_of(&closed))?;
        let restorer = &ready.restorer;
        // What is held to JSON is restored as JSON, and comes at once.
        let is_json = matches!(request.grammar, Some(Grammar::Json(_)));
        let mut stream = restorer.stream();
        let mut text = String::new();
        let mut left = ControlFlow::Continue(());
        let mut pass_on = |piece: String, text: &mut String| {
            text.push_str(&piece);
            match piece.is_empty() {
                true => ControlFlow::Continue(()),
                false => on_piece(Piece {
                    text: &piece,
                    drawn: &[],
                }),
            }
        };
        // Each question of a chat is its own: nothing of it waits and is sent again later.
        let key = Digest::of(&ready.body).to_string();
        let sent = self
            .egress
            .dispatch(line, &order, &ready, &key, &mut |piece| {
                let piece = match is_json {
                    true => restore_json(restorer, piece),
                    false => stream.push(piece),
                };
                left = pass_on(piece, &mut text);
                left
            });
        let sent = sent.map_err(|closed| self.error_of(&closed))?;
        let rest = match (is_json, text.is_empty()) {
            // It came all at once.
            (true, true) => restore_json(restorer, &sent.reply.text),
            (false, true) => restorer.restore(&sent.reply.text),
            _ => stream.finish(),
        };
        if pass_on(rest, &mut text).is_break() {
            return Err(EngineError::Cancelled);
        }
        for call in &sent.reply.calls {
            if pass_on(tagged(restorer, call), &mut text).is_break() {
                return Err(EngineError::Cancelled);
            }
        }
        Ok(Generation {
            text,
            drawn: Vec::new(),
            finish: sent.reply.finish,
            usage: sent.reply.usage,
        })
    }
}

impl Score for Outbound {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn score_all(&self, _: &[ScoreRequest]) -> Result<Vec<Scores>, EngineError> {
        Err(EngineError::Invalid(
            "an upstream weighs no labels: ask it a chat, or a model of this node".to_owned(),
        ))
    }

    fn pin(&self, _: &[Prompt]) -> Result<usize, EngineError> {
        Ok(0)
    }
}

fn restore_json(restorer: &Restorer, text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(value) if text.contains('[') || text.contains('_') => {
            restorer.restore_value(&value).to_string()
        }
        _ => text.to_owned(),
    }
}

/// A call as the models of this node write it.
fn tagged(restorer: &Restorer, call: &ToolCall) -> String {
    let name = json!(restorer.restore_name(&call.name));
    let arguments = restorer.restore_value(&call.arguments);
    format!("<tool_call>\n{{\"name\": {name}, \"arguments\": {arguments}}}\n</tool_call>")
}

/// What people wrote of a request, and what tools answered.
fn words(request: &GenerateRequest) -> Vec<&str> {
    match &request.prompt {
        Prompt::Text(text) => vec![text],
        Prompt::Chat(chat) => {
            let said = |turn: &&Message| matches!(turn.role, Role::User | Role::Tool);
            let turns = chat.messages.iter().filter(said);
            turns.map(|turn| turn.content.as_str()).collect()
        }
    }
}

/// About how much is sent, for what it may cost.
fn request_bytes(request: &GenerateRequest) -> usize {
    match &request.prompt {
        Prompt::Text(text) => text.len(),
        Prompt::Chat(chat) => {
            let turns = chat.messages.iter().map(|turn| {
                let calls = turn
                    .calls
                    .iter()
                    .map(|call| call.arguments.to_string().len());
                turn.content.len() + calls.sum::<usize>()
            });
            let tools = chat
                .tools
                .iter()
                .map(|tool| tool.parameters.to_string().len());
            turns.sum::<usize>() + tools.sum::<usize>()
        }
    }
}

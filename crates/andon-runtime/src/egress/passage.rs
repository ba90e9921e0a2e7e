//! The steps between a request and the bytes that leave.

use std::ops::ControlFlow;
use std::time::Instant;

use andon_store::Paid;
use andon_task::audit::{Act, egress as key};
use andon_task::digest::Digest;
use andon_task::engine::GenerateRequest;
use andon_task::policy::Principal;
use andon_task::redact::{Counts, Field, RedactError, Restorer};
use andon_task::route::Reason;
use andon_task::task::DataClass;
use andon_task::upstream::{self, Delivery, Letter, Reply, UpstreamError};
use serde_json::{Map, Value, json};

use super::{Egress, Line};

/// Who sends what.
pub(super) struct Order<'a> {
    pub(super) principal: &'a Principal,
    pub(super) fields: &'a [(Field, DataClass)],
    pub(super) record: Option<i64>,
    pub(super) delivery: Delivery,
}

/// Why nothing came of it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Closed {
    #[error("the policy does not let '{0}' leave for it")]
    Denied(&'static str),
    #[error("what was to leave could not be redacted: {0}")]
    Redaction(#[from] RedactError),
    #[error("the audit log does not take what was to leave: {0}")]
    Audit(String),
    #[error("{0}")]
    Upstream(#[from] UpstreamError),
}

impl Closed {
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Denied(_) => Reason::PolicyDenied,
            Self::Redaction(_) => Reason::RedactionFailed,
            Self::Audit(_) => Reason::AuditFailed,
            Self::Upstream(error) => match error {
                error if error.is_of_link() => Reason::LinkDown,
                UpstreamError::Unfit | UpstreamError::Garbled(_) => Reason::UpstreamInvalid,
                UpstreamError::DeadlinePassed | UpstreamError::Cancelled => Reason::Deadline,
                _ => Reason::UpstreamFailed,
            },
        }
    }

    pub(super) fn is_of_link(&self) -> bool {
        matches!(self, Self::Upstream(error) if error.is_of_link())
    }

    /// Whether it may speak of this request alone: the upstream was reached, and did not
    /// get to an answer.
    pub(super) fn may_be_of_one(&self) -> bool {
        match self {
            Self::Upstream(UpstreamError::Busy { status, .. }) => *status != 429,
            Self::Upstream(UpstreamError::Silent(_)) => true,
            _ => false,
        }
    }

    /// Whether the answer was bad and another may be better.
    pub(super) fn is_of_answer(&self) -> bool {
        matches!(
            self,
            Self::Upstream(UpstreamError::Unfit | UpstreamError::Garbled(_))
        )
    }
}

/// What may leave: allowed, redacted, composed and looked through.
pub(super) struct Ready {
    pub(super) request: GenerateRequest,
    pub(super) body: Vec<u8>,
    pub(super) redactions: Counts,
    /// The digest of the policy that let it.
    pub(super) policy: Option<Digest>,
    pub(super) restorer: Restorer,
}

/// What came back, still with placeholders, and what it took.
pub(super) struct Sent {
    pub(super) reply: Reply,
    pub(super) egress: upstream::Egress,
}

/// In whose name it is sent.
fn who<'a>(order: &Order<'a>) -> &'a str {
    match order.principal {
        Principal::Task(_) => "node",
        Principal::Caller(name) => name,
    }
}

impl Egress {
    /// Policy and redaction, up to the bytes that would leave. `words` are those texts of
    /// the request that people wrote: what normalisers mask in them is redacted as well.
    pub(super) fn prepare(
        &self,
        line: &Line,
        order: &Order<'_>,
        request: &GenerateRequest,
        words: &[&str],
    ) -> Result<Ready, Closed> {
        let policy = self.allow(line, order)?;
        let mut session = self.parts.redactor.session();
        for normaliser in self
            .masks()
            .map_err(|reason| self.refuse(line, order, RedactError::Masks(reason)))?
        {
            for text in words {
                session
                    .learn_masked(text, &normaliser)
                    .map_err(|error| self.refuse(line, order, error))?;
            }
        }
        let redacted = session
            .request(request)
            .map_err(|error| self.refuse(line, order, error))?;
        let body = line.upstream.compose(&redacted, order.delivery)?;
        session
            .scan(&body)
            .map_err(|error| self.refuse(line, order, error))?;
        let redactions = session.counts().clone();
        Ok(Ready {
            request: redacted,
            body,
            redactions,
            policy,
            restorer: session.into_restorer(),
        })
    }

    /// The digest of the policy that lets it.
    fn allow(&self, line: &Line, order: &Order<'_>) -> Result<Option<Digest>, Closed> {
        let rules = self.rules();
        match self.denied_by(&rules, order.principal, order.fields, line) {
            None => Ok(rules.digest),
            Some(field) => {
                self.note_refusal(line, order, &format!("policy: {}", field.name()));
                Err(Closed::Denied(field.name()))
            }
        }
    }

    fn refuse(&self, line: &Line, order: &Order<'_>, error: RedactError) -> Closed {
        self.note_refusal(line, order, &format!("redaction: {error}"));
        error.into()
    }

    fn note_refusal(&self, line: &Line, order: &Order<'_>, reason: &str) {
        let mut detail = self.detail(line, order, self.rules().digest);
        detail.insert("reason".to_owned(), reason.into());
        self.append(Act::EgressRefused, order, detail)
            // Nothing leaves either way.
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "a refusal is missing in the audit log");
                0
            });
    }

    fn detail(&self, line: &Line, order: &Order<'_>, policy: Option<Digest>) -> Map<String, Value> {
        let fields: Vec<&str> = order.fields.iter().map(|(field, _)| field.name()).collect();
        let mut detail = Map::new();
        if let Principal::Task(task) = order.principal {
            detail.insert(key::TASK.to_owned(), task.as_str().into());
        }
        if let Some(record) = order.record {
            detail.insert(key::RECORD.to_owned(), record.into());
        }
        detail.insert(key::UPSTREAM.to_owned(), line.name().into());
        detail.insert(key::FIELDS.to_owned(), json!(fields));
        if let Some(policy) = policy {
            detail.insert(key::POLICY.to_owned(), policy.to_string().into());
        }
        detail
    }

    fn append(
        &self,
        act: Act,
        order: &Order<'_>,
        detail: Map<String, Value>,
    ) -> Result<i64, andon_store::Error> {
        let detail = Value::Object(detail);
        let row = (self.parts.store).append_audit(act, who(order), self.now(), detail)?;
        Ok(row.0)
    }

    /// The audit row, then the bytes. `key` is the same for whatever is sent again.
    pub(super) fn dispatch(
        &self,
        line: &Line,
        order: &Order<'_>,
        ready: &Ready,
        key: &str,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Sent, Closed> {
        let payload = Digest::of(&ready.body);
        let mut detail = self.detail(line, order, ready.policy);
        detail.insert(key::REDACTIONS.to_owned(), json!(ready.redactions));
        detail.insert(key::PAYLOAD.to_owned(), payload.to_string().into());
        detail.insert(key::BYTES.to_owned(), ready.body.len().into());
        // Before anything leaves: what is not in the log was not sent.
        let audit = self
            .append(Act::Egress, order, detail)
            .map_err(|error| Closed::Audit(error.to_string()))?;
        let began = Instant::now();
        let letter = Letter {
            request: &ready.request,
            body: &ready.body,
            key,
        };
        let result = line.upstream.send(&letter, on_text);
        let settings = line.upstream.settings();
        let usage = result.as_ref().map(|reply| reply.usage).unwrap_or_default();
        let cost = settings.cost(usage.prompt_tokens, usage.completion_tokens);
        let outcome = result
            .as_ref()
            .map_or_else(ToString::to_string, |_| "answered".to_owned());
        self.settle(
            line,
            order,
            audit,
            (usage.prompt_tokens, usage.completion_tokens),
            cost,
            &outcome,
        );
        let reply = result?;
        line.note(began.elapsed());
        Ok(Sent {
            egress: upstream::Egress {
                upstream: settings.name.clone(),
                model: settings.model.clone(),
                fields: order
                    .fields
                    .iter()
                    .map(|(field, _)| field.name().to_owned())
                    .collect(),
                redactions: ready.redactions.clone(),
                policy: ready.policy,
                payload,
                audit,
                prompt_tokens: usage.prompt_tokens,
                completion_tokens: usage.completion_tokens,
                cost,
            },
            reply,
        })
    }

    /// What came of it. It has left already: a failure here is told, not acted on.
    fn settle(
        &self,
        line: &Line,
        order: &Order<'_>,
        audit: i64,
        tokens: (usize, usize),
        cost: f64,
        outcome: &str,
    ) {
        let mut detail = Map::new();
        detail.insert("egress".to_owned(), audit.into());
        detail.insert("outcome".to_owned(), outcome.into());
        detail.insert(key::UPSTREAM.to_owned(), line.name().into());
        detail.insert(key::TOKENS.to_owned(), (tokens.0 + tokens.1).into());
        detail.insert(key::COST.to_owned(), json!(cost));
        let paid = Paid {
            upstream: line.name().to_owned(),
            at: self.now(),
            prompt_tokens: tokens.0,
            completion_tokens: tokens.1,
            cost,
        };
        let detail = Value::Object(detail);
        if let Err(error) = self.parts.store.settle_egress(paid, who(order), detail) {
            tracing::warn!(%error, "what came of a request, and what it cost, is missing");
        }
    }
}

//! What all handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use andon_runtime::{LanguageModel, Node, Outbound};
use andon_task::engine::{Adapter, Embed};
use andon_task::task::Class;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::access::{Caller, Door, KeyRing};
use crate::error::ApiError;
use crate::gate::Gate;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::serve::Limits;

/// The name of the model that answers what is within its reach and declines the rest.
pub(crate) const AUTO: &str = "andon:auto";

/// What all handlers share; cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) node: Arc<Node>,
    /// Bounds the calls into the node that are soon done.
    pub(crate) gate: Gate,
    /// Bounds those that take seconds, so that records always find a place.
    pub(crate) long_gate: Gate,
    pub(crate) keys: KeyRing,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    pub(crate) openapi: String,
    /// How long a probe of the node may take before it is overdue.
    pub(crate) patience: Duration,
    started_ms: i64,
    answers: AtomicU64,
}

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    /// Where the keys cannot be read the door stays shut until they can.
    pub(crate) fn new(node: Arc<Node>, limits: Limits, door: Door, openapi: String) -> Self {
        let (door, known) = match node.keys() {
            Ok(known) => (door, known),
            Err(error) => {
                tracing::error!(%error, "cannot read the keys: nobody is let in");
                (Door::Keys, Vec::new())
            }
        };
        Self(Arc::new(Shared {
            keys: KeyRing::new(door, known),
            started_ms: node.now().0,
            gate: Gate::new(limits.in_flight),
            long_gate: Gate::new(limits.long_in_flight),
            health: Health::default(),
            patience: limits.probe,
            metrics: Metrics::new(),
            openapi,
            answers: AtomicU64::new(0),
            node,
        }))
    }

    /// Runs `job` behind the gate.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        class: Class,
        job: impl FnOnce(&Node) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.gate.work(class, &self.node, job).await
    }

    /// Runs a `job` that may take seconds behind its own gate.
    pub(crate) async fn long_work<T: Send + 'static>(
        &self,
        class: Class,
        job: impl FnOnce(&Node) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.long_gate.work(class, &self.node, job).await
    }

    /// An id for an answer that no store keeps: unique on this node.
    pub(crate) fn answer_id(&self, prefix: &str) -> String {
        let number = self.answers.fetch_add(1, Ordering::Relaxed);
        format!("{prefix}-{:x}-{number:x}", self.started_ms)
    }

    /// Seconds since 1970, as OpenAI's `created`.
    pub(crate) fn created(&self) -> i64 {
        self.node.now().0.div_euclid(1000)
    }

    /// The language model that `name` names, alone or with an adapter:
    /// `base+adapter`. An adapter may be named beside as well, but once.
    pub(crate) fn language_model(
        &self,
        name: &str,
        beside: Option<AdapterChoice>,
    ) -> Result<Chosen, ApiError> {
        let Some(model) = self.node.language_model() else {
            return Err(ApiError::no_such_model(name, "no language model is loaded"));
        };
        let base = &model.model().name;
        let name = if name == AUTO { base } else { name };
        let known = model.adapters();
        let within = name
            .strip_prefix(base.as_str())
            .and_then(|rest| rest.strip_prefix('+'));
        let adapter = match within {
            Some(adapter) if known.iter().any(|known| known == adapter) => Some(Adapter {
                name: adapter.to_owned(),
                scale: 1.0,
            }),
            None if name == base => None,
            _ => {
                let instead = match known.is_empty() {
                    true => format!("use '{base}'"),
                    false => "GET /v1/models lists what is".to_owned(),
                };
                return Err(ApiError::no_such_model(name, &instead));
            }
        };
        let beside = beside.map(AdapterChoice::into_adapter).transpose()?;
        let adapter = match (adapter, beside) {
            (Some(_), Some(_)) => {
                let message = "the model names an adapter already: leave one out";
                return Err(ApiError::invalid("adapter", message));
            }
            (within, beside) => within.or(beside),
        };
        if let Some(adapter) = &adapter
            && !known.contains(&adapter.name)
        {
            return Err(ApiError::no_such_adapter(&adapter.name, base));
        }
        Ok(Chosen {
            name: name.to_owned(),
            model: Arc::clone(model),
            adapter,
        })
    }

    /// What answers a chat: the language model, which `andon:auto` names too, or as
    /// `upstream:NAME` a larger one elsewhere, as far as policy lets the caller.
    pub(crate) fn chat_model(
        &self,
        name: &str,
        beside: Option<AdapterChoice>,
        caller: &Caller,
    ) -> Result<Chosen, ApiError> {
        if name == AUTO
            && let Some(model) = self.node.language_model()
        {
            return self.language_model(&model.model().name, beside);
        }
        let Some(upstream) = name.strip_prefix("upstream:") else {
            return self.language_model(name, beside);
        };
        if beside.is_some() {
            let message = "an upstream has no adapters: leave it out";
            return Err(ApiError::invalid("adapter", message));
        }
        let outbound = self.outbound(upstream, caller).ok_or_else(|| {
            ApiError::no_such_model(name, "plant.toml has no upstream of this name")
        })?;
        Ok(Chosen {
            name: name.to_owned(),
            model: outbound,
            adapter: None,
        })
    }

    /// The upstreams, in the order of plant.toml, to whom a caller may be let.
    pub(crate) fn upstreams(&self, caller: &Caller) -> Vec<Arc<Outbound>> {
        let names = self
            .node
            .egress()
            .into_iter()
            .flat_map(|egress| egress.upstreams());
        names
            .filter_map(|name| self.outbound(name, caller))
            .collect()
    }

    fn outbound(&self, upstream: &str, caller: &Caller) -> Option<Arc<Outbound>> {
        let caller = caller.name(None).unwrap_or_else(|| "local".to_owned());
        let outbound = Outbound::new(self.node.egress()?, upstream, &caller)?;
        Some(Arc::new(outbound))
    }

    /// The encoder, if that is what `name` names.
    pub(crate) fn encoder(&self, name: &str) -> Result<Arc<dyn Embed>, ApiError> {
        match self.node.encoder() {
            Some(model) if model.identity().name == name => Ok(Arc::clone(model)),
            Some(model) => Err(ApiError::no_such_model(
                name,
                &format!("use '{}'", model.identity().name),
            )),
            None => Err(ApiError::no_such_model(name, "no encoder is loaded")),
        }
    }
}

/// The model that a request names.
pub(crate) struct Chosen {
    /// As the request names it.
    pub(crate) name: String,
    pub(crate) model: Arc<dyn LanguageModel>,
    pub(crate) adapter: Option<Adapter>,
}

/// An adapter: its name, or its name and how strong it is to be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a name, or an object with name and scale"
)]
pub(crate) enum AdapterChoice {
    /// As strong as it was trained.
    Name(String),
    /// With another strength.
    Scaled {
        /// Its name.
        name: String,
        /// What its own strength is multiplied by, from 0 to 4.
        scale: f32,
    },
}

impl AdapterChoice {
    fn into_adapter(self) -> Result<Adapter, ApiError> {
        let (name, scale) = match self {
            Self::Name(name) => (name, 1.0),
            Self::Scaled { name, scale } => (name, scale),
        };
        if !(0.0..=4.0).contains(&scale) {
            let message = format!("the scale is {scale}: give a number from 0 to 4");
            return Err(ApiError::invalid("adapter.scale", message));
        }
        Ok(Adapter { name, scale })
    }
}

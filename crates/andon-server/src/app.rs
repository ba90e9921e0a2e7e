//! What all handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use andon_runtime::{LanguageModel, Node};
use andon_task::engine::Embed;

use crate::error::ApiError;
use crate::gate::Gate;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::serve::Limits;

/// What all handlers share; cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) node: Arc<Node>,
    /// Bounds the calls into the node that are soon done.
    pub(crate) gate: Gate,
    /// Bounds those that take seconds, so that records always find a place.
    pub(crate) long_gate: Gate,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    pub(crate) openapi: String,
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
    pub(crate) fn new(node: Arc<Node>, limits: Limits, openapi: String) -> Self {
        Self(Arc::new(Shared {
            started_ms: node.now().0,
            gate: Gate::new(limits.in_flight),
            long_gate: Gate::new(limits.long_in_flight),
            health: Health::default(),
            metrics: Metrics::new(),
            openapi,
            answers: AtomicU64::new(0),
            node,
        }))
    }

    /// Runs `job` behind the gate.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Node) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.gate.work(&self.node, job).await
    }

    /// Runs a `job` that may take seconds behind its own gate.
    pub(crate) async fn long_work<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Node) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.long_gate.work(&self.node, job).await
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

    /// The language model, if that is what `name` names.
    pub(crate) fn language_model(&self, name: &str) -> Result<Arc<dyn LanguageModel>, ApiError> {
        match self.node.language_model() {
            Some(model) if model.model().name == name => Ok(Arc::clone(model)),
            Some(model) => Err(ApiError::no_such_model(
                name,
                &format!("use '{}'", model.model().name),
            )),
            None => Err(ApiError::no_such_model(name, "no language model is loaded")),
        }
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

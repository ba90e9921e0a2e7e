//! `GET /health`: whether the node really works, found out by using it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Document};
use andon_runtime::Readiness;
use andon_task::engine::Statistics;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{Mutex, mpsc};

use crate::app::App;
use crate::extract::Reply;

/// A finding is used again for this long.
const FRESH: Duration = Duration::from_secs(5);

/// The latest finding; the lock is held while the next one is made, so that at
/// most one probe runs.
#[derive(Default)]
pub(crate) struct Health(Mutex<Latest>);

#[derive(Default)]
struct Latest {
    finding: Option<(Instant, HealthView)>,
    /// A probe that ran out of patience and still runs.
    pending: Option<mpsc::Receiver<Readiness>>,
}

/// Whether the node works.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct HealthView {
    /// `ready`; `degraded`, where something is closed and the rest works; or
    /// `not_ready`.
    status: &'static str,
    /// What was tried.
    checks: Vec<CheckView>,
}

/// One thing that was tried.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct CheckView {
    /// What.
    name: String,
    /// Whether it works.
    ready: bool,
    /// Why not, or what else is to be known.
    detail: Option<String>,
}

impl HealthView {
    fn new(readiness: Readiness) -> Self {
        Self {
            status: match (readiness.is_ready(), readiness.degraded.is_empty()) {
                (true, true) => "ready",
                (true, false) => "degraded",
                (false, _) => "not_ready",
            },
            checks: (readiness.checks.into_iter())
                .chain(readiness.degraded)
                .map(|check| CheckView {
                    name: check.name,
                    ready: check.ready,
                    detail: check.detail,
                })
                .collect(),
        }
    }

    fn stuck(patience: Duration) -> Self {
        let detail = format!(
            "no answer to a tiny request within {} s, and no step since",
            patience.as_secs_f64()
        );
        Self {
            status: "not_ready",
            checks: vec![CheckView {
                name: "engine".to_owned(),
                ready: false,
                detail: Some(detail),
            }],
        }
    }

    /// Nothing came in time, but the engine has computed steps meanwhile.
    fn busy(statistics: &Statistics) -> Self {
        let detail = format!(
            "busy: {} requests run and {} wait",
            statistics.running, statistics.waiting
        );
        Self {
            status: "ready",
            checks: vec![CheckView {
                name: "engine".to_owned(),
                ready: true,
                detail: Some(detail),
            }],
        }
    }

    fn is_ready(&self) -> bool {
        self.status != "not_ready"
    }
}

/// Health with its status.
pub(crate) struct HealthReply(HealthView);

impl IntoResponse for HealthReply {
    fn into_response(self) -> Response {
        let status = match self.0.is_ready() {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Reply(self.0)).into_response()
    }
}

impl OperationOutput for HealthReply {
    type Inner = HealthView;

    fn operation_response(ctx: &mut GenContext, operation: &mut Operation) -> Option<Document> {
        Reply::<HealthView>::operation_response(ctx, operation)
    }

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, Document)> {
        Self::operation_response(ctx, operation)
            .map(|document| vec![(Some(200), document.clone()), (Some(503), document)])
            .unwrap_or_default()
    }
}

/// Tells whether the node works: 200, or 503 with the reasons. The store is
/// written and every model is used, at most every few seconds. A node that is
/// busy is ready; an engine that makes no progress is not.
pub(crate) async fn show(State(app): State<App>) -> HealthReply {
    let mut latest = app.health.0.lock().await;
    if let Some((at, view)) = &latest.finding
        && at.elapsed() < FRESH
    {
        return HealthReply(view.clone());
    }
    let patience = app.patience;
    let steps = statistics(&app).steps;
    let mut probe = latest.pending.take().unwrap_or_else(|| start(&app));
    let view = match tokio::time::timeout(patience, probe.recv()).await {
        Ok(Some(readiness)) => HealthView::new(readiness),
        Ok(None) => HealthView::stuck(patience),
        Err(_) => {
            latest.pending = Some(probe);
            let statistics = statistics(&app);
            match statistics.steps > steps {
                true => HealthView::busy(&statistics),
                false => HealthView::stuck(patience),
            }
        }
    };
    latest.finding = Some((Instant::now(), view.clone()));
    HealthReply(view)
}

fn statistics(app: &App) -> Statistics {
    let model = app.node.language_model();
    model.map_or_else(Statistics::default, |model| model.statistics())
}

fn start(app: &App) -> mpsc::Receiver<Readiness> {
    let (sender, receiver) = mpsc::channel(1);
    let node = Arc::clone(&app.node);
    tokio::task::spawn_blocking(move || {
        // Fails only where the node has shut down and nobody asks any more.
        sender.blocking_send(node.readiness()).ok();
    });
    receiver
}

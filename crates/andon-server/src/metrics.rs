//! `GET /metrics`: Prometheus text. Requests are counted by a layer around all
//! routes; what the store holds is read when asked.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use andon_runtime::{CertificateStatus, Thousand, Validity};
use andon_store::{Spent, Tally};
use andon_task::engine::Statistics;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::app::App;
use crate::error::{ApiError, Refusal};

/// Upper bounds of the buckets of latency, in seconds.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TallyLabels {
    task: String,
    route: String,
    reason: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PlaceLabels {
    answered: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UpstreamLabels {
    upstream: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TaskLabels {
    task: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EvidenceLabels {
    task: String,
    of: &'static str,
}

type Latency = Family<RequestLabels, Histogram, fn() -> Histogram>;

/// What is counted.
pub(crate) struct Metrics {
    latency: Latency,
    refused: Family<ReasonLabels, Counter>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            latency: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            refused: Family::default(),
        }
    }
}

/// Counts and times every request by its route's pattern and its status.
pub(crate) async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let method = match request.method().as_str() {
        known @ ("GET" | "POST" | "HEAD" | "OPTIONS" | "PUT" | "DELETE") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unknown", MatchedPath::as_str)
        .to_owned();
    let began = Instant::now();
    let response = next.run(request).await;
    if let Some(Refusal(reason)) = response.extensions().get() {
        app.metrics
            .refused
            .get_or_create(&ReasonLabels { reason })
            .inc();
    }
    let labels = RequestLabels {
        method,
        route,
        status: response.status().as_u16(),
    };
    let seconds = began.elapsed().as_secs_f64();
    app.metrics.latency.get_or_create(&labels).observe(seconds);
    response
}

/// Shows the figures.
pub(crate) async fn show(State(app): State<App>) -> Result<Response, ApiError> {
    let node = Arc::clone(&app.node);
    let stored = tokio::task::spawn_blocking(move || {
        let statuses: Vec<CertificateStatus> = node
            .plant()
            .tasks
            .keys()
            .filter_map(|task| node.certificate_status(task).transpose())
            .collect::<Result<_, _>>()?;
        Ok::<_, andon_runtime::Error>((
            node.counts()?,
            statuses,
            (node.tallies(None)?, node.spent(None)?),
        ))
    });
    let (counts, certificates, (tallies, spent)) =
        stored.await.map_err(|_| ApiError::internal())??;
    let mut registry = Registry::with_prefix("andon");
    registry.register(
        "http_request_duration_seconds",
        "Time from a request's headers to its answer's, by route and status",
        app.metrics.latency.clone(),
    );
    let runs = [
        ("edge", counts.runs.edge),
        ("cloud", counts.runs.cloud),
        ("human", counts.runs.human),
    ];
    let by_route: Family<RouteLabels, Counter> = Family::default();
    for (route, number) in runs {
        by_route
            .get_or_create(&RouteLabels { route })
            .inc_by(number);
    }
    registry.register("runs", "Runs that the store holds, by route", by_route);
    register_tallies(&mut registry, &tallies);
    register_spent(&mut registry, &spent);
    register_cost(&mut registry, app.node.thousand(&tallies));
    registry.register(
        "records",
        "Records that the store holds",
        ConstCounter::new(counts.records),
    );
    registry.register(
        "open_records",
        "Records that are not closed",
        ConstGauge::new(counts.open_records),
    );
    registry.register(
        "requests_in_flight",
        "Requests that the node works on now",
        ConstGauge::new((app.gate.in_flight() + app.long_gate.in_flight()) as u64),
    );
    registry.register(
        "refused_requests",
        "Requests that failed, by the code of the failure",
        app.metrics.refused.clone(),
    );
    registry.register(
        "short_calls",
        "Calls into the node that are soon done, by class",
        app.gate.let_in(),
    );
    registry.register(
        "model_calls",
        "Generations and decisions by the language model, by class",
        app.long_gate.let_in(),
    );
    register_certificates(&mut registry, &certificates);
    if let Some(model) = app.node.language_model() {
        let engine = registry.sub_registry_with_prefix("engine");
        register_engine(engine, &model.statistics());
    }
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|_| ApiError::internal())?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// Runs by task, route and reason, and how long they took.
fn register_tallies(registry: &mut Registry, tallies: &[Tally]) {
    let runs: Family<TallyLabels, Counter> = Family::default();
    let seconds: Family<TallyLabels, Counter<f64, AtomicU64>> = Family::default();
    for tally in tallies {
        let labels = TallyLabels {
            task: tally.task.clone(),
            route: tally.route.clone(),
            reason: tally.reason.clone(),
        };
        runs.get_or_create(&labels).inc_by(tally.runs);
        seconds
            .get_or_create(&labels)
            .inc_by(tally.took_ms / 1000.0);
    }
    registry.register(
        "task_runs",
        "Runs that the store holds, by task, route and reason",
        runs,
    );
    registry.register(
        "task_run_seconds",
        "Time to the answers of these runs",
        seconds,
    );
}

/// A thousand requests here, beside the same in the cloud, where the plant gives prices.
fn register_cost(registry: &mut Registry, thousand: Option<Thousand>) {
    let cost: Family<PlaceLabels, Gauge<f64, AtomicU64>> = Family::default();
    let Some(thousand) = thousand else { return };
    let places = [("edge", Some(thousand.edge)), ("cloud", thousand.cloud)];
    for (answered, price) in places {
        let Some(price) = price else { continue };
        cost.get_or_create(&PlaceLabels { answered }).set(price);
    }
    registry.register(
        "thousand_requests_cost",
        "What a thousand requests cost here, and would cost in the cloud, in the plant's currency",
        cost,
    );
}

/// What upstreams have had.
fn register_spent(registry: &mut Registry, spent: &[Spent]) {
    let calls: Family<UpstreamLabels, Counter> = Family::default();
    let tokens: Family<UpstreamLabels, Counter> = Family::default();
    let cost: Family<UpstreamLabels, Counter<f64, AtomicU64>> = Family::default();
    for one in spent {
        let upstream = one.upstream.clone();
        let labels = UpstreamLabels { upstream };
        calls.get_or_create(&labels).inc_by(one.calls);
        tokens.get_or_create(&labels).inc_by(one.tokens);
        cost.get_or_create(&labels).inc_by(one.cost);
    }
    registry.register("upstream_calls", "Calls that upstreams settled", calls);
    registry.register(
        "upstream_tokens",
        "Tokens of prompts and answers, as upstreams count them",
        tokens,
    );
    registry.register(
        "upstream_cost",
        "What upstreams cost, in the plant's currency, as far as it is known",
        cost,
    );
}

/// Whether each task's certificate holds, and the evidence against it.
fn register_certificates(registry: &mut Registry, certificates: &[CertificateStatus]) {
    let in_force: Family<TaskLabels, Gauge> = Family::default();
    let evidence: Family<EvidenceLabels, Gauge<f64, AtomicU64>> = Family::default();
    for status in certificates {
        let task = status.stored.certificate.task.clone();
        let holds = i64::from(status.validity == Validity::InForce);
        in_force
            .get_or_create(&TaskLabels { task: task.clone() })
            .set(holds);
        for (of, found) in [("errors", status.errors), ("inputs", status.inputs)] {
            let task = task.clone();
            evidence
                .get_or_create(&EvidenceLabels { task, of })
                .set(found.peak / status.limit);
        }
    }
    registry.register(
        "certificate_in_force",
        "1 where the task's certificate holds, 0 where it is suspended or void",
        in_force,
    );
    registry.register(
        "certificate_evidence",
        "Evidence against the task's certificate; at 1 it is suspended",
        evidence,
    );
}

/// What the engine of the language model says of itself.
fn register_engine(registry: &mut Registry, statistics: &Statistics) {
    let gauges = [
        (
            "waiting",
            "Requests that wait for a place",
            statistics.waiting,
        ),
        ("running", "Requests that are worked on", statistics.running),
        ("blocks", "Blocks of the KV cache", statistics.blocks),
        (
            "free_blocks",
            "Blocks of the KV cache that nobody holds",
            statistics.free_blocks,
        ),
    ];
    for (name, help, value) in gauges {
        registry.register(name, help, ConstGauge::new(value as u64));
    }
    let counters = [
        (
            "refused",
            "Requests refused: too many waited, or there was too little time",
            statistics.refused,
        ),
        ("steps", "Steps that were computed", statistics.steps),
        (
            "computed_tokens",
            "Tokens that were computed, of prompts and of answers",
            statistics.computed_tokens,
        ),
        (
            "cached_tokens",
            "Tokens that were found in the prefix cache instead",
            statistics.cached_tokens,
        ),
        (
            "suspended",
            "Requests that gave their memory to others and began anew",
            statistics.suspended,
        ),
        ("failures", "Steps that failed", statistics.failures),
        (
            "replaced",
            "Threads that made no progress and were replaced",
            statistics.replaced,
        ),
    ];
    for (name, help, value) in counters {
        registry.register(name, help, ConstCounter::new(value));
    }
}

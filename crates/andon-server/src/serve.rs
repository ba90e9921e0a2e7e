//! Serving: the layers around the routes, and the life of the listener.

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use andon_runtime::Node;
use axum::Router;
use axum::http::Method;
use axum::http::Uri;
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower_http::catch_panic::CatchPanicLayer;

use crate::access::{self, Door};
use crate::app::App;
use crate::error::ApiError;
use crate::routes::routes;
use crate::tls::{self, Tls};
use crate::{asked, connections, guard, metrics, openapi, queue};

/// Bounds of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Short calls of each class into the node at once; more are refused with 503.
    pub in_flight: usize,
    /// Generations and decisions of each class by the language model at once; more
    /// are refused with 503. They have places of their own, so that records always
    /// find one.
    pub long_in_flight: usize,
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// The longest that a connection may take to make TLS, to send the head of a request,
    /// or to begin the next one.
    pub head: Duration,
    /// The longest that a request may take before its answer begins.
    pub request: Duration,
    /// After a shutdown was asked for, requests may take so long to end.
    pub drain: Duration,
    /// An engine that has not answered a tiny request by then, and has computed no
    /// step meanwhile, makes no progress.
    pub probe: Duration,
    /// How often the node looks for newly promoted heads.
    pub refresh: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 64,
            long_in_flight: 32,
            connections: 1024,
            head: Duration::from_secs(30),
            request: Duration::from_secs(120),
            drain: Duration::from_secs(10),
            probe: Duration::from_secs(10),
            refresh: Duration::from_secs(2),
        }
    }
}

/// Why serving ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener failed.
    #[error("cannot serve on the listener: check the address")]
    Listener(#[from] io::Error),
}

/// How a node is served.
#[derive(Clone, Debug, Default)]
pub struct Serving {
    /// Bounds of the service.
    pub limits: Limits,
    /// Whether callers without a key are let in on loopback; beyond it they never are.
    pub door: Door,
    /// The certificate; without it plain HTTP is spoken.
    pub tls: Option<Tls>,
}

/// Serves `node` on `listener` until `shutdown` is done, within the default limits.
pub async fn serve(
    listener: TcpListener,
    node: Arc<Node>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    serve_as(Serving::default(), listener, node, shutdown).await
}

/// Serves `node` on `listener` until `shutdown` is done, within these limits.
pub async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    node: Arc<Node>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let serving = Serving {
        limits,
        ..Serving::default()
    };
    serve_as(serving, listener, node, shutdown).await
}

/// Serves `node` on `listener` until `shutdown` is done; then lets the requests
/// in flight end, for a bounded time.
pub async fn serve_as(
    serving: Serving,
    listener: TcpListener,
    node: Arc<Node>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let Serving { limits, door, tls } = serving;
    let on_loopback = listener.local_addr()?.ip().is_loopback();
    let door = match on_loopback {
        true => door,
        false => Door::Keys,
    };
    let (mut router, app) = assemble(Arc::clone(&node), limits, door);
    if on_loopback {
        router = router.layer(middleware::from_fn(guard::refuse_foreign));
    }
    // Ends with this function, however it ends.
    let mut beside = JoinSet::new();
    beside.spawn(refresh(Arc::clone(&node), limits.refresh));
    beside.spawn(queue::drain(node));
    beside.spawn(access::keep_fresh(app));
    if let Some(tls) = tls.clone() {
        beside.spawn(tls::keep_fresh(tls));
    }
    let all_ended = connections::serve(&listener, tls.as_ref(), &router, limits, shutdown).await;
    if !all_ended {
        tracing::warn!(
            seconds = limits.drain.as_secs(),
            "requests were still in flight at the end"
        );
    }
    Ok(())
}

/// The whole service as a router, as on loopback.
pub fn router(node: Arc<Node>, limits: Limits) -> Router {
    assemble(node, limits, Door::default()).0
}

fn assemble(node: Arc<Node>, limits: Limits, door: Door) -> (Router, App) {
    let (router, document) = openapi::finish(routes());
    let app = App::new(node, limits, door, document);
    let router = router
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(limits.request, asked::bound))
        .layer(middleware::from_fn_with_state(
            app.clone(),
            access::authorise,
        ))
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(middleware::from_fn_with_state(app.clone(), metrics::count))
        .with_state(app.clone());
    (router, app)
}

async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::no_such_path(uri.path())
}

async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    ApiError::method(method.as_str(), uri.path())
}

fn after_panic(_: Box<dyn Any + Send>) -> Response {
    // What a panic says may quote the text that it stumbled over; where it was is told by
    // the process's own hook.
    tracing::error!("a handler panicked");
    ApiError::internal().into_response()
}

/// Lets heads serve that were promoted meanwhile, by another process too.
async fn refresh(node: Arc<Node>, period: Duration) {
    let mut ticks = tokio::time::interval(period);
    loop {
        ticks.tick().await;
        let node = Arc::clone(&node);
        let refreshed = tokio::task::spawn_blocking(move || node.refresh()).await;
        match refreshed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "cannot look for promoted heads"),
            Err(failure) => tracing::error!(%failure, "looking for promoted heads failed"),
        }
    }
}

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
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::error::ApiError;
use crate::routes::routes;
use crate::{asked, guard, metrics, openapi};

/// Bounds of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Short calls of each class into the node at once; more are refused with 503.
    pub in_flight: usize,
    /// Generations and decisions of each class by the language model at once; more
    /// are refused with 503. They have places of their own, so that records always
    /// find one.
    pub long_in_flight: usize,
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

/// Serves `node` on `listener` until `shutdown` is done, within the default limits.
pub async fn serve(
    listener: TcpListener,
    node: Arc<Node>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    serve_within(Limits::default(), listener, node, shutdown).await
}

/// Serves `node` on `listener` until `shutdown` is done; then lets the requests
/// in flight end, for a bounded time.
pub async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    node: Arc<Node>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let on_loopback = listener.local_addr()?.ip().is_loopback();
    let mut router = router(Arc::clone(&node), limits);
    if on_loopback {
        router = router.layer(middleware::from_fn(guard::refuse_foreign));
    }
    let refresher = tokio::spawn(refresh(node, limits.refresh));
    let (asked, was_asked) = oneshot::channel();
    let signal = async move {
        shutdown.await;
        // The receiver is gone only when serving has ended.
        asked.send(()).ok();
    };
    // An event of a stream must not wait for the next one.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
    });
    let serving = axum::serve(listener, router).with_graceful_shutdown(signal);
    let bound = async {
        match was_asked.await {
            Ok(()) => tokio::time::sleep(limits.drain).await,
            // The signal was dropped with the server: it has ended.
            Err(_) => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        result = serving.into_future() => result,
        () = bound => {
            tracing::warn!(seconds = limits.drain.as_secs(), "requests were still in flight at the end");
            Ok(())
        }
    };
    refresher.abort();
    Ok(result?)
}

/// The whole service as a router.
pub fn router(node: Arc<Node>, limits: Limits) -> Router {
    let (router, document) = openapi::finish(routes());
    let app = App::new(node, limits, document);
    router
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(limits.request, asked::bound))
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(middleware::from_fn_with_state(app.clone(), metrics::count))
        .with_state(app)
}

async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::no_such_path(uri.path())
}

async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    ApiError::method(method.as_str(), uri.path())
}

fn after_panic(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(message, "a handler panicked");
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

//! A real listener: departed clients, overload, shutdown, foreign names.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use andon_server::{Limits, serve_within};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::node::{Bench, MODEL};

struct Server {
    bench: Bench,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

async fn start(limits: Limits) -> Server {
    let bench = Bench::with(limits);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        stopped.await.ok();
    };
    let node = Arc::clone(&bench.node);
    let served = tokio::spawn(async move {
        let served = serve_within(limits, listener, node, shutdown).await;
        served.expect("serving");
    });
    Server {
        bench,
        address,
        stop,
        served,
    }
}

fn post(path: &str, host: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

async fn send(server: &Server, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address)
        .await
        .expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sending");
    stream
}

async fn answer(server: &Server, request: &str) -> String {
    let mut stream = send(server, request).await;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer");
    text
}

fn endless(streams: bool) -> String {
    let body = json!({"model": MODEL, "prompt": "ENDLESS", "max_tokens": 9, "stream": streams});
    post("/v1/completions", "localhost", &body.to_string())
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(10), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn departs(streams: bool) {
    let server = start(Limits::default()).await;
    let client = send(&server, &endless(streams)).await;
    let seen = Arc::clone(&server.bench.seen);
    until("a piece", || seen.pieces.load(Ordering::SeqCst) > 3).await;
    drop(client);
    until("the departure is seen", || {
        seen.departed.load(Ordering::SeqCst)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_departed_client_stops_its_stream() {
    departs(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_departed_client_stops_its_generation() {
    departs(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overload_is_refused_and_passes() {
    let limits = Limits {
        long_in_flight: 1,
        ..Limits::default()
    };
    let server = start(limits).await;
    let client = send(&server, &endless(true)).await;
    let seen = Arc::clone(&server.bench.seen);
    until("a piece", || seen.pieces.load(Ordering::SeqCst) > 0).await;
    let ask = post(
        "/v1/completions",
        "localhost",
        &json!({"model": MODEL, "prompt": "hi"}).to_string(),
    );
    let refused = answer(&server, &ask).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("retry-after: 1"), "{refused}");
    assert!(refused.contains("\"code\":\"overloaded\""), "{refused}");
    let note = json!({"text": "belt slips", "asset": "C2"}).to_string();
    let kept = answer(&server, &post("/api/records", "localhost", &note)).await;
    assert!(kept.starts_with("HTTP/1.1 200"), "{kept}");
    drop(client);
    until("the departure is seen", || {
        seen.departed.load(Ordering::SeqCst)
    })
    .await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let taken = answer(&server, &ask).await;
    assert!(taken.starts_with("HTTP/1.1 200"), "{taken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_takes_too_long_is_ended() {
    let limits = Limits {
        request: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = start(limits).await;
    let late = answer(&server, &endless(false)).await;
    assert!(late.starts_with("HTTP/1.1 504"), "{late}");
    assert!(late.contains("\"code\":\"timeout\""), "{late}");
    let seen = Arc::clone(&server.bench.seen);
    until("the work ends too", || seen.departed.load(Ordering::SeqCst)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_waits_for_requests_for_a_bounded_time() {
    let limits = Limits {
        drain: Duration::from_millis(200),
        ..Limits::default()
    };
    let server = start(limits).await;
    let _client = send(&server, &endless(true)).await;
    let seen = Arc::clone(&server.bench.seen);
    until("a piece", || seen.pieces.load(Ordering::SeqCst) > 0).await;
    server.stop.send(()).expect("the server runs");
    let ended = tokio::time::timeout(Duration::from_secs(5), server.served).await;
    ended.expect("within its bound").expect("without a panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_names_and_large_bodies_are_refused() {
    let server = start(Limits::default()).await;
    let rebound = answer(&server, &post("/api/records", "evil.example", "{}")).await;
    assert!(rebound.starts_with("HTTP/1.1 403"), "{rebound}");
    assert!(
        rebound.contains("\"code\":\"foreign_request\""),
        "{rebound}"
    );
    let large = " ".repeat(11 * 1024 * 1024);
    let refused = answer(&server, &post("/api/records", "127.0.0.1", &large)).await;
    assert!(refused.starts_with("HTTP/1.1 413"), "{refused}");
    assert!(refused.contains("\"code\":\"body_too_large\""), "{refused}");
}

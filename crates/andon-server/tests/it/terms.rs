//! Classes and deadlines of requests.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use andon_server::Limits;
use andon_task::task::Class;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};

use crate::node::{Bench, MODEL, ask, get};

async fn send(router: &Router, path: &str, headers: &[(&str, &str)], body: &Value) -> String {
    let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_string()));
    ask(router, request.expect("a request")).await
}

#[tokio::test]
async fn headers_tier_and_task_say_the_class() {
    let bench = Bench::new();
    let router = bench.router();
    let check = async |path, headers: &[(&str, &str)], body: Value, class, has_deadline| {
        let answer = send(&router, path, headers, &body).await;
        assert!(answer.starts_with("200"), "{answer}");
        let seen = *bench.seen.terms.lock().expect("no panic");
        assert_eq!(seen, Some((class, has_deadline)), "{path} {body}");
    };
    let chat = json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]});
    let text = json!({"model": MODEL, "prompt": "hi"});
    let decision = json!({"model": MODEL, "input": "hi", "questions": [{"type": "predicate", "instructions": "So?"}]});
    let rerank = json!({"model": MODEL, "query": "hi", "documents": ["yes"]});
    let machine = [
        ("x-andon-class", "Machine"),
        ("x-andon-deadline-ms", "9000"),
    ];
    let response = json!({"model": MODEL, "input": "hi"});
    for (path, body) in [
        ("/v1/chat/completions", &chat),
        ("/v1/completions", &text),
        ("/v1/responses", &response),
        ("/v1/decisions", &decision),
        ("/v1/rerank", &rerank),
    ] {
        check(path, &[], body.clone(), Class::Person, false).await;
        check(path, &machine, body.clone(), Class::Machine, true).await;
    }
    let mut flex = chat;
    flex["service_tier"] = json!("flex");
    let path = "/v1/chat/completions";
    check(path, &[], flex.clone(), Class::Batch, false).await;
    check(path, &machine, flex, Class::Machine, true).await;
    let run = json!({"input": "hi"});
    let path = "/api/tasks/failure-code/runs";
    check(path, &[], run.clone(), Class::Machine, false).await;
    let batch = [("x-andon-class", "batch")];
    check(path, &batch, run, Class::Batch, false).await;
}

#[tokio::test]
async fn headers_that_say_nothing_are_refused() {
    let router = Bench::new().router();
    for (name, value) in [
        ("x-andon-class", "urgent"),
        ("x-andon-deadline-ms", "soon"),
        ("x-andon-deadline-ms", "0"),
        ("x-andon-deadline-ms", "99999999999"),
    ] {
        let body = json!({"model": MODEL, "prompt": "hi"});
        let refused = send(&router, "/v1/completions", &[(name, value)], &body).await;
        assert!(refused.starts_with("400"), "{refused}");
        assert!(
            refused.contains(&format!("\"param\": \"{name}\"")),
            "{refused}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ready_by_its_deadline_is_ended() {
    let router = Bench::new().router();
    let began = Instant::now();
    let body = json!({"model": MODEL, "prompt": "ENDLESS"});
    let headers = [("x-andon-deadline-ms", "50")];
    let late = send(&router, "/v1/completions", &headers, &body).await;
    assert!(late.starts_with("504"), "{late}");
    assert!(late.contains("\"code\": \"deadline_passed\""), "{late}");
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_class_has_places_of_its_own() {
    let limits = Limits {
        long_in_flight: 1,
        ..Limits::default()
    };
    let bench = Bench::with(limits);
    let router = bench.router();
    let endless = json!({"model": MODEL, "prompt": "ENDLESS", "service_tier": "flex"});
    let busy = {
        let router = router.clone();
        tokio::spawn(async move { send(&router, "/v1/completions", &[], &endless).await })
    };
    let seen = Arc::clone(&bench.seen);
    while seen.pieces.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let text = json!({"model": MODEL, "prompt": "hi"});
    let check = async |class, status: &str| {
        let headers = [("x-andon-class", class)];
        let answer = send(&router, "/v1/completions", &headers, &text).await;
        assert!(answer.starts_with(status), "{class}: {answer}");
    };
    check("batch", "503").await;
    check("person", "200").await;
    check("machine", "200").await;
    busy.abort();
    let metrics = get(&router, "/metrics").await;
    for line in [
        "andon_refused_requests_total{reason=\"overloaded\"} 1",
        "andon_model_calls_total{class=\"machine\"} 1",
        "andon_model_calls_total{class=\"batch\"} 1",
        "andon_engine_free_blocks 8",
        "andon_engine_suspended_total 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

/// What `/health` says while scoring hangs and, perhaps, a generation goes on.
async fn health_of_a_slow_engine(generates: bool) -> String {
    let limits = Limits {
        probe: Duration::from_millis(200),
        ..Limits::default()
    };
    let bench = Bench::with(limits);
    let router = bench.router();
    bench.seen.hangs.store(true, Ordering::SeqCst);
    let busy = generates.then(|| {
        let router = router.clone();
        let endless = json!({"model": MODEL, "prompt": "ENDLESS"});
        tokio::spawn(async move { send(&router, "/v1/completions", &[], &endless).await })
    });
    let health = get(&router, "/health").await;
    bench.seen.hangs.store(false, Ordering::SeqCst);
    if let Some(busy) = busy {
        busy.abort();
    }
    health
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_engine_is_ready_and_a_stuck_one_is_not() {
    let busy = health_of_a_slow_engine(true).await;
    assert!(busy.starts_with("200"), "{busy}");
    assert!(busy.contains("busy: "), "{busy}");
    let stuck = health_of_a_slow_engine(false).await;
    assert!(stuck.starts_with("503"), "{stuck}");
    assert!(stuck.contains("no answer to a tiny request"), "{stuck}");
}

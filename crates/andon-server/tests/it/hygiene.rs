//! The log never holds what somebody wrote, nor what they are known by.

use std::io;
use std::sync::{Arc, Mutex};

use andon_server::{KeyTerms, issue};
use andon_task::access::Role;
use andon_task::run::Timestamp;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tracing_subscriber::filter::LevelFilter;

use crate::node::{Bench, ENCODER, MODEL};

/// A word that stands in no log by chance.
const MARKER: &str = "Zwiebelfisch47";

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    fn text(&self) -> String {
        let bytes = self.0.lock().expect("the log").clone();
        String::from_utf8(bytes).expect("text")
    }
}

/// Requests with the marker wherever a text may stand, those that go well and those
/// that do not.
fn bodies(path: &str) -> Vec<Value> {
    let chat = |content: String| json!({"model": MODEL, "messages": [{"role": "user", "content": content}], "max_tokens": 3});
    let misused = [MARKER, "FULL", "LATE", "PAST", "FAIL", "PANIC"];
    let misused = misused.map(|word| format!("{MARKER} {word}"));
    let mut bodies = match path {
        "/v1/chat/completions" => misused.map(chat).to_vec(),
        "/v1/completions" => misused
            .map(|prompt| json!({"model": MODEL, "prompt": prompt, "max_tokens": 3}))
            .to_vec(),
        "/v1/responses" => misused
            .map(|input| json!({"model": MODEL, "input": input, "max_output_tokens": 16}))
            .to_vec(),
        "/v1/embeddings" => vec![json!({"model": ENCODER, "input": MARKER})],
        "/v1/rerank" => vec![json!({"model": ENCODER, "query": MARKER, "documents": [MARKER]})],
        "/api/records" => misused
            .map(|text| json!({"text": text, "meta": {"shift": MARKER}}))
            .to_vec(),
        "/api/tasks/{task}/runs" => misused.map(|text| json!({"input": text})).to_vec(),
        "/api/runs/{id}/answer" => vec![json!({"answer": "leak", "by": MARKER})],
        _ => Vec::new(),
    };
    // Of a form that no request has, and with the marker in every place.
    bodies.extend([
        json!(MARKER),
        json!([MARKER]),
        json!({ MARKER: MARKER }),
        json!({"model": MARKER, "text": [MARKER], "input": {"a": MARKER}, "prompt": {"a": MARKER},
               "messages": MARKER, "answer": MARKER, "by": 3, "record": MARKER, "meta": MARKER}),
        json!({"text": MARKER, "asset": MARKER}),
        json!({"text": MARKER, "tasks": [MARKER]}),
    ]);
    bodies
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_stands_in_no_log() {
    let log = Captured::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .init();
    let bench = Bench::new();
    let (key, token) = issue(KeyTerms {
        name: "panel".to_owned(),
        role: Role::Admin,
        scopes: Vec::new(),
        requests_per_minute: None,
        expires_at: None,
    })
    .expect("a key");
    let store = bench.store();
    store.add_key(&key, None, Timestamp(1)).expect("a key");
    let router = bench.router();
    let document: Value = serde_json::from_str(&andon_server::document()).expect("a document");
    let mut sent = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("methods").keys() {
            let mut bodies: Vec<Body> = bodies(path)
                .iter()
                .map(|body| Body::from(body.to_string()))
                .collect();
            bodies.push(Body::from(format!("{MARKER} is no JSON")));
            bodies.push(Body::from([MARKER.as_bytes(), b"\xff"].concat()));
            for body in bodies {
                let tokens = [token.clone(), format!("andon_{MARKER}"), MARKER.to_owned()];
                let place = sent % 7;
                let filled = match place {
                    5 => path.replace("{task}", MARKER).replace("{id}", MARKER),
                    _ => path.replace("{task}", "failure-code").replace("{id}", "1"),
                };
                let query = match place {
                    6 => format!("?task={MARKER}&asset={MARKER}&order={MARKER}"),
                    _ => String::new(),
                };
                // Most with the right key; some with a wrong one.
                let token = match place {
                    3 => &tokens[1],
                    4 => &tokens[2],
                    _ => &tokens[0],
                };
                let request = Request::builder()
                    .method(method.to_uppercase().as_str())
                    .uri(format!("{filled}{query}"))
                    .header(header::CONTENT_TYPE, "application/json")
                    .header(header::AUTHORIZATION, format!("Bearer {token}"))
                    .header(header::USER_AGENT, MARKER)
                    .body(body)
                    .expect("a request");
                let response = router.clone().oneshot(request).await.expect("an answer");
                to_bytes(response.into_body(), usize::MAX)
                    .await
                    .expect("a body");
                sent += 1;
            }
        }
    }
    assert!(sent > 200, "{sent}");
    tracing::info!("the end of it");
    let text = log.text();
    assert!(text.contains("the end of it"), "nothing was captured");
    let secret = token.rsplit('_').next().expect("a secret");
    for word in [MARKER, secret] {
        let line = text.lines().find(|line| line.contains(word));
        assert_eq!(line, None);
    }
    // The keys' own file holds no key either.
    let kept = format!("{:?}", store.keys().expect("keys"));
    assert!(!kept.contains(secret));
}

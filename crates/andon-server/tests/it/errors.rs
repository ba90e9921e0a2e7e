use axum::body::Body;
use axum::http::{Method, Request, header};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::node::{Bench, ENCODER, MODEL, ask, get, post};

/// Asks once for each body and shows all answers.
async fn all(path: &str, bodies: &[Value]) -> String {
    let router = Bench::new().router();
    let mut shown = Vec::new();
    for body in bodies {
        let answer = post(&router, path, body.to_string()).await;
        shown.push(format!("{body}\n{answer}"));
    }
    shown.join("\n\n")
}

#[tokio::test]
async fn chat() {
    let with = |name: &str, value: Value| {
        let mut body = json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]});
        body[name] = value;
        body
    };
    let bodies = [
        json!({}),
        json!([]),
        with("model", json!("gpt-9")),
        with("model", json!(ENCODER)),
        with("messages", json!([])),
        with("messages", json!([{"role": "user"}])),
        with("messages", json!([{"role": "tool", "content": "x"}])),
        with(
            "messages",
            json!([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]),
        ),
        with(
            "messages",
            json!([{"role": "assistant", "content": "", "tool_calls": [{}]}]),
        ),
        with(
            "messages",
            json!([{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "[]"}}]}]),
        ),
        with(
            "messages",
            json!([{"role": "user", "content": "", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": ""}}]}]),
        ),
        with(
            "messages",
            json!([{"role": "tool", "content": "x", "tool_call_id": "a"}]),
        ),
        with(
            "messages",
            json!([{"role": "user", "content": "word ".repeat(200)}]),
        ),
        with("tools", json!([{"type": "function"}])),
        with(
            "tools",
            json!([{"type": "function", "function": {"name": "a b"}}]),
        ),
        with(
            "tools",
            json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}]),
        ),
        with(
            "tools",
            json!([{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "f"}}]),
        ),
        with("tools", json!([{"type": "web_search"}])),
        with("tool_choice", json!("required")),
        with(
            "tool_choice",
            json!({"type": "function", "function": {"name": "f"}}),
        ),
        with("tool_choice", json!("any")),
        with("functions", json!([{"name": "f"}])),
        with("function_call", json!("auto")),
        with("response_format", json!({"type": "yaml"})),
        with("response_format", json!({"type": "json_schema"})),
        with(
            "response_format",
            json!({"type": "json_schema", "json_schema": {"name": "", "schema": {}}}),
        ),
        with(
            "response_format",
            json!({"type": "json_schema", "json_schema": {"name": "a", "schema": 3}}),
        ),
        with(
            "response_format",
            json!({"type": "json_schema", "json_schema": {"name": "a", "schema": {"bad": 1}}}),
        ),
        with("structured_outputs", json!({"regex": "a", "choice": ["a"]})),
        with("structured_outputs", json!({"json": "{"})),
        with("guided_choice", json!(["a"])),
        with("top_logprobs", json!(2)),
        with("logprobs", json!(3)),
        with("n", json!(0)),
        with("n", json!(9)),
        with("adapter", json!("no-such")),
        with("adapter", json!({"name": "plant-7", "scale": 9})),
        with("model", json!(format!("{MODEL}+no-such"))),
        with("service_tier", json!("first")),
        with("logit_bias", json!({"5": 1})),
        with("store", json!(true)),
        with("reasoning_effort", json!("high")),
        with("some_new_field", json!(1)),
        with("temperature", json!(3)),
        with("temperature", json!("hot")),
        with("top_p", json!(0)),
        with("max_tokens", json!(0)),
        with("max_tokens", json!(-1)),
        with("stop", json!(["a", "b", "c", "d", "e"])),
        with("stop", json!("")),
        with("stream_options", json!({"include_usage": true})),
        with("messages", json!([{"role": "user", "content": "FULL"}])),
        with("messages", json!([{"role": "user", "content": "LATE"}])),
        with("messages", json!([{"role": "user", "content": "PAST"}])),
        with("messages", json!([{"role": "user", "content": "FAIL"}])),
        with("messages", json!([{"role": "user", "content": "PANIC"}])),
    ];
    assert_snapshot!(all("/v1/chat/completions", &bodies).await);
}

#[tokio::test]
async fn streams_fail_before_they_begin() {
    let stream = |text: String| json!({"model": MODEL, "prompt": text, "stream": true});
    let bodies = [
        stream("word ".repeat(200)),
        stream("FULL".to_owned()),
        stream("PANIC".to_owned()),
        json!({"model": MODEL, "prompt": ["a", "b"]}),
        json!({"model": MODEL, "prompt": [1, 2]}),
        json!({"model": MODEL, "prompt": ""}),
        json!({"model": MODEL, "prompt": "a", "echo": true}),
        json!({"model": MODEL, "prompt": "a", "logprobs": 6}),
        json!({"model": MODEL, "prompt": "a", "best_of": 2}),
    ];
    assert_snapshot!(all("/v1/completions", &bodies).await);
}

#[tokio::test]
async fn embeddings() {
    let bodies = [
        json!({"model": ENCODER, "input": [1, 2]}),
        json!({"model": ENCODER, "input": []}),
        json!({"model": ENCODER, "input": ["a", ""]}),
        json!({"model": ENCODER, "input": "a", "dimensions": 2}),
        json!({"model": ENCODER, "input": "a", "encoding_format": "int8"}),
        json!({"model": MODEL, "input": "a"}),
        json!({"model": ENCODER, "input": "word ".repeat(200)}),
    ];
    assert_snapshot!(all("/v1/embeddings", &bodies).await);
}

#[tokio::test]
async fn decisions() {
    let asked = |question: Value| json!({"model": MODEL, "input": "x", "questions": [question]});
    let about = |input: Value| {
        let question = json!({"type": "predicate", "instructions": "So?"});
        json!({"model": MODEL, "input": input, "questions": [question]})
    };
    let mut deep = json!({});
    for _ in 0..40 {
        deep = json!({"a": deep});
    }
    let bodies = [
        json!({"model": MODEL, "input": "x", "questions": []}),
        asked(json!({"type": "essay", "instructions": "So?"})),
        asked(json!({"type": "choice", "instructions": "So?", "choices": [{"value": "a"}]})),
        asked(
            json!({"type": "choice", "instructions": "So?", "choices": [{"value": "a"}, {"value": "a"}]}),
        ),
        asked(
            json!({"type": "choice", "instructions": "So?", "choices": [{"value": 1}, {"value": "a"}]}),
        ),
        asked(
            json!({"type": "score", "instructions": "So?", "levels": [{"label": "a"}, {"label": " "}]}),
        ),
        asked(
            json!({"type": "predicate", "instructions": [{"type": "input_image", "image_url": "x"}]}),
        ),
        about(json!("  ")),
        about(json!([{"role": "robot", "content": "x"}])),
        about(json!([{"type": "function_call_output", "call_id": "a", "output": "x"}])),
        about(json!([{"role": "user", "content": [{"type": "input_json", "data": deep}]}])),
        about(json!([{"role": "user", "content": [{"type": "input_json", "data": [1]}]}])),
        about(json!("word ".repeat(200))),
    ];
    assert_snapshot!(all("/v1/decisions", &bodies).await);
    let bodies = [
        json!({"state": "", "questions": {"a": {"type": "noul", "instructions": "So?"}}}),
        json!({"state": "x", "questions": {}}),
        json!({"state": "x", "questions": {"a": {"type": "choice", "instructions": "So?", "criteria": 3}}}),
        json!({"state": "x", "questions": {"a": {"type": "choice", "instructions": "So?", "criteria": ["b", "b"]}}}),
    ];
    assert_snapshot!(all("/v1/systemone", &bodies).await);
}

#[tokio::test]
async fn records_and_runs() {
    let bodies = [
        json!({"text": "  \u{0}\n".replace('\u{0}', "")}),
        json!({"text": "x".repeat(70_000)}),
        json!({"text": "x", "asset": "Z9"}),
        json!({"text": "x", "meta": 3}),
        json!({"text": "x", "tasks": ["nothing"]}),
        json!({"text": "x", "colour": "red"}),
        json!({"text": "FULL"}),
    ];
    assert_snapshot!(all("/api/records", &bodies).await);
    let bodies = [
        json!({}),
        json!({"input": "x", "record": 1}),
        json!({"record": 1}),
        json!({"record": 1, "asset": "F1"}),
    ];
    assert_snapshot!(all("/api/tasks/failure-code/runs", &bodies).await);
    assert_snapshot!(all("/api/tasks/nothing/runs", &[json!({"input": "x"})]).await);
}

#[tokio::test]
async fn what_is_not_there() {
    let router = Bench::new().router();
    assert_snapshot!(get(&router, "/v2/chat").await);
    assert_snapshot!(get(&router, "/v1/chat/completions").await);
    assert_snapshot!(get(&router, "/api/records/9").await);
    assert_snapshot!(get(&router, "/api/records/nine").await);
    assert_snapshot!(get(&router, "/api/runs/9").await);
    assert_snapshot!(get(&router, "/api/runs?limit=0").await);
    assert_snapshot!(get(&router, "/api/runs?colour=red").await);
}

#[tokio::test]
async fn bodies_that_are_no_json() {
    let router = Bench::new().router();
    let path = "/v1/embeddings";
    assert_snapshot!(post(&router, path, "").await);
    assert_snapshot!(post(&router, path, "{\"model\":").await);
    assert_snapshot!(post(&router, path, "{} {}").await);
    assert_snapshot!(post(&router, path, &b"{\"model\": \"\xff\"}"[..]).await);
    assert_snapshot!(post(&router, path, "[".repeat(100_000)).await);
    assert_snapshot!(post(&router, path, " ".repeat(10 * 1024 * 1024 + 1)).await);
    let plain = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::CONTENT_TYPE, "text/plain")
        .body(Body::from("{}"))
        .expect("a request");
    assert_snapshot!(ask(&router, plain).await);
}

use insta::assert_snapshot;
use serde_json::json;

use crate::node::{Bench, ENCODER, MODEL, get, post};

#[tokio::test]
async fn chat() {
    let router = Bench::new().router();
    let body = json!({
        "model": MODEL,
        "messages": [
            {"role": "developer", "content": "Be short."},
            {"role": "user", "content": [{"type": "text", "text": "the belt slips"}]},
        ],
        "max_tokens": 4,
        "user": "panel-3",
        "n": 1,
        "response_format": {"type": "text"},
        "tools": null,
    });
    assert_snapshot!(post(&router, "/v1/chat/completions", body.to_string()).await);
}

#[tokio::test]
async fn chat_streamed_with_usage() {
    let router = Bench::new().router();
    let body = json!({
        "model": MODEL,
        "messages": [{"role": "user", "content": "belt slips\u{0} at \"start\"\n"}],
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    assert_snapshot!(post(&router, "/v1/chat/completions", body.to_string()).await);
}

#[tokio::test]
async fn completion_whole_and_streamed() {
    let router = Bench::new().router();
    let body = json!({"model": MODEL, "prompt": ["one two three"], "max_tokens": 2});
    assert_snapshot!(post(&router, "/v1/completions", body.to_string()).await);
    let body = json!({"model": MODEL, "prompt": "one two", "stream": true});
    assert_snapshot!(post(&router, "/v1/completions", body.to_string()).await);
}

#[tokio::test]
async fn a_fault_in_the_middle_of_a_stream_is_told() {
    let router = Bench::new().router();
    let body = json!({"model": MODEL, "prompt": "it BREAKS now", "stream": true});
    assert_snapshot!(post(&router, "/v1/completions", body.to_string()).await);
}

#[tokio::test]
async fn embeddings() {
    let router = Bench::new().router();
    let body = json!({"model": ENCODER, "input": ["abc", "d"], "dimensions": 4});
    assert_snapshot!(post(&router, "/v1/embeddings", body.to_string()).await);
    let body = json!({"model": ENCODER, "input": "d", "encoding_format": "base64"});
    assert_snapshot!(post(&router, "/v1/embeddings", body.to_string()).await);
}

#[tokio::test]
async fn models() {
    let router = Bench::new().router();
    assert_snapshot!(get(&router, "/v1/models").await);
    assert_snapshot!(get(&router, "/v1/models/scripted%3A1m").await);
    assert_snapshot!(get(&router, "/v1/models/gpt").await);
}

#[tokio::test]
async fn decisions() {
    let router = Bench::new().router();
    let body = json!({
        "model": MODEL,
        "input": [
            {"role": "user", "content": [
                {"type": "input_text", "text": "oil leak leak yes"},
                {"type": "input_json", "data": {"line": 3}},
            ]},
            {"type": "function_call", "call_id": "a", "name": "read", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "dry"},
        ],
        "questions": [
            {"type": "predicate", "instructions": "It is urgent.", "name": "urgent"},
            {"type": "choice", "instructions": "Which?", "choices": [
                {"value": "leak", "description": "fluid"}, {"value": "jam"}, {"value": true},
            ]},
            {"type": "score", "instructions": "How bad?", "levels": [
                {"label": "low"}, {"label": "mid"}, {"label": "leak"},
            ]},
        ],
        "prompt_cache_key": "x",
    });
    assert_snapshot!(post(&router, "/v1/decisions", body.to_string()).await);
}

#[tokio::test]
async fn systemone() {
    let router = Bench::new().router();
    let body = json!({
        "state": {"note": "oil leak yes"},
        "questions": {
            "urgent": {"type": "noul", "instructions": "Urgent?", "criteria": {"true": "stops the line"}},
            "mode": {"type": "choice", "instructions": "Which?", "criteria": {"leak": "fluid", "jam": null}},
            "word": {"type": "choice", "instructions": "Which?", "criteria": ["a", "b"]},
            "bad": {"type": "score", "instructions": "How bad?", "criteria": ["low", "high"]},
        },
    });
    assert_snapshot!(post(&router, "/v1/systemone", body.to_string()).await);
}

//! `/v1/rerank`.

use insta::assert_snapshot;
use serde_json::json;

use crate::node::{Bench, ENCODER, MODEL, post};

#[tokio::test]
async fn by_the_encoder_and_by_the_language_model() {
    let router = Bench::new().router();
    let body =
        json!({"model": ENCODER, "query": "aaa", "documents": ["bbb", {"text": "aab"}, "aaa"]});
    assert_snapshot!(post(&router, "/v1/rerank", body.to_string()).await);
    let body = json!({
        "model": MODEL, "query": "leaks", "documents": ["no no", "yes yes", "a yes"],
        "top_n": 2, "return_documents": true,
    });
    assert_snapshot!(post(&router, "/v1/rerank", body.to_string()).await);
}

#[tokio::test]
async fn refusals() {
    let router = Bench::new().router();
    let many: Vec<&str> = vec!["a"; 1001];
    let mut shown = Vec::new();
    for body in [
        json!({"model": "gpt-9", "query": "a", "documents": ["a"]}),
        json!({"model": ENCODER, "query": " ", "documents": ["a"]}),
        json!({"model": ENCODER, "query": "a", "documents": []}),
        json!({"model": ENCODER, "query": "a", "documents": ["a", " "]}),
        json!({"model": ENCODER, "query": "a", "documents": [3]}),
        json!({"model": ENCODER, "query": "a", "documents": ["a"], "top_n": 0}),
        json!({"model": ENCODER, "query": "a", "documents": ["a"], "rank_fields": ["b"]}),
        json!({"model": MODEL, "query": "a", "documents": ["a", "word ".repeat(200)]}),
    ] {
        shown.push(post(&router, "/v1/rerank", body.to_string()).await);
    }
    let body = json!({"model": ENCODER, "query": "a", "documents": many});
    shown.push(post(&router, "/v1/rerank", body.to_string()).await);
    assert_snapshot!(shown.join("\n\n"));
}

//! Several answers, log-probabilities, formats and adapters.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::node::{Bench, MODEL, get, post};

fn chat(name: &str, value: Value) -> Value {
    let mut body = json!({
        "model": MODEL,
        "messages": [{"role": "user", "content": "the belt slips"}],
        "max_tokens": 2,
    });
    body[name] = value;
    body
}

async fn chat_with(mut body: Value, more: Value) -> String {
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    let router = Bench::new().router();
    post(&router, "/v1/chat/completions", body.to_string()).await
}

#[tokio::test]
async fn several_answers_have_their_own_seeds_and_one_usage() {
    let body = chat("n", json!(3));
    let whole = chat_with(body.clone(), json!({"temperature": 1, "seed": 7})).await;
    for (index, seed) in [7, 8, 9].into_iter().enumerate() {
        assert!(whole.contains(&format!("seed {seed}")), "{whole}");
        assert!(whole.contains(&format!("\"index\": {index}")), "{whole}");
    }
    assert!(whole.contains("\"completion_tokens\": 3"), "{whole}");
    assert!(whole.contains("\"prompt_tokens\": 3"), "{whole}");
    let more = json!({"temperature": 1, "seed": -1, "stream": true, "stream_options": {"include_usage": true}});
    let events = chat_with(body, more).await;
    let seeds = ["seed 18446744073709551615", "seed 0", "seed 1"];
    for (index, seed) in seeds.into_iter().enumerate() {
        let told = format!("{{\"index\":{index},\"delta\":{{\"content\":\"{seed}\"}}");
        assert_eq!(events.matches(&told).count(), 1, "{events}");
    }
    assert_eq!(events.matches("\"finish_reason\":\"stop\"").count(), 3);
    assert_eq!(events.matches("\"completion_tokens\":3").count(), 1);
    assert!(events.ends_with("data: [DONE]\n\n"), "{events}");
}

#[tokio::test]
async fn a_failure_of_one_answer_ends_them_all_with_one_error() {
    let body = json!({"messages": [{"role": "user", "content": "it BREAKS now"}], "max_tokens": 9, "stream": true});
    let events = chat_with(chat("n", json!(4)), body).await;
    assert_eq!(events.matches("internal_error").count(), 1, "{events}");
    assert!(!events.contains("[DONE]"), "{events}");
}

#[tokio::test]
async fn log_probabilities_of_a_chat() {
    let body = chat("logprobs", json!(true));
    assert_snapshot!(chat_with(body.clone(), json!({"top_logprobs": 3})).await);
    assert_snapshot!(chat_with(body, json!({"stream": true})).await);
}

#[tokio::test]
async fn log_probabilities_of_a_completion() {
    let router = Bench::new().router();
    let mut body = json!({"model": MODEL, "prompt": "naïve two", "logprobs": 2});
    assert_snapshot!(post(&router, "/v1/completions", body.to_string()).await);
    body["stream"] = json!(true);
    assert_snapshot!(post(&router, "/v1/completions", body.to_string()).await);
}

#[tokio::test]
async fn formats() {
    let check = async |name: &str, value: Value, content: &str| {
        let mut body = chat(name, value);
        body["max_tokens"] = json!(9);
        let answer = chat_with(body, json!({})).await;
        let content = format!("\"content\": {}", Value::from(content));
        assert!(answer.contains(&content), "{answer}");
        assert!(answer.contains("\"finish_reason\": \"stop\""), "{answer}");
    };
    let held = "{\"ok\":true}";
    let schema = json!({"name": "a", "strict": true, "schema": {"type": "object"}});
    check(
        "response_format",
        json!({"type": "text"}),
        "the belt slips ",
    )
    .await;
    check("response_format", json!({"type": "json_object"}), held).await;
    let format = json!({"type": "json_schema", "json_schema": schema});
    check("response_format", format, held).await;
    let outputs = "structured_outputs";
    check(outputs, json!({"json": {"type": "object"}}), held).await;
    check(outputs, json!({"json": "{\"type\": \"object\"}"}), held).await;
    check(outputs, json!({"regex": "[a-z]"}), "[a-z]").await;
    check(outputs, json!({"choice": ["jam", "leak"]}), "jam").await;
    let cut = chat("response_format", json!({"type": "json_object"}));
    let cut = chat_with(cut, json!({"max_tokens": 1})).await;
    assert!(cut.contains("\"finish_reason\": \"length\""), "{cut}");
}

#[tokio::test]
async fn adapters_are_models_of_their_own_and_a_field() {
    let bench = Bench::new();
    let router = bench.router();
    let listed = get(&router, "/v1/models").await;
    assert!(
        listed.contains("\"id\": \"scripted:1m+plant-7\""),
        "{listed}"
    );
    let check = async |name: &str, value: Value, adapter: Option<(&str, f32)>| {
        let answer = post(
            &router,
            "/v1/chat/completions",
            chat(name, value).to_string(),
        )
        .await;
        assert!(answer.starts_with("200"), "{answer}");
        let seen = bench.seen.adapter.lock().expect("no panic").clone();
        let adapter = adapter.map(|(name, scale)| (name.to_owned(), scale));
        assert_eq!(seen, adapter);
        answer
    };
    check("adapter", Value::Null, None).await;
    check("adapter", json!("plant-7"), Some(("plant-7", 1.0))).await;
    let weak = json!({"name": "plant-7", "scale": 0.5});
    check("adapter", weak, Some(("plant-7", 0.5))).await;
    let model = json!(format!("{MODEL}+plant-7"));
    let answer = check("model", model, Some(("plant-7", 1.0))).await;
    assert!(
        answer.contains("\"model\": \"scripted:1m+plant-7\""),
        "{answer}"
    );
    let mut twice = chat("model", json!(format!("{MODEL}+plant-7")));
    twice["adapter"] = json!("plant-7");
    let refused = post(&router, "/v1/chat/completions", twice.to_string()).await;
    assert!(refused.starts_with("400"), "{refused}");
}

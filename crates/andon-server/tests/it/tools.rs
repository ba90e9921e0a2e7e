//! Calls of tools in chats.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::node::{Bench, MODEL, post};

async fn ask(content: &str, more: Value) -> String {
    let mut body = json!({
        "model": MODEL,
        "messages": [{"role": "user", "content": content}],
        "tools": [{"type": "function", "function": {
            "name": "level",
            "description": "The level of a tank",
            "parameters": {"type": "object", "properties": {"tank": {"type": "string"}}},
        }}],
    });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    let router = Bench::new().router();
    post(&router, "/v1/chat/completions", body.to_string()).await
}

#[tokio::test]
async fn a_call_and_words() {
    assert_snapshot!(ask("CALL it", json!({})).await);
    let twice = json!({"parallel_tool_calls": true, "logprobs": true});
    assert_snapshot!(ask("TWICE please", twice).await);
    let words = ask("hello there", json!({"tool_choice": "auto"})).await;
    assert!(words.contains("\"content\": \"hello there \""), "{words}");
    assert!(words.contains("\"finish_reason\": \"stop\""), "{words}");
    assert!(!words.contains("tool_calls"), "{words}");
}

#[tokio::test]
async fn calls_are_streamed_name_first() {
    assert_snapshot!(ask("TWICE please", json!({"stream": true})).await);
}

#[tokio::test]
async fn a_call_that_is_cut_says_so() {
    let cut = ask("CALL it", json!({"max_tokens": 10})).await;
    assert!(cut.contains("\"finish_reason\": \"length\""), "{cut}");
    assert!(cut.contains("\"arguments\": \"{\\\"tank\\\""), "{cut}");
}

#[tokio::test]
async fn without_a_choice_there_is_no_call() {
    let none = ask("CALL it", json!({"tool_choice": "none"})).await;
    assert!(none.contains("\"content\": \"CALL it \""), "{none}");
    let both = ask("hi", json!({"response_format": {"type": "json_object"}})).await;
    assert!(both.starts_with("400"), "{both}");
    let none = json!({"response_format": {"type": "json_object"}, "tool_choice": "none"});
    let none = ask("hi", none).await;
    assert!(none.contains("{\\\"ok\\\":true}"), "{none}");
}

#[tokio::test]
async fn a_history_with_calls_is_read() {
    let history = json!({"messages": [
        {"role": "user", "content": "How full is T1?"},
        {"role": "assistant", "content": null, "refusal": null, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "level", "arguments": "{\"tank\": \"T1\"}"}},
        ]},
        {"role": "tool", "tool_call_id": "call_1", "content": "80 percent"},
    ]});
    let answer = ask("", history).await;
    assert!(answer.contains("full is T1? 80 percent"), "{answer}");
}

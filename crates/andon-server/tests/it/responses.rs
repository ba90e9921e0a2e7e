//! `/v1/responses`.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::node::{Bench, MODEL, post};

async fn ask(more: Value) -> String {
    let mut body = json!({"model": MODEL, "input": "the belt slips"});
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    let router = Bench::new().router();
    post(&router, "/v1/responses", body.to_string()).await
}

fn tool() -> Value {
    json!({"type": "function", "name": "level", "parameters": {"type": "object", "properties": {}}})
}

#[tokio::test]
async fn words() {
    let asked = json!({
        "instructions": "Be short.",
        "metadata": {"shift": "early"},
        "store": false,
        "background": false,
        "truncation": "disabled",
        "include": [],
        "text": {"verbosity": "medium"},
        "user": "panel-3",
    });
    assert_snapshot!(ask(asked).await);
    assert_snapshot!(
        ask(json!({"stream": true, "stream_options": {"include_obfuscation": false}})).await
    );
}

#[tokio::test]
async fn an_answer_that_is_cut_is_incomplete() {
    let cut = ask(json!({"max_output_tokens": 1})).await;
    assert!(cut.contains("\"status\": \"incomplete\""), "{cut}");
    assert!(cut.contains("\"reason\": \"max_output_tokens\""), "{cut}");
    let events = ask(json!({"max_output_tokens": 1, "stream": true})).await;
    assert!(events.contains("event: response.incomplete\n"), "{events}");
}

#[tokio::test]
async fn calls() {
    let asked = json!({"input": "TWICE please", "tools": [tool()], "parallel_tool_calls": true});
    assert_snapshot!(ask(asked).await);
    let asked =
        json!({"input": "CALL it", "tools": [tool()], "tool_choice": "required", "stream": true});
    assert_snapshot!(ask(asked).await);
}

#[tokio::test]
async fn items() {
    let input = json!([
        {"role": "developer", "content": "Be short."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "How full?"}]},
        {"type": "message", "id": "m", "status": "completed", "role": "assistant",
         "content": [{"type": "output_text", "text": "I look.", "annotations": []}]},
        {"type": "function_call", "id": "f", "call_id": "c", "name": "level", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "80 percent"},
    ]);
    let answer = ask(json!({"input": input})).await;
    assert!(answer.contains("full? I look. 80 percent "), "{answer}");
    let held =
        ask(json!({"text": {"format": {"type": "json_schema", "name": "a", "schema": {}}}})).await;
    assert!(held.contains("{\\\"ok\\\":true}"), "{held}");
}

#[tokio::test]
async fn a_fault_in_the_middle_is_told() {
    let events = ask(json!({"input": "it BREAKS now", "stream": true})).await;
    assert!(events.contains("event: response.failed\n"), "{events}");
    assert!(!events.contains("response.completed"), "{events}");
}

#[tokio::test]
async fn refusals() {
    let mut shown = Vec::new();
    for more in [
        json!({"previous_response_id": "resp_1"}),
        json!({"store": true}),
        json!({"background": true}),
        json!({"conversation": "c"}),
        json!({"include": ["reasoning.encrypted_content"]}),
        json!({"truncation": "auto"}),
        json!({"reasoning": {"effort": "low"}}),
        json!({"text": {"verbosity": "low"}}),
        json!({"tools": [{"type": "web_search"}]}),
        json!({"tools": [tool()], "tool_choice": {"type": "function", "name": "other"}}),
        json!({"input": []}),
        json!({"input": ""}),
        json!({"input": [{"type": "reasoning"}]}),
        json!({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}),
        json!({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}),
        json!({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "x"}]}),
        json!({"max_output_tokens": 0}),
        json!({"input": "FULL", "stream": true}),
    ] {
        shown.push(format!("{more}\n{}", ask(more.clone()).await));
    }
    assert_snapshot!(shown.join("\n\n"));
}

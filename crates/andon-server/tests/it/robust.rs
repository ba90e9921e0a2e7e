use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::node::{Bench, ENCODER, MODEL, post};

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "",
        "text",
        "user",
        "input_text",
        "message",
        "yes",
        "\u{0}",
        "a\u{1f600}",
        "true",
        "F1",
        "input_json",
        "function",
        "function_call",
        "function_call_output",
        "json_schema",
        "tool",
        "{}",
        "-1",
        "null",
        MODEL,
        ENCODER,
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "type",
        "text",
        "content",
        "role",
        "value",
        "label",
        "data",
        "name",
        "instructions",
        "choices",
        "levels",
        "criteria",
        "tool_calls",
        "tool_call_id",
        "function",
        "parameters",
        "arguments",
        "call_id",
        "output",
        "json_schema",
        "schema",
        "true",
        "x",
    ]);
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..4).prop_map(|fields| {
                let fields = fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value));
                Value::Object(fields.collect::<Map<_, _>>())
            }),
        ]
    })
}

/// Sound requests, of which a field or two are then replaced.
fn sound() -> Vec<(&'static str, Value)> {
    let choice = json!({"type": "choice", "instructions": "q", "choices": [{"value": "a"}, {"value": false}]});
    let score =
        json!({"type": "score", "instructions": "q", "levels": [{"label": "a"}, {"label": "b"}]});
    vec![
        (
            "/v1/chat/completions",
            json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3,
                   "temperature": 1, "top_p": 1, "seed": 1, "stop": "x", "stream": true,
                   "stream_options": {}, "n": 1, "logprobs": true, "top_logprobs": 2, "tools": [],
                   "tool_choice": "auto", "response_format": {"type": "text"}, "adapter": "plant-7"}),
        ),
        (
            "/v1/responses",
            json!({"model": MODEL, "input": [{"role": "user", "content": "hi"}], "max_output_tokens": 3,
                   "text": {"format": {"type": "text"}}, "tools": [], "tool_choice": "auto", "metadata": {}, "stream": true}),
        ),
        (
            "/v1/rerank",
            json!({"model": ENCODER, "query": "hi", "documents": ["a", {"text": "b"}], "top_n": 1, "return_documents": true}),
        ),
        (
            "/v1/completions",
            json!({"model": MODEL, "prompt": "hi", "max_tokens": 3, "stop": ["x"], "stream": false}),
        ),
        (
            "/v1/embeddings",
            json!({"model": ENCODER, "input": ["hi"], "encoding_format": "float", "dimensions": 4}),
        ),
        (
            "/v1/decisions",
            json!({"model": MODEL, "input": "hi", "questions": [choice, score]}),
        ),
        (
            "/v1/systemone",
            json!({"model": MODEL, "state": "hi", "questions": {"a": {"type": "score", "instructions": "q", "criteria": ["a", "b"]}}}),
        ),
        (
            "/api/records",
            json!({"text": "hi", "asset": "F1", "meta": {}, "tasks": []}),
        ),
        (
            "/api/tasks/failure-code/runs",
            json!({"input": "hi", "asset": "F1", "meta": {}, "record": null}),
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_body_makes_the_node_fail(
        which in 0..9_usize,
        fields in prop::collection::vec((any::<prop::sample::Index>(), any_json()), 1..3),
        whole in prop::option::weighted(0.2, any_json()),
    ) {
        thread_local! {
            static NODE: (Runtime, axum::Router, Bench) = {
                let bench = Bench::new();
                (Runtime::new().expect("a runtime"), bench.router(), bench)
            };
        }
        let (path, mut body) = sound().swap_remove(which);
        let names: Vec<String> = body.as_object().expect("an object").keys().cloned().collect();
        for (at, value) in fields {
            body[at.get(&names)] = value;
        }
        let body = whole.unwrap_or(body);
        let answer = NODE.with(|(runtime, router, _)| {
            runtime.block_on(post(router, path, body.to_string()))
        });
        let status: u16 = answer[..3].parse().expect("a status");
        prop_assert!(status < 500, "{path} {body}\n{answer}");
        if status >= 400 {
            prop_assert!(answer.contains("\"code\""), "{path} {body}\n{answer}");
        }
    }
}

//! Schemas that are small to send and endless to obey.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::models::command;
use crate::node::Home;
use crate::up::{Answer, Up};

/// No schema may keep the one who sends it waiting for longer, busy machine or not.
const MOST: Duration = Duration::from_secs(30);

fn chat(schema: &Value) -> Value {
    json!({
        "model": "smollm2:135m",
        "messages": [{"role": "user", "content": "A pump leaks."}],
        "max_tokens": 8,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "bomb", "strict": true, "schema": schema},
        },
    })
}

/// A schema of `levels` definitions, each of which `make`s something of the next.
fn levels(levels: usize, make: impl Fn(Value) -> Value) -> Value {
    let mut definitions = serde_json::Map::new();
    for level in 0..levels {
        let next = json!({"$ref": format!("#/$defs/l{}", level + 1)});
        definitions.insert(format!("l{level}"), make(next));
    }
    definitions.insert(format!("l{levels}"), json!({"type": "string"}));
    json!({"$ref": "#/$defs/l0", "$defs": definitions})
}

#[test]
fn schemas_that_explode_cost_nobody_much() {
    let home = Home::new();
    let node = Up::start(
        &home,
        command(&home, &["up", "--listen", "127.0.0.1:0", "--json"]),
    );
    // What is compiled as it is followed costs nothing to obey for a few tokens.
    let obey = |what: &str, schema: &Value| -> Answer {
        let began = Instant::now();
        let answer = node.post("/v1/chat/completions", &chat(schema));
        assert!(matches!(answer.status, 200 | 400), "{what}: {answer:?}");
        assert!(began.elapsed() < MOST, "{what} took {:?}", began.elapsed());
        answer
    };
    let check = |what: &str, schema: &Value| {
        let answer = obey(what, schema);
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert!(!answer.message().is_empty(), "{what}: {answer:?}");
    };
    let nested = |depth: usize| {
        (0..depth).fold(
            json!({"type": "string"}),
            |inner, _| json!({"type": "array", "items": inner}),
        )
    };
    check("a deep one", &nested(70));
    check("a deeper one", &nested(500));
    let words: Vec<String> = (0..60_000).map(|word| format!("word-{word}")).collect();
    check("many words", &json!({"enum": words}));
    let one_of = |next: Value| json!({"oneOf": [next.clone(), next]});
    check("doubled choices", &levels(40, one_of));
    let all_of = |next: Value| json!({"allOf": [next.clone(), next]});
    obey("doubled conditions", &levels(40, all_of));
    obey("itself", &json!({"$ref": "#"}));
    obey(
        "a pattern of patterns",
        &json!({"type": "string", "pattern": "^((a{1,500}){1,500}){1,500}$"}),
    );
    obey(
        "a long text",
        &json!({"type": "string", "minLength": 4_000_000_000_u64}),
    );
    let long = json!({"type": "array", "items": {"type": "integer"}, "minItems": 1_000_000_000});
    obey("a long list", &long);
    let boxes =
        |next: Value| json!({"type": "array", "items": next, "minItems": 900, "maxItems": 900});
    obey("boxes of boxes", &levels(30, boxes));

    let endless = json!({"type": "array", "items": {"$ref": "#"}, "minItems": 1, "maxItems": 1});
    obey("a list of itself", &endless);

    node.is_ready();
    let sound = json!({
        "type": "object",
        "properties": {"leaks": {"type": "boolean"}},
        "required": ["leaks"],
        "additionalProperties": false,
    });
    let answer = node.post("/v1/chat/completions", &chat(&sound));
    assert_eq!(answer.status, 200, "{answer:?}");
}

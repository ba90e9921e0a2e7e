use andon_task::engine::Grammar;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Hold, without_blanks};
use crate::model::Dialect;

fn hold(grammar: Grammar, dialect: Dialect) -> Hold {
    Hold::new(&grammar, dialect).expect("a grammar")
}

#[test]
fn only_what_was_asked_for_passes() {
    let check = |hold: &Hold, answer: &str, expected: Option<&str>| {
        assert_eq!(hold.check(answer).as_deref(), expected, "{answer:?}");
    };
    let schema = json!({
        "type": "object",
        "properties": {"torque": {"type": "number"}, "unit": {"enum": ["Nm"]}},
        "required": ["torque"],
        "additionalProperties": false,
    });
    let object = hold(Grammar::Json(schema), Dialect::Plain);
    let spaced = "{ \"torque\": 12.50,\n\t\"unit\" : \"Nm\" }";
    check(&object, spaced, Some(r#"{"torque":12.50,"unit":"Nm"}"#));
    for wrong in [
        "",
        "The torque is 12 Nm.",
        r#"{"unit":"Nm"}"#,
        r#"{"torque":12,"unit":"lb"}"#,
        r#"{"torque":12}{"torque":13}"#,
        r#"{"torque":12"#,
        "```json\n{\"torque\":12}\n```",
    ] {
        check(&object, wrong, None);
    }
    let deep = "[".repeat(100_000);
    check(&object, &deep, None);

    let code = hold(Grammar::Regex("E[0-9]{3}|none".into()), Dialect::Structured);
    check(&code, "E123", Some("E123"));
    check(&code, "E1234", None);
    check(&code, "nonesuch", None);
    check(&code, "E123\n", None);

    let choice = || Grammar::Choice(vec!["jam".into(), "wear \"x\"".into()]);
    let plain = hold(choice(), Dialect::Structured);
    check(&plain, "jam", Some("jam"));
    check(&plain, "\"jam\"", None);
    check(&plain, "jams", None);
    let quoted = hold(choice(), Dialect::Plain);
    check(&quoted, "\"jam\"", Some("jam"));
    check(&quoted, r#" "wear \"x\"" "#, Some("wear \"x\""));
    check(&quoted, "jam", None);
}

#[test]
fn each_kind_of_server_is_asked_as_it_understands() {
    let check = |grammar: Grammar, dialect: Dialect, expected: Value| {
        let mut body = Map::new();
        hold(grammar, dialect).ask(&mut body);
        assert_eq!(Value::Object(body), expected);
    };
    let format = |schema: Value| {
        json!({"response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": true, "schema": schema},
        }})
    };
    let choice = || Grammar::Choice(vec!["a".into(), "b".into()]);
    let regex = || Grammar::Regex("a|b".into());
    let schema = json!({"type": "integer"});
    check(
        Grammar::Json(schema.clone()),
        Dialect::Structured,
        format(schema.clone()),
    );
    check(
        Grammar::Json(schema.clone()),
        Dialect::Plain,
        format(schema),
    );
    check(
        choice(),
        Dialect::Structured,
        json!({"structured_outputs": {"choice": ["a", "b"]}}),
    );
    check(
        choice(),
        Dialect::Plain,
        format(json!({"type": "string", "enum": ["a", "b"]})),
    );
    check(
        regex(),
        Dialect::Structured,
        json!({"structured_outputs": {"regex": "a|b"}}),
    );
    check(
        regex(),
        Dialect::Plain,
        format(json!({"type": "string", "pattern": "^(?:a|b)$"})),
    );
}

#[test]
fn what_cannot_be_checked_here_is_not_asked_for() {
    for grammar in [
        Grammar::Lark("start: \"a\"".into()),
        Grammar::Choice(Vec::new()),
        Grammar::Regex("(".into()),
        Grammar::Regex("(a)\\1".into()),
        Grammar::Json(json!({"type": 7})),
        Grammar::Json(json!({"$ref": "https://example.com/schema"})),
        Grammar::Json(json!({"type": "string", "pattern": "(?<=a)b"})),
    ] {
        let refused = Hold::new(&grammar, Dialect::Plain).is_err();
        assert!(refused, "{grammar:?}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((".{0,6}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn without_its_blanks_it_is_the_same_value(value in value()) {
        let pretty = serde_json::to_string_pretty(&value).expect("JSON");
        prop_assert_eq!(without_blanks(&pretty), value.to_string());
    }
}

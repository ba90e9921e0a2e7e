//! Calls of tools.

use andon_task::engine::{CallForm, Calls, EngineError, Grammar, Tool};
use serde_json::{Value, json};

use super::{GRAMMARS, accepts};

fn calls(form: CallForm, words: bool, most: usize) -> Grammar {
    let tool = |name: &str, parameters: Value| Tool {
        name: name.to_owned(),
        description: None,
        parameters,
    };
    let level = json!({
        "type": "object",
        "properties": {"tank": {"$ref": "#/$defs/tank"}, "n": {"type": "integer"}},
        "required": ["tank"],
        "additionalProperties": false,
        "$defs": {"tank": {"enum": ["T1", "T2"]}},
    });
    let stop = json!({"type": "object", "properties": {}, "additionalProperties": false});
    Grammar::Calls(Calls {
        tools: vec![tool("level", level), tool("level-2", stop)],
        form,
        words,
        most,
    })
}

const LEVEL: &str =
    "<tool_call>\n{\"name\": \"level\", \"arguments\": {\"tank\": \"T2\", \"n\": 3}}\n</tool_call>";
const SECOND: &str = "<tool_call>\n{\"name\": \"level-2\", \"arguments\": {}}\n</tool_call>";

#[track_caller]
fn check(grammar: &Grammar, texts: &[(&str, bool)]) {
    let mut constraint = GRAMMARS.compile(grammar).expect("it can be enforced");
    for (text, is_taken) in texts {
        assert_eq!(accepts(&mut constraint, text), *is_taken, "{text}");
    }
}

#[test]
fn an_answer_is_calls_in_the_form_of_the_model() {
    let two = format!("{LEVEL}\n{SECOND}");
    let spoken = format!("Let me see.\n{LEVEL}");
    let other = LEVEL.replace("T2", "T3");
    let required = [
        (LEVEL, true),
        (SECOND, true),
        (&*two, false),
        (&*spoken, false),
        (&*other, false),
        ("", false),
        ("hello", false),
    ];
    check(&calls(CallForm::Tagged, false, 1), &required);
    let several = [(&*two, true), (LEVEL, true), (&*spoken, false)];
    check(&calls(CallForm::Tagged, false, 4), &several);
    let free = [
        ("", true),
        ("the level is < 3 <tool", true),
        (LEVEL, true),
        (&*spoken, true),
        ("see <tool_call> there", false),
        (&*other, false),
    ];
    check(&calls(CallForm::Tagged, true, 1), &free);
    let plain = "{\"name\": \"level\", \"parameters\": {\"tank\": \"T1\"}}";
    let texts = [(plain, true), ("hello", true), ("", true), ("{}", false)];
    check(&calls(CallForm::Plain, true, 1), &texts);
    check(
        &calls(CallForm::Plain, false, 1),
        &[(plain, true), ("hello", false)],
    );
}

#[test]
fn a_tool_that_cannot_be_enforced_is_named() {
    let Grammar::Calls(mut calls) = calls(CallForm::Tagged, false, 1) else {
        panic!("calls");
    };
    calls.tools[1].parameters = json!({"type": "no-such-type"});
    match GRAMMARS.compile(&Grammar::Calls(calls)) {
        Err(EngineError::Grammar(why)) => assert!(why.contains("'level-2'"), "{why}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was compiled"),
    }
}

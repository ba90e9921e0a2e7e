//! The grammar of an answer that may call tools.

use andon_task::engine::{CallForm, Grammar, Tool};
use serde_json::{Value, json};

use super::{Choice, MAX_CALLS, Offer};

/// Calls alone, or calls and free text, as the offer says.
pub(super) fn of(offer: &Offer, form: CallForm) -> Grammar {
    let mut rules = Vec::new();
    let mut bodies = Vec::new();
    for (index, tool) in offer.tools.iter().enumerate() {
        if matches!(&offer.choice, Choice::Named(name) if *name != tool.name) {
            continue;
        }
        let before = literal(&format!(
            "{}{}{}",
            form.before_name(),
            tool.name,
            form.behind_name()
        ));
        let arguments = arguments(tool);
        rules.push(format!("call_{index}: {before} arguments_{index} \"}}\""));
        rules.push(format!("arguments_{index}: %json {arguments}"));
        bodies.push(format!("call_{index}"));
    }
    rules.push(format!("call: {}", bodies.join(" | ")));
    let is_free = offer.choice == Choice::Auto;
    match form {
        CallForm::Tagged => {
            let (open, close) = (literal(OPEN), literal("\n</tool_call>"));
            let more = match offer.parallel {
                true => format!(
                    " (\"\\n\" {open} \"\\n\" call {close}){{0,{}}}",
                    MAX_CALLS - 1
                ),
                false => String::new(),
            };
            let first = match is_free {
                // Words, a call, or words and then a call.
                true => {
                    rules.push(format!("words[suffix={open}]: /(.|\\n)*/"));
                    rules.push(format!("FREE: /(.|\\n)*/ & ~/(.|\\n)*{OPEN}(.|\\n)*/"));
                    "words".to_owned()
                }
                false => open.clone(),
            };
            rules.push(format!("calls: {first} \"\\n\" call {close}{more}"));
        }
        CallForm::Plain => {
            if is_free {
                rules.push("FREE: /([^{](.|\\n)*)?/".to_owned());
            }
            rules.push("calls: call".to_owned());
        }
    }
    let start = match is_free {
        true => "start: FREE | calls",
        false => "start: calls",
    };
    rules.insert(0, start.to_owned());
    Grammar::Lark(rules.join("\n"))
}

/// What a call begins with where it stands between tags.
pub(super) const OPEN: &str = "<tool_call>";

/// The texts around the name of a call.
pub(super) trait Around {
    /// From the beginning of the JSON to the name.
    fn before_name(self) -> &'static str;
    /// From the name to the arguments.
    fn behind_name(self) -> &'static str;
}

impl Around for CallForm {
    fn before_name(self) -> &'static str {
        "{\"name\": \""
    }

    fn behind_name(self) -> &'static str {
        match self {
            Self::Tagged => "\", \"arguments\": ",
            Self::Plain => "\", \"parameters\": ",
        }
    }
}

/// The schema of a tool's arguments, written as the model's template writes
/// calls: with a blank after commas and colons.
fn arguments(tool: &Tool) -> Value {
    let mut schema = tool.parameters.clone();
    schema["type"] = json!("object");
    schema["x-guidance"] = json!({
        "whitespace_flexible": false,
        "item_separator": ", ",
        "key_separator": ": ",
    });
    schema
}

/// A text as a terminal of the grammar.
fn literal(text: &str) -> String {
    Value::from(text).to_string()
}

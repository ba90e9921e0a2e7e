//! The grammar of an answer that calls tools.

use andon_task::engine::{CallForm, Calls, Tool};
use serde_json::{Map, Value};

/// Writes the grammar, in llguidance's form of Lark; `restate` makes of the
/// parameters of a tool the schema that is enforced.
///
/// # Errors
/// If the parameters of a tool cannot be enforced.
pub(super) fn write(
    calls: &Calls,
    restate: impl Fn(&Value) -> Result<Map<String, Value>, String>,
) -> Result<String, String> {
    let mut rules = Vec::new();
    let mut names = Vec::new();
    for (index, tool) in calls.tools.iter().enumerate() {
        let Tool { name, .. } = tool;
        let schema = restate(&tool.parameters);
        let schema = schema.map_err(|why| format!("the tool '{name}': {why}"))?;
        let form = calls.form;
        // As JSON writes the name, without its marks.
        let name = Value::from(name.as_str()).to_string();
        let name = &name[1..name.len() - 1];
        let before = literal(&format!(
            "{}{name}{}",
            form.before_name(),
            form.behind_name()
        ));
        rules.push(format!("call_{index}: {before} arguments_{index} \"}}\""));
        rules.push(format!(
            "arguments_{index}: %json {}",
            Value::Object(schema)
        ));
        names.push(format!("call_{index}"));
    }
    rules.push(format!("call: {}", names.join(" | ")));
    match calls.form {
        CallForm::Tagged => tagged(calls, &mut rules),
        CallForm::Plain => {
            rules.push("calls: call".to_owned());
            if calls.words {
                rules.push("WORDS: /([^{](.|\\n)*)?/".to_owned());
            }
        }
    }
    let start = match calls.words {
        true => "start: WORDS | calls",
        false => "start: calls",
    };
    rules.insert(0, start.to_owned());
    Ok(rules.join("\n"))
}

fn tagged(calls: &Calls, rules: &mut Vec<String>) {
    let tag = CallForm::TAG;
    let (open, close) = (literal(tag), literal("\n</tool_call>"));
    let first = match calls.words {
        true => {
            rules.push(format!("before[suffix={open}]: /(.|\\n)*/"));
            rules.push(format!("WORDS: /(.|\\n)*/ & ~/(.|\\n)*{tag}(.|\\n)*/"));
            "before"
        }
        false => &open,
    };
    let more = match calls.most {
        0 | 1 => String::new(),
        most => format!(" (\"\\n\" {open} \"\\n\" call {close}){{0,{}}}", most - 1),
    };
    rules.push(format!("calls: {first} \"\\n\" call {close}{more}"));
}

/// A text as a terminal of the grammar.
fn literal(text: &str) -> String {
    Value::from(text).to_string()
}

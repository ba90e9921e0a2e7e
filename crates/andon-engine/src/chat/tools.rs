//! Tools, for templates that know of them and in words for those that do not.

use andon_task::engine::{CallForm, Message, Role, Tool, ToolCall};
use minijinja::Value;
use serde_json::json;

use super::json::one_line;

/// How a template shows that calls are written.
pub(super) fn form(source: &str) -> CallForm {
    let is_plain = source.contains("\"parameters\"") && !source.contains("<tool_call>");
    match source.contains("tools") && is_plain {
        true => CallForm::Plain,
        false => CallForm::Tagged,
    }
}

/// A tool as templates expect it.
pub(super) fn value(tool: &Tool) -> Value {
    Value::from_serialize(described(tool))
}

fn described(tool: &Tool) -> serde_json::Value {
    let mut function = json!({"name": tool.name});
    if let Some(description) = &tool.description {
        function["description"] = json!(description);
    }
    function["parameters"] = tool.parameters.clone();
    json!({"type": "function", "function": function})
}

/// The turns in words alone: calls as [`CallForm::Tagged`] has them, what tools
/// gave as turns of the user. Outputs that follow each other are one turn, for
/// some templates want the speakers to take turns.
pub(super) fn spell_out(messages: &[Message]) -> Vec<Message> {
    let mut turns: Vec<Message> = Vec::with_capacity(messages.len());
    let mut is_output = false;
    for message in messages {
        let was_output = std::mem::replace(&mut is_output, message.role == Role::Tool);
        match message.role {
            Role::Tool => {
                let output = format!("<tool_response>\n{}\n</tool_response>", message.content);
                match turns.last_mut().filter(|_| was_output) {
                    Some(turn) => turn.content = format!("{}\n{output}", turn.content),
                    None => turns.push(Message::new(Role::User, output)),
                }
            }
            role => {
                let words = Some(message.content.clone()).filter(|words| !words.is_empty());
                let parts: Vec<String> = words
                    .into_iter()
                    .chain(message.calls.iter().map(tagged))
                    .collect();
                turns.push(Message::new(role, parts.join("\n")));
            }
        }
    }
    turns
}

fn tagged(call: &ToolCall) -> String {
    let call = json!({"name": call.name, "arguments": call.arguments});
    format!("<tool_call>\n{}\n</tool_call>", one_line(&call))
}

/// The turns, with the tools told in the system turn.
pub(super) fn told_by_system(messages: &[Message], tools: &[Tool]) -> Vec<Message> {
    let told = describe(tools);
    match messages {
        [first, rest @ ..] if first.role == Role::System => {
            let content = format!("{}\n\n{told}", first.content);
            let first = Message::new(Role::System, content);
            std::iter::once(first).chain(rest.iter().cloned()).collect()
        }
        all => {
            let first = Message::new(Role::System, told);
            std::iter::once(first).chain(all.iter().cloned()).collect()
        }
    }
}

/// The turns, with the tools told before what the user says first.
pub(super) fn told_by_user(messages: &[Message], tools: &[Tool]) -> Vec<Message> {
    let mut turns = messages.to_vec();
    if let Some(turn) = turns.iter_mut().find(|turn| turn.role == Role::User) {
        turn.content = format!("{}\n\n{}", describe(tools), turn.content);
    }
    turns
}

fn describe(tools: &[Tool]) -> String {
    let lines: Vec<String> = tools
        .iter()
        .map(|tool| one_line(&described(tool)))
        .collect();
    format!(
        "You may call functions. Each line between <tools> and </tools> describes one:\n<tools>\n{}\n</tools>\n\nTo call a function, answer with its name and its arguments as JSON, between these tags:\n<tool_call>\n{{\"name\": \"function name\", \"arguments\": {{\"argument name\": \"value\"}}}}\n</tool_call>",
        lines.join("\n")
    )
}

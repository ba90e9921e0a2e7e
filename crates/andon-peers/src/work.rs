//! What both sides are asked, word for word the same where their interfaces allow.

use serde_json::{Value, json};

mod decide;
mod extract;
mod questions;
mod restart;

pub(crate) use decide::Decide;
pub(crate) use extract::Extract;
pub(crate) use questions::Questions;
pub(crate) use restart::Restart;

/// A chat of a system text and a user's turn, for `/v1/chat/completions`.
fn chat(system: &str, user: &str, max_tokens: usize) -> Value {
    json!({
        "messages": [
            { "role": "system", "content": system },
            { "role": "user", "content": user },
        ],
        "temperature": 0,
        "max_tokens": max_tokens,
    })
}

/// The same, bound to a JSON schema.
fn bound(mut chat: Value, name: &str, schema: Value) -> Value {
    chat["response_format"] = json!({
        "type": "json_schema",
        "json_schema": { "name": name, "strict": true, "schema": schema },
    });
    chat
}

/// The schema of an object whose fields are all required.
fn object(fields: Value) -> Value {
    let names: Vec<String> = fields
        .as_object()
        .map(|fields| fields.keys().cloned().collect())
        .unwrap_or_default();
    json!({
        "type": "object",
        "properties": fields,
        "required": names,
        "additionalProperties": false,
    })
}

/// The label that a chat bound to an enum of labels gives.
fn choice_of(labels: &[&str]) -> Value {
    object(json!({ "label": { "type": "string", "enum": labels } }))
}

/// Asks for one letter and its log-probabilities: what a careful user does.
fn letter(system: &str, user: &str, letters: usize) -> Value {
    let mut chat = chat(system, user, 1);
    chat["logprobs"] = json!(true);
    chat["top_logprobs"] = json!(letters.min(20));
    chat
}

/// A list of labels for a prompt, each with what is known of it.
fn list<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    entries
        .into_iter()
        .map(|(label, description)| format!("\n- {label}: {description}"))
        .collect()
}

/// The letter of the label at `index`.
fn letter_of(index: usize) -> char {
    char::from(b'A' + (index % 26) as u8)
}

/// Quotes a field of a CSV file.
fn csv_field(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests;

//! The prompts that tasks put to a language model.

use crate::digest::Digest;
use crate::engine::{Message, Prompt, Role};
use crate::extract::Shown;
use crate::label::LabelSet;
use crate::schema::Schema;
use crate::task::Task;

/// The prompt of a `decide` task, to be continued by one of its labels. What is
/// the same for every note comes first, so that it is a shared prefix.
pub fn decide(task: &Task, input: &str) -> Prompt {
    let system = format!("{}\n\n{}", task.instructions, list(task.labels()));
    Prompt::chat(vec![
        Message::new(Role::System, system),
        Message::new(Role::User, input),
    ])
}

/// The prompt of an `extract` task, to be continued by an object of the schema.
pub fn extract(task: &Task, schema: &Schema, input: &str) -> Prompt {
    extract_like(task, schema, &[], input)
}

/// The same, with examples as earlier turns.
pub fn extract_like(task: &Task, schema: &Schema, shown: &[Shown], input: &str) -> Prompt {
    let system = format!(
        "{}\n\nAnswer with one JSON object of this schema and nothing else. Copy values from the text; never make one up.\n{}",
        task.instructions,
        schema.value()
    );
    let mut messages = vec![Message::new(Role::System, system)];
    for one in shown {
        messages.push(Message::new(Role::User, one.input.as_str()));
        messages.push(Message::new(Role::Assistant, one.expected.as_str()));
    }
    messages.push(Message::new(Role::User, input));
    Prompt::chat(messages)
}

/// The prompt of a task to an adapter that was trained for it. What the adapter has learnt
/// need not be said: neither labels nor schema, and no roles.
pub fn adapted(task: &Task, input: &str) -> Prompt {
    Prompt::Text(format!("{}\n\n{input}\n", task.instructions))
}

/// The prompt of an `answer` task to an upstream: the question with the passages that it
/// may be answered from, each with its heading; and the question before it, which it may go
/// on from.
pub fn answer(
    task: &Task,
    passages: &[(String, String)],
    before: Option<&str>,
    question: &str,
) -> Prompt {
    let system = format!(
        "{}\n\nAnswer from the passages alone. Copy the sentences that hold the answer word for word, the fewest that do; never write one of your own. Answer with a JSON object that has them under \"quotations\", each with the number of its passage and its text; with an empty list where no passage holds the answer.",
        task.instructions
    );
    let mut text = String::new();
    for (number, (heading, passage)) in passages.iter().enumerate() {
        text.push_str(&format!("Passage {}: {heading}\n{passage}\n\n", number + 1));
    }
    if let Some(before) = before {
        text.push_str(&format!("Question before: {before}\n"));
    }
    text.push_str(&format!("Question: {question}"));
    Prompt::chat(vec![
        Message::new(Role::System, system),
        Message::new(Role::User, text),
    ])
}

/// The prompt of a `normalise` task to an upstream.
pub fn normalise(task: &Task, input: &str) -> Prompt {
    let system = format!(
        "{}\n\nWrite the text anew in plain words: spell out what is abbreviated, mend what is misspelt, and change nothing else. Keep every number and every name of an asset. Answer with a JSON object that has it under \"text\".",
        task.instructions
    );
    Prompt::chat(vec![
        Message::new(Role::System, system),
        Message::new(Role::User, input),
    ])
}

/// The digest of a prompt, by its words and who says them.
pub fn digest(prompt: &Prompt) -> Digest {
    match prompt {
        Prompt::Text(text) => Digest::of(text.as_bytes()),
        Prompt::Chat(chat) => {
            let role = |message: &Message| format!("{:?}", message.role);
            let parts: Vec<String> = chat
                .messages
                .iter()
                .flat_map(|message| [role(message), message.content.clone()])
                .collect();
            Digest::of_parts(parts.iter().map(String::as_bytes))
        }
    }
}

fn list(labels: &LabelSet) -> String {
    let mut text = String::from("Answer with one of these labels and nothing else:");
    for label in labels.labels() {
        text.push_str("\n- ");
        text.push_str(&label.label);
        if let Some(description) = &label.description {
            text.push_str(": ");
            text.push_str(description);
        }
    }
    text
}

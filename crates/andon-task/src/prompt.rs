//! The prompts that tasks put to a language model.

use crate::engine::{Message, Prompt, Role};
use crate::label::LabelSet;
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

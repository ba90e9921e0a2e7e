//! Which texts of a request leave, and under which field a policy knows them.

use serde_json::Value;

use super::RedactError;
use super::session::Session;
use crate::engine::{Calls, Chat, GenerateRequest, Grammar, Message, Prompt, Role, Tool, ToolCall};

/// A field of what leaves, as policies name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The text of a task's record.
    Input,
    /// What a task asks.
    Instructions,
    /// The labels of a task with their descriptions.
    Labels,
    /// The schema of a task's answers.
    Schema,
    /// Sections of the plant's documents that a question may be answered from.
    Passages,
    /// Turns of a chat from whoever runs the node.
    System,
    /// Turns of the one who asks.
    User,
    /// Turns of the model.
    Assistant,
    /// Calls of tools that the model made.
    Calls,
    /// What tools answered.
    ToolResults,
    /// The tools on offer.
    Tools,
    /// What the answer is held to.
    Format,
    /// A text to be continued.
    Prompt,
    /// Texts that end the answer.
    Stop,
}

/// The fields that a task may have.
pub const TASK_FIELDS: &[Field] = &[
    Field::Input,
    Field::Instructions,
    Field::Labels,
    Field::Schema,
    Field::Passages,
];

/// The fields that a chat may have.
pub const CHAT_FIELDS: &[Field] = &[
    Field::System,
    Field::User,
    Field::Assistant,
    Field::Calls,
    Field::ToolResults,
    Field::Tools,
    Field::Format,
    Field::Prompt,
    Field::Stop,
];

impl Field {
    /// Its name in policies.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Instructions => "instructions",
            Self::Labels => "labels",
            Self::Schema => "schema",
            Self::Passages => "passages",
            Self::System => "messages.system",
            Self::User => "messages.user",
            Self::Assistant => "messages.assistant",
            Self::Calls => "messages.tool_calls",
            Self::ToolResults => "messages.tool",
            Self::Tools => "tools",
            Self::Format => "response_format",
            Self::Prompt => "prompt",
            Self::Stop => "stop",
        }
    }

    /// The field of this name.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = TASK_FIELDS.iter().chain(CHAT_FIELDS);
        all.find(|field| field.name() == name).copied()
    }

    /// The fields of a request, each once.
    pub fn of(request: &GenerateRequest) -> Vec<Self> {
        let mut fields = Vec::new();
        let noted: Result<(), RedactError> = visit(&mut request.clone(), &mut |field, _| {
            fields.push(field);
            Ok(())
        });
        debug_assert!(noted.is_ok(), "noting fields does not fail");
        fields.sort();
        fields.dedup();
        fields
    }
}

/// Something of a request that leaves.
enum Slot<'a> {
    Text(&'a mut String),
    Name(&'a mut String),
    Value(&'a mut Value),
    /// A text that means something to a machine: nothing in it can be replaced.
    Fixed(&'static str, &'a str),
}

impl Session<'_> {
    /// The request with placeholders in every field.
    ///
    /// # Errors
    /// If it may not leave.
    pub fn request(&mut self, request: &GenerateRequest) -> Result<GenerateRequest, RedactError> {
        let mut redacted = request.clone();
        visit(&mut redacted, &mut |_, slot| match slot {
            Slot::Text(text) | Slot::Name(text) => self.learn(text),
            Slot::Value(value) => self.learn_value(value),
            Slot::Fixed(_, text) => self.learn(text),
        })?;
        self.heed()?;
        visit(&mut redacted, &mut |_, slot| {
            match slot {
                Slot::Text(text) => *text = self.redact(text)?,
                Slot::Name(name) => *name = self.redact_name(name)?,
                Slot::Value(value) => *value = self.redact_value(value)?,
                Slot::Fixed(what, text) if self.left(text).is_some() => {
                    return Err(RedactError::Fixed(what));
                }
                Slot::Fixed(..) => {}
            }
            Ok(())
        })?;
        Ok(redacted)
    }
}

type Visit<'v> = dyn FnMut(Field, Slot<'_>) -> Result<(), RedactError> + 'v;

/// Everything of a request that leaves. Each structure is taken apart whole, so that a
/// field that is added to one of them has to be thought of here.
fn visit(request: &mut GenerateRequest, visit: &mut Visit<'_>) -> Result<(), RedactError> {
    let GenerateRequest {
        prompt,
        max_tokens: _,
        sampling: _,
        stop,
        grammar,
        adapter: _,
        alternatives: _,
        terms: _,
    } = request;
    match prompt {
        Prompt::Text(text) => visit(Field::Prompt, Slot::Text(text))?,
        Prompt::Chat(Chat { messages, tools }) => {
            for message in messages {
                visit_message(message, visit)?;
            }
            visit_tools(tools, visit)?;
        }
    }
    for text in stop {
        visit(Field::Stop, Slot::Text(text))?;
    }
    match grammar {
        None => Ok(()),
        Some(Grammar::Json(schema)) => visit(Field::Format, Slot::Value(schema)),
        Some(Grammar::Regex(source)) => visit(
            Field::Format,
            Slot::Fixed("the expression of the answer", source),
        ),
        Some(Grammar::Lark(source)) => visit(
            Field::Format,
            Slot::Fixed("the grammar of the answer", source),
        ),
        Some(Grammar::Choice(texts)) => {
            let mut texts = texts.iter_mut();
            texts.try_for_each(|text| visit(Field::Format, Slot::Text(text)))
        }
        Some(Grammar::Calls(Calls {
            tools,
            form: _,
            words: _,
            most: _,
        })) => visit_tools(tools, visit),
    }
}

fn visit_message(message: &mut Message, visit: &mut Visit<'_>) -> Result<(), RedactError> {
    let Message {
        role,
        content,
        calls,
    } = message;
    let field = match role {
        Role::System => Field::System,
        Role::User => Field::User,
        Role::Assistant => Field::Assistant,
        Role::Tool => Field::ToolResults,
    };
    visit(field, Slot::Text(content))?;
    for ToolCall { name, arguments } in calls {
        visit(Field::Calls, Slot::Name(name))?;
        visit(Field::Calls, Slot::Value(arguments))?;
    }
    Ok(())
}

fn visit_tools(tools: &mut [Tool], visit: &mut Visit<'_>) -> Result<(), RedactError> {
    for Tool {
        name,
        description,
        parameters,
    } in tools
    {
        visit(Field::Tools, Slot::Name(name))?;
        if let Some(description) = description {
            visit(Field::Tools, Slot::Text(description))?;
        }
        visit(Field::Tools, Slot::Value(parameters))?;
    }
    Ok(())
}

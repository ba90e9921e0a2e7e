//! Chat templates: the model's own, as its file carries it.

mod json;
mod tools;

use andon_task::engine::{CallForm, Chat, Message, Role, Tool, ToolCall};
use minijinja::{Environment, Error, ErrorKind, Value, context};
use minijinja_contrib::pycompat;

use crate::error::{LoadError, damaged};

const NAME: &str = "chat";

/// A model's chat template.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    begin: String,
    end: String,
    knows_tools: bool,
    call_form: CallForm,
}

/// Stands in a message where text that reads like a control token is cut, so
/// that it stays text; a noncharacter, which no text may contain.
pub const CUT: char = '\u{fdd0}';

impl Template {
    /// Reads a Jinja template. `begin` and `end` are the texts of the tokens
    /// that begin a text and end a turn.
    ///
    /// # Errors
    /// If it is no template.
    pub fn new(source: &str, begin: String, end: String) -> Result<Self, LoadError> {
        let mut environment = Environment::new();
        // As the templates expect it from the library that they were written for.
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_unknown_method_callback(|state, value, method, arguments| match method {
            // Widths without bounds, as in the filters below.
            "format" => Err(ErrorKind::UnknownMethod.into()),
            _ => pycompat::unknown_method_callback(state, value, method, arguments),
        });
        environment.add_function("raise_exception", |message: String| -> Result<(), Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        // A template from anywhere must not keep the node busy or fill its memory.
        environment.set_fuel(Some(1_000_000));
        environment.remove_filter("indent");
        environment.remove_filter("format");
        environment.add_filter("tojson", json::filter);
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| damaged!("the chat template: {error}"))?;
        Ok(Self {
            environment,
            begin,
            end,
            knows_tools: source.contains("tools"),
            call_form: tools::form(source),
        })
    }

    /// How the model writes the call of a tool.
    pub fn call_form(&self) -> CallForm {
        self.call_form
    }

    /// The text that asks for the answer to the last message. Tools of which the
    /// template knows nothing are described in words, and calls are written as
    /// the words ask for them.
    ///
    /// # Errors
    /// If the template refuses these messages; the text says why.
    pub fn render(&self, chat: &Chat) -> Result<String, String> {
        if self.knows_tools {
            return self.fill(&chat.messages, &chat.tools);
        }
        let turns = tools::spell_out(&chat.messages);
        if chat.tools.is_empty() {
            return self.fill(&turns, &[]);
        }
        // Some templates refuse a system turn.
        self.fill(&tools::told_by_system(&turns, &chat.tools), &[])
            .or_else(|_| self.fill(&tools::told_by_user(&turns, &chat.tools), &[]))
    }

    fn fill(&self, messages: &[Message], tools: &[Tool]) -> Result<String, String> {
        let messages: Vec<Value> = messages.iter().map(turn).collect();
        let tools: Vec<Value> = tools.iter().map(tools::value).collect();
        let values = context! {
            messages => messages,
            tools => (!tools.is_empty()).then_some(tools),
            add_generation_prompt => true,
            bos_token => self.begin,
            eos_token => self.end,
        };
        self.environment
            .get_template(NAME)
            .and_then(|template| template.render(values))
            .map_err(|error| format!("the model's chat template refuses these messages: {error}"))
    }
}

/// A turn as templates expect it. Some ask whether `tool_calls` is there, not
/// whether it is empty.
fn turn(message: &Message) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    if message.calls.is_empty() {
        return context! { role => role, content => message.content };
    }
    let call = |call: &ToolCall| {
        context! {
            type => "function",
            function => context! { name => call.name, arguments => call.arguments },
        }
    };
    let calls: Vec<Value> = message.calls.iter().map(call).collect();
    context! { role => role, content => message.content, tool_calls => calls }
}

/// The chat with each of its texts, those of tools and calls too, put through
/// `cut`.
pub fn with_texts(chat: &Chat, cut: &impl Fn(&str) -> String) -> Chat {
    let message = |message: &Message| Message {
        role: message.role,
        content: cut(&message.content),
        calls: message
            .calls
            .iter()
            .map(|call| ToolCall {
                name: cut(&call.name),
                arguments: json::with_texts(&call.arguments, cut),
            })
            .collect(),
    };
    let tool = |tool: &Tool| Tool {
        name: cut(&tool.name),
        description: tool.description.as_deref().map(cut),
        parameters: json::with_texts(&tool.parameters, cut),
    };
    Chat {
        messages: chat.messages.iter().map(message).collect(),
        tools: chat.tools.iter().map(tool).collect(),
    }
}

#[cfg(test)]
mod tests;

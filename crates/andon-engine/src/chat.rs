//! Chat templates: the model's own, as its file carries it.

use andon_task::engine::{Message, Role};
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Value, context, filters};
use minijinja_contrib::pycompat;

use crate::error::{LoadError, damaged};

const NAME: &str = "chat";

/// Spaces that `tojson` indents by, at most.
const WIDEST_INDENT: usize = 16;

/// A model's chat template.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    begin: String,
    end: String,
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
        environment.add_filter("tojson", narrow_json);
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| damaged!("the chat template: {error}"))?;
        Ok(Self {
            environment,
            begin,
            end,
        })
    }

    /// The text that asks for the answer to the last message.
    ///
    /// # Errors
    /// If the template refuses these messages; the text says why.
    pub fn render(&self, messages: &[Message]) -> Result<String, String> {
        let messages: Vec<_> = messages
            .iter()
            .map(|message| {
                let role = match message.role {
                    Role::System => "system",
                    Role::User => "user",
                    Role::Assistant => "assistant",
                    Role::Tool => "tool",
                };
                context! { role => role, content => message.content }
            })
            .collect();
        let values = context! {
            messages => messages,
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

/// The filter `tojson` with an indentation of bounded width.
fn narrow_json(value: &Value, indent: Option<Value>, named: Kwargs) -> Result<Value, Error> {
    let width = match &indent {
        Some(indent) => usize::try_from(indent.clone()).ok(),
        None => named.peek::<usize>("indent").ok(),
    };
    if width.is_some_and(|width| width > WIDEST_INDENT) {
        let message = format!("tojson indents by {WIDEST_INDENT} spaces at most");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    filters::tojson(value, indent, named)
}

//! Answers that are held to something: how a server is asked for it, and how its
//! answer is checked. A server that does not know the field answers freely and
//! with success, so nothing is believed.

use andon_task::engine::{EngineError, Grammar};
use jsonschema::{PatternOptions, Validator};
use regex::Regex;
use serde_json::{Map, Value, json};

use crate::model::Dialect;

/// What an answer is held to.
pub(crate) struct Hold {
    rule: Rule,
    /// Whether the server is asked for the text as a JSON string, for want of
    /// another way.
    is_quoted: bool,
}

enum Rule {
    Json { schema: Value, validator: Validator },
    Regex { source: String, whole: Regex },
    Choice(Vec<String>),
}

impl Hold {
    /// What holds an answer to `grammar`.
    ///
    /// # Errors
    /// If it cannot be checked here, whatever the server can do.
    pub(crate) fn new(grammar: &Grammar, dialect: Dialect) -> Result<Self, EngineError> {
        let rule = match grammar {
            Grammar::Json(schema) => {
                let validator = jsonschema::options()
                    // In linear time, whatever the expression.
                    .with_pattern_options(PatternOptions::regex())
                    .offline()
                    .build(schema)
                    .map_err(|error| EngineError::Grammar(error.to_string()))?;
                let schema = schema.clone();
                Rule::Json { schema, validator }
            }
            Grammar::Regex(source) => Rule::Regex {
                whole: Regex::new(&format!("^(?:{source})$"))
                    .map_err(|error| EngineError::Grammar(error.to_string()))?,
                source: source.clone(),
            },
            Grammar::Choice(texts) if texts.is_empty() => {
                return Err(EngineError::Grammar("the choice is empty".into()));
            }
            Grammar::Choice(texts) => Rule::Choice(texts.clone()),
            Grammar::Calls(_) => {
                return Err(EngineError::Grammar(
                    "tools are not passed on to a server: use a model of this node".into(),
                ));
            }
            Grammar::Lark(_) => {
                return Err(EngineError::Grammar(
                    "a server's answer cannot be checked against a context-free grammar: give a JSON schema, a regular expression or a choice".into(),
                ));
            }
        };
        let is_quoted = !matches!(rule, Rule::Json { .. }) && dialect != Dialect::Structured;
        Ok(Self { rule, is_quoted })
    }

    /// Whether the tokens of the server are not those of the answer.
    pub(crate) fn is_quoted(&self) -> bool {
        self.is_quoted
    }

    /// Asks the server for it.
    pub(crate) fn ask(&self, body: &mut Map<String, Value>) {
        let (name, value) = match &self.rule {
            Rule::Json { schema, .. } => ("response_format", format(schema.clone())),
            Rule::Regex { source, .. } if self.is_quoted => {
                let schema = json!({"type": "string", "pattern": format!("^(?:{source})$")});
                ("response_format", format(schema))
            }
            Rule::Choice(texts) if self.is_quoted => (
                "response_format",
                format(json!({"type": "string", "enum": texts})),
            ),
            Rule::Regex { source, .. } => ("structured_outputs", json!({"regex": source})),
            Rule::Choice(texts) => ("structured_outputs", json!({"choice": texts})),
        };
        body.insert(name.to_owned(), value);
    }

    /// The answer, if it is what it is held to.
    pub(crate) fn check(&self, answer: &str) -> Option<String> {
        let text = if self.is_quoted {
            serde_json::from_str(answer).ok()?
        } else {
            answer.to_owned()
        };
        match &self.rule {
            Rule::Json { validator, .. } => {
                let value: Value = serde_json::from_str(&text).ok()?;
                validator.is_valid(&value).then(|| without_blanks(&text))
            }
            Rule::Regex { whole, .. } => whole.is_match(&text).then_some(text),
            Rule::Choice(texts) => texts.contains(&text).then_some(text),
        }
    }
}

fn format(schema: Value) -> Value {
    json!({
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": true, "schema": schema},
    })
}

/// JSON without the blanks between its tokens; numbers stay as they are written.
fn without_blanks(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let (mut in_string, mut is_escaped) = (false, false);
    for c in json.chars() {
        if in_string {
            in_string = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            text.push(c);
        } else if !c.is_ascii_whitespace() {
            in_string = c == '"';
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests;

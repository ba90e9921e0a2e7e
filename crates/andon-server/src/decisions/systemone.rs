//! `POST /v1/systemone`, as the open servers have it: a `state`, and a map of
//! `questions` of the types `noul` (yes or no), `choice` and `score`; the answers
//! come under the same keys.

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::input::render_json;
use super::{AnswerOption, Question, best, confidence, expected};
use crate::app::App;
use crate::asked::Asked;
use crate::error::ApiError;
use crate::extract::{Body, Reply};
use crate::openai::parameters::{self, Rest};

/// Questions about a state.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct SystemOneRequest {
    /// The language model, as `GET /v1/models` names it; without it, the one that
    /// is loaded.
    model: Option<String>,
    /// What the questions are about: a text, or any JSON, read as text.
    state: Value,
    /// 1 to 400 questions under keys of the caller's choice, which the model does
    /// not see.
    #[schemars(with = "std::collections::BTreeMap<String, SystemOneQuestion>")]
    questions: Map<String, Value>,
    #[serde(flatten)]
    #[schemars(skip)]
    rest: Rest,
}

/// A question.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum SystemOneQuestion {
    /// Whether a statement is true.
    Noul {
        instructions: Value,
        /// What `true` and `false` mean, if that is to be said.
        criteria: Option<NoulCriteria>,
    },
    /// Which of 2 to 255 options fits.
    Choice {
        instructions: Value,
        /// Each option with its description or null, or the options alone.
        criteria: Value,
    },
    /// Where on a scale of 2 to 255 levels the state stands.
    Score {
        instructions: Value,
        /// The levels, the lowest first.
        criteria: Vec<Value>,
    },
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoulCriteria {
    r#true: Option<Value>,
    r#false: Option<Value>,
}

/// The answers, under the keys of the questions.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SystemOneAnswers {
    model: String,
    #[schemars(with = "std::collections::BTreeMap<String, SystemOneAnswer>")]
    answers: Map<String, Value>,
    usage: SystemOneUsage,
}

/// An answer. The probabilities are normalised over the options and not
/// calibrated: they are the model's own shares.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
enum SystemOneAnswer {
    Noul {
        /// The probability that the statement is true.
        noul: f64,
    },
    Choice {
        choice: String,
        #[schemars(with = "std::collections::BTreeMap<String, f64>")]
        probabilities: Map<String, Value>,
        /// How concentrated the probabilities are, from 0 to 1.
        confidence: f64,
    },
    Score {
        /// The expected level, counted from 0.
        score: f64,
        /// The text of each level.
        #[schemars(with = "std::collections::BTreeMap<String, String>")]
        legend: Map<String, Value>,
        #[schemars(with = "std::collections::BTreeMap<String, f64>")]
        probabilities: Map<String, Value>,
        /// How concentrated the probabilities are, from 0 to 1.
        confidence: f64,
    },
}

#[derive(Debug, Serialize, JsonSchema)]
struct SystemOneUsage {
    input_tokens: usize,
    /// Tokens evaluated to score the answers.
    output_tokens: usize,
}

/// Answers typed questions by scoring the allowed answers; generates no text.
pub(crate) async fn create(
    State(app): State<App>,
    urgency: Asked,
    Body(request): Body<SystemOneRequest>,
) -> Result<Reply<SystemOneAnswers>, ApiError> {
    parameters::refuse(&request.rest)?;
    let name = match request.model {
        Some(name) => name,
        None => app
            .node
            .language_model()
            .map(|model| model.model().name.clone())
            .unwrap_or_default(),
    };
    let chosen = app.language_model(&name, None)?;
    super::check_number_of_questions(request.questions.len())?;
    let state = text(&request.state, "state")?;
    if state.trim().is_empty() {
        return Err(ApiError::invalid("state", "the state is empty"));
    }
    let asked = request
        .questions
        .into_iter()
        .map(|(key, value)| {
            let param = format!("questions.{key}");
            let question = SystemOneQuestion::deserialize(value)
                .map_err(|error| ApiError::invalid(&param, error.to_string()))?;
            let (question, kind) = question.resolve(&param)?;
            Ok((key, kind, question))
        })
        .collect::<Result<Vec<_>, ApiError>>()?;
    let (keys, questions): (Vec<_>, Vec<_>) = asked
        .into_iter()
        .map(|(key, kind, question)| {
            let labels = question.labels();
            ((key, kind, labels), question)
        })
        .unzip();
    let answers = super::answer(&app, chosen, urgency, state, questions).await?;
    Ok(Reply(SystemOneAnswers {
        model: name,
        answers: keys
            .into_iter()
            .zip(answers.questions)
            .map(|((key, kind, labels), shares)| (key, json!(kind.answer(labels, &shares))))
            .collect(),
        usage: SystemOneUsage {
            input_tokens: answers.usage.prompt_tokens,
            output_tokens: answers.usage.completion_tokens,
        },
    }))
}

/// Which type of answer a question gets.
#[derive(Clone, Copy)]
enum Kind {
    Noul,
    Choice,
    Score,
}

impl SystemOneQuestion {
    fn resolve(self, param: &str) -> Result<(Question, Kind), ApiError> {
        let at = format!("{param}.instructions");
        let criteria_at = format!("{param}.criteria");
        let described = |value: Option<&Value>| {
            value
                .filter(|value| !value.is_null())
                .map(|value| text(value, &criteria_at))
                .transpose()
        };
        match self {
            Self::Noul {
                instructions,
                criteria,
            } => {
                let (yes, no) = criteria.map_or((None, None), |c| (c.r#true, c.r#false));
                let statement = text(&instructions, &at)?;
                let (yes, no) = (described(yes.as_ref())?, described(no.as_ref())?);
                Ok((Question::predicate(statement, yes, no), Kind::Noul))
            }
            Self::Choice {
                instructions,
                criteria,
            } => {
                let options = match &criteria {
                    Value::Object(options) => options
                        .iter()
                        .map(|(label, value)| Ok(AnswerOption::new(label, described(Some(value))?)))
                        .collect::<Result<Vec<_>, ApiError>>()?,
                    Value::Array(labels) => distinct(labels, &criteria_at)?,
                    _ => {
                        let message = "criteria must be an object or an array of strings";
                        return Err(ApiError::invalid(criteria_at, message));
                    }
                };
                super::check_options(&criteria_at, &options)?;
                let question = Question::choice(text(&instructions, &at)?, options);
                Ok((question, Kind::Choice))
            }
            Self::Score {
                instructions,
                criteria,
            } => {
                let options = criteria
                    .iter()
                    .map(|level| Ok(AnswerOption::new(text(level, &criteria_at)?, None)))
                    .collect::<Result<Vec<_>, ApiError>>()?;
                super::check_options(&criteria_at, &options)?;
                let question = Question::score(text(&instructions, &at)?, options);
                Ok((question, Kind::Score))
            }
        }
    }
}

fn distinct(labels: &[Value], param: &str) -> Result<Vec<AnswerOption>, ApiError> {
    labels
        .iter()
        .enumerate()
        .map(|(index, label)| match label {
            Value::String(text) if !labels[..index].contains(label) => {
                Ok(AnswerOption::new(text, None))
            }
            _ => Err(ApiError::invalid(
                format!("{param}[{index}]"),
                "options must be strings that differ",
            )),
        })
        .collect()
}

/// A text as it is; any other JSON as its text.
fn text(value: &Value, param: &str) -> Result<String, ApiError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        other => render_json(other, param),
    }
}

impl Kind {
    fn answer(self, labels: Vec<String>, shares: &[f64]) -> SystemOneAnswer {
        match self {
            Self::Noul => SystemOneAnswer::Noul { noul: shares[0] },
            Self::Choice => SystemOneAnswer::Choice {
                choice: labels[best(shares)].clone(),
                confidence: confidence(shares),
                probabilities: labels
                    .into_iter()
                    .zip(shares)
                    .map(|(label, share)| (label, json!(share)))
                    .collect(),
            },
            Self::Score => SystemOneAnswer::Score {
                score: expected(shares),
                confidence: confidence(shares),
                probabilities: shares
                    .iter()
                    .enumerate()
                    .map(|(level, share)| (level.to_string(), json!(share)))
                    .collect(),
                legend: labels
                    .into_iter()
                    .enumerate()
                    .map(|(level, label)| (level.to_string(), json!(label)))
                    .collect(),
            },
        }
    }
}

//! `POST /v1/decisions`, as OpenAI has it.

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::{Input, InputContent};
use super::{AnswerOption, Question, best, confidence, expected};
use crate::app::{AdapterChoice, App};
use crate::asked::{Asked, ServiceTier};
use crate::error::ApiError;
use crate::extract::{Body, Reply};
use crate::openai::TokenUsage;
use crate::openai::parameters::{self, Rest};

/// Questions about an input.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct DecisionRequest {
    /// The language model, as `GET /v1/models` names it.
    model: String,
    /// What the questions are about.
    input: Input,
    /// 1 to 400 questions.
    questions: Vec<Ask>,
    /// The adapter that answers.
    adapter: Option<AdapterChoice>,
    /// `flex` is the class `batch`.
    service_tier: Option<ServiceTier>,
    #[serde(flatten)]
    #[schemars(skip)]
    rest: Rest,
}

/// A question.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Ask {
    /// How probable it is that a statement about the input is true.
    Predicate {
        name: Option<String>,
        instructions: InputContent,
    },
    /// Which of 2 to 255 options fits.
    Choice {
        name: Option<String>,
        instructions: InputContent,
        choices: Vec<Choice>,
    },
    /// Where on a scale of 2 to 255 levels the input stands.
    Score {
        name: Option<String>,
        instructions: InputContent,
        levels: Vec<Level>,
    },
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Choice {
    value: ChoiceValue,
    description: Option<String>,
}

/// A text or a boolean, which are distinct.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or a boolean")]
enum ChoiceValue {
    Bool(bool),
    Text(String),
}

impl ChoiceValue {
    fn label(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Level {
    label: String,
    description: Option<String>,
}

/// The answers, in the order of the questions.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Decision {
    model: String,
    answers: Vec<DecisionAnswer>,
    /// Over all questions; what was evaluated to score the answers is output.
    usage: TokenUsage,
}

/// An answer. The probabilities are normalised over the options and not
/// calibrated: they are the model's own shares.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
enum DecisionAnswer {
    Predicate {
        name: Option<String>,
        probability: f64,
    },
    Choice {
        name: Option<String>,
        choice: ChoiceValue,
        /// How concentrated the probabilities are, from 0 to 1.
        confidence: f64,
        probabilities: Vec<ChoiceProbability>,
    },
    Score {
        name: Option<String>,
        /// The expected level, counted from 0.
        score: f64,
        /// How concentrated the probabilities are, from 0 to 1.
        confidence: f64,
        probabilities: Vec<LevelProbability>,
    },
}

#[derive(Debug, Serialize, JsonSchema)]
struct ChoiceProbability {
    value: ChoiceValue,
    probability: f64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct LevelProbability {
    label: String,
    value: usize,
    probability: f64,
}

/// Answers typed questions by scoring the allowed answers; generates no text.
pub(crate) async fn create(
    State(app): State<App>,
    asked: Asked,
    Body(mut request): Body<DecisionRequest>,
) -> Result<Reply<Decision>, ApiError> {
    parameters::refuse(&request.rest)?;
    let chosen = app.language_model(&request.model, request.adapter.take())?;
    let asked = asked.or(request.service_tier.and_then(ServiceTier::class));
    super::check_number_of_questions(request.questions.len())?;
    let input = request.input.render()?;
    let questions = request
        .questions
        .iter()
        .enumerate()
        .map(|(index, asked)| asked.question(&format!("questions[{index}]")))
        .collect::<Result<_, _>>()?;
    let name = chosen.name.clone();
    let answers = super::answer(&app, chosen, asked, input, questions).await?;
    Ok(Reply(Decision {
        model: name,
        answers: request
            .questions
            .into_iter()
            .zip(answers.questions)
            .map(|(asked, shares)| asked.answer(&shares))
            .collect(),
        usage: answers.usage.into(),
    }))
}

impl Ask {
    fn question(&self, param: &str) -> Result<Question, ApiError> {
        let at = format!("{param}.instructions");
        match self {
            Self::Predicate { instructions, .. } => {
                let statement = instructions.render(&at)?;
                Ok(Question::predicate(statement, None, None))
            }
            Self::Choice {
                instructions,
                choices,
                ..
            } => {
                let param = format!("{param}.choices");
                let twice = choices.iter().enumerate().find(|(index, choice)| {
                    choices[..*index].iter().any(|c| c.value == choice.value)
                });
                if let Some((index, _)) = twice {
                    let message = "the value stands twice: choices must differ";
                    return Err(ApiError::invalid(format!("{param}[{index}]"), message));
                }
                let options = choices
                    .iter()
                    .map(|choice| {
                        AnswerOption::new(choice.value.label(), choice.description.clone())
                    })
                    .collect::<Vec<_>>();
                super::check_options(&param, &options)?;
                Ok(Question::choice(instructions.render(&at)?, options))
            }
            Self::Score {
                instructions,
                levels,
                ..
            } => {
                let options = levels
                    .iter()
                    .map(|level| AnswerOption::new(&level.label, level.description.clone()))
                    .collect::<Vec<_>>();
                super::check_options(&format!("{param}.levels"), &options)?;
                Ok(Question::score(instructions.render(&at)?, options))
            }
        }
    }

    fn answer(self, shares: &[f64]) -> DecisionAnswer {
        match self {
            Self::Predicate { name, .. } => DecisionAnswer::Predicate {
                name,
                probability: shares[0],
            },
            Self::Choice { name, choices, .. } => DecisionAnswer::Choice {
                name,
                choice: choices[best(shares)].value.clone(),
                confidence: confidence(shares),
                probabilities: choices
                    .into_iter()
                    .zip(shares)
                    .map(|(choice, &probability)| ChoiceProbability {
                        value: choice.value,
                        probability,
                    })
                    .collect(),
            },
            Self::Score { name, levels, .. } => DecisionAnswer::Score {
                name,
                score: expected(shares),
                confidence: confidence(shares),
                probabilities: levels
                    .into_iter()
                    .zip(shares)
                    .enumerate()
                    .map(|(value, (level, &probability))| LevelProbability {
                        label: level.label,
                        value,
                        probability,
                    })
                    .collect(),
            },
        }
    }
}

//! Typed questions about an input, answered by scoring the allowed answers; no
//! text is generated. Two wire formats stand on this: OpenAI's `/v1/decisions`
//! and `/v1/systemone` of the open servers.

mod input;
pub(crate) mod openai;
pub(crate) mod systemone;

use andon_task::engine::{Message, Prompt, Role, ScoreRequest, Usage};

use crate::app::{App, Chosen};
use crate::asked::Asked;
use crate::error::ApiError;
use crate::gate::Presence;

/// The most questions of one request.
const MAX_QUESTIONS: usize = 400;
/// The most options of a question.
const MAX_OPTIONS: usize = 255;

/// One question: what is asked, and the closed set of answers.
#[derive(Debug)]
struct Question {
    /// What is asked, as text.
    instructions: String,
    /// What stands before the list of answers.
    heading: &'static str,
    /// The answers, in order.
    options: Vec<AnswerOption>,
}

/// One allowed answer.
#[derive(Debug)]
struct AnswerOption {
    label: String,
    description: Option<String>,
}

impl AnswerOption {
    fn new(label: impl Into<String>, description: Option<String>) -> Self {
        Self {
            label: label.into(),
            description,
        }
    }
}

impl Question {
    /// Whether a statement about the input is true; the answers are `yes`, `no`.
    fn predicate(statement: String, yes: Option<String>, no: Option<String>) -> Self {
        Self {
            instructions: statement,
            heading: "Is this true of the text above? Answer with yes or no and nothing else:",
            options: vec![AnswerOption::new("yes", yes), AnswerOption::new("no", no)],
        }
    }

    /// One of several options.
    fn choice(instructions: String, options: Vec<AnswerOption>) -> Self {
        Self {
            instructions,
            heading: "Answer with one of these and nothing else:",
            options,
        }
    }

    /// One of several levels, the lowest first.
    fn score(instructions: String, options: Vec<AnswerOption>) -> Self {
        Self {
            instructions,
            heading: "Answer with one of these levels, the lowest first, and nothing else:",
            options,
        }
    }

    /// The prompt: first the input, which all questions share as a prefix.
    fn prompt(&self, input: &str) -> Prompt {
        let mut content = format!("{input}\n\n{}\n{}", self.instructions, self.heading);
        for option in &self.options {
            content.push_str("\n- ");
            content.push_str(&option.label);
            if let Some(description) = &option.description {
                content.push_str(": ");
                content.push_str(description);
            }
        }
        Prompt::chat(vec![
            Message::new(
                Role::System,
                "Read the text and answer the question about it.",
            ),
            Message::new(Role::User, content),
        ])
    }

    fn labels(&self) -> Vec<String> {
        self.options
            .iter()
            .map(|option| option.label.clone())
            .collect()
    }
}

/// The shares of each question's options, in order, and what all cost.
struct Answers {
    questions: Vec<Vec<f64>>,
    usage: Usage,
}

/// Answers all questions about `input` together.
async fn answer(
    app: &App,
    chosen: Chosen,
    asked: Asked,
    input: String,
    questions: Vec<Question>,
) -> Result<Answers, ApiError> {
    let presence = Presence::new();
    let terms = asked.terms(presence.departure());
    app.long_work(asked.class(), move |_| {
        let requests: Vec<ScoreRequest> = questions
            .iter()
            .map(|question| ScoreRequest {
                adapter: chosen.adapter.clone(),
                terms: terms.clone(),
                ..ScoreRequest::new(question.prompt(&input), question.labels())
            })
            .collect();
        let mut answers = Answers {
            questions: Vec::with_capacity(questions.len()),
            usage: Usage::default(),
        };
        for scores in chosen.model.score_all(&requests)? {
            answers.questions.push(scores.shares);
            answers.usage.prompt_tokens += scores.usage.prompt_tokens;
            answers.usage.cached_tokens += scores.usage.cached_tokens;
            answers.usage.completion_tokens += scores.usage.completion_tokens;
        }
        Ok(answers)
    })
    .await
}

/// The place of the largest share; the first of two that are equal.
fn best(shares: &[f64]) -> usize {
    let mut best = 0;
    for (index, share) in shares.iter().enumerate() {
        if *share > shares[best] {
            best = index;
        }
    }
    best
}

/// How concentrated the shares are: 0 where all are the same, 1 where one has
/// everything. It is not the probability of being right.
fn confidence(shares: &[f64]) -> f64 {
    let uniform = 1.0 / shares.len() as f64;
    let largest = shares.iter().copied().fold(0.0, f64::max);
    ((largest - uniform) / (1.0 - uniform)).clamp(0.0, 1.0)
}

/// The expected place on the scale, counted from 0.
fn expected(shares: &[f64]) -> f64 {
    shares
        .iter()
        .enumerate()
        .map(|(level, share)| level as f64 * share)
        .sum()
}

fn check_number_of_questions(number: usize) -> Result<(), ApiError> {
    match number {
        1..=MAX_QUESTIONS => Ok(()),
        _ => Err(ApiError::invalid(
            "questions",
            format!("there are {number} questions: ask 1 to {MAX_QUESTIONS}"),
        )),
    }
}

fn check_options(param: &str, options: &[AnswerOption]) -> Result<(), ApiError> {
    if !(2..=MAX_OPTIONS).contains(&options.len()) {
        let message = format!(
            "there are {} options: give 2 to {MAX_OPTIONS}",
            options.len()
        );
        return Err(ApiError::invalid(param, message));
    }
    if let Some(index) = options.iter().position(|o| o.label.trim().is_empty()) {
        return Err(ApiError::invalid(
            format!("{param}[{index}]"),
            "the option is empty",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

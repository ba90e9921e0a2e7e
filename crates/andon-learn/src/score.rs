//! Measuring a language model that scores a task's labels.

use andon_task::engine::{Adapter, Score, ScoreRequest, Usage};
use andon_task::example::LabelledText;
use andon_task::prompt;
use andon_task::task::Task;

use crate::error::LearnError;
use crate::evaluate::{Answer, Evaluation};
use crate::learn::{Clock, check_labels, figures};

/// How a language model answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Its figures. What they call probabilities are its shares, which nobody
    /// has calibrated.
    pub evaluation: Evaluation,
    /// What all answers cost together.
    pub usage: Usage,
}

/// Measures a language model, or an adapter of it, by its shares of the labels:
/// one request at a time, as notes come in. `progress` is told how many examples
/// are answered.
///
/// # Errors
/// If there are no examples, one has a label that the task has not, or the model
/// does not take one.
pub fn score_labels(
    task: &Task,
    model: &dyn Score,
    adapter: Option<&Adapter>,
    examples: &[LabelledText],
    clock: Clock<'_>,
    progress: &mut dyn FnMut(usize),
) -> Result<Scored, LearnError> {
    check_labels(task, examples)?;
    let names = task.labels().names();
    let failed = |text: String| move |source| LearnError::LanguageModel { text, source };
    // What every prompt begins with is computed before the clock runs, as a node
    // does when it comes up.
    let beginning = ["a", "Z"].map(|note| prompt::decide(task, note));
    model
        .pin(&beginning)
        .map_err(failed("the task's instructions".to_owned()))?;
    let mut usage = Usage::default();
    let mut answers = Vec::with_capacity(examples.len());
    progress(0);
    for (index, example) in examples.iter().enumerate() {
        let start = clock();
        let scores = model
            .score(&ScoreRequest {
                adapter: adapter.cloned(),
                ..ScoreRequest::new(prompt::decide(task, &example.text), names.clone())
            })
            .map_err(failed(format!("example {}", index + 1)))?;
        let took = clock().saturating_sub(start);
        usage.prompt_tokens += scores.usage.prompt_tokens;
        usage.cached_tokens += scores.usage.cached_tokens;
        usage.completion_tokens += scores.usage.completion_tokens;
        answers.push(Answer::grade(&scores.shares, example, took));
        progress(index + 1);
    }
    Ok(Scored {
        evaluation: figures(task, &answers)?,
        usage,
    })
}

//! Measuring a language model that scores a task's labels, and making probabilities
//! of its scores.

use std::time::Duration;

use andon_task::adapter::{TaskAdapter, logits};
use andon_task::calibration::{self, Scored as Graded};
use andon_task::engine::{Adapter, Prompt, Score, ScoreRequest, Usage};
use andon_task::example::LabelledText;
use andon_task::prompt;
use andon_task::task::Task;

use crate::error::LearnError;
use crate::evaluate::{Answer, Evaluation};
use crate::learn::{Clock, check_labels, figures};
use crate::promotion::Outcome;

/// Parts of the examples; each is measured with the temperature of the others.
const PARTS: usize = 5;

/// How a language model answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Its figures. What they call probabilities are its shares, which nobody
    /// has calibrated, unless the adapter of a task made them so.
    pub evaluation: Evaluation,
    /// What all answers cost together.
    pub usage: Usage,
}

/// What was found out about an adapter on examples that were held out from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibrated {
    /// The temperature under which the right labels of all of them are most probable.
    pub temperature: f64,
    /// Its figures, each fifth of the examples with the temperature of the others.
    pub evaluation: Evaluation,
    /// The outcome of every example, for
    /// [`not_worse`](crate::promotion::not_worse).
    pub outcomes: Vec<Outcome>,
}

/// What the model gave one example.
struct Given {
    shares: Vec<f64>,
    took: Duration,
}

/// Measures a language model by its shares of the labels:
/// one request at a time, as notes come in. `progress` is told how many examples
/// are answered.
///
/// # Errors
/// If there are no examples, one has a label that the task has not, or the model
/// does not take one.
pub fn score_labels(
    task: &Task,
    model: &dyn Score,
    examples: &[LabelledText],
    clock: Clock<'_>,
    progress: &mut dyn FnMut(usize),
) -> Result<Scored, LearnError> {
    let asked = Asked {
        model,
        adapter: None,
        prompt: &|text| prompt::decide(task, text),
    };
    let (given, usage) = ask(task, &asked, examples, clock, progress)?;
    let grade = |(example, given): (&LabelledText, &Given)| answer(example, &given.shares, given);
    let answers: Vec<Answer> = examples.iter().zip(&given).map(grade).collect();
    Ok(Scored {
        evaluation: figures(task, &answers)?,
        usage,
    })
}

/// Measures the adapter of a task, which the model holds, by the probabilities that it
/// serves with.
///
/// # Errors
/// As [`score_labels`].
pub fn evaluate_adapter(
    task: &Task,
    (model, adapter): (&dyn Score, &TaskAdapter),
    examples: &[LabelledText],
    clock: Clock<'_>,
    progress: &mut dyn FnMut(usize),
) -> Result<Scored, LearnError> {
    let asked = Asked {
        model,
        adapter: Some(adapter.named()),
        prompt: &|text| adapter.asked(task, text),
    };
    let (given, usage) = ask(task, &asked, examples, clock, progress)?;
    let grade = |(example, given): (&LabelledText, &Given)| {
        answer(example, &adapter.probabilities(&given.shares), given)
    };
    let answers: Vec<Answer> = examples.iter().zip(&given).map(grade).collect();
    Ok(Scored {
        evaluation: figures(task, &answers)?,
        usage,
    })
}

/// Fits the temperature of an adapter on examples that were held out from it, and
/// measures it on them.
///
/// # Errors
/// As [`score_labels`].
pub fn calibrate_labels(
    task: &Task,
    (model, adapter): (&dyn Score, &TaskAdapter),
    held_out: &[LabelledText],
    clock: Clock<'_>,
    progress: &mut dyn FnMut(usize),
) -> Result<Calibrated, LearnError> {
    let asked = Asked {
        model,
        adapter: Some(adapter.named()),
        prompt: &|text| adapter.asked(task, text),
    };
    let (given, _) = ask(task, &asked, held_out, clock, progress)?;
    let graded: Vec<Graded> = held_out
        .iter()
        .zip(&given)
        .map(|(example, given)| Graded {
            logits: logits(&given.shares),
            label: example.label,
        })
        .collect();
    let without = |part: usize| -> Vec<Graded> {
        let others = graded.iter().enumerate();
        let others = others.filter(|(index, _)| index % PARTS != part);
        others.map(|(_, graded)| graded.clone()).collect()
    };
    let temperatures: Vec<f64> = (0..PARTS)
        .map(|part| calibration::temperature(&without(part)))
        .collect();
    let answers: Vec<Answer> = (0..held_out.len())
        .map(|index| {
            let temperature = temperatures[index % PARTS];
            let probabilities = calibration::probabilities(&graded[index].logits, temperature);
            answer(&held_out[index], &probabilities, &given[index])
        })
        .collect();
    let outcome = |(example, answer)| Outcome::of(task, example, answer);
    Ok(Calibrated {
        temperature: calibration::temperature(&graded),
        evaluation: figures(task, &answers)?,
        outcomes: held_out.iter().zip(&answers).map(outcome).collect(),
    })
}

fn answer(example: &LabelledText, probabilities: &[f64], given: &Given) -> Answer {
    Answer::grade(probabilities, example, None, given.took)
}

/// Who is asked, and how.
struct Asked<'a> {
    model: &'a dyn Score,
    adapter: Option<Adapter>,
    prompt: &'a dyn Fn(&str) -> Prompt,
}

/// Has the labels of every example scored.
fn ask(
    task: &Task,
    asked: &Asked<'_>,
    examples: &[LabelledText],
    clock: Clock<'_>,
    progress: &mut dyn FnMut(usize),
) -> Result<(Vec<Given>, Usage), LearnError> {
    check_labels(task, examples)?;
    let names = task.labels().names();
    let failed = |text: String| move |source| LearnError::LanguageModel { text, source };
    // What every prompt begins with is computed before the clock runs, as a node
    // does when it comes up.
    let beginning = ["a", "Z"].map(asked.prompt);
    asked
        .model
        .pin(&beginning)
        .map_err(failed("the task's instructions".to_owned()))?;
    let mut usage = Usage::default();
    let mut answers = Vec::with_capacity(examples.len());
    progress(0);
    for (index, example) in examples.iter().enumerate() {
        let start = clock();
        let scores = asked
            .model
            .score(&ScoreRequest {
                adapter: asked.adapter.clone(),
                ..ScoreRequest::new((asked.prompt)(&example.text), names.clone())
            })
            .map_err(failed(format!("example {}", index + 1)))?;
        usage.prompt_tokens += scores.usage.prompt_tokens;
        usage.cached_tokens += scores.usage.cached_tokens;
        usage.completion_tokens += scores.usage.completion_tokens;
        answers.push(Given {
            shares: scores.shares,
            took: clock().saturating_sub(start),
        });
        progress(index + 1);
    }
    Ok((answers, usage))
}

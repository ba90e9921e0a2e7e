//! The cases that upstreams are measured on, and what is right for each.

use andon_runtime::Node;
use andon_task::answer::Citation;
use andon_task::certificate::{Severity, Thresholds};
use andon_task::example::{self, LabelledText};
use andon_task::extract::{Fields, Gold};
use andon_task::plant::Plant;
use andon_task::route::Reason;
use andon_task::run::{Evidence, Run};
use andon_task::task::{Kind, Task};
use anyhow::{Context, anyhow, bail};
use serde_json::Value;

use crate::cli::Eval;
use crate::command::eval::Contender;
use crate::command::eval::measure::{Bench, Beside, On};
use crate::learning::{all_examples, read_expected};
use crate::node;
use crate::progress::Progress;
use crate::settings::Settings;

/// What an example expects.
pub(super) enum Expected {
    Label(LabelledText),
    Object(Box<Gold>),
    Text(String),
    /// Of these sources; none where the documents do not say.
    Sources(Vec<String>),
}

pub(super) struct Case {
    pub(super) text: String,
    pub(super) expected: Expected,
    /// What was answered here.
    pub(super) run: Run,
    pub(super) right: bool,
    pub(super) is_uncertain: bool,
}

/// The examples, with what each expects.
pub(super) fn expected(
    settings: &Settings,
    plant: &Plant,
    task: &Task,
    typed: &Eval,
) -> anyhow::Result<Vec<(String, Expected)>> {
    if let Kind::Decide(_) = task.kind {
        let labelled = match &typed.examples {
            Some(path) => crate::command::eval::read(path, task)?,
            None => all_examples(&node::store(&settings.state)?, plant, task)?,
        };
        let of = |example: LabelledText| (example.text.clone(), Expected::Label(example));
        return Ok(labelled.into_iter().map(of).collect());
    }
    let Some(path) = &typed.examples else {
        bail!(
            "what answers '{}' has learned from the plant's examples: give others with `--examples FILE`",
            task.name
        );
    };
    let examples = read_expected(path)?;
    let of = |(number, example): (usize, example::Example)| {
        let wrong = |what: &str| anyhow!("'{}', example {}: {what}", path.display(), number + 1);
        let expected = match &task.kind {
            Kind::Extract(schema) => {
                let fields = Fields::of(schema.value())?;
                let gold = Gold::of(&fields, &example.expected);
                Expected::Object(Box::new(gold.map_err(|reason| wrong(&reason))?))
            }
            Kind::Normalise => Expected::Text(
                (example.expected.as_str())
                    .ok_or_else(|| wrong("write the text under \"expected\""))?
                    .to_owned(),
            ),
            Kind::Answer => {
                let sources = example.expected["sources"].as_array().into_iter().flatten();
                let sources = sources.filter_map(Value::as_str).map(str::to_owned);
                Expected::Sources(sources.collect())
            }
            Kind::Decide(_) | Kind::Summarise => {
                bail!(
                    "a summary is computed: no upstream is asked for '{}'",
                    task.name
                )
            }
        };
        Ok((example.input, expected))
    };
    examples.into_iter().enumerate().map(of).collect()
}

/// Of a task that decides, each example's answer while it was held out from what was
/// learned; with a file what serves has not seen them.
pub(super) fn held_out(
    settings: &Settings,
    plant: &Plant,
    task: &Task,
    typed: &Eval,
) -> anyhow::Result<Option<Vec<(usize, bool)>>> {
    if typed.examples.is_some() {
        return Ok(None);
    }
    let store = node::store(&settings.state)?;
    let labelled = all_examples(&store, plant, task)?;
    let bench = Bench::new(settings, plant, task, &labelled, On::Plant)?;
    let measured = bench.measure(&Contender::Learn, Beside::Nobody)?;
    let evaluation = measured.evaluation.context("it has answers")?;
    let certificate = store
        .certificate(&task.name)
        .with_context(|| format!("cannot read the certificate of '{}'", task.name))?;
    let thresholds: Option<Thresholds> = certificate.map(|stored| stored.certificate.thresholds);
    let labels = task.labels().labels();
    let of = |answer: &andon_learn::evaluate::Answer| {
        let accepted = match &thresholds {
            Some(thresholds) => {
                let said = match labels[answer.best].critical {
                    true => Severity::Critical,
                    false => Severity::Ordinary,
                };
                thresholds.accept(said, answer.confidence)
            }
            None => answer.confidence >= task.accept,
        };
        (answer.best, !accepted)
    };
    Ok(Some(evaluation.answers.iter().map(of).collect()))
}

pub(super) fn answer_here(
    node: &Node,
    task: &Task,
    examples: Vec<(String, Expected)>,
    held_out: Option<&[(usize, bool)]>,
) -> anyhow::Result<Vec<Case>> {
    let bar = Progress::of_parts(&format!("{}: answering here", task.name), examples.len());
    let mut cases = Vec::with_capacity(examples.len());
    for (number, (text, expected)) in examples.into_iter().enumerate() {
        let run = node
            .preview(&task.name, &text)
            .with_context(|| format!("example {} is not answered here", number + 1))?;
        let (right, is_uncertain) = match (&expected, held_out) {
            (Expected::Label(example), Some(held_out)) => {
                let (best, is_uncertain) = held_out[number];
                (example.accepts(best), is_uncertain)
            }
            _ => {
                let reasons = [Reason::BelowThreshold, Reason::NotCalibrated];
                (
                    is_right(task, &expected, &run),
                    reasons.contains(&run.reason),
                )
            }
        };
        cases.push(Case {
            text,
            expected,
            run,
            right,
            is_uncertain,
        });
        bar.reach(number as u64 + 1);
    }
    Ok(cases)
}

/// Whether a run's answer is the expected one.
pub(super) fn is_right(task: &Task, expected: &Expected, run: &Run) -> bool {
    match expected {
        Expected::Label(example) => {
            let position = run.answer.as_str().and_then(|a| task.labels().position(a));
            position.is_some_and(|position| example.accepts(position))
        }
        Expected::Object(gold) => {
            let Kind::Extract(schema) = &task.kind else {
                return false;
            };
            let Ok(fields) = Fields::of(schema.value()) else {
                return false;
            };
            let read = Gold::of(&fields, &run.answer);
            read.is_ok_and(|read| gold.grade(&read, &fields).iter().all(|&right| right))
        }
        Expected::Text(text) => {
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            run.answer
                .as_str()
                .is_some_and(|answer| words(answer) == words(text))
        }
        Expected::Sources(sources) => {
            let cited = run.evidence.iter().find_map(|evidence| match evidence {
                Evidence::Passage(passage) => Some(&passage.citation),
                _ => None,
            });
            let fits = |citation: &Citation| {
                let fits = |source: &String| {
                    let rest = citation.section.strip_prefix(source.as_str());
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
                };
                sources.iter().any(fits)
            };
            match run.answer.is_null() {
                true => sources.is_empty(),
                false => cited.is_some_and(fits),
            }
        }
    }
}

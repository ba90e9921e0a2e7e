//! Measures a task that summarises.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use andon_learn::report::{
    Cost, Examples, Figures, Report, Subject, SummariseFigures, Summary, Told,
};
use andon_task::engine::Terms;
use andon_task::example::Example;
use andon_task::plant::Plant;
use andon_task::summarise::{Event, Facts, Period, support};
use andon_task::task::Task;
use anyhow::{Context, bail};
use serde_json::Value;

use crate::cli::Eval;
use crate::node::{self, Needs};
use crate::progress::Progress;
use crate::settings::Settings;

/// The report on the examples of a file or of the plant: a summary is computed, so there
/// is nothing to hold out.
pub(super) fn measure(
    settings: &Settings,
    plant: &Plant,
    task: &Task,
    typed: &Eval,
) -> anyhow::Result<Report> {
    let examples = match &typed.examples {
        Some(path) => crate::learning::read_expected(path)?,
        None => plant.expected.get(&task.name).cloned().unwrap_or_default(),
    };
    if examples.is_empty() {
        bail!(
            "'{0}' has no examples to measure on: add lines to examples/{0}.jsonl",
            task.name
        );
    }
    let node = node::open(settings, plant.clone(), Needs::Tasks(&[task.name.as_str()]))?;
    let bar = Progress::of_parts(&format!("{}: summarising", task.name), examples.len());
    let mut found = Vec::with_capacity(examples.len());
    let mut times: Vec<Duration> = Vec::with_capacity(examples.len());
    for (index, example) in examples.iter().enumerate() {
        let began = Instant::now();
        let period = Period::read(&example.input)
            .with_context(|| format!("example {} is no period", index + 1))?;
        let (answer, worded) = node
            .summary(&period, &Terms::of(task.deadline))
            .with_context(|| format!("cannot summarise example {}", index + 1))?;
        times.push(began.elapsed());
        found.push(told(&period, &answer, worded, example));
        bar.reach(index as u64 + 1);
    }
    drop(bar);
    let figures = SummariseFigures::of(&found, Summary::of(&times)).with_context(|| {
        format!(
            "the examples of '{}' expect no facts: give {{\"facts\": …}}",
            task.name
        )
    })?;
    let mean = times.iter().sum::<Duration>().as_secs_f64() / times.len() as f64;
    let model = node.language_model().map(|model| model.model().clone());
    Ok(Report {
        task: task.name.clone(),
        examples: Examples::of(&task.name, typed.examples.as_deref(), &examples),
        cost: Cost {
            mean_ms: 1000.0 * mean,
            ..Cost::default()
        },
        measured: Subject {
            name: model
                .as_ref()
                .map_or("computed".to_owned(), |m| m.name.clone()),
            how: "computed facts, sentences checked against their records".to_owned(),
            calibrated: false,
            digests: model.map_or_else(BTreeMap::new, |model| {
                BTreeMap::from([("model".to_owned(), model.digest)])
            }),
        },
        figures: Figures::Summarise(Box::new(figures)),
        warnings: super::few(examples.len()),
        wrong: Vec::new(),
        contradictions: Vec::new(),
        comparison: None,
    })
}

fn told(period: &Period, answer: &Value, worded: usize, example: &Example) -> Told {
    let expected = example.expected.get("facts").unwrap_or(&example.expected);
    let sections = answer["sections"].as_object().into_iter().flatten();
    let sentences: Vec<&Value> = sections
        .flat_map(|(_, sentences)| sentences.as_array().into_iter().flatten())
        .collect();
    let records_of = |sentence: &Value| -> Vec<&Event> {
        let named = sentence["records"].as_array();
        let is_named = |event: &&Event| {
            named.is_some_and(|named| named.iter().any(|id| id.as_str() == Some(&event.id)))
        };
        let all = period.events.iter().chain(&period.carried);
        all.filter(is_named).collect()
    };
    let unsupported = sentences.iter().map(|sentence| {
        let text = sentence["text"].as_str().unwrap_or_default();
        // What the input says of the period as a whole may be said of it.
        let about = period
            .about
            .iter()
            .flat_map(|(_, value)| support::values(value));
        let about: Vec<String> = about.collect();
        let of_records = support::unsupported(text, &records_of(sentence), &answer["facts"]);
        of_records
            .iter()
            .filter(|value| !about.contains(value))
            .count()
    });
    let high = answer["facts"]["high_priority"]
        .as_array()
        .into_iter()
        .flatten();
    let missed = high.filter(|id| {
        !sentences.iter().any(|sentence| {
            let text = sentence["text"].as_str().unwrap_or_default();
            id.as_str().is_some_and(|id| text.contains(id))
        })
    });
    Told {
        facts: Facts::recalled(&answer["facts"], expected),
        unsupported: unsupported.sum(),
        missed: missed.count(),
        sentences: (sentences.len(), worded),
    }
}

//! `andon eval TASK`

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use andon_learn::evaluate::Evaluation;
use andon_learn::interval::Estimate;
use andon_learn::{Lesson, cross_validate, evaluate_head};
use andon_task::example::{self, LabelledText};
use andon_task::head::Head;
use andon_task::task::Task;
use anyhow::Context;

use crate::cli::Eval;
use crate::engine::Loader;
use crate::learning::{Shown, examples};
use crate::output;
use crate::settings::Settings;
use crate::{node, plant};

/// Measures a task: cross-validated on the plant's examples, or the promoted
/// head on a file.
pub(super) fn run(settings: &Settings, typed: &Eval) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let task = super::task(&plant, &typed.task)?;
    // What can be wrong with the file is said before the model is loaded.
    let labelled = match &typed.examples {
        Some(path) => Some(read(path, task)?),
        None => None,
    };
    let encoder = Loader::new(settings.store()).encoder(&plant.settings.encoder)?;
    let began = Instant::now();
    let clock = || began.elapsed();
    let mut shown = Shown::new(&task.name);
    let mut progress = |progress| shown.show(progress);
    let evaluation = match labelled {
        Some(labelled) => {
            let head = promoted(settings, task)?;
            evaluate_head(
                task,
                &head,
                &labelled,
                &encoder,
                &plant.glossary,
                &clock,
                &mut progress,
            )
        }
        None => {
            let lesson = Lesson {
                task,
                examples: examples(&plant, task),
                encoder: &encoder,
                tune: None,
                glossary: &plant.glossary,
            };
            cross_validate(&lesson, &clock, &mut progress)
        }
    }
    .with_context(|| format!("cannot measure '{}'", task.name))?;
    drop(shown);
    settings.output.print(&evaluation, figures)?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path, task: &Task) -> anyhow::Result<Vec<LabelledText>> {
    let cannot_read = || format!("cannot read the examples '{}'", path.display());
    let text = std::fs::read_to_string(path).with_context(cannot_read)?;
    example::parse_labelled(&text, task.labels()).with_context(cannot_read)
}

fn promoted(settings: &Settings, task: &Task) -> anyhow::Result<Head> {
    let name = &task.name;
    let promotion = node::store(&settings.state)?
        .promoted(name)
        .with_context(|| format!("cannot read what is promoted for '{name}'"))?
        .with_context(|| {
            format!("no head of '{name}' is promoted: train one with `andon learn {name}`")
        })?;
    node::heads(&settings.state)
        .load(promotion.head)
        .with_context(|| {
            format!("cannot read the head of '{name}': train it with `andon learn {name}`")
        })
}

/// The figures of an evaluation as a table.
pub(super) fn figures(evaluation: &Evaluation) -> String {
    let share = |name: &str, estimate: &Estimate| {
        let percent = |value: f64| format!("{:.1} %", 100.0 * value);
        [
            name.to_owned(),
            percent(estimate.value),
            format!("{} to {}", percent(estimate.low), percent(estimate.high)),
        ]
    };
    let mut rows = vec![
        share("accuracy", &evaluation.accuracy),
        share("top 3", &evaluation.top3_accuracy),
        share("macro F1", &evaluation.macro_f1),
        share("calibration error", &evaluation.ece),
    ];
    rows.extend(evaluation.auroc.iter().map(|auroc| share("AUROC", auroc)));
    let at = format!("coverage at {:.2}", evaluation.accept);
    rows.push(share(&at, &evaluation.coverage));
    let selective = evaluation.selective_error.iter();
    rows.extend(selective.map(|error| share("error when accepted", error)));
    for of in &evaluation.per_language {
        rows.push(share(&format!("accuracy, {}", of.language), &of.accuracy));
        rows.push(share(&format!("top 3, {}", of.language), &of.top3_accuracy));
    }
    format!(
        "{}\n\n{} examples; one answer takes {:.1} ms (p50), {:.1} ms (p99)",
        output::table(["FIGURE", "VALUE", "95 % INTERVAL"], rows),
        evaluation.n,
        evaluation.p50_ms,
        evaluation.p99_ms
    )
}

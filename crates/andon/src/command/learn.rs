//! `andon learn TASK`

use std::process::ExitCode;
use std::sync::Arc;

use andon_learn::Tune;
use andon_learn::interval::Estimate;
use andon_learn::promotion::Verdict;
use andon_task::plant::Plant;
use andon_task::task::{Kind, Task};
use anyhow::bail;

use crate::asking::{self, LearnedRanker};
use crate::cli::Learn;
use crate::engine::Loader;
use crate::learning::{Learned, Promote, learn_task};
use crate::reading::{self, LearnedReader, SecondOpinion, Tuning};
use crate::settings::Settings;
use crate::training::{self, EncoderTuner, LearnedAdapter, LearnedWriter};
use crate::{normalising, plant};

/// Trains what answers a task and promotes it if it is not worse than what serves.
pub(super) fn run(settings: &Settings, typed: &Learn) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let task = super::task(&plant, &typed.task)?;
    let promote = match typed.promote {
        true => Promote::Anyway,
        false => Promote::IfNotWorse,
    };
    let promote = (promote, typed.who.name());
    let kind = &task.kind;
    if typed.adapter && !matches!(kind, Kind::Decide(_) | Kind::Extract(_)) {
        bail!("`--adapter` is for tasks that decide or extract: leave it out");
    }
    if typed.tune && !matches!(kind, Kind::Decide(_) | Kind::Extract(_)) {
        bail!("`--tune` is for tasks that decide or extract: leave it out");
    }
    match &task.kind {
        Kind::Decide(_) => learn_to_decide(settings, &plant, task, typed, promote)?,
        Kind::Answer => {
            let learned = asking::learn(settings, &plant, task, promote)?;
            settings.output.print(&learned, ranker)?;
        }
        Kind::Normalise => {
            let learned = normalising::learn_task(settings, &plant, task, promote)?;
            settings.output.print(&learned, normaliser)?;
        }
        Kind::Summarise => bail!(
            "there is nothing to learn for '{}': a summary is computed",
            task.name
        ),
        Kind::Extract(schema) if typed.adapter => {
            let loader = Loader::new(settings);
            let task = (task, schema);
            let learned =
                training::learn_writer(settings, &loader, &plant, task, typed.epochs, promote)?;
            settings.output.print(&learned, writer)?;
        }
        Kind::Extract(schema) => {
            let how = (
                typed.tune.then_some(Tuning {
                    epochs: typed.epochs,
                }),
                SecondOpinion::IfItHelps,
            );
            let learned = reading::learn(settings, &plant, (task, schema), how, promote)?;
            settings.output.print(&learned, reader)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A head, a tuned encoder with a head, or an adapter.
fn learn_to_decide(
    settings: &Settings,
    plant: &Plant,
    task: &Task,
    typed: &Learn,
    promote: (Promote, Option<&str>),
) -> anyhow::Result<()> {
    let loader = Loader::new(settings);
    if typed.adapter {
        let learned =
            training::learn_adapter(settings, &loader, plant, task, typed.epochs, promote)?;
        return settings.output.print(&learned, adapter);
    }
    let encoder = Arc::new(loader.encoder(&plant.settings.encoder)?);
    let tuner = EncoderTuner {
        encoder: &encoder,
        epochs: typed.epochs,
    };
    let tune: Option<&dyn Tune> = match typed.tune {
        true => Some(&tuner),
        false => None,
    };
    let learned = learn_task(settings, plant, task, (&loader, &encoder, tune), promote)?;
    settings.output.print(&learned, human)
}

fn human(learned: &Learned) -> String {
    format!(
        "{}\n\nhead {} of {} {}\n  learned in {:.1} s",
        super::eval::figures(&learned.evaluation),
        learned.head.short(),
        learned.task,
        promotion(learned.promoted, &learned.comparison),
        learned.took_s
    )
}

fn normaliser(learned: &normalising::Learned) -> String {
    let percent = |figure: &Estimate| {
        let [value, low, high] = [figure.value, figure.low, figure.high].map(|x| 100.0 * x);
        format!("{value:.1} % ({low:.1}–{high:.1})")
    };
    let figures = &learned.evaluation;
    let reduction = figures.error_reduction.as_ref();
    format!(
        "error reduction {}\nright tokens {}\nright texts {}\n\nnormaliser {} of {} {}\n  learned from {} examples in {:.1} s, {} kB",
        reduction.map_or_else(|| "unknown: no token was to be changed".to_owned(), percent),
        percent(&figures.token_accuracy),
        percent(&figures.exact),
        learned.normaliser.short(),
        learned.task,
        promotion(learned.promoted, &learned.comparison),
        figures.n,
        learned.took_s,
        learned.bytes / 1000,
    )
}

fn ranker(learned: &LearnedRanker) -> String {
    format!(
        "{}\n\nranker {} of {} {}\n  learned in {:.1} s",
        super::eval::answers(&learned.evaluation),
        learned.ranker.short(),
        learned.task,
        promotion(learned.promoted, &learned.comparison),
        learned.took_s
    )
}

fn reader(learned: &LearnedReader) -> String {
    let second = learned.second_opinion.as_ref();
    let second = second.map_or_else(String::new, |second| format!("\n  {second}"));
    format!(
        "{}{second}\n\nreader {} of {} {}\n  learned in {:.1} s",
        reading::shown(&learned.evaluation),
        learned.reader.short(),
        learned.task,
        promotion(learned.promoted, &learned.comparison),
        learned.took_s
    )
}

fn writer(learned: &LearnedWriter) -> String {
    format!(
        "{}\n\nadapter {} of {} {}\n  learned from {} examples in {} epochs, {:.0} s\n  its weights are '{}'",
        reading::shown(&learned.evaluation),
        learned.adapter.short(),
        learned.task,
        promotion(learned.promoted, &learned.comparison),
        learned.examples,
        learned.epochs.len(),
        learned.took_s,
        learned.file.display(),
    )
}

fn adapter(learned: &LearnedAdapter) -> String {
    let percent = |figure: &Estimate| {
        let [value, low, high] = [figure.value, figure.low, figure.high].map(|x| 100.0 * x);
        format!("{value:.1} % ({low:.1}–{high:.1})")
    };
    format!(
        "{}\n\nadapter {} of {} {}\n  right on held-out examples without it: {}\n  learned from {} examples in {} epochs, {:.0} s, calibrated at temperature {:.2}\n  its weights are '{}'",
        super::eval::figures(&learned.evaluation),
        learned.adapter.short(),
        learned.task,
        promotion(learned.promoted, &learned.comparison),
        percent(&learned.accuracy_without),
        learned.examples,
        learned.epochs.len(),
        learned.took_s,
        learned.temperature,
        learned.file.display(),
    )
}

/// Whether something serves now, and how it compares with what served before.
fn promotion(promoted: bool, comparison: &Verdict) -> String {
    let against = match comparison {
        Verdict::First => "the first of its task".to_owned(),
        Verdict::NotWorse(c) | Verdict::Worse(c) => super::promote::compared(c),
        Verdict::NothingInCommon => {
            "measured on other examples than the one that serves".to_owned()
        }
    };
    let what = match promoted {
        true => "is promoted",
        false => "is not promoted: the one before it still serves (`--promote` overrides)",
    };
    format!("{what}\n  {against}")
}

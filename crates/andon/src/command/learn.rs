//! `andon learn TASK`

use std::process::ExitCode;
use std::sync::Arc;

use andon_learn::Tune;
use andon_learn::interval::Estimate;
use andon_learn::promotion::Verdict;
use andon_task::task::Kind;
use anyhow::bail;

use crate::cli::Learn;
use crate::engine::Loader;
use crate::learning::{Learned, Promote, learn_task};
use crate::plant;
use crate::reading::{self, LearnedReader};
use crate::settings::Settings;
use crate::training::{self, EncoderTuner, LearnedAdapter};

/// Trains a head or an adapter and promotes it if it is not worse than what serves.
pub(super) fn run(settings: &Settings, typed: &Learn) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let task = super::task(&plant, &typed.task)?;
    let promote = match typed.promote {
        true => Promote::Anyway,
        false => Promote::IfNotWorse,
    };
    let promote = (promote, typed.who.name());
    if let Kind::Extract(schema) = &task.kind {
        if typed.adapter || typed.tune {
            bail!("a task that extracts learns a reader: leave out `--adapter` and `--tune`");
        }
        let learned = reading::learn(settings, &plant, (task, schema), promote)?;
        settings.output.print(&learned, reader)?;
        return Ok(ExitCode::SUCCESS);
    }
    super::decides(task, "learn")?;
    let loader = Loader::new(settings);
    if typed.adapter {
        let learned =
            training::learn_adapter(settings, &loader, &plant, task, typed.epochs, promote)?;
        settings.output.print(&learned, adapter)?;
        return Ok(ExitCode::SUCCESS);
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
    let learned = learn_task(settings, &plant, task, (&loader, &encoder, tune), promote)?;
    settings.output.print(&learned, human)?;
    Ok(ExitCode::SUCCESS)
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

fn reader(learned: &LearnedReader) -> String {
    format!(
        "{}\n\nreader {} of {} {}\n  learned in {:.1} s",
        reading::shown(&learned.evaluation),
        learned.reader.short(),
        learned.task,
        promotion(learned.promoted, &learned.comparison),
        learned.took_s
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

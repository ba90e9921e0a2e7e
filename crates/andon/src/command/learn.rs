//! `andon learn TASK`

use std::process::ExitCode;
use std::sync::Arc;

use andon_learn::Tune;
use andon_learn::interval::Estimate;
use andon_learn::promotion::Verdict;

use crate::cli::Learn;
use crate::engine::Loader;
use crate::learning::{Learned, Promote, learn_task};
use crate::plant;
use crate::settings::Settings;
use crate::training::{self, AdapterCandidate, EncoderTuner};

/// Trains a head and promotes it if it is not worse than the one that serves.
pub(super) fn run(settings: &Settings, typed: &Learn) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let task = super::task(&plant, &typed.task)?;
    let loader = Loader::new(settings.store());
    if typed.adapter {
        let candidate = training::train_adapter(settings, &loader, &plant, task)?;
        settings.output.print(&candidate, adapter)?;
        return Ok(ExitCode::SUCCESS);
    }
    let encoder = Arc::new(loader.encoder(&plant.settings.encoder)?);
    let tuner = EncoderTuner::of(&encoder);
    let tune: Option<&dyn Tune> = match typed.tune {
        true => Some(&tuner),
        false => None,
    };
    let promote = match typed.promote {
        true => Promote::Anyway,
        false => Promote::IfNotWorse,
    };
    let learned = learn_task(
        settings,
        &plant,
        task,
        (&encoder, tune),
        (promote, typed.who.name()),
    )?;
    settings.output.print(&learned, human)?;
    Ok(ExitCode::SUCCESS)
}

fn human(learned: &Learned) -> String {
    let against = match &learned.comparison {
        Verdict::First => "the first of its task".to_owned(),
        Verdict::NotWorse(c) | Verdict::Worse(c) => super::promote::compared(c),
        Verdict::NothingInCommon => {
            "measured on other examples than the one that serves".to_owned()
        }
    };
    let what = match learned.promoted {
        true => "is promoted",
        false => "is not promoted: the one before it still serves (`--promote` overrides)",
    };
    format!(
        "{}\n\nhead {} of {} {what}\n  {against}\n  learned in {:.1} s",
        super::eval::figures(&learned.evaluation),
        learned.head.short(),
        learned.task,
        learned.took_s
    )
}

fn adapter(candidate: &AdapterCandidate) -> String {
    let percent = |figure: &Estimate| {
        let [value, low, high] = [figure.value, figure.low, figure.high].map(|x| 100.0 * x);
        format!("{value:.1} % ({low:.1}–{high:.1})")
    };
    format!(
        "adapter {} of {} is kept as '{}'\n  right on {} held-out examples: {} with it, {} without\n  learned from {} examples in {} epochs, {:.0} s",
        candidate.adapter.short(),
        candidate.task,
        candidate.file.display(),
        candidate.held_out,
        percent(&candidate.accuracy),
        percent(&candidate.accuracy_without),
        candidate.examples,
        candidate.epochs.len(),
        candidate.took_s
    )
}

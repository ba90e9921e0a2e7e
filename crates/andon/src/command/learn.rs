//! `andon learn TASK`

use std::process::ExitCode;

use andon_learn::promotion::Verdict;

use crate::cli::Learn;
use crate::engine::Loader;
use crate::learning::{Learned, Promote, learn_task};
use crate::plant;
use crate::settings::Settings;

/// Trains a head and promotes it if it is not worse than the one that serves.
pub(super) fn run(settings: &Settings, typed: &Learn) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let task = super::task(&plant, &typed.task)?;
    let encoder = Loader::new(settings.store()).encoder(&plant.settings.encoder)?;
    let promote = match typed.promote {
        true => Promote::Anyway,
        false => Promote::IfNotWorse,
    };
    let learned = learn_task(
        settings,
        &plant,
        task,
        &encoder,
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

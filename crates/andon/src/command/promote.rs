//! `andon promote`, `andon rollback` and `andon history`

use std::process::ExitCode;
use std::sync::Arc;

use andon_learn::promotion::{Comparison, OfGroup, Verdict, not_worse};
use andon_store::{Candidate, Kind, Promotion};
use andon_task::digest::Digest;
use anyhow::{Context, anyhow, bail};
use serde::Serialize;

use crate::artefacts::Artefacts;
use crate::cli::{History, PromoteCandidate, Rollback};
use crate::engine::Loader;
use crate::learning::{self, Judged};
use crate::output;
use crate::settings::Settings;
use crate::{clock, node, plant};

/// What was made current.
#[derive(Debug, Serialize)]
struct Made {
    task: String,
    kind: Kind,
    digest: Digest,
    by: Option<String>,
    /// How it compares with what served before; `None` for a rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<Verdict>,
}

/// A promotion of a task's history, or a candidate.
#[derive(Debug, Serialize)]
struct Line {
    kind: Kind,
    digest: Digest,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// Whether it serves now.
    current: bool,
    /// Whether it came by a rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<bool>,
    /// The cross-validated accuracy, as it was measured.
    accuracy: Option<f64>,
    /// On how many examples.
    n: Option<u64>,
}

/// Lets a candidate serve. Ends with 1, and changes nothing, where it is worse
/// than what serves.
pub(super) fn run(settings: &Settings, typed: &PromoteCandidate) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let task = super::task(&plant, &typed.task)?;
    let store = node::store(&settings.state)?;
    let candidates = store
        .candidates(&task.name)
        .with_context(|| format!("cannot read the candidates of '{}'", task.name))?;
    let promoted = store
        .promoted(&task.name)
        .with_context(|| format!("cannot read what is promoted for '{}'", task.name))?;
    let Some(prefix) = typed.digest.as_deref() else {
        let current = promoted.map(|promotion| promotion.digest);
        let lines: Vec<Line> = candidates.iter().map(|c| candidate(c, current)).collect();
        settings.output.print(&lines, |lines| table(lines))?;
        return Ok(ExitCode::SUCCESS);
    };
    let chosen = choose(&candidates, prefix, &task.name)?;
    let loader = Loader::new(settings);
    let encoder = Arc::new(loader.encoder(&plant.settings.encoder)?);
    let artefacts = Artefacts::of(settings, &plant, &loader, &encoder);
    artefacts
        .check(task, chosen.kind, chosen.digest)
        .map_err(|reason| {
            anyhow!(
                "the {} {} cannot serve: {reason}",
                chosen.kind,
                chosen.digest.short()
            )
        })?;
    let figures: Judged = serde_json::from_value(chosen.figures.clone())
        .with_context(|| format!("the figures of {} cannot be read", chosen.digest.short()))?;
    let current = learning::current(&store, &artefacts, task)?;
    let comparison = not_worse(&figures.outcomes, current.as_deref());
    if !comparison.promotes() && !typed.anyway {
        let why = match &comparison {
            Verdict::Worse(comparison) => compared(comparison),
            _ => "measured on other examples than the one that serves".to_owned(),
        };
        bail!(
            "{} is not promoted, what served before still serves: {why} (`--anyway` overrides)",
            chosen.digest.short()
        );
    }
    let by = typed.who.name();
    let artefact = (chosen.kind, chosen.digest);
    let promotion = store
        .promote_as(
            &task.name,
            artefact,
            clock::now(),
            by,
            chosen.figures.clone(),
        )
        .with_context(|| format!("cannot promote for '{}'", task.name))?;
    show(settings, promotion, Some(comparison))
}

/// Lets serve again what served before.
pub(super) fn roll_back(settings: &Settings, typed: &Rollback) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let task = super::task(&plant, &typed.task)?;
    let store = node::store(&settings.state)?;
    let promotion = store
        .rollback(&task.name, clock::now(), typed.who.name())
        .with_context(|| format!("cannot roll '{}' back", task.name))?;
    show(settings, promotion, None)
}

/// Lists what was promoted for a task.
pub(super) fn history(settings: &Settings, typed: &History) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let task = super::task(&plant, &typed.task)?;
    let promotions = node::store(&settings.state)?
        .promotions(&task.name)
        .with_context(|| format!("cannot read what was promoted for '{}'", task.name))?;
    let lines: Vec<Line> = promotions
        .into_iter()
        .enumerate()
        .map(|(place, promotion)| {
            let (accuracy, n) = measured(&promotion.figures);
            Line {
                kind: promotion.kind,
                digest: promotion.digest,
                at: promotion.at.to_string(),
                by: promotion.by,
                current: place == 0,
                restored: Some(promotion.restores.is_some()),
                accuracy,
                n,
            }
        })
        .collect();
    settings.output.print(&lines, |lines| table(lines))?;
    Ok(ExitCode::SUCCESS)
}

fn choose<'a>(
    candidates: &'a [Candidate],
    prefix: &str,
    task: &str,
) -> anyhow::Result<&'a Candidate> {
    let prefix = prefix.to_ascii_lowercase();
    let mut matching = candidates
        .iter()
        .filter(|candidate| candidate.digest.to_string().starts_with(&prefix));
    let chosen = matching.next().with_context(|| {
        format!("'{task}' has no candidate '{prefix}': `andon promote {task} --list` shows them")
    })?;
    if prefix.len() < 4 || matching.next().is_some() {
        bail!("'{prefix}' is the beginning of more than one digest: give more of it");
    }
    Ok(chosen)
}

fn candidate(candidate: &Candidate, current: Option<Digest>) -> Line {
    let (accuracy, n) = measured(&candidate.figures);
    Line {
        kind: candidate.kind,
        digest: candidate.digest,
        at: candidate.at.to_string(),
        by: None,
        current: current == Some(candidate.digest),
        restored: None,
        accuracy,
        n,
    }
}

fn measured(figures: &serde_json::Value) -> (Option<f64>, Option<u64>) {
    let evaluation = &figures["evaluation"];
    (
        evaluation["accuracy"]["value"].as_f64(),
        evaluation["n"].as_u64(),
    )
}

fn show(
    settings: &Settings,
    promotion: Promotion,
    comparison: Option<Verdict>,
) -> anyhow::Result<ExitCode> {
    let made = Made {
        task: promotion.task,
        kind: promotion.kind,
        digest: promotion.digest,
        by: promotion.by,
        comparison,
    };
    settings.output.print(&made, |made| {
        let how = match &made.comparison {
            None => "what served before".to_owned(),
            Some(Verdict::First) => "the first of its task".to_owned(),
            Some(Verdict::NotWorse(c) | Verdict::Worse(c)) => compared(c),
            Some(Verdict::NothingInCommon) => {
                "measured on other examples than the one before it".to_owned()
            }
        };
        format!(
            "{} {} of {} serves now: {how}\na node that is up takes it over within two seconds",
            made.kind,
            made.digest.short(),
            made.task
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A comparison in words, with the groups where the candidate is worse.
pub(super) fn compared(comparison: &Comparison) -> String {
    let mut text = format!(
        "{} examples better and {} worse than the one that served, of {} in common",
        comparison.wins, comparison.losses, comparison.common
    );
    for group in comparison.groups.iter().filter(|group| group.is_worse()) {
        let OfGroup {
            group,
            common,
            wins,
            losses,
            ..
        } = group;
        text.push_str(&format!(
            "; worse where it is {group}: {wins} better and {losses} worse of {common}"
        ));
    }
    text
}

fn table(lines: &[Line]) -> String {
    let row = |line: &Line| {
        let accuracy = line
            .accuracy
            .map_or_else(|| "-".to_owned(), |value| format!("{:.1} %", 100.0 * value));
        let mut what = String::new();
        if line.current {
            what.push_str("serves ");
        }
        if line.restored == Some(true) {
            what.push_str("rolled back to ");
        }
        [
            line.digest.short(),
            line.kind.to_string(),
            line.at.clone(),
            line.by.clone().unwrap_or_default(),
            accuracy,
            line.n.map_or_else(|| "-".to_owned(), |n| n.to_string()),
            what.trim_end().to_owned(),
        ]
    };
    output::table(
        ["DIGEST", "KIND", "AT", "BY", "ACCURACY", "EXAMPLES", ""],
        lines.iter().map(row).collect(),
    )
}

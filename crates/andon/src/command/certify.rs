//! `andon certify TASK`

use std::process::ExitCode;

use andon_runtime::{CertificateStatus, Validity};
use andon_server::CertificateView;
use andon_task::certificate::{Basis, Part, Promise, Refusal, Terms};
use andon_task::plant::Plant;
use andon_task::task::{Kind, Task};
use anyhow::Context;

use crate::certifying::{self, Certified, Judge, Sample, cross_fitted, fresh, fresh_of_kind};
use crate::cli::Certify;
use crate::learning::{all_examples, examples_of_people, read_expected};
use crate::node::{self, Needs};
use crate::output;
use crate::plant;
use crate::settings::Settings;

/// Tests what can be promised for a task, and keeps the certificate. Ends with 1
/// where nothing can be.
pub(super) fn run(settings: &Settings, typed: &Certify) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let task = super::task(&plant, &typed.task)?;
    if !matches!(task.kind, Kind::Decide(_)) && !typed.status {
        return of_kind(settings, &plant, task, typed);
    }
    // What can be wrong with the file is said before the model is loaded.
    let examples = match &typed.examples {
        Some(path) => Some(super::read_examples(path, task)?),
        None => None,
    };
    let node = node::open(settings, plant.clone(), Needs::Tasks(&[&task.name]))?;
    if typed.status {
        return status(settings, node.certificate_status(&task.name)?, &task.name);
    }
    let known = all_examples(&node::store(&settings.state)?, &plant, task)?;
    let is_learned = node
        .serving_digests(task)
        .is_some_and(|digests| digests.head.or(digests.adapter).is_some());
    let sample = match examples {
        Some(examples) => fresh(settings, &node, task, &examples, &known)?,
        None if is_learned => cross_fitted(settings, &node, task)?,
        // A language model alone was not trained on the plant's examples.
        None => fresh(settings, &node, task, &known, &known)?,
    };
    issue(settings, task, &sample, typed)
}

/// As for a task that decides, by answers of another kind.
fn of_kind(
    settings: &Settings,
    plant: &Plant,
    task: &Task,
    typed: &Certify,
) -> anyhow::Result<ExitCode> {
    let path = typed.examples.as_ref().with_context(|| {
        format!(
            "'{}' is of kind '{}': its certificate takes examples that it was not trained on, `--examples FILE`",
            task.name,
            task.kind.name()
        )
    })?;
    let examples = read_expected(path)?;
    let node = node::open(settings, plant.clone(), Needs::Tasks(&[&task.name]))?;
    let store = node::store(&settings.state)?;
    let encoder = node.encoder().map(|encoder| &**encoder);
    let judge = Judge::of(task, plant, &store, encoder)?;
    let of_people = examples_of_people(&store, plant, task)?;
    let known = plant.expected.get(&task.name).into_iter().flatten();
    let known = known.chain(&of_people);
    let known = known.map(|example| example.input.as_str()).collect();
    let sample = fresh_of_kind(&node, task, &judge, (&examples, &known))?;
    issue(settings, task, &sample, typed)
}

fn issue(
    settings: &Settings,
    task: &Task,
    sample: &Sample,
    typed: &Certify,
) -> anyhow::Result<ExitCode> {
    let terms = Terms {
        alpha: typed.alpha,
        critical_alpha: typed.critical_alpha.unwrap_or(typed.alpha / 2.0),
        delta: typed.delta,
    };
    let certified = certifying::issue(settings, task, sample, terms, typed.who.name())?;
    settings.output.print(&certified, human)?;
    Ok(match certified.certificate {
        Some(_) => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    })
}

fn status(
    settings: &Settings,
    status: Option<CertificateStatus>,
    task: &str,
) -> anyhow::Result<ExitCode> {
    let status = status.with_context(|| {
        format!("'{task}' has no certificate: `andon certify {task} --examples FILE` makes one")
    })?;
    let in_force = status.validity == Validity::InForce;
    settings
        .output
        .print(&CertificateView::from(status), |view| view.to_string())?;
    Ok(match in_force {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn threshold(threshold: Option<f64>) -> String {
    threshold.map_or_else(|| "none".to_owned(), |value| format!("{value:.4}"))
}

/// What a promise is about, with its share.
fn about(part: Part, alpha: f64) -> String {
    let share = percent(alpha);
    match part {
        Part::Accepted => format!("of the accepted answers at most {share} are wrong"),
        Part::AcceptedOrdinary => {
            format!("of the accepted answers with an ordinary label at most {share} are wrong")
        }
        Part::AcceptedCritical => {
            format!("of the accepted answers with a critical label at most {share} are wrong")
        }
        Part::CriticalMissed => {
            format!("of the critical notes at most {share} are accepted with an ordinary label")
        }
    }
}

fn kept(promise: &Promise) -> String {
    format!(
        "  {}\n    {} of {} examples went wrong",
        about(promise.part, promise.alpha),
        promise.wrong,
        promise.n
    )
}

fn refused(refusal: &Refusal) -> String {
    let more = match refusal.more_examples {
        Some(more) => format!("roughly {more} more labelled examples, if they go as these did"),
        None => "better answers: no number of examples shows it of these".to_owned(),
    };
    format!(
        "  cannot be promised: {}\n    {} of {} examples went wrong, which shows at most {}; it takes {more}",
        about(refusal.part, refusal.alpha),
        refusal.wrong,
        refusal.n,
        percent(refusal.bound)
    )
}

fn human(certified: &Certified) -> String {
    let row = |row: &certifying::Row| {
        let thresholds = match row.thresholds.ordinary == row.thresholds.critical {
            true => threshold(row.thresholds.ordinary),
            false => format!(
                "{}, critical {}",
                threshold(row.thresholds.ordinary),
                threshold(row.thresholds.critical)
            ),
        };
        [
            percent(row.alpha),
            percent(row.coverage),
            row.selective_error.map_or_else(|| "-".to_owned(), percent),
            thresholds,
        ]
    };
    let table = output::table(
        ["WRONG AT MOST", "COVERAGE", "WRONG HERE", "THRESHOLD"],
        certified.at.iter().map(row).collect(),
    );
    let mut text = format!("{table}\n\n");
    let basis = match certified.basis {
        Basis::Fresh => {
            "exact: whatever answers has not seen the examples, if they are a random sample of what comes in"
        }
        Basis::CrossFitted => {
            "approximate: the head was trained on these examples, and twins that were not answered them; give fresh ones with `--examples` for an exact one"
        }
    };
    match &certified.certificate {
        Some(id) => {
            text.push_str(&format!(
                "certificate {} of {}: {} of what comes in is accepted\n  {basis}\n  with confidence {}, from {} examples:\n",
                id.short(),
                certified.task,
                percent(certified.coverage),
                percent(1.0 - certified.terms.delta),
                certified.n
            ));
        }
        None => text.push_str(&format!(
            "{} has no certificate: nothing of this can be promised with confidence {} from {} examples\n",
            certified.task,
            percent(1.0 - certified.terms.delta),
            certified.n
        )),
    }
    let lines = certified
        .promises
        .iter()
        .map(kept)
        .chain(certified.refusals.iter().map(refused));
    text.push_str(&lines.collect::<Vec<_>>().join("\n"));
    if certified.left_out > 0 {
        text.push_str(&format!(
            "\n  {} examples were left out: the head knows them, or does not take them",
            certified.left_out
        ));
    }
    text
}

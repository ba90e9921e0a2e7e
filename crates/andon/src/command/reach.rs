//! `andon reach`: makes the head that recognises what small models are bad at.

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use andon_learn::{Lesson, learn};
use andon_task::certificate::binomial;
use andon_task::engine::Embed as _;
use andon_task::example::LabelledText;
use andon_task::glossary::Glossary;
use andon_task::head::Head;
use andon_task::reach::{LOCAL, Reach};
use anyhow::Context;

use crate::cli::MakeReach;
use crate::engine::Loader;
use crate::plant;
use crate::progress::Progress;
use crate::reach::{FIGURES, Figures, HEAD, Rates};
use crate::settings::Settings;

const TASK: &str = "reach";
const FOLDS: usize = 5;
/// The largest share of requests within reach that may be declined, and the confidence.
const ALPHA: f64 = 0.05;
const DELTA: f64 = 0.05;

/// Trains on the plant's examples, sets the threshold by their folds, and measures on the
/// requests of `held-out.jsonl`.
pub(super) fn run(settings: &Settings, typed: &MakeReach) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let task = super::task(&plant, TASK)?;
    let loader = Loader::new(settings);
    let encoder = Arc::new(loader.encoder(&plant.settings.encoder)?);
    let glossary = Glossary::default();
    let local = task
        .labels()
        .position(LOCAL)
        .context("there is no label 'local'")?;
    let examples = plant.examples.get(TASK).map_or(&[][..], Vec::as_slice);
    let train = |examples: &[LabelledText]| -> anyhow::Result<Head> {
        let lesson = Lesson {
            task,
            examples,
            encoder: &*encoder,
            tune: None,
            glossary: &glossary,
        };
        let learned = learn(&lesson, &|| Duration::ZERO, &mut |_| {})?;
        Ok(learned.head)
    };
    let judge = |head: &Head, examples: &[LabelledText]| -> anyhow::Result<Vec<(f64, bool)>> {
        let judged = examples.iter().map(|example| {
            let text = Reach::read(&example.text);
            let vectors = encoder.embed(&[text])?;
            let shares = head.decide(&glossary.read(text), &vectors[0])?;
            Ok((shares[local], example.label == local))
        });
        judged.collect()
    };
    let bar = Progress::of_parts("learning what small models are bad at", FOLDS + 1);
    let mut held = Vec::new();
    for fold in 0..FOLDS {
        let of_fold = |at: usize| at % FOLDS == fold;
        let part = |wanted: bool| -> Vec<LabelledText> {
            let kept = examples
                .iter()
                .enumerate()
                .filter(|(at, _)| of_fold(*at) == wanted);
            kept.map(|(_, example)| example.clone()).collect()
        };
        held.extend(judge(&train(&part(false))?, &part(true))?);
        bar.reach(fold as u64 + 1);
    }
    let head = train(examples)?;
    drop(bar);
    let (threshold, bound) = threshold(&held);
    let others = super::read_examples(&typed.held_out, task)?;
    let figures = Figures {
        threshold,
        cross_validated: Rates::at(threshold, &held),
        false_alarms_at_most: bound,
        held_out: Rates::at(threshold, &judge(&head, &others)?),
    };
    fs::create_dir_all(&typed.out)
        .and_then(|()| fs::write(typed.out.join(HEAD), head.bytes()))
        .and_then(|()| {
            let text = format!("{}\n", serde_json::to_string_pretty(&figures)?);
            fs::write(typed.out.join(FIGURES), text)
        })
        .with_context(|| format!("cannot write to '{}'", typed.out.display()))?;
    settings.output.print(&figures, |figures| {
        let Rates {
            local,
            declined,
            beyond,
            recognised,
        } = figures.held_out;
        format!(
            "recognised {recognised} of {beyond} requests beyond reach, declined {declined} of {local} within; threshold {:.3}",
            figures.threshold
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The largest threshold at which, with confidence, few enough requests within reach are
/// declined, and the bound of that share.
fn threshold(judged: &[(f64, bool)]) -> (f64, f64) {
    let mut local: Vec<f64> = judged
        .iter()
        .filter(|(_, is)| *is)
        .map(|(p, _)| *p)
        .collect();
    local.sort_by(f64::total_cmp);
    let most = binomial::most_wrong(local.len(), ALPHA, DELTA).unwrap_or(0);
    // Those below are declined: `most` of them at most.
    let threshold = local.get(most).copied().unwrap_or(0.0);
    (threshold, binomial::upper_bound(most, local.len(), DELTA))
}

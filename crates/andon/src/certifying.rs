//! From labelled examples to a certificate that routes a task's answers.

use std::collections::HashSet;

use andon_learn::promotion::Outcome;
use andon_runtime::{Error, Node};
use andon_task::certificate::{
    Basis, Certificate, Finding, Judged, Promise, Refusal, Terms, Thresholds, certify,
};
use andon_task::digest::Digest;
use andon_task::drift::Profile;
use andon_task::example::LabelledText;
use andon_task::run::Digests;
use andon_task::task::Task;
use anyhow::{Context, bail};
use serde::Serialize;

use crate::learning::Figures;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::{clock, node};

mod judge;

pub(crate) use judge::{Judge, fresh_of_kind};

/// The shares of wrong answers that the table is made for.
const TABLE: [f64; 4] = [0.01, 0.02, 0.05, 0.10];

/// What came of certifying a task.
#[derive(Debug, Serialize)]
pub(crate) struct Certified {
    pub(crate) task: String,
    #[serde(flatten)]
    pub(crate) terms: Terms,
    /// What the examples were to whatever answers.
    pub(crate) basis: Basis,
    /// How many examples counted.
    pub(crate) n: usize,
    /// How many were left out: whatever answers knew them, or did not take them.
    pub(crate) left_out: usize,
    /// The digest of the certificate; `None` where nothing can be promised.
    pub(crate) certificate: Option<Digest>,
    pub(crate) thresholds: Thresholds,
    /// The share of the examples that is accepted.
    pub(crate) coverage: f64,
    /// The share of wrong ones among these.
    pub(crate) selective_error: Option<f64>,
    pub(crate) promises: Vec<Promise>,
    /// What cannot be promised, and what it would take.
    pub(crate) refusals: Vec<Refusal>,
    /// What could be had for other shares of wrong answers.
    pub(crate) at: Vec<Row>,
}

/// What can be had for one share of wrong answers.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) alpha: f64,
    pub(crate) coverage: f64,
    pub(crate) selective_error: Option<f64>,
    pub(crate) thresholds: Thresholds,
}

/// Answers that certificates are made from.
pub(crate) struct Sample {
    basis: Basis,
    artefacts: Digests,
    judged: Vec<Judged>,
    /// Answers to other examples, which the thresholds are planned on.
    earlier: Vec<Judged>,
    left_out: usize,
}

/// Has what serves answer `examples`, but for those that it knows.
pub(crate) fn fresh(
    settings: &Settings,
    node: &Node,
    task: &Task,
    examples: &[LabelledText],
    known: &[LabelledText],
) -> anyhow::Result<Sample> {
    let artefacts = artefacts(node, task)?;
    let (outcomes, trained_on) = learned(settings, task, &artefacts)?;
    let answered = outcomes.iter().map(|outcome| outcome.example);
    let seen: HashSet<Digest> = answered.chain(trained_on).collect();
    // A language model alone was not trained on the plant's examples.
    let known: HashSet<&str> = match artefacts.head.or(artefacts.adapter) {
        Some(_) => known.iter().map(|example| example.text.as_str()).collect(),
        None => HashSet::new(),
    };
    let labels = task.labels();
    let what = format!("{}: answering {} examples", task.name, examples.len());
    let progress = Progress::of_parts(&what, examples.len());
    let mut sample = Sample {
        basis: Basis::Fresh,
        judged: Vec::new(),
        earlier: outcomes
            .iter()
            .filter_map(|outcome| outcome.judged)
            .collect(),
        left_out: 0,
        artefacts,
    };
    for (done, example) in examples.iter().enumerate() {
        progress.reach(done as u64);
        let right = &labels.labels()[example.label].label;
        let digest = Digest::of_parts([example.text.as_bytes(), right.as_bytes()]);
        if seen.contains(&digest) || known.contains(example.text.as_str()) {
            sample.left_out += 1;
            continue;
        }
        let run = match node.preview(&task.name, &example.text) {
            Ok(run) if run.digests.artefacts() == sample.artefacts => run,
            // Something else answers what does not fit, or nothing does.
            Ok(_) | Err(Error::NothingAnswers(_)) => {
                sample.left_out += 1;
                continue;
            }
            Err(error) => return Err(error).with_context(|| format!("example {}", done + 1)),
        };
        let said = run.answer.as_str().unwrap_or_default();
        sample.judged.push(Judged {
            confidence: run.probabilities[0].probability,
            right: labels
                .position(said)
                .is_some_and(|said| example.accepts(said)),
            said: labels.severity(said),
            meant: example.severity(labels.labels()),
        });
    }
    if sample.judged.is_empty() {
        bail!(
            "none of the {} examples can be used: the head knows them already; give others, which it was not trained on",
            examples.len()
        );
    }
    Ok(sample)
}

/// The answers to the examples that the head was trained on, each by a twin that
/// was trained without it, as they were kept when the head was learned.
pub(crate) fn cross_fitted(
    settings: &Settings,
    node: &Node,
    task: &Task,
) -> anyhow::Result<Sample> {
    let artefacts = artefacts(node, task)?;
    // The same held-out answers again would hide what fresh ones or spot checks showed.
    let certified = node::store(&settings.state)?
        .certificate(&task.name)
        .with_context(|| format!("cannot read the certificate of '{}'", task.name))?;
    if let Some(stored) = certified
        && stored.certificate.covers(&artefacts)
        && (stored.suspension.is_some() || stored.certificate.basis == Basis::Fresh)
    {
        let why = match stored.suspension {
            Some(_) => "is suspended",
            None => "rests on fresh examples",
        };
        bail!(
            "the certificate of '{}' {why}: another one takes fresh examples, `--examples FILE`",
            task.name
        );
    }
    let (outcomes, _) = learned(settings, task, &artefacts)?;
    let judged: Vec<Judged> = outcomes
        .iter()
        .filter_map(|outcome| outcome.judged)
        .collect();
    if judged.is_empty() {
        bail!(
            "the head of '{0}' was learned by an earlier version, which kept no held-out answers: `andon learn {0}` again, or give fresh examples with `--examples`",
            task.name
        );
    }
    Ok(Sample {
        basis: Basis::CrossFitted,
        artefacts,
        judged,
        earlier: Vec::new(),
        left_out: 0,
    })
}

fn artefacts(node: &Node, task: &Task) -> anyhow::Result<Digests> {
    let digests = node.serving_digests(task).with_context(|| {
        format!(
            "nothing answers '{0}': `andon learn {0}` trains a head",
            task.name
        )
    })?;
    Ok(digests.artefacts())
}

/// The held-out answers that are kept with the head or the adapter that serves, and
/// what else it was trained on; nothing where neither does.
fn learned(
    settings: &Settings,
    task: &Task,
    artefacts: &Digests,
) -> anyhow::Result<(Vec<Outcome>, Vec<Digest>)> {
    let promoted = node::store(&settings.state)?
        .promoted(&task.name)
        .with_context(|| format!("cannot read what is promoted for '{}'", task.name))?;
    let figures = promoted
        .filter(|promotion| Some(promotion.digest) == artefacts.head.or(artefacts.adapter))
        .and_then(|promotion| serde_json::from_value::<Figures>(promotion.figures).ok());
    let parts = figures.map(|figures| (figures.outcomes, figures.trained_on));
    Ok(parts.unwrap_or_default())
}

/// Tests what can be promised on a sample, and keeps the certificate if there is
/// one.
pub(crate) fn issue(
    settings: &Settings,
    task: &Task,
    sample: &Sample,
    terms: Terms,
    by: Option<&str>,
) -> anyhow::Result<Certified> {
    let test = |terms: Terms| certify(&sample.judged, &sample.earlier, terms);
    let finding = test(terms);
    let at = TABLE
        .iter()
        .map(|&alpha| {
            let scale = alpha / terms.alpha;
            let found = test(Terms {
                alpha,
                critical_alpha: (terms.critical_alpha * scale).min(0.5),
                ..terms
            });
            Row {
                alpha,
                coverage: found.coverage,
                selective_error: found.selective_error,
                thresholds: found.thresholds,
            }
        })
        .collect();
    let certificate = match finding.accepts() {
        true => Some(keep(settings, task, sample, &finding, terms, by)?),
        false => None,
    };
    Ok(Certified {
        task: task.name.clone(),
        terms,
        basis: sample.basis,
        n: sample.judged.len(),
        left_out: sample.left_out,
        certificate,
        thresholds: finding.thresholds,
        coverage: finding.coverage,
        selective_error: finding.selective_error,
        promises: finding.promises,
        refusals: finding.refusals,
        at,
    })
}

fn keep(
    settings: &Settings,
    task: &Task,
    sample: &Sample,
    finding: &Finding,
    terms: Terms,
    by: Option<&str>,
) -> anyhow::Result<Digest> {
    let examples = serde_json::to_string(&sample.judged)?;
    let confidences = sample.judged.iter().map(|judged| judged.confidence);
    let certificate = Certificate {
        task: task.name.clone(),
        terms,
        basis: sample.basis,
        artefacts: sample.artefacts.clone(),
        examples: Digest::of(examples.as_bytes()),
        n: sample.judged.len(),
        thresholds: finding.thresholds,
        promises: finding.promises.clone(),
        coverage: finding.coverage,
        profile: Profile::of(confidences),
        issued_at: clock::now(),
    };
    let stored = node::store(&settings.state)?
        .insert_certificate(&certificate, by)
        .with_context(|| format!("cannot keep the certificate of '{}'", task.name))?;
    Ok(stored.digest)
}

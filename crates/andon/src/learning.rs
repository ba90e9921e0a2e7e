//! The loop from examples to a head that serves: train, compare, promote.

use std::time::Instant;

use andon_learn::evaluate::Evaluation;
use andon_learn::promotion::{Outcome, Verdict, not_worse};
use andon_learn::{Lesson, Stage, contradictions, learn};
use andon_store::{Promotion, Store};
use andon_task::digest::Digest;
use andon_task::engine::Embed;
use andon_task::example::LabelledText;
use andon_task::glossary::Glossary;
use andon_task::plant::Plant;
use andon_task::task::Task;
use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::engine::Loader;
use crate::progress::{Progress, line};
use crate::settings::Settings;
use crate::{clock, node};

/// Who decides whether a candidate serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promote {
    /// The comparison with the head that serves.
    IfNotWorse,
    /// The user, who said so.
    Anyway,
}

/// What came of learning a task.
#[derive(Debug, Serialize)]
pub(crate) struct Learned {
    pub(crate) task: String,
    /// The digest of the candidate.
    pub(crate) head: Digest,
    /// Whether it serves now.
    pub(crate) promoted: bool,
    /// How it compares with the head that served before.
    pub(crate) comparison: Verdict,
    /// Its cross-validated figures.
    pub(crate) evaluation: Evaluation,
    /// How long it took.
    pub(crate) took_s: f64,
}

/// What is kept with a promotion.
#[derive(Serialize, Deserialize)]
struct Figures {
    evaluation: Evaluation,
    outcomes: Vec<Outcome>,
}

/// Trains a head for `task` on the plant's examples and promotes it, if it may
/// be.
pub(crate) fn learn_task(
    settings: &Settings,
    plant: &Plant,
    task: &Task,
    encoder: &dyn Embed,
    promote: Promote,
) -> anyhow::Result<Learned> {
    let began = Instant::now();
    for contradiction in contradictions(task, examples(plant, task)) {
        line(&format!(
            "{}: '{}' has the labels {}: correct examples {}",
            task.name,
            contradiction.text,
            contradiction.labels.join(", "),
            contradiction
                .examples
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ));
    }
    let mut shown = Shown::new(&task.name);
    let lesson = Lesson {
        task,
        examples: examples(plant, task),
        encoder,
        tune: None,
        glossary: &plant.glossary,
    };
    let candidate = learn(&lesson, &|| began.elapsed(), &mut |progress| {
        shown.show(progress)
    })
    .with_context(|| format!("cannot learn '{}'", task.name))?;
    drop(shown);

    let store = node::store(&settings.state)?;
    let heads = node::heads(&settings.state);
    let current = current(&store, &heads, task, (encoder, &plant.glossary))?;
    let comparison = not_worse(&candidate.outcomes, current.as_deref());
    let promoted = promote == Promote::Anyway || comparison.promotes();
    let head = candidate.head.digest();
    if promoted {
        heads
            .save(&candidate.head)
            .with_context(|| format!("cannot keep the head in '{}'", settings.state.display()))?;
        let figures = serde_json::to_value(Figures {
            evaluation: candidate.evaluation.clone(),
            outcomes: candidate.outcomes,
        })?;
        store
            .promote(&task.name, head, clock::now(), figures)
            .with_context(|| format!("cannot promote the head of '{}'", task.name))?;
    }
    Ok(Learned {
        task: task.name.clone(),
        head,
        promoted,
        comparison,
        evaluation: candidate.evaluation,
        took_s: began.elapsed().as_secs_f64(),
    })
}

/// Trains the heads of tasks that have examples and no head that serves.
pub(crate) fn learn_missing(settings: &Settings, plant: &Plant) -> anyhow::Result<()> {
    let encoder = Loader::new(settings.store()).encoder(&plant.settings.encoder)?;
    let store = node::store(&settings.state)?;
    let heads = node::heads(&settings.state);
    for task in plant.tasks.values() {
        let identity = encoder.identity();
        let serves = store
            .promoted(&task.name)?
            .and_then(|promotion| heads.load(promotion.head).ok())
            .is_some_and(|head| head.fits(task.labels(), identity, &plant.glossary).is_ok());
        if serves || examples(plant, task).is_empty() {
            continue;
        }
        let learned = learn_task(settings, plant, task, &encoder, Promote::IfNotWorse)?;
        line(&format!(
            "{}: {:.1} % right on held-out examples, learned in {:.1} s",
            task.name,
            100.0 * learned.evaluation.accuracy.value,
            learned.took_s
        ));
    }
    Ok(())
}

/// The examples of a task; the plant may have none.
pub(crate) fn examples<'a>(plant: &'a Plant, task: &Task) -> &'a [LabelledText] {
    plant.examples.get(&task.name).map_or(&[], Vec::as_slice)
}

/// The outcomes of the head that serves. A head that cannot serve, because the
/// labels, the encoder or the glossary changed, is no measure for a new one.
fn current(
    store: &Store,
    heads: &andon_runtime::HeadFiles,
    task: &Task,
    (encoder, glossary): (&dyn Embed, &Glossary),
) -> anyhow::Result<Option<Vec<Outcome>>> {
    let promoted = store
        .promoted(&task.name)
        .with_context(|| format!("cannot read what is promoted for '{}'", task.name))?;
    Ok(promoted.and_then(|Promotion { head, figures, .. }| {
        let head = heads.load(head).ok()?;
        head.fits(task.labels(), encoder.identity(), glossary)
            .ok()?;
        let figures: Figures = serde_json::from_value(figures).ok()?;
        Some(figures.outcomes)
    }))
}

/// Shows the stages of learning or measuring, one bar each.
pub(crate) struct Shown<'a> {
    task: &'a str,
    bar: Option<(Stage, Progress)>,
}

impl<'a> Shown<'a> {
    pub(crate) fn new(task: &'a str) -> Self {
        Self { task, bar: None }
    }

    pub(crate) fn show(&mut self, progress: andon_learn::Progress) {
        let known = self.bar.as_ref().map(|(stage, _)| *stage);
        if known != Some(progress.stage) {
            let what = match progress.stage {
                Stage::Tuning => format!("{}: tuning an encoder", self.task),
                Stage::Embedding => format!("{}: reading {} examples", self.task, progress.total),
                Stage::Choosing => format!("{}: choosing how to train", self.task),
                Stage::Training => format!("{}: training {} heads", self.task, progress.total),
            };
            // The old bar ends before the new one begins.
            self.bar = None;
            self.bar = Some((progress.stage, Progress::of_parts(&what, progress.total)));
        }
        if let Some((_, bar)) = &self.bar {
            bar.reach(progress.done as u64);
        }
    }
}

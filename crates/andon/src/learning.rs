//! The loop from examples to what serves: train, compare, promote.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use andon_engine::Encoder;
use andon_learn::evaluate::Evaluation;
use andon_learn::promotion::{Outcome, Verdict, not_worse};
use andon_learn::{Lesson, Stage, Tune, learn, mend};
use andon_runtime::Node;
use andon_store::{Candidate, Kind, Promotion, Store};
use andon_task::digest::Digest;
use andon_task::example::{self, Example, LabelledText};
use andon_task::plant::Plant;
use andon_task::task::{self, Task};
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::artefacts::Artefacts;
use crate::engine::Loader;
use crate::node::Needs;
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

/// What is kept with a candidate and a promotion.
#[derive(Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) evaluation: Evaluation,
    pub(crate) outcomes: Vec<Outcome>,
    /// What it was trained on beside the examples of `outcomes`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) trained_on: Vec<Digest>,
}

/// An artefact that was trained and kept, with what was measured.
pub(crate) struct Trained {
    pub(crate) kind: Kind,
    pub(crate) digest: Digest,
    pub(crate) figures: Figures,
}

impl Trained {
    /// Keeps what is known of it, and promotes it if it may be. Its files are there
    /// already: whatever ends this in between leaves what served before.
    pub(crate) fn keep(
        &self,
        store: &Store,
        artefacts: &Artefacts<'_>,
        task: &Task,
        (promote, by): (Promote, Option<&str>),
    ) -> anyhow::Result<(Verdict, bool)> {
        let kept = Kept {
            kind: self.kind,
            digest: self.digest,
            outcomes: &self.figures.outcomes,
            figures: serde_json::to_value(&self.figures)?,
        };
        let serves = |kind, digest| artefacts.check(task, kind, digest).is_ok();
        kept.keep(store, task, &serves, (promote, by))
    }
}

/// What is kept of an artefact, whatever kind of task it is for.
pub(crate) struct Kept<'a> {
    pub(crate) kind: Kind,
    pub(crate) digest: Digest,
    /// By which it is compared with what serves.
    pub(crate) outcomes: &'a [Outcome],
    /// What was measured; the outcomes among it.
    pub(crate) figures: Value,
}

impl Kept<'_> {
    /// Keeps it, and promotes it if it may be. `serves` says of what is promoted whether
    /// it can answer.
    pub(crate) fn keep(
        &self,
        store: &Store,
        task: &Task,
        serves: &dyn Fn(Kind, Digest) -> bool,
        (promote, by): (Promote, Option<&str>),
    ) -> anyhow::Result<(Verdict, bool)> {
        let current = outcomes(store, task, serves)?;
        let comparison = not_worse(self.outcomes, current.as_deref());
        let promoted = promote == Promote::Anyway || comparison.promotes();
        let figures = self.figures.clone();
        let at = clock::now();
        let kept = Candidate {
            task: task.name.clone(),
            kind: self.kind,
            digest: self.digest,
            at,
            figures: figures.clone(),
        };
        store
            .insert_candidate(&kept)
            .with_context(|| format!("cannot keep the candidate of '{}'", task.name))?;
        if promoted {
            store
                .promote_as(&task.name, (self.kind, self.digest), at, by, figures)
                .with_context(|| format!("cannot promote the {} of '{}'", self.kind, task.name))?;
        }
        Ok((comparison, promoted))
    }
}

/// Trains a head for `task` on the plant's examples and people's answers, and
/// promotes it, if it may be, in the name of somebody.
pub(crate) fn learn_task(
    settings: &Settings,
    plant: &Plant,
    task: &Task,
    (loader, encoder, tune): (&Loader, &Arc<Encoder>, Option<&dyn Tune>),
    (promote, by): (Promote, Option<&str>),
) -> anyhow::Result<Learned> {
    let began = Instant::now();
    let store = node::store(&settings.state)?;
    let examples = all_examples(&store, plant, task)?;
    for found in mend::contradictions(&examples, &task.labels().names()) {
        let labels: Vec<String> = found
            .labels
            .iter()
            .map(|(label, examples)| format!("'{label}' (examples {examples:?})"))
            .collect();
        line(&format!(
            "{}: '{}' has the labels {}: mend all but one",
            task.name,
            found.text,
            labels.join(" and ")
        ));
    }
    let mut shown = Shown::new(&task.name);
    let lesson = Lesson {
        task,
        examples: &examples,
        encoder: &**encoder,
        tune,
        glossary: &plant.glossary,
    };
    let candidate = learn(&lesson, &|| began.elapsed(), &mut |progress| {
        shown.show(progress)
    })
    .with_context(|| format!("cannot learn '{}'", task.name))?;
    drop(shown);

    let head = candidate.head.digest();
    let artefacts = Artefacts::of(settings, plant, loader, encoder);
    let tuned = candidate.tuned.as_ref();
    let kind = match tuned {
        Some(_) => Kind::TunedEncoder,
        None => Kind::Head,
    };
    let heads = &artefacts.heads;
    tuned
        .map_or(Ok(()), |bytes| heads.encoders().save(bytes))
        .and_then(|()| heads.save(&candidate.head))
        .with_context(|| format!("cannot keep the head in '{}'", settings.state.display()))?;
    let trained = Trained {
        kind,
        digest: head,
        figures: Figures {
            evaluation: candidate.evaluation.clone(),
            outcomes: candidate.outcomes,
            trained_on: Vec::new(),
        },
    };
    let (comparison, promoted) = trained.keep(&store, &artefacts, task, (promote, by))?;
    crate::pruning::prune(settings, &store, &task.name, by)?;
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
    crate::reading::learn_missing(settings, plant)?;
    let loader = Loader::new(settings);
    let encoder = Arc::new(loader.encoder(&plant.settings.encoder)?);
    let store = node::store(&settings.state)?;
    let artefacts = Artefacts::of(settings, plant, &loader, &encoder);
    let decides = |task: &&Task| matches!(task.kind, task::Kind::Decide(_));
    for task in plant.tasks.values().filter(decides) {
        let serves = |promotion: Promotion| {
            let checked = artefacts.check(task, promotion.kind, promotion.digest);
            checked.is_ok()
        };
        let serves = store.promoted(&task.name)?.is_some_and(serves);
        if serves || examples(plant, task).is_empty() {
            continue;
        }
        let learned = learn_task(
            settings,
            plant,
            task,
            (&loader, &encoder, None),
            (Promote::IfNotWorse, None),
        )?;
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

/// The examples of a file, for a task of any kind but `decide`.
pub(crate) fn read_expected(path: &Path) -> anyhow::Result<Vec<Example>> {
    let cannot_read = || format!("cannot read the examples '{}'", path.display());
    let text = std::fs::read_to_string(path).with_context(cannot_read)?;
    let examples = example::parse(&text).with_context(cannot_read)?;
    if examples.is_empty() {
        bail!(
            "the file '{}' has no examples: give a line {{\"input\": …, \"expected\": …}} for each",
            path.display()
        );
    }
    Ok(examples.into_iter().map(|(_, example)| example).collect())
}

/// What people's answers have become: examples of a task that the plant's own file
/// does not have, the newest answer to each text.
pub(crate) fn examples_of_people(
    store: &Store,
    plant: &Plant,
    task: &Task,
) -> anyhow::Result<Vec<Example>> {
    let answers = store
        .answers(&task.name)
        .with_context(|| format!("cannot read what people answered for '{}'", task.name))?;
    let labelled = examples(plant, task)
        .iter()
        .map(|example| example.text.as_str());
    let expected = plant.expected.get(&task.name).into_iter().flatten();
    let known: HashSet<&str> = labelled
        .chain(expected.map(|example| example.input.as_str()))
        .collect();
    let mut by_text: BTreeMap<String, (i64, Example)> = BTreeMap::new();
    for answer in answers {
        // A label that the plant has taken out since teaches nothing.
        let teaches = |right: &Value| match &task.kind {
            task::Kind::Decide(labels) => right
                .as_str()
                .is_some_and(|label| labels.position(label).is_some()),
            _ => true,
        };
        let right = answer.answer.filter(teaches);
        if known.contains(answer.text.as_str()) {
            continue;
        }
        match right {
            // Who says 'none of these' takes back what was said before.
            None => {
                by_text.remove(&answer.text);
            }
            Some(right) => {
                let example = Example {
                    input: answer.text.clone(),
                    expected: right,
                    id: Some(format!("record-{}", answer.record)),
                    meta: answer.meta.is_object().then_some(answer.meta),
                };
                by_text.insert(answer.text, (answer.id, example));
            }
        }
    }
    let mut examples: Vec<(i64, Example)> = by_text.into_values().collect();
    examples.sort_by_key(|(id, _)| *id);
    Ok(examples.into_iter().map(|(_, example)| example).collect())
}

/// The plant's examples of a task, and those that people's answers have become.
pub(crate) fn all_examples(
    store: &Store,
    plant: &Plant,
    task: &Task,
) -> anyhow::Result<Vec<LabelledText>> {
    let lines = examples_of_people(store, plant, task)?
        .iter()
        .map(serde_json::to_string)
        .collect::<Result<Vec<_>, _>>()?;
    let of_people = example::parse_labelled(&lines.join("\n"), task.labels())
        .context("cannot use what people answered as examples")?;
    Ok(examples(plant, task)
        .iter()
        .cloned()
        .chain(of_people)
        .collect())
}

/// A node without a language model: enough for what asks heads alone.
pub(crate) fn node_with_encoder(settings: &Settings, plant: &Plant) -> anyhow::Result<Node> {
    node::open(settings, plant.clone(), Needs::Heads)
}

/// The outcomes of what serves. What cannot serve, because the labels, the models or
/// the glossary changed, is no measure for something new.
pub(crate) fn current(
    store: &Store,
    artefacts: &Artefacts<'_>,
    task: &Task,
) -> anyhow::Result<Option<Vec<Outcome>>> {
    outcomes(store, task, &|kind, digest| {
        artefacts.check(task, kind, digest).is_ok()
    })
}

fn outcomes(
    store: &Store,
    task: &Task,
    serves: &dyn Fn(Kind, Digest) -> bool,
) -> anyhow::Result<Option<Vec<Outcome>>> {
    let promoted = store
        .promoted(&task.name)
        .with_context(|| format!("cannot read what is promoted for '{}'", task.name))?;
    Ok(promoted.and_then(|promotion| {
        if !serves(promotion.kind, promotion.digest) {
            return None;
        }
        let figures: Judged = serde_json::from_value(promotion.figures).ok()?;
        Some(figures.outcomes)
    }))
}

/// What every kind of artefact keeps of its figures.
#[derive(Deserialize)]
pub(crate) struct Judged {
    pub(crate) outcomes: Vec<Outcome>,
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

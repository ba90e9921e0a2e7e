//! Learning and measuring tasks that normalise.

use std::time::{Duration, Instant};

use andon_learn::normalise::{Figures, Outcome as Text, evaluate, learn, outcome};
use andon_learn::promotion::{Outcome, Verdict};
use andon_runtime::HeadFiles;
use andon_store::{Kind, Store};
use andon_task::digest::Digest;
use andon_task::example::Example;
use andon_task::glossary::Glossary;
use andon_task::normalise::Normaliser;
use andon_task::plant::Plant;
use andon_task::task::Task;
use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::{Value, json};

use crate::learning::{Kept, Promote, examples_of_people};
use crate::node;
use crate::progress::Progress;
use crate::settings::Settings;

/// What came of learning a task.
#[derive(Debug, Serialize)]
pub(crate) struct Learned {
    pub(crate) task: String,
    /// The digest of the candidate.
    pub(crate) normaliser: Digest,
    /// Whether it serves now.
    pub(crate) promoted: bool,
    /// How it compares with the one that served before.
    pub(crate) comparison: Verdict,
    /// Its cross-validated figures.
    pub(crate) evaluation: Figures,
    /// The size of its file.
    pub(crate) bytes: usize,
    /// How long it took.
    pub(crate) took_s: f64,
}

/// Trains a normaliser on the plant's examples and people's answers, and promotes it if
/// it may be.
pub(crate) fn learn_task(
    settings: &Settings,
    plant: &Plant,
    task: &Task,
    (promote, by): (Promote, Option<&str>),
) -> anyhow::Result<Learned> {
    let began = Instant::now();
    let store = node::store(&settings.state)?;
    let examples = examples(&store, plant, task)?;
    let learned = train(task, &examples)?;
    let files = HeadFiles::new(node::heads_folder(&settings.state));
    files
        .save_normaliser(&learned.normaliser)
        .with_context(|| format!("cannot keep it in '{}'", settings.state.display()))?;
    let digest = learned.normaliser.digest();
    let mut evaluation = serde_json::to_value(&learned.figures)?;
    // What `andon history` shows.
    evaluation["accuracy"] = json!(learned.figures.exact);
    let outcomes: Vec<Outcome> = examples
        .iter()
        .zip(&learned.outcomes)
        .map(|(example, text)| judged(example, text))
        .collect();
    let kept = Kept {
        kind: Kind::Normaliser,
        digest,
        outcomes: &outcomes,
        figures: json!({"evaluation": evaluation, "outcomes": outcomes}),
    };
    let serves = |kind, digest| kind == Kind::Normaliser && files.normaliser(digest).is_ok();
    let (comparison, promoted) = kept.keep(&store, task, &serves, (promote, by))?;
    crate::pruning::prune(settings, &store, &task.name, by)?;
    Ok(Learned {
        task: task.name.clone(),
        normaliser: digest,
        promoted,
        comparison,
        evaluation: learned.figures,
        bytes: learned.normaliser.bytes().len(),
        took_s: began.elapsed().as_secs_f64(),
    })
}

/// The plant's examples of a task, and those that people's answers have become.
pub(crate) fn examples(store: &Store, plant: &Plant, task: &Task) -> anyhow::Result<Vec<Example>> {
    let own = plant.expected.get(&task.name).into_iter().flatten();
    let mut examples: Vec<Example> = own.cloned().collect();
    examples.extend(examples_of_people(store, plant, task)?);
    Ok(examples)
}

/// Examples as pairs of texts.
pub(crate) fn texts<'a>(
    task: &Task,
    examples: &'a [Example],
) -> anyhow::Result<Vec<(&'a str, &'a str)>> {
    let pair = |(index, example): (usize, &'a Example)| match &example.expected {
        Value::String(expected) => Ok((example.input.as_str(), expected.as_str())),
        _ => bail!(
            "example {} of '{}' expects no text: write the normalised text under \"expected\"",
            index + 1,
            task.name
        ),
    };
    examples.iter().enumerate().map(pair).collect()
}

/// Trains on examples, with a bar.
pub(crate) fn train(
    task: &Task,
    examples: &[Example],
) -> anyhow::Result<andon_learn::normalise::Learned> {
    let what = format!("{}: learning from {} examples", task.name, examples.len());
    let mut bar: Option<Progress> = None;
    learn(&task.name, &texts(task, examples)?, &mut |done, of| {
        let bar = bar.get_or_insert_with(|| Progress::of_parts(&what, of));
        bar.reach(done as u64);
    })
    .with_context(|| format!("cannot learn '{}'", task.name))
}

fn judged(example: &Example, text: &Text) -> Outcome {
    let language = example.meta.as_ref().and_then(|meta| meta["lang"].as_str());
    let expected = example.expected.as_str().unwrap_or_default();
    Outcome {
        example: Digest::of_parts([example.input.as_bytes(), expected.as_bytes()]),
        right: text.is_exact(),
        language: language.map(str::to_owned),
        judged: None,
    }
}

/// What a normaliser makes of examples that it has not seen, with the time of each.
pub(crate) fn answer(
    normaliser: &Normaliser,
    glossary: &Glossary,
    texts: &[(&str, &str)],
) -> (Vec<Text>, Vec<Duration>) {
    texts
        .iter()
        .map(|(text, expected)| {
            let began = Instant::now();
            let normalised = normaliser.normalise(text, glossary);
            let took = began.elapsed();
            (outcome(normaliser, (text, expected), &normalised), took)
        })
        .unzip()
}

/// The figures of outcomes, which there are.
pub(crate) fn figures(task: &Task, outcomes: &[Text]) -> anyhow::Result<Figures> {
    evaluate(outcomes).with_context(|| format!("'{}' has no examples to measure on", task.name))
}

//! Tasks that extract: from examples to a reader that serves, and what it is worth.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use andon_engine::Encoder;
use andon_learn::extract::{
    self, Beside, Extraction, LearntReader, Register, Words, figures, learn_reader,
};
use andon_learn::interval::Estimate;
use andon_learn::promotion::{Outcome, Verdict};
use andon_store::Kind;
use andon_task::digest::Digest;
use andon_task::example::{self, Example};
use andon_task::extract::{Fields, Gold};
use andon_task::plant::Plant;
use andon_task::schema::Schema;
use andon_task::task::Task;
use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::Value;

use crate::artefacts::Artefacts;
use crate::engine::Loader;
use crate::learning::{Figures, Promote, Trained, examples_of_people};
use crate::node;
use crate::progress::line;
use crate::settings::Settings;
use crate::training::EncoderTuner;

pub(crate) mod second;

/// What came of learning a reader.
#[derive(Debug, Serialize)]
pub(crate) struct LearnedReader {
    pub(crate) task: String,
    /// The digest of the candidate.
    pub(crate) reader: Digest,
    /// Whether it serves now.
    pub(crate) promoted: bool,
    /// How it compares with the reader that served before.
    pub(crate) comparison: Verdict,
    /// Its cross-validated figures.
    pub(crate) evaluation: Extraction,
    /// What was found of a second opinion by the language model, where that was asked.
    pub(crate) second_opinion: Option<extract::Verdict>,
    /// How long it took.
    pub(crate) took_s: f64,
}

/// That an encoder is tuned on the examples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuning {
    /// How often they are seen at most; `None`: as is usual.
    pub(crate) epochs: Option<usize>,
}

/// Whether a reader is learnt with a second opinion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecondOpinion {
    /// Where the language model is here, soon enough, and found to help.
    IfItHelps,
    /// It is not asked: that takes its time.
    None,
}

/// Trains a reader on the plant's examples and people's answers, and promotes it if it may be.
pub(crate) fn learn(
    settings: &Settings,
    plant: &Plant,
    (task, schema): (&Task, &Schema),
    (tune, opinion): (Option<Tuning>, SecondOpinion),
    (promote, by): (Promote, Option<&str>),
) -> anyhow::Result<LearnedReader> {
    let began = Instant::now();
    let store = node::store(&settings.state)?;
    let examples = examples(settings, plant, task, schema)?;
    let loader = Loader::new(settings);
    let encoder = Arc::new(loader.encoder(&plant.settings.encoder)?);
    let (learnt, fields) = train(&began, (plant, task, schema), &examples, &encoder, tune)?;
    let (learnt, second) = match opinion {
        SecondOpinion::IfItHelps => {
            let here = (settings, plant, &loader);
            second::learn(&began, here, (task, schema), (learnt, &examples))?
        }
        SecondOpinion::None => (learnt, None),
    };
    let (evaluation, of_records) = figures(&fields, &learnt.held_out, task.accept)
        .with_context(|| format!("nothing of '{}' could be measured", task.name))?;
    let artefacts = Artefacts::of(settings, plant, &loader, &encoder);
    let readers = &artefacts.readers;
    learnt
        .tuned
        .as_ref()
        .map_or(Ok(()), |bytes| readers.encoders().save(bytes))
        .and_then(|()| readers.save(&learnt.reader))
        .with_context(|| format!("cannot keep the reader in '{}'", settings.state.display()))?;
    let outcomes = (examples.iter().zip(&learnt.held_out)).map(|(example, graded)| {
        Outcome::of_expected(&example.input, &example.expected, graded.is_right())
    });
    let trained = Trained {
        kind: Kind::Reader,
        digest: learnt.reader.digest(),
        figures: Figures {
            evaluation: of_records,
            outcomes: outcomes.collect(),
            trained_on: Vec::new(),
        },
    };
    let (comparison, promoted) = trained.keep(&store, &artefacts, task, (promote, by))?;
    crate::pruning::prune(settings, &store, &task.name, by)?;
    Ok(LearnedReader {
        task: task.name.clone(),
        reader: trained.digest,
        promoted,
        comparison,
        evaluation,
        second_opinion: second,
        took_s: began.elapsed().as_secs_f64(),
    })
}

/// Trains readers of tasks that have examples and none that serves.
pub(crate) fn learn_missing(settings: &Settings, plant: &Plant) -> anyhow::Result<()> {
    let store = node::store(&settings.state)?;
    for task in plant.tasks.values() {
        let andon_task::task::Kind::Extract(schema) = &task.kind else {
            continue;
        };
        let serves = store.promoted(&task.name)?.is_some_and(|promotion| {
            let digest = promotion.digest;
            match promotion.kind {
                Kind::Adapter => {
                    let model = Loader::new(settings).digest(&plant.settings.language_model);
                    let adapters = node::adapters(&settings.state);
                    model.is_ok_and(|model| adapters.open(digest, task, model).is_ok())
                }
                _ => node::readers(&settings.state).open(digest, schema).is_ok(),
            }
        });
        if serves || plant.expected.get(&task.name).is_none_or(Vec::is_empty) {
            continue;
        }
        let promote = (Promote::IfNotWorse, None);
        let how = (None, SecondOpinion::None);
        let learned = learn(settings, plant, (task, schema), how, promote)?;
        line(&format!(
            "{}: {:.1} % of fields right on held-out examples, learned in {:.1} s",
            task.name,
            100.0 * learned.evaluation.field_accuracy.value,
            learned.took_s
        ));
    }
    Ok(())
}

/// A reader of some examples, and each of these as one read it that was not trained on it.
pub(crate) fn train(
    began: &Instant,
    (plant, task, schema): (&Plant, &Task, &Schema),
    examples: &[Example],
    encoder: &Arc<Encoder>,
    tune: Option<Tuning>,
) -> anyhow::Result<(LearntReader, Fields)> {
    let pairs: Vec<(&str, &Value)> = examples
        .iter()
        .map(|example| (example.input.as_str(), &example.expected))
        .collect();
    let clock = || began.elapsed();
    let tuner = tune.map(|Tuning { epochs }| EncoderTuner { encoder, epochs });
    let words = match &tuner {
        Some(tuner) => Words::Tuned(tuner),
        None => Words::Encoder(&**encoder),
    };
    let registers = registers(plant);
    let beside = Beside {
        words,
        registers: &registers,
    };
    let learnt = learn_reader(&task.name, schema.value(), &pairs, beside, &clock)
        .with_context(|| format!("cannot learn '{}'", task.name))?;
    Ok((learnt, fields(schema, task)?))
}

/// What the plant knows by name: the assets' ids, their names, and of each type the names of the
/// gazetteer (suppliers, say).
fn registers(plant: &Plant) -> Vec<Register> {
    let ids = plant.assets.values().map(|asset| asset.id.clone());
    let names = plant.assets.values().map(|asset| asset.name.clone());
    let mut registers: Vec<Register> = vec![ids.collect(), names.collect()];
    let mut by_type: BTreeMap<&str, Register> = BTreeMap::new();
    for (name, what) in plant.gazetteer.names() {
        by_type.entry(what).or_default().push(name.to_owned());
    }
    registers.extend(by_type.into_values());
    registers
}

pub(crate) fn fields(schema: &Schema, task: &Task) -> anyhow::Result<Fields> {
    Fields::of(schema.value()).with_context(|| format!("cannot read for '{}'", task.name))
}

/// The plant's examples, which must be right, and what people's answers have become, as far
/// as the schema still admits it.
pub(crate) fn examples(
    settings: &Settings,
    plant: &Plant,
    task: &Task,
    schema: &Schema,
) -> anyhow::Result<Vec<Example>> {
    let fields = fields(schema, task)?;
    let mut examples = plant.expected.get(&task.name).cloned().unwrap_or_default();
    let store = node::store(&settings.state)?;
    let people = examples_of_people(&store, plant, task)?;
    examples.extend(
        people
            .into_iter()
            .filter(|e| Gold::of(&fields, &e.expected).is_ok()),
    );
    Ok(examples)
}

/// The examples of a file, each of which satisfies the schema.
pub(crate) fn read(path: &Path, schema: &Schema) -> anyhow::Result<Vec<Example>> {
    let cannot_read = || format!("cannot read the examples '{}'", path.display());
    let text = std::fs::read_to_string(path).with_context(cannot_read)?;
    let examples = example::parse_extracted(&text, schema).with_context(cannot_read)?;
    if examples.is_empty() {
        bail!(
            "the file '{}' has no examples: give a line {{\"input\": …, \"expected\": …}} for each",
            path.display()
        );
    }
    Ok(examples)
}

/// The figures as lines for people.
pub(crate) fn shown(figures: &Extraction) -> String {
    let percent = |figure: &Estimate| {
        let [value, low, high] = [figure.value, figure.low, figure.high].map(|x| 100.0 * x);
        format!("{value:.1} % ({low:.1}–{high:.1})")
    };
    let mut text = format!(
        "{} records\n  fields right: {}\n  values, micro F1: {}\n  records all right: {}\n  calibration error of records: {}\n  accepted at {:.2}: {}\n  time: {:.1} ms (median), {:.1} ms (99th percentile)",
        figures.n,
        percent(&figures.field_accuracy),
        figures.micro_f1.as_ref().map_or("none".to_owned(), percent),
        percent(&figures.record_accuracy),
        percent(&figures.ece),
        figures.accept,
        percent(&figures.coverage),
        figures.p50_ms,
        figures.p99_ms,
    );
    if let Some(error) = &figures.selective_error {
        text.push_str(&format!("\n  wrong among the accepted: {}", percent(error)));
    }
    for (path, right) in &figures.per_field {
        text.push_str(&format!("\n    {path}: {}", percent(right)));
    }
    text
}

//! Adapters with which the language model writes the objects of tasks that extract.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use andon_engine::LanguageModel;
use andon_engine::language_model::Chooser;
use andon_learn::extract::{Extraction, assign, figures};
use andon_learn::promotion::{Outcome, Verdict};
use andon_runtime::{Writer, grammar};
use andon_store::Kind;
use andon_task::adapter::TaskAdapter;
use andon_task::digest::Digest;
use andon_task::engine::{Generate, Score};
use andon_task::example::Example;
use andon_task::plant::Plant;
use andon_task::prompt;
use andon_task::schema::Schema;
use andon_task::task::Task;
use andon_train::{Epoch, Lesson};
use anyhow::{Context, anyhow, bail};
use serde::Serialize;

use super::{Form, cannot_train, train};
use crate::artefacts::Artefacts;
use crate::engine::Loader;
use crate::learning::{Figures, Promote, Trained};
use crate::progress::line;
use crate::settings::Settings;
use crate::{node, reading, writing};

/// Lessons of a step: an object is some hundred choices, and plants have few of them.
const BATCH: usize = 4;

/// Steps between two checkpoints: one over whole documents takes seconds.
const CHECKPOINT_STEPS: usize = 4;

/// An adapter that writes objects, and what is known of it.
#[derive(Debug, Serialize)]
pub(crate) struct LearnedWriter {
    pub(crate) task: String,
    /// Its digest.
    pub(crate) adapter: Digest,
    /// Its weights: a GGUF file.
    pub(crate) file: PathBuf,
    /// The model that it is for.
    pub(crate) model: Digest,
    /// Whether it serves now.
    pub(crate) promoted: bool,
    /// How it compares with what served before.
    pub(crate) comparison: Verdict,
    /// Examples that it was trained on.
    pub(crate) examples: usize,
    /// Its figures on the others, by which it was stopped, in the engine that serves.
    pub(crate) evaluation: Extraction,
    pub(crate) epochs: Vec<Epoch>,
    pub(crate) took_s: f64,
}

/// Trains an adapter of the plant's language model on four fifths of a task's examples,
/// measures what it writes for the others, keeps it, and promotes it if it may be.
pub(crate) fn learn_writer(
    settings: &Settings,
    loader: &Loader,
    plant: &Plant,
    (task, schema): (&Task, &Schema),
    epochs: Option<usize>,
    promote: (Promote, Option<&str>),
) -> anyhow::Result<LearnedWriter> {
    if settings.language_model.is_some() {
        bail!("an adapter is trained for a model of this node: leave `--language-model` out");
    }
    let began = Instant::now();
    let store = node::store(&settings.state)?;
    let all = reading::examples(settings, plant, task, schema)?;
    if all.is_empty() {
        bail!(
            "task '{0}' has no examples: add lines to examples/{0}.jsonl",
            task.name
        );
    }
    let fields = reading::fields(schema, task)?;
    let (model, weights) = loader.language_model_to_train(&plant.settings.language_model)?;
    let base = Generate::identity(&model).digest;
    let pairs: Vec<_> = all
        .iter()
        .map(|e| (e.input.as_str(), &e.expected))
        .collect();
    let folds = assign(&pairs);
    let (mut learnt, mut held_out) = (Vec::new(), Vec::new());
    for (example, fold) in all.iter().zip(folds) {
        match fold {
            0 => held_out.push(example.clone()),
            _ => learnt.push(example.clone()),
        }
    }
    let of_part = |part: &[Example]| lessons(&model, (task, schema), part);
    let parts = cannot_train(
        task,
        of_part(&learnt).and_then(|a| Ok((a, of_part(&held_out)?))),
    )?;
    let form = Form {
        batch: BATCH,
        epochs,
        checkpoint: CHECKPOINT_STEPS,
    };
    let trained = train(settings, (base, &weights), task, parts, form)?;

    let file = Digest::of(&trained.file);
    model
        .hold_adapter(&trained.file)
        .context("the trained adapter cannot be loaded")?;
    let adapter = TaskAdapter::new(task, file, base);
    let writer = Writer::new(&model, Some(&adapter));
    let graded = writing::grade(&writer, (task, schema), &fields, &held_out)?;
    let (evaluation, of_records) = figures(&fields, &graded, task.accept)
        .with_context(|| format!("nothing of '{}' could be measured", task.name))?;
    let encoder = Arc::new(loader.encoder(&plant.settings.encoder)?);
    let artefacts = Artefacts::of(settings, plant, loader, &encoder);
    artefacts
        .adapters
        .save(&adapter, &trained.file)
        .with_context(|| format!("cannot keep the adapter in '{}'", settings.state.display()))?;
    let outcome = |example: &Example, right: bool| {
        Outcome::of_expected(&example.input, &example.expected, right)
    };
    let outcomes = held_out.iter().zip(&graded);
    let kept = Trained {
        kind: Kind::Adapter,
        digest: adapter.digest(),
        figures: Figures {
            evaluation: of_records,
            outcomes: outcomes
                .map(|(example, graded)| outcome(example, graded.is_right()))
                .collect(),
            trained_on: learnt.iter().map(|e| outcome(e, true).example).collect(),
        },
    };
    let (comparison, promoted) = kept.keep(&store, &artefacts, task, promote)?;
    crate::pruning::prune(settings, &store, &task.name, promote.1)?;
    Ok(LearnedWriter {
        task: task.name.clone(),
        adapter: kept.digest,
        file: artefacts.adapters.weights_path(file),
        model: base,
        promoted,
        comparison,
        examples: learnt.len(),
        evaluation,
        epochs: trained.history,
        took_s: began.elapsed().as_secs_f64(),
    })
}

/// The examples as the model is asked, and as it writes under the schema when it serves:
/// what the schema forces is read and not learnt. Those that the model cannot hold are left
/// out.
fn lessons(
    model: &LanguageModel,
    (task, schema): (&Task, &Schema),
    examples: &[Example],
) -> anyhow::Result<Vec<Lesson>> {
    let grammar = grammar(schema.value());
    let context = Generate::identity(model).context_tokens;
    let lessons = examples.iter().map(|example| {
        let beginning: String = example.input.chars().take(60).collect();
        let named = || format!("the example '{beginning}'");
        let prompt = model.tokenize(&prompt::adapted(task, &example.input));
        let prompt = prompt.with_context(named)?;
        let object = schema.ordered(&example.expected).to_string();
        let path = model.path(&grammar, &object).with_context(|| {
            format!(
                "{} has an object that cannot be written under the schema",
                named()
            )
        })?;
        let tokens: Vec<u32> = path.iter().map(|step| step.token).collect();
        let chosen: Vec<bool> = path.iter().map(|step| step.by == Chooser::Model).collect();
        Lesson::answer(&prompt, &tokens, &chosen).map_err(|reason| anyhow!("{} {reason}", named()))
    });
    let mut lessons = lessons.collect::<anyhow::Result<Vec<Lesson>>>()?;
    lessons.retain(|lesson| lesson.tokens.len() < context);
    match examples.len() - lessons.len() {
        0 => {}
        long => line(&format!(
            "{}: {long} examples have more tokens than the model holds ({context}) and are left out",
            task.name
        )),
    }
    Ok(lessons)
}

//! Training on the node: encoders that heads are trained on, and adapters of the
//! language model.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use andon_engine::adapter::Files;
use andon_engine::{Encoder, LanguageModel};
use andon_learn::interval::{Estimate, wilson};
use andon_learn::{Labelled, LearnError, Tune, Tuned, folds};
use andon_task::digest::Digest;
use andon_task::engine::{Adapter, Embed, Generate, Score, ScoreRequest};
use andon_task::example::LabelledText;
use andon_task::plant::Plant;
use andon_task::prompt;
use andon_task::task::{Class, Task};
use andon_train::{AdapterSettings, EncoderSettings, Epoch, Lesson, Resume, Text, tune_encoder};
use anyhow::{Context, anyhow, bail};
use serde::Serialize;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use crate::engine::Loader;
use crate::learning::examples;
use crate::progress::{Progress, line};
use crate::settings::Settings;

/// Steps between two checkpoints.
const CHECKPOINT_STEPS: usize = 16;

/// The name that a candidate has while it is measured.
const CANDIDATE: &str = "candidate";

/// Tunes the encoder that a plant names.
pub(crate) struct EncoderTuner<'a>(&'a Encoder);

impl<'a> EncoderTuner<'a> {
    pub(crate) fn of(encoder: &'a Encoder) -> Self {
        Self(encoder)
    }
}

impl Tune for EncoderTuner<'_> {
    fn tune(
        &self,
        examples: &[Labelled<'_>],
        labels: usize,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Tuned, LearnError> {
        let failed = |error: anyhow::Error| LearnError::Tuning(error.into());
        let texts = examples.iter().map(|example| {
            let tokens = self.0.tokenize(example.text)?;
            Ok(Text {
                tokens,
                label: example.label,
            })
        });
        let texts = texts.collect::<anyhow::Result<Vec<_>>>().map_err(failed)?;
        let settings = EncoderSettings {
            memory: Some(memory()),
            ..EncoderSettings::default()
        };
        let base = self.0.identity().digest;
        let mut report = |at: andon_train::Progress| {
            progress((at.epoch - 1) * at.steps + at.step, at.epochs * at.steps);
            ControlFlow::Continue(())
        };
        let task = (texts.as_slice(), labels);
        let tuned = tune_encoder(self.0, base, task, &settings, None, &mut report);
        let bytes = tuned.map_err(|error| failed(error.into()))?.file;
        let encoder = self.0.tuned(&bytes).map_err(|error| failed(error.into()))?;
        Ok(Tuned {
            encoder: Box::new(encoder),
            bytes,
        })
    }
}

/// An adapter that was trained, and what is known of it.
#[derive(Debug, Serialize)]
pub(crate) struct AdapterCandidate {
    pub(crate) task: String,
    /// The digest of the adapter's file.
    pub(crate) adapter: Digest,
    pub(crate) file: PathBuf,
    /// The model that it is for.
    pub(crate) model: Digest,
    /// Examples that it was trained on.
    pub(crate) examples: usize,
    /// Examples that it was measured on, and stopped by.
    pub(crate) held_out: usize,
    /// The share of these that it answers rightly, in the engine that serves.
    pub(crate) accuracy: Estimate,
    /// The share that the model answers rightly without it.
    pub(crate) accuracy_without: Estimate,
    pub(crate) epochs: Vec<Epoch>,
    pub(crate) took_s: f64,
}

/// Trains an adapter of the plant's language model for a task on four fifths of its
/// examples, measures it on the others, and keeps it with its figures in the state.
pub(crate) fn train_adapter(
    settings: &Settings,
    loader: &Loader,
    plant: &Plant,
    task: &Task,
) -> anyhow::Result<AdapterCandidate> {
    if settings.language_model.is_some() {
        bail!("an adapter is trained for a model of this node: leave `--language-model` out");
    }
    let began = Instant::now();
    let all = examples(plant, task);
    if all.is_empty() {
        bail!(
            "task '{0}' has no examples: add lines to examples/{0}.jsonl",
            task.name
        );
    }
    let (model, weights) = loader.language_model_to_train(&plant.settings.language_model)?;
    let lessons = lessons(&model, task, all)?;
    andon_train::check_lessons(&weights, &lessons)
        .with_context(|| format!("cannot train an adapter for '{}'", task.name))?;
    let (fold_of, _) = folds(all, &plant.glossary);
    let part = |is_held_out: bool| {
        let kept = (0..all.len()).filter(|&index| (fold_of[index] == 0) == is_held_out);
        kept.collect::<Vec<usize>>()
    };
    let (learnt, held_out) = (part(false), part(true));
    let pick = |part: &[usize]| -> Vec<Lesson> {
        part.iter().map(|&index| lessons[index].clone()).collect()
    };
    let folder = settings.state.join("adapters");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create '{}'", folder.display()))?;
    let checkpoint = folder.join(format!("{}.checkpoint", task.name));
    let resume = Resume {
        path: &checkpoint,
        every: CHECKPOINT_STEPS,
    };
    let base = Generate::identity(&model).digest;
    let options = AdapterSettings {
        memory: Some(memory()),
        ..AdapterSettings::default()
    };
    let mut shown = Shown::new(&task.name);
    let trained = andon_train::train_adapter(
        &weights,
        base,
        &pick(&learnt),
        &pick(&held_out),
        &options,
        Some(resume),
        &mut |at| shown.show(at),
    );
    drop(shown);
    let trained =
        trained.with_context(|| format!("cannot train an adapter for '{}'", task.name))?;

    model
        .add_adapter_from(CANDIDATE, Files::Gguf(&trained.file))
        .context("the trained adapter cannot be loaded")?;
    let measured: Vec<&LabelledText> = held_out.iter().map(|&index| &all[index]).collect();
    let adapter = Digest::of(&trained.file);
    let candidate = AdapterCandidate {
        task: task.name.clone(),
        adapter,
        file: folder.join(format!("{adapter}.gguf")),
        model: base,
        examples: learnt.len(),
        held_out: held_out.len(),
        accuracy: accuracy(&model, task, &measured, Some(CANDIDATE))?,
        accuracy_without: accuracy(&model, task, &measured, None)?,
        epochs: trained.history,
        took_s: began.elapsed().as_secs_f64(),
    };
    keep(&candidate.file, &trained.file)?;
    let figures = serde_json::to_vec(&candidate)?;
    keep(&candidate.file.with_extension("json"), &figures)?;
    Ok(candidate)
}

/// The examples as the model is asked and answered when it serves.
fn lessons(
    model: &LanguageModel,
    task: &Task,
    examples: &[LabelledText],
) -> anyhow::Result<Vec<Lesson>> {
    let names = task.labels().names();
    let labels: Vec<Vec<u32>> = names
        .iter()
        .map(|name| model.tokenize_answer(name))
        .collect();
    let lessons = examples.iter().enumerate().map(|(index, example)| {
        let prompt = model.tokenize(&prompt::decide(task, &example.text));
        let prompt = prompt.with_context(|| format!("example {}", index + 1))?;
        Lesson::label(&prompt, &labels, example.label)
            .map_err(|reason| anyhow!("example {} {reason}", index + 1))
    });
    lessons.collect()
}

/// The share of examples that the serving engine answers rightly.
fn accuracy(
    model: &LanguageModel,
    task: &Task,
    examples: &[&LabelledText],
    adapter: Option<&str>,
) -> anyhow::Result<Estimate> {
    let names = task.labels().names();
    let mut right = 0;
    for example in examples {
        let mut request = ScoreRequest::new(prompt::decide(task, &example.text), names.clone());
        request.terms.class = Class::Batch;
        request.adapter = adapter.map(|name| Adapter {
            name: name.to_owned(),
            scale: 1.0,
        });
        let shares = model.score(&request)?.shares;
        let best = (0..shares.len()).max_by(|&one, &other| shares[one].total_cmp(&shares[other]));
        right += usize::from(best.is_some_and(|best| example.accepts(best)));
    }
    wilson(right, examples.len()).context("no example is held out: add others")
}

/// Writes a file whole or not at all.
pub(crate) fn keep(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok::<_, std::io::Error>(())
    };
    write().with_context(|| format!("cannot write '{}'", path.display()))
}

/// Bytes that are free for a training.
fn memory() -> u64 {
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(memory);
    let available = system.available_memory();
    system
        .cgroup_limits()
        .map_or(available, |limits| limits.free_memory.min(available))
}

/// Shows how far the training of an adapter has come.
struct Shown<'a> {
    task: &'a str,
    bar: Option<Progress>,
    epoch: usize,
}

impl<'a> Shown<'a> {
    fn new(task: &'a str) -> Self {
        Self {
            task,
            bar: None,
            epoch: 0,
        }
    }

    fn show(&mut self, at: andon_train::Progress) -> ControlFlow<()> {
        let task = self.task;
        let bar = self.bar.get_or_insert_with(|| {
            let what = format!("{task}: training an adapter");
            Progress::of_parts(&what, at.epochs * at.steps)
        });
        if at.epoch != self.epoch
            && let Some(loss) = at.held_out
        {
            let before = at.epoch - 1;
            line(&format!(
                "{task}: epoch {before}, loss on held-out examples {loss:.3}"
            ));
        }
        self.epoch = at.epoch;
        bar.rename(&format!(
            "{task}: epoch {} of {}, loss {:.3}",
            at.epoch, at.epochs, at.loss
        ));
        bar.reach(((at.epoch - 1) * at.steps + at.step) as u64);
        ControlFlow::Continue(())
    }
}

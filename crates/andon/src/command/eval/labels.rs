//! A language model that scores the labels.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use andon_engine::LanguageModel;
use andon_learn::report::Subject;
use andon_learn::{Scored, evaluate_adapter, score_labels};
use andon_task::adapter::TaskAdapter;
use andon_task::digest::Digest;
use andon_task::engine::Score;
use andon_task::prompt;
use andon_task::task::Task;
use anyhow::{Context, bail};

use super::artefact::Artefact;
use super::contender::Labels;
use super::measure::{Bench, Measured, answered};
use crate::node;

impl Bench<'_> {
    /// A language model's answers by the labels' shares.
    pub(super) fn measure_labels(&self, asked: &Labels) -> anyhow::Result<Measured> {
        let mut task = self.task.clone();
        if let Some(path) = &asked.prompt {
            task.instructions = instructions(path)?;
        }
        let mut digests = self.digests(None);
        let mut warnings = Vec::new();
        let (mut name, scored) = match (&self.settings.language_model, &asked.model) {
            (Some(remote), None) => {
                let remote = remote.connect()?;
                let identity = Score::identity(&remote).clone();
                digests.insert("model".to_owned(), identity.digest);
                let prompt = prompt::digest(&prompt::decide(&task, ""));
                digests.insert("prompt".to_owned(), prompt);
                (identity.name, self.score(&task, &remote, None)?)
            }
            (_, model) => {
                let named = model.as_ref().map(ToString::to_string);
                let mut name = named.unwrap_or_else(|| self.plant.settings.language_model.clone());
                let model: Arc<LanguageModel> = Arc::new(self.loader.language_model(&name)?);
                digests.insert("model".to_owned(), Score::identity(&*model).digest);
                let base = Score::identity(&*model).digest;
                let mut adapter = None;
                if let Some(path) = asked.adapter.as_deref() {
                    let held = hold(&model, path, &mut warnings)?;
                    digests.insert("adapter".to_owned(), held);
                    name = format!("{name}+adapter={}", path.display());
                    let state = &self.settings.state;
                    let kept = kept(state, &self.adapters, held, (&task, base));
                    // Who trained it elsewhere is taken to have trained it as it is done here.
                    let kept = kept.unwrap_or_else(|| TaskAdapter::new(&task, held, base));
                    // What is measured are the shares, as of any language model.
                    adapter = Some(TaskAdapter {
                        temperature: None,
                        ..kept
                    });
                }
                let prompt = match &adapter {
                    Some(adapter) => adapter.prompt,
                    None => prompt::digest(&prompt::decide(&task, "")),
                };
                digests.insert("prompt".to_owned(), prompt);
                (name, self.score(&task, &*model, adapter.as_ref())?)
            }
        };
        if let Some(path) = &asked.prompt {
            name = format!("{name}+prompt={}", path.display());
        }
        let subject = Subject {
            name,
            how: "the language model scores the labels; its scores are not calibrated".to_owned(),
            calibrated: false,
            digests,
        };
        let Scored { evaluation, usage } = scored;
        Ok(Measured {
            usage: Some(usage),
            warnings,
            ..answered(subject, evaluation)
        })
    }

    fn score(
        &self,
        task: &Task,
        model: &dyn Score,
        adapter: Option<&TaskAdapter>,
    ) -> anyhow::Result<Scored> {
        let bar = self.bar();
        let clock = || -> Duration { self.began.elapsed() };
        let mut progress = |done| bar.reach(done as u64);
        let examples = self.examples;
        Ok(match adapter {
            Some(adapter) => {
                evaluate_adapter(task, (model, adapter), examples, &clock, &mut progress)?
            }
            None => score_labels(task, model, examples, &clock, &mut progress)?,
        })
    }
}

/// Has a model hold an adapter's weights, a file or a folder of PEFT. Their digest, by which
/// the model knows them.
pub(super) fn hold(
    model: &LanguageModel,
    path: &Path,
    warnings: &mut Vec<String>,
) -> anyhow::Result<Digest> {
    let digest = digest_of(path)?;
    model
        .add_adapter(&digest.to_string(), path)
        .with_context(|| format!("cannot load the adapter '{}'", path.display()))?;
    warnings.push(format!(
        "It is not known here what '{}' was trained on: if these examples were among it, the figures flatter it.",
        path.display()
    ));
    Ok(digest)
}

/// What is known of weights that were trained here for the task and the model.
pub(super) fn kept(
    state: &Path,
    adapters: &[Artefact],
    weights: Digest,
    (task, model): (&Task, Digest),
) -> Option<TaskAdapter> {
    let files = node::adapters(state);
    let opened = adapters
        .iter()
        .map(|one| files.open(one.digest, task, model));
    let mut known = opened.filter_map(|opened| Some(opened.ok()?.0));
    known.find(|adapter| adapter.file == weights)
}

/// The instructions of a file.
pub(super) fn instructions(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the instructions '{}'", path.display()))?;
    match text.trim() {
        "" => bail!(
            "the file '{}' has no instructions: write what is asked, as in tasks/TASK.toml",
            path.display()
        ),
        text => Ok(text.to_owned()),
    }
}

/// The digest of an adapter's weights: a file, or those in a folder of PEFT.
fn digest_of(adapter: &Path) -> anyhow::Result<Digest> {
    let weights = match adapter.is_dir() {
        true => adapter.join("adapter_model.safetensors"),
        false => adapter.to_owned(),
    };
    let bytes = std::fs::read(&weights);
    let bytes = bytes.with_context(|| format!("cannot read '{}'", weights.display()))?;
    Ok(Digest::of(&bytes))
}

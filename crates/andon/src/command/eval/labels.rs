//! A language model that scores the labels.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use andon_engine::LanguageModel;
use andon_learn::report::Subject;
use andon_learn::{Scored, score_labels};
use andon_task::digest::Digest;
use andon_task::engine::{Adapter, Score};
use andon_task::prompt;
use andon_task::task::Task;
use anyhow::{Context, bail};

use super::contender::Labels;
use super::measure::{Bench, Measured, answered};

/// The name that an adapter has while it is measured.
const ADAPTER: &str = "measured";

impl Bench<'_> {
    /// A language model's answers by the labels' shares.
    pub(super) fn measure_labels(&self, asked: &Labels) -> anyhow::Result<Measured> {
        let mut task = self.task.clone();
        if let Some(path) = &asked.prompt {
            task.instructions = instructions(path)?;
        }
        let mut digests = self.digests(None);
        let prompt = prompt::digest(&prompt::decide(&task, ""));
        digests.insert("prompt".to_owned(), prompt);
        let mut warnings = Vec::new();
        let (mut name, scored) = match (&self.settings.language_model, &asked.model) {
            (Some(remote), None) => {
                let remote = remote.connect()?;
                let identity = Score::identity(&remote).clone();
                digests.insert("model".to_owned(), identity.digest);
                (identity.name, self.score(&task, &remote, None)?)
            }
            (_, model) => {
                let named = model.as_ref().map(ToString::to_string);
                let mut name = named.unwrap_or_else(|| self.plant.settings.language_model.clone());
                let model: Arc<LanguageModel> = Arc::new(self.loader.language_model(&name)?);
                digests.insert("model".to_owned(), Score::identity(&*model).digest);
                let applied = match asked.adapter.as_deref() {
                    None => None,
                    Some(path) => {
                        model.add_adapter(ADAPTER, path).with_context(|| {
                            format!("cannot load the adapter '{}'", path.display())
                        })?;
                        digests.insert("adapter".to_owned(), digest_of(path)?);
                        name = format!("{name}+adapter={}", path.display());
                        warnings.push(format!(
                            "It is not known here what '{}' was trained on: if these examples were among it, the figures flatter it.",
                            path.display()
                        ));
                        Some(Adapter {
                            name: ADAPTER.to_owned(),
                            scale: 1.0,
                        })
                    }
                };
                (name, self.score(&task, &*model, applied.as_ref())?)
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
        adapter: Option<&Adapter>,
    ) -> anyhow::Result<Scored> {
        let bar = self.bar();
        let clock = || -> Duration { self.began.elapsed() };
        Ok(score_labels(
            task,
            model,
            adapter,
            self.examples,
            &clock,
            &mut |done| bar.reach(done as u64),
        )?)
    }
}

/// The instructions of a file.
fn instructions(path: &Path) -> anyhow::Result<String> {
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

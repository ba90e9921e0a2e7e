//! Models from the store, loaded into the engine.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use andon_engine::decoder::Decoder;
use andon_engine::{Encoder, EncoderFiles, LanguageModel, Options};
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_task::digest::Digest;
use anyhow::{Context, bail};

use crate::model::{Check, Located, ModelName, State, Store};
use crate::settings::Settings;

/// An adapter on disk and the name that requests are to use, typed as `NAME=PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AdapterFile {
    name: String,
    path: PathBuf,
}

impl FromStr for AdapterFile {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let Some((name, path)) = typed.split_once('=') else {
            return Err(format!("'{typed}' is no NAME=PATH"));
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(format!(
                "'{name}' is no name of an adapter: use letters, digits, '.', '_' and '-'"
            ));
        }
        if path.is_empty() {
            return Err(format!("the adapter '{name}' has no path"));
        }
        Ok(Self {
            name: name.to_owned(),
            path: path.into(),
        })
    }
}

/// Loads the adapters of a model.
pub(crate) fn add_adapters(model: &LanguageModel, files: &[AdapterFile]) -> anyhow::Result<()> {
    for AdapterFile { name, path } in files {
        model.add_adapter(name, path).with_context(|| {
            format!("cannot load the adapter '{name}' from '{}'", path.display())
        })?;
        tracing::info!(name, "the adapter is loaded");
    }
    Ok(())
}

/// What computes a language model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Computes {
    /// Andon's own engine, on the processor.
    #[default]
    Own,
    /// llama.cpp, on a GPU if it was built for one.
    Llama,
}

/// Loads models by name; all share one set of threads.
pub(crate) struct Loader {
    store: Store,
    kernels: Arc<Kernels>,
    computes: Computes,
}

impl Loader {
    /// A loader for the models of the home, with a thread for each core.
    pub(crate) fn new(settings: &Settings) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            store: settings.store(),
            kernels: Arc::new(Kernels::new(Isa::detect(), threads)),
            computes: settings.engine,
        }
    }

    /// The language model that a plant names.
    pub(crate) fn language_model(&self, name: &str) -> anyhow::Result<LanguageModel> {
        let located = self.locate(name)?;
        let cannot_load = || format!("cannot load the model '{name}'");
        let kernels = Arc::clone(&self.kernels);
        let model = match self.computes {
            Computes::Own => {
                let options = Options {
                    prefixes: Some(located.folder.join("prefixes")),
                    ..Options::default()
                };
                LanguageModel::load_with(name, &located.weights, kernels, options)
                    .with_context(cannot_load)?
            }
            Computes::Llama => {
                by_llama(name, &located.weights, kernels).with_context(cannot_load)?
            }
        };
        // What answers is what was verified when it came, to the last byte.
        let digest = andon_task::engine::Generate::identity(&model).digest;
        if digest != located.manifest.digest() {
            bail!(
                "the model '{name}' has SHA-256 {digest} and not {} as when it came: remove it with `andon model rm {name}` and fetch it again",
                located.manifest.digest()
            );
        }
        Ok(model)
    }

    /// The language model that a plant names, and its weights to train against.
    pub(crate) fn language_model_to_train(
        &self,
        name: &str,
    ) -> anyhow::Result<(LanguageModel, Decoder)> {
        let model = self.language_model(name)?;
        let path = self.locate(name)?.weights;
        let file =
            std::fs::read(&path).with_context(|| format!("cannot read '{}'", path.display()))?;
        let weights = LanguageModel::weights(&file, &Options::default());
        Ok((
            model,
            weights.with_context(|| format!("cannot load the model '{name}'"))?,
        ))
    }

    /// The encoder that a plant names.
    pub(crate) fn encoder(&self, name: &str) -> anyhow::Result<Encoder> {
        let located = self.locate(name)?;
        if let State::Damaged(reason) = located.check(Check::Digests) {
            bail!(
                "the model '{name}' is not as it came ({reason}): remove it with `andon model rm {name}` and fetch it again"
            );
        }
        let kernels = Arc::clone(&self.kernels);
        let is_gguf = located.weights.extension().is_some_and(|e| e == "gguf");
        let loaded = if is_gguf {
            Encoder::load_gguf(name, &located.weights, kernels)
        } else {
            Encoder::load(name, &EncoderFiles::within(&located.folder), kernels)
        };
        loaded.with_context(|| format!("cannot load the model '{name}'"))
    }

    /// The digest of a language model, as it had when it came.
    pub(crate) fn digest(&self, name: &str) -> anyhow::Result<Digest> {
        Ok(self.locate(name)?.manifest.digest())
    }

    fn locate(&self, name: &str) -> anyhow::Result<Located> {
        let name: ModelName = name.parse().context("plant.toml names a model")?;
        self.store.locate(&name)
    }
}

#[cfg(feature = "llama")]
fn by_llama(name: &str, path: &Path, kernels: Arc<Kernels>) -> anyhow::Result<LanguageModel> {
    Ok(andon_llama::load(
        name,
        path,
        kernels,
        andon_llama::Options::default(),
    )?)
}

#[cfg(not(feature = "llama"))]
fn by_llama(_: &str, _: &Path, _: Arc<Kernels>) -> anyhow::Result<LanguageModel> {
    bail!(
        "this program was built without llama.cpp: leave out `--engine llama`, or build with `cargo build --release -p andon --features llama`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(typed: &str, expected: Result<(&str, &str), &str>) {
        let read: Result<AdapterFile, String> = typed.parse();
        match expected {
            Ok((name, path)) => {
                let (name, path) = (name.to_owned(), path.into());
                assert_eq!(read, Ok(AdapterFile { name, path }));
            }
            Err(part) => {
                let error = read.expect_err("it is refused");
                assert!(error.contains(part), "'{part}' is not in: {error}");
            }
        }
    }

    #[test]
    fn an_adapter_is_typed_as_a_name_and_a_path() {
        check("line-4=a/b.gguf", Ok(("line-4", "a/b.gguf")));
        check("v1.2=/x/y=z", Ok(("v1.2", "/x/y=z")));
        check("a/b.gguf", Err("'a/b.gguf' is no NAME=PATH"));
        check("=a", Err("'' is no name of an adapter"));
        check("a b=c", Err("'a b' is no name of an adapter"));
        check("a=", Err("the adapter 'a' has no path"));
    }
}

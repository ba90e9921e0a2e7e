//! Models from the store, loaded into the engine.

use std::sync::Arc;

use andon_engine::{Encoder, EncoderFiles, LanguageModel, Options};
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use anyhow::{Context, bail};

use crate::model::{Check, Located, ModelName, State, Store};

/// Loads models by name; all share one set of threads.
pub(crate) struct Loader {
    store: Store,
    kernels: Arc<Kernels>,
}

impl Loader {
    /// A loader for the models of `store`, with a thread for each core.
    pub(crate) fn new(store: Store) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let kernels = Arc::new(Kernels::new(Isa::detect(), threads));
        Self { store, kernels }
    }

    /// The language model that a plant names.
    pub(crate) fn language_model(&self, name: &str) -> anyhow::Result<LanguageModel> {
        let located = self.locate(name)?;
        let cannot_load = || format!("cannot load the model '{name}'");
        let options = Options {
            prefixes: Some(located.folder.join("prefixes")),
            ..Options::default()
        };
        let kernels = Arc::clone(&self.kernels);
        let model = LanguageModel::load_with(name, &located.weights, kernels, options)
            .with_context(cannot_load)?;
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

    fn locate(&self, name: &str) -> anyhow::Result<Located> {
        let name: ModelName = name.parse().context("plant.toml names a model")?;
        self.store.locate(&name)
    }
}

//! The adapters of a model, by name.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use andon_task::engine::{self, EngineError};

use super::LanguageModel;
use crate::adapter::{Adapter, Applied, Files, Layout};
use crate::error::LoadError;

/// All that were loaded, in that order.
pub(super) struct Adapters {
    layout: Layout,
    loaded: RwLock<Vec<(String, Arc<Adapter>)>>,
}

impl Adapters {
    pub(super) fn new(layout: Layout) -> Self {
        Self {
            layout,
            loaded: RwLock::default(),
        }
    }

    fn add(&self, name: &str, adapter: Adapter) -> Result<(), LoadError> {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        if loaded.iter().any(|(other, _)| other == name) {
            return Err(LoadError::NameTaken(name.to_owned()));
        }
        loaded.push((name.to_owned(), Arc::new(adapter)));
        Ok(())
    }

    pub(super) fn names(&self) -> Vec<String> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.iter().map(|(name, _)| name.clone()).collect()
    }
}

impl LanguageModel {
    /// Loads an adapter under the name that requests are to use: a GGUF file, or a
    /// folder as PEFT writes it (`adapter_model.safetensors` and
    /// `adapter_config.json`). The files are read once, whole.
    ///
    /// # Errors
    /// If a file cannot be read, is damaged or not supported, is for another model
    /// as far as its names and shapes show, or if the name is taken.
    pub fn add_adapter(&self, name: &str, path: &Path) -> Result<(), LoadError> {
        let adapter = Adapter::load(path, &self.adapters.layout)?;
        self.adapters.add(name, adapter)
    }

    /// As [`LanguageModel::add_adapter`], from the bytes of files.
    ///
    /// # Errors
    /// As there.
    pub fn add_adapter_from(&self, name: &str, files: Files<'_>) -> Result<(), LoadError> {
        let adapter = Adapter::read(files, &self.adapters.layout)?;
        self.adapters.add(name, adapter)
    }

    /// What a request is answered with.
    pub(super) fn applied(
        &self,
        wanted: Option<&engine::Adapter>,
    ) -> Result<Option<Applied>, EngineError> {
        let Some(engine::Adapter { name, scale }) = wanted else {
            return Ok(None);
        };
        if !scale.is_finite() {
            return Err(EngineError::Invalid(format!(
                "the scale of the adapter '{name}' is {scale}: give a finite number"
            )));
        }
        let loaded = self.adapters.loaded.read();
        let loaded = loaded.unwrap_or_else(PoisonError::into_inner);
        let found = loaded.iter().find(|(other, _)| other == name);
        let (_, adapter) = found.ok_or_else(|| EngineError::UnknownAdapter {
            model: self.identity.name.clone(),
            adapter: name.clone(),
        })?;
        Ok(Some(Applied {
            adapter: Arc::clone(adapter),
            scale: *scale,
        }))
    }
}

//! The adapters of a model, by name.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use andon_task::digest::Digest;
use andon_task::engine::{self, EngineError};

use super::LanguageModel;
use crate::adapter::{Adapter, Applied, Files, Layout};
use crate::error::{LoadError, unsupported};

/// All that were loaded.
pub(super) struct Adapters {
    /// What an adapter has to fit; `None`: there are none.
    layout: Option<Layout>,
    /// Those with a name that people gave them, in the order of loading.
    loaded: RwLock<Vec<(String, Arc<Adapter>)>>,
    /// Those that answer tasks, by digest, and how often each is held.
    held: RwLock<BTreeMap<Digest, (Arc<Adapter>, usize)>>,
}

impl Adapters {
    pub(super) fn new(layout: Option<Layout>) -> Self {
        Self {
            layout,
            loaded: RwLock::default(),
            held: RwLock::default(),
        }
    }

    fn layout(&self) -> Result<&Layout, LoadError> {
        let layout = self.layout.as_ref();
        layout.ok_or_else(|| {
            unsupported!("what computes this model takes no adapters: load it without llama.cpp")
        })
    }

    fn add(&self, name: &str, adapter: Adapter) -> Result<(), LoadError> {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        if loaded.iter().any(|(other, _)| other == name) {
            return Err(LoadError::NameTaken(name.to_owned()));
        }
        loaded.push((name.to_owned(), Arc::new(adapter)));
        Ok(())
    }

    /// Holds the adapter of a GGUF file once more.
    pub(super) fn hold(&self, file: &[u8]) -> Result<(), LoadError> {
        let digest = Digest::of(file);
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, times)) = held.get_mut(&digest) {
            *times += 1;
            return Ok(());
        }
        // Requests go on meanwhile: they wait for no adapter that is being read.
        drop(held);
        let adapter = Arc::new(Adapter::read(Files::Gguf(file), self.layout()?)?);
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.entry(digest).or_insert((adapter, 0)).1 += 1;
        Ok(())
    }

    /// Lets go of an adapter once.
    pub(super) fn let_go(&self, digest: Digest) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, times)) = held.get_mut(&digest) {
            *times -= 1;
            if *times == 0 {
                held.remove(&digest);
            }
        }
    }

    fn find(&self, name: &str) -> Option<Arc<Adapter>> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, adapter)) = loaded.iter().find(|(other, _)| other == name) {
            return Some(Arc::clone(adapter));
        }
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let (adapter, _) = held.get(&name.parse().ok()?)?;
        Some(Arc::clone(adapter))
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
        let adapter = Adapter::load(path, self.adapters.layout()?)?;
        self.adapters.add(name, adapter)
    }

    /// As [`LanguageModel::add_adapter`], from the bytes of files.
    ///
    /// # Errors
    /// As there.
    pub fn add_adapter_from(&self, name: &str, files: Files<'_>) -> Result<(), LoadError> {
        let adapter = Adapter::read(files, self.adapters.layout()?)?;
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
        let adapter = self.adapters.find(name);
        let adapter = adapter.ok_or_else(|| EngineError::UnknownAdapter {
            model: self.identity.name.clone(),
            adapter: name.clone(),
        })?;
        Ok(Some(Applied {
            adapter,
            scale: *scale,
        }))
    }
}

//! The adapters that are promoted, and whether they may answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::{fs, io};

use andon_task::adapter::TaskAdapter;
use andon_task::digest::Digest;
use andon_task::task::Task;

use crate::files;
use crate::model::LanguageModel;

/// The files of trained adapters: one directory, each file named by its digest.
#[derive(Clone)]
pub struct AdapterFiles {
    folder: PathBuf,
}

impl AdapterFiles {
    /// The files in `directory`, which is made when the first is kept.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            folder: directory.into(),
        }
    }

    /// Keeps an adapter, its weights first, each file whole or not at all.
    pub fn save(&self, adapter: &TaskAdapter, weights: &[u8]) -> io::Result<()> {
        files::keep(&self.folder, &self.weights_path(adapter.file), weights)?;
        let path = self.path(adapter.digest());
        files::keep(&self.folder, &path, &adapter.bytes())
    }

    /// The adapter of this digest with its weights, if it was trained for the task and
    /// the model.
    ///
    /// # Errors
    /// Why it cannot answer.
    pub fn open(
        &self,
        digest: Digest,
        task: &Task,
        model: Digest,
    ) -> Result<(TaskAdapter, Vec<u8>), String> {
        let described = read(&self.path(digest), digest)?;
        let adapter = TaskAdapter::parse(&described).map_err(|error| error.to_string())?;
        adapter
            .fits(task, model)
            .map_err(|error| error.to_string())?;
        let weights = read(&self.weights_path(adapter.file), adapter.file)?;
        Ok((adapter, weights))
    }

    /// Deletes the files of an adapter, its weights if no other adapter has them.
    pub fn forget(&self, digest: Digest) -> io::Result<()> {
        let described = |path: &Path| TaskAdapter::parse(&fs::read(path).ok()?).ok();
        let adapter = described(&self.path(digest));
        files::forget(&self.path(digest))?;
        let Some(adapter) = adapter else {
            return Ok(());
        };
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let is_adapter = path.extension().is_some_and(|kind| kind == "adapter");
            let other = is_adapter.then(|| described(&path)).flatten();
            if other.is_some_and(|other| other.file == adapter.file) {
                return Ok(());
            }
        }
        files::forget(&self.weights_path(adapter.file))
    }

    /// Where the weights of an adapter are kept: a GGUF file.
    pub fn weights_path(&self, file: Digest) -> PathBuf {
        self.folder.join(format!("{file}.gguf"))
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{digest}.adapter"))
    }
}

/// The bytes of a file that are those that were kept.
fn read(path: &Path, digest: Digest) -> Result<Vec<u8>, String> {
    let unreadable = |reason: String| {
        format!(
            "its file '{}' cannot be read ({reason}): learn again",
            path.display()
        )
    };
    let bytes = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    match Digest::of(&bytes) == digest {
        true => Ok(bytes),
        false => Err(unreadable("it is not as it was kept".to_owned())),
    }
}

/// The adapter that is promoted for a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterStatus {
    /// Its digest.
    pub digest: Digest,
    /// Why it does not answer; `None` where it does.
    pub refused: Option<String>,
}

/// An adapter that answers, held by the language model as long as this is.
pub(crate) struct Loaded {
    pub(crate) adapter: TaskAdapter,
    pub(crate) digest: Digest,
    model: Arc<dyn LanguageModel>,
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.model.let_adapter_go(self.adapter.file);
    }
}

/// The promoted adapters by task; replaced as a whole.
pub(crate) struct Adapters {
    files: AdapterFiles,
    current: RwLock<Arc<BTreeMap<String, Promoted>>>,
}

#[derive(Clone)]
struct Promoted {
    digest: Digest,
    loaded: Result<Arc<Loaded>, String>,
}

impl Adapters {
    pub(crate) fn new(files: AdapterFiles) -> Self {
        Self {
            files,
            current: RwLock::default(),
        }
    }

    /// The adapter that answers a task, which stays loaded while it is held.
    pub(crate) fn serving(&self, task: &str) -> Option<Arc<Loaded>> {
        self.current().get(task)?.loaded.clone().ok()
    }

    pub(crate) fn status(&self, task: &str) -> Option<AdapterStatus> {
        let current = self.current();
        let promoted = current.get(task)?;
        Some(AdapterStatus {
            digest: promoted.digest,
            refused: promoted.loaded.as_ref().err().cloned(),
        })
    }

    /// Makes `digest` the adapter of `task`, if it is not so already.
    pub(crate) fn set(
        &self,
        task: &Task,
        digest: Option<Digest>,
        model: Option<&Arc<dyn LanguageModel>>,
    ) {
        let current = self.current();
        if current.get(&task.name).map(|known| known.digest) == digest {
            return;
        }
        let mut next = BTreeMap::clone(&current);
        match digest {
            None => {
                next.remove(&task.name);
                tracing::info!(task = task.name, "no adapter is promoted any more");
            }
            Some(digest) => {
                let loaded = self.load(task, digest, model);
                match &loaded {
                    Ok(_) => {
                        tracing::info!(task = task.name, %digest, "the promoted adapter serves");
                    }
                    Err(reason) => {
                        tracing::warn!(task = task.name, %digest, reason, "the promoted adapter does not serve");
                    }
                }
                next.insert(task.name.clone(), Promoted { digest, loaded });
            }
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }

    fn current(&self) -> Arc<BTreeMap<String, Promoted>> {
        // A map is replaced whole: a panic elsewhere leaves nothing half-done.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn load(
        &self,
        task: &Task,
        digest: Digest,
        model: Option<&Arc<dyn LanguageModel>>,
    ) -> Result<Arc<Loaded>, String> {
        let model = model.ok_or("no language model is loaded: load the one it was trained for")?;
        let (adapter, weights) = self.files.open(digest, task, model.model().digest)?;
        let held = model.hold_adapter(&weights);
        held.map_err(|error| format!("the language model does not take it: {error}"))?;
        Ok(Arc::new(Loaded {
            adapter,
            digest,
            model: Arc::clone(model),
        }))
    }
}

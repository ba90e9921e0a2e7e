//! The readers that are promoted, and whether they may answer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::{fs, io};

use andon_task::digest::Digest;
use andon_task::extract::Reader;
use andon_task::schema::Schema;

use crate::files;

/// The files of trained readers: one directory, each file named by its digest.
#[derive(Clone)]
pub struct ReaderFiles {
    folder: PathBuf,
}

impl ReaderFiles {
    /// The files in `directory`, which is made when the first is kept.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            folder: directory.into(),
        }
    }

    /// Keeps a reader, whole or not at all; it is known by its digest.
    pub fn save(&self, reader: &Reader) -> io::Result<()> {
        files::keep(&self.folder, &self.path(reader.digest()), reader.bytes())
    }

    /// The reader of this digest, if it was trained for the schema.
    ///
    /// # Errors
    /// Why it cannot answer.
    pub fn open(&self, digest: Digest, schema: &Schema) -> Result<Reader, String> {
        let path = self.path(digest);
        let unreadable = |reason: String| {
            format!(
                "its file '{}' cannot be read ({reason}): learn again",
                path.display()
            )
        };
        let bytes = fs::read(&path).map_err(|error| unreadable(error.to_string()))?;
        let reader = Reader::parse(schema.value(), &bytes).map_err(|error| error.to_string())?;
        match reader.digest() == digest {
            true => Ok(reader),
            false => Err(unreadable(
                "it is another reader than its name says".to_owned(),
            )),
        }
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{digest}.reader"))
    }
}

/// The reader that is promoted for a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderStatus {
    /// Its digest.
    pub digest: Digest,
    /// Why it does not answer; `None` where it does.
    pub refused: Option<String>,
    /// Why it answers without the second opinion that it was learnt with; `None` where it was
    /// learnt without, or has it.
    pub alone: Option<String>,
}

/// The promoted readers by task; replaced as a whole.
pub(crate) struct Readers {
    files: ReaderFiles,
    current: RwLock<Arc<BTreeMap<String, Promoted>>>,
}

#[derive(Clone)]
struct Promoted {
    digest: Digest,
    reader: Result<Arc<Reader>, String>,
}

impl Readers {
    pub(crate) fn new(files: ReaderFiles) -> Self {
        Self {
            files,
            current: RwLock::default(),
        }
    }

    /// The reader that answers a task.
    pub(crate) fn serving(&self, task: &str) -> Option<Arc<Reader>> {
        self.current().get(task)?.reader.clone().ok()
    }

    pub(crate) fn status(&self, task: &str) -> Option<ReaderStatus> {
        let current = self.current();
        let promoted = current.get(task)?;
        Some(ReaderStatus {
            digest: promoted.digest,
            refused: promoted.reader.as_ref().err().cloned(),
            alone: None,
        })
    }

    /// Makes `digest` the reader of a task, if it is not so already. True where it was
    /// not.
    pub(crate) fn set(&self, task: &str, schema: &Schema, digest: Option<Digest>) -> bool {
        let current = self.current();
        if current.get(task).map(|known| known.digest) == digest {
            return false;
        }
        let mut next = BTreeMap::clone(&current);
        match digest {
            None => {
                next.remove(task);
                tracing::info!(task, "no reader is promoted any more");
            }
            Some(digest) => {
                let reader = self.files.open(digest, schema).map(Arc::new);
                match &reader {
                    Ok(_) => tracing::info!(task, %digest, "the promoted reader serves"),
                    Err(reason) => {
                        tracing::warn!(task, %digest, reason, "the promoted reader does not serve");
                    }
                }
                next.insert(task.to_owned(), Promoted { digest, reader });
            }
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        true
    }

    fn current(&self) -> Arc<BTreeMap<String, Promoted>> {
        // A map is replaced whole: a panic elsewhere leaves nothing half-done.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

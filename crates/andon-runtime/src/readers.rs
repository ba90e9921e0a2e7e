//! The readers that are promoted, and whether they may answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::{fs, io};

use andon_task::digest::Digest;
use andon_task::engine::Embed;
use andon_task::extract::Reader;
use andon_task::schema::Schema;

use crate::files;
use crate::tuned::TunedEncoders;

/// The files of trained readers: one directory, each file named by its digest.
#[derive(Clone)]
pub struct ReaderFiles {
    encoders: TunedEncoders,
}

/// A reader that may answer, and what makes states of words for it.
#[derive(Clone)]
pub struct ServingReader {
    /// The reader.
    pub reader: Arc<Reader>,
    /// The encoder that was tuned for it; `None`: the plant's own, if it asks one.
    pub tuned: Option<Arc<dyn Embed>>,
}

impl ReaderFiles {
    /// The files beside those of tuned encoders.
    pub fn beside(encoders: TunedEncoders) -> Self {
        Self { encoders }
    }

    /// The files in `directory`, which is made when the first is kept, without tuned encoders.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self::beside(TunedEncoders::new(directory, None))
    }

    /// The tuned encoders.
    pub fn encoders(&self) -> &TunedEncoders {
        &self.encoders
    }

    /// Keeps a reader, whole or not at all; it is known by its digest.
    pub fn save(&self, reader: &Reader) -> io::Result<()> {
        files::keep(
            self.encoders.folder(),
            &self.path(reader.digest()),
            reader.bytes(),
        )
    }

    /// The reader of this digest, if it was trained for the schema.
    ///
    /// # Errors
    /// Why it cannot answer.
    pub fn open(&self, digest: Digest, schema: &Schema) -> Result<ServingReader, String> {
        let path = self.path(digest);
        let unreadable = |reason: String| {
            format!(
                "its file '{}' cannot be read ({reason}): learn again",
                path.display()
            )
        };
        let bytes = fs::read(&path).map_err(|error| unreadable(error.to_string()))?;
        let reader = Reader::parse(schema.value(), &bytes).map_err(|error| error.to_string())?;
        if reader.digest() != digest {
            return Err(unreadable(
                "it is another reader than its name says".to_owned(),
            ));
        }
        let tuned = match reader.encoder() {
            Some(encoder) => self.encoders.open(encoder)?,
            None => None,
        };
        Ok(ServingReader {
            reader: Arc::new(reader),
            tuned,
        })
    }

    /// Deletes the files of a reader, also of the encoder that was tuned for it if no other
    /// reader names that.
    pub fn forget(&self, digest: Digest) -> io::Result<()> {
        let encoder_of = |path: &Path| Reader::encoder_of(&fs::read(path).ok()?);
        let encoder = encoder_of(&self.path(digest));
        files::forget(&self.path(digest))?;
        match encoder {
            Some(encoder) => self.encoders.forget(encoder, "reader", encoder_of),
            None => Ok(()),
        }
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.encoders.folder().join(format!("{digest}.reader"))
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
    reader: Result<ServingReader, String>,
}

impl Readers {
    pub(crate) fn new(files: ReaderFiles) -> Self {
        Self {
            files,
            current: RwLock::default(),
        }
    }

    /// The reader that answers a task.
    pub(crate) fn serving(&self, task: &str) -> Option<ServingReader> {
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
                let reader = self.files.open(digest, schema);
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

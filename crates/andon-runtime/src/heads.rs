//! The heads that are promoted, and whether they may answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::{fs, io};

use andon_task::digest::Digest;
use andon_task::engine::{Embed, Identity};
use andon_task::glossary::Glossary;
use andon_task::head::Head;
use andon_task::label::LabelSet;
use andon_task::task::Task;

use crate::files;
use crate::tuned::TunedEncoders;

/// The files of trained heads and of the encoders that were tuned for them: one
/// directory, each file named by its digest.
#[derive(Clone)]
pub struct HeadFiles {
    encoders: TunedEncoders,
}

/// A head that may answer, and what makes vectors for it.
#[derive(Clone)]
pub struct Serving {
    /// The head.
    pub head: Arc<Head>,
    /// The encoder that was tuned for it; `None`: the plant's own.
    pub tuned: Option<Arc<dyn Embed>>,
}

impl HeadFiles {
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

    /// The head of this digest and what serves with it, if it was made for the labels,
    /// the encoder (or one tuned from it) and the glossary.
    ///
    /// # Errors
    /// Why it cannot answer.
    pub fn open(
        &self,
        digest: Digest,
        labels: &LabelSet,
        (encoder, glossary): (&Identity, &Glossary),
    ) -> Result<Serving, String> {
        let head = self
            .load(digest)
            .map_err(|error| format!("its file cannot be read ({error}): learn again"))?;
        let tuned = match head.encoder() == encoder.digest {
            true => None,
            false => self.encoders.open(head.encoder())?,
        };
        let identity = tuned.as_ref().map_or(encoder, |tuned| tuned.identity());
        head.fits(labels, identity, glossary)
            .map_err(|error| error.to_string())?;
        Ok(Serving {
            head: Arc::new(head),
            tuned,
        })
    }

    /// Keeps a head, whole or not at all; it is known by its digest.
    pub fn save(&self, head: &Head) -> io::Result<()> {
        self.keep(&self.path(head.digest()), head.bytes())
    }

    pub(crate) fn keep(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        files::keep(self.encoders.folder(), path, bytes)
    }

    /// The head of this digest; an error if its file is not what was kept.
    pub fn load(&self, digest: Digest) -> io::Result<Head> {
        let path = self.path(digest);
        let invalid = |reason: String| {
            let message = format!("{}: {reason}", path.display());
            io::Error::new(io::ErrorKind::InvalidData, message)
        };
        let head = Head::parse(&fs::read(&path)?).map_err(|error| invalid(error.to_string()))?;
        if head.digest() != digest {
            return Err(invalid("it is another head than its name says".to_owned()));
        }
        Ok(head)
    }

    /// Deletes the files of a head, also of the encoder that was tuned for it if no other
    /// head names that.
    pub fn forget(&self, digest: Digest) -> io::Result<()> {
        let encoder_of = |path: &Path| Some(Head::parse(&fs::read(path).ok()?).ok()?.encoder());
        let encoder = encoder_of(&self.path(digest));
        files::forget(&self.path(digest))?;
        match encoder {
            Some(encoder) => self.encoders.forget(encoder, "head", encoder_of),
            None => Ok(()),
        }
    }

    /// Deletes the file of a normaliser.
    pub fn forget_normaliser(&self, digest: Digest) -> io::Result<()> {
        files::forget(&self.normaliser_path(digest))
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.encoders.folder().join(format!("{digest}.head"))
    }

    pub(crate) fn normaliser_path(&self, digest: Digest) -> PathBuf {
        self.encoders.folder().join(format!("{digest}.normaliser"))
    }
}

/// The head that is promoted for a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadStatus {
    /// Its digest.
    pub digest: Digest,
    /// Why it does not answer; `None` where it does.
    pub refused: Option<String>,
}

/// What serves beside the heads, and must be what they were trained with.
#[derive(Clone, Copy)]
pub(crate) struct Beside<'a> {
    pub(crate) encoder: Option<&'a Identity>,
    pub(crate) glossary: &'a Glossary,
}

/// The promoted heads by task; replaced as a whole, so that who reads sees all of
/// one moment.
pub(crate) struct Heads {
    files: HeadFiles,
    current: RwLock<Arc<BTreeMap<String, Promoted>>>,
}

#[derive(Clone)]
struct Promoted {
    digest: Digest,
    /// The digest of the encoder that it was compared with.
    encoder: Option<Digest>,
    head: Result<Serving, String>,
}

impl Heads {
    pub(crate) fn new(files: HeadFiles) -> Self {
        Self {
            files,
            current: RwLock::default(),
        }
    }

    /// The head that answers for a task.
    pub(crate) fn serving(&self, task: &str) -> Option<Serving> {
        self.current().get(task)?.head.clone().ok()
    }

    pub(crate) fn status(&self, task: &str) -> Option<HeadStatus> {
        let current = self.current();
        let promoted = current.get(task)?;
        Some(HeadStatus {
            digest: promoted.digest,
            refused: promoted.head.as_ref().err().cloned(),
        })
    }

    /// Makes `digest` the head of `task`, if it is not so already.
    pub(crate) fn set(&self, task: &Task, digest: Option<Digest>, beside: Beside<'_>) {
        let serving = beside.encoder.map(|encoder| encoder.digest);
        let current = self.current();
        let known = current.get(&task.name);
        if known.map(|known| (known.digest, known.encoder)) == digest.map(|d| (d, serving)) {
            return;
        }
        let mut next = BTreeMap::clone(&current);
        match digest {
            None => {
                next.remove(&task.name);
                tracing::info!(task = task.name, "no head is promoted any more");
            }
            Some(digest) => {
                let head = self.open(task, digest, beside);
                match &head {
                    Ok(_) => tracing::info!(task = task.name, %digest, "the promoted head serves"),
                    Err(reason) => {
                        tracing::warn!(task = task.name, %digest, reason, "the promoted head does not serve");
                    }
                }
                let promoted = Promoted {
                    digest,
                    encoder: serving,
                    head,
                };
                next.insert(task.name.clone(), promoted);
            }
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }

    fn current(&self) -> Arc<BTreeMap<String, Promoted>> {
        // A map is replaced whole: a panic elsewhere leaves nothing half-done.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads a head and refuses one that was made for something else than serves.
    fn open(&self, task: &Task, digest: Digest, beside: Beside<'_>) -> Result<Serving, String> {
        let encoder = beside
            .encoder
            .ok_or("no encoder is loaded: load the one it was trained with")?;
        let beside = (encoder, beside.glossary);
        self.files.open(digest, task.labels(), beside)
    }
}

//! The rankers that are promoted, and what each task searches.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::{fs, io};

use andon_task::answer::{Index, Learned, Ranker, Table};
use andon_task::digest::Digest;
use andon_task::task::Task;

use crate::files;

/// The files of trained rankers: one directory, each file named by its digest.
#[derive(Clone)]
pub struct RankerFiles {
    folder: PathBuf,
}

impl RankerFiles {
    /// The files in `directory`, which is made when the first is kept.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            folder: directory.into(),
        }
    }

    /// Keeps a ranker, whole or not at all; it is known by its digest.
    pub fn save(&self, learned: &Learned) -> io::Result<()> {
        files::keep(&self.folder, &self.path(learned.digest()), &learned.bytes())
    }

    /// The ranker of this digest, if it was made with the encoder that serves.
    ///
    /// # Errors
    /// Why it cannot answer.
    pub fn open(&self, digest: Digest, encoder: Digest) -> Result<Learned, String> {
        let path = self.path(digest);
        let unreadable = |reason: String| {
            format!(
                "its file '{}' cannot be read ({reason}): learn again",
                path.display()
            )
        };
        let bytes = fs::read(&path).map_err(|error| unreadable(error.to_string()))?;
        if Digest::of(&bytes) != digest {
            return Err(unreadable("it is not as it was kept".to_owned()));
        }
        let learned = Learned::parse(&bytes).map_err(|error| error.to_string())?;
        learned.fits(encoder).map_err(|error| error.to_string())?;
        Ok(learned)
    }

    /// Deletes the file of a ranker.
    pub fn forget(&self, digest: Digest) -> io::Result<()> {
        files::forget(&self.path(digest))
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{digest}.ranker"))
    }
}

/// The ranker that is promoted for a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankerStatus {
    /// Its digest.
    pub digest: Digest,
    /// Why it does not answer; `None` where it does.
    pub refused: Option<String>,
}

/// What answers the questions of a task.
pub(crate) struct Searching {
    pub(crate) index: Arc<Index>,
    /// The documents that are tables, by their positions.
    pub(crate) tables: Arc<Vec<(usize, Table)>>,
    pub(crate) ranker: Ranker,
    /// The digest of the ranker; `None` for the one that the binary brings.
    pub(crate) digest: Option<Digest>,
    refused: Option<RankerStatus>,
}

/// What answers, by task; replaced as a whole.
#[derive(Default)]
pub(crate) struct Rankers {
    current: RwLock<BTreeMap<String, Arc<Searching>>>,
}

impl Rankers {
    pub(crate) fn serving(&self, task: &str) -> Option<Arc<Searching>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.get(task).map(Arc::clone)
    }

    pub(crate) fn status(&self, task: &str) -> Option<RankerStatus> {
        let serving = self.serving(task)?;
        serving.refused.clone().or_else(|| {
            let digest = serving.digest?;
            Some(RankerStatus {
                digest,
                refused: None,
            })
        })
    }

    /// Gives a task what it searches, with the ranker that the binary brings.
    pub(crate) fn begin(&self, task: &Task, index: Index) {
        let tables = index.documents().iter().enumerate();
        let tables = tables.filter_map(|(at, document)| Some((at, Table::of(document)?)));
        let tables = Arc::new(tables.collect());
        let index = Arc::new(index);
        let ranker = Ranker::new(Learned::default(), &index);
        self.put(
            task,
            Searching {
                index,
                tables,
                ranker,
                digest: None,
                refused: None,
            },
        );
    }

    /// Makes `digest` the ranker of `task`, if it is not so already.
    pub(crate) fn set(
        &self,
        task: &Task,
        digest: Option<Digest>,
        files: &RankerFiles,
        encoder: Digest,
    ) {
        let Some(serving) = self.serving(&task.name) else {
            return;
        };
        if self.status(&task.name).map(|status| status.digest) == digest {
            return;
        }
        let (index, tables) = (Arc::clone(&serving.index), Arc::clone(&serving.tables));
        let (learned, refused) = match digest.map(|digest| (digest, files.open(digest, encoder))) {
            None => (Learned::default(), None),
            Some((_, Ok(learned))) => {
                tracing::info!(task = task.name, "the promoted ranker serves");
                (learned, None)
            }
            Some((digest, Err(reason))) => {
                tracing::warn!(
                    task = task.name,
                    reason,
                    "the promoted ranker does not serve"
                );
                let refused = Some(reason);
                (Learned::default(), Some(RankerStatus { digest, refused }))
            }
        };
        let digest = digest.filter(|_| refused.is_none());
        let ranker = Ranker::new(learned, &index);
        self.put(
            task,
            Searching {
                index,
                tables,
                ranker,
                digest,
                refused,
            },
        );
    }

    fn put(&self, task: &Task, searching: Searching) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.insert(task.name.clone(), Arc::new(searching));
    }
}

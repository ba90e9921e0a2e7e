use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::{fs, io};

use andon_task::certificate::Severity;
use andon_task::digest::Digest;
use andon_task::normalise::Normaliser;
use andon_task::run::{Answerer, Change, Digests, Evidence, Run, Span};
use andon_task::task::Task;

use crate::egress::Masks;
use crate::error::Error;
use crate::heads::{HeadFiles, HeadStatus};
use crate::node::Node;
use crate::run::{Asked, Outcome};

impl HeadFiles {
    /// Keeps a normaliser, whole or not at all; it is known by its digest.
    pub fn save_normaliser(&self, normaliser: &Normaliser) -> io::Result<()> {
        self.keep(
            &self.normaliser_path(normaliser.digest()),
            normaliser.bytes(),
        )
    }

    /// The normaliser of this digest.
    ///
    /// # Errors
    /// Why it cannot answer.
    pub fn normaliser(&self, digest: Digest) -> Result<Normaliser, String> {
        let path = self.normaliser_path(digest);
        let unreadable = |reason: String| {
            format!(
                "its file '{}' cannot be read ({reason}): learn again",
                path.display()
            )
        };
        let bytes = fs::read(&path).map_err(|error| unreadable(error.to_string()))?;
        let normaliser =
            Normaliser::parse(&bytes).map_err(|error| unreadable(error.to_string()))?;
        match normaliser.digest() == digest {
            true => Ok(normaliser),
            false => Err(unreadable("it is not as it was kept".to_owned())),
        }
    }
}

/// The promoted normalisers by task; replaced as a whole.
pub(crate) struct Normalisers {
    files: HeadFiles,
    current: RwLock<Arc<BTreeMap<String, Promoted>>>,
}

#[derive(Clone)]
struct Promoted {
    digest: Digest,
    normaliser: Result<Arc<Normaliser>, String>,
}

impl Normalisers {
    pub(crate) fn new(files: HeadFiles) -> Self {
        Self {
            files,
            current: RwLock::default(),
        }
    }

    fn current(&self) -> Arc<BTreeMap<String, Promoted>> {
        // A map is replaced whole: a panic elsewhere leaves nothing half-done.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn serving(&self, task: &str) -> Option<Arc<Normaliser>> {
        self.current().get(task)?.normaliser.clone().ok()
    }

    pub(crate) fn status(&self, task: &str) -> Option<HeadStatus> {
        let current = self.current();
        let promoted = current.get(task)?;
        Some(HeadStatus {
            digest: promoted.digest,
            refused: promoted.normaliser.as_ref().err().cloned(),
        })
    }

    /// All that serve; why not, where one that is promoted does not.
    pub(crate) fn masks(&self) -> Masks {
        let current = self.current();
        let of = |promoted: &Promoted| promoted.normaliser.clone();
        current.values().map(of).collect()
    }

    /// Makes `digest` the normaliser of `task`, if it is not so already.
    pub(crate) fn set(&self, task: &Task, digest: Option<Digest>) {
        let current = self.current();
        if current.get(&task.name).map(|known| known.digest) == digest {
            return;
        }
        let mut next = BTreeMap::clone(&current);
        match digest {
            None => {
                next.remove(&task.name);
                tracing::info!(task = task.name, "no normaliser is promoted any more");
            }
            Some(digest) => {
                let normaliser = self.files.normaliser(digest).map(Arc::new);
                match &normaliser {
                    Ok(_) => {
                        tracing::info!(task = task.name, %digest, "the promoted normaliser serves");
                    }
                    Err(reason) => {
                        tracing::warn!(task = task.name, %digest, reason, "the promoted normaliser does not serve");
                    }
                }
                next.insert(task.name.clone(), Promoted { digest, normaliser });
            }
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }
}

impl Node {
    /// The text in plain words, by the normaliser that is promoted.
    pub(crate) fn normalise(&self, asked: &Asked<'_>) -> Result<Run, Error> {
        let task = asked.task;
        let Some(normaliser) = self.normalisers.serving(&task.name) else {
            return Err(match self.normalisers.status(&task.name) {
                Some(HeadStatus {
                    refused: Some(reason),
                    ..
                }) => Error::Refused {
                    task: task.name.clone(),
                    reason,
                },
                _ => Error::NothingLearned(task.name.clone()),
            });
        };
        let normalised = normaliser.normalise(asked.text, &self.plant.glossary);
        let changes = normalised.tokens.into_iter().filter_map(|token| {
            let from = asked.text[token.place.clone()].to_owned();
            (from != token.target).then(|| {
                Evidence::Change(Change {
                    span: Span {
                        start: token.place.start,
                        end: token.place.end,
                    },
                    from,
                    to: token.target,
                    confidence: token.confidence,
                    by_glossary: token.by_glossary,
                })
            })
        });
        let outcome = Outcome {
            answer: normalised.text.into(),
            confidence: normalised.probability,
            calibrated: true,
            said: Severity::Ordinary,
            answered_by: Answerer::Normaliser,
            evidence: changes.collect(),
            digests: self.digests_of_normaliser(normaliser.digest()),
        };
        Ok(self.routed(asked, outcome))
    }

    pub(crate) fn digests_of_normaliser(&self, digest: Digest) -> Digests {
        Digests {
            head: Some(digest),
            glossary: Some(self.plant.glossary.digest()),
            policy: self.plant.policy,
            ..Digests::default()
        }
    }
}

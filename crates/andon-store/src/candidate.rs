//! Candidates: what was trained for a task, whether or not it was promoted.

use std::fmt;
use std::str::FromStr;

use andon_task::digest::Digest;
use andon_task::run::Timestamp;
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::json;
use crate::store::Store;

/// What kind of artefact is promoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A head, by its digest.
    Head,
    /// An encoder that was tuned for the task with the head on it, by the digest of
    /// the head, which names the encoder's.
    TunedEncoder,
    /// An adapter of the language model, by its digest.
    Adapter,
    /// A normaliser, by its digest.
    Normaliser,
    /// What ranks sections and picks sentences for a task that answers, by its digest.
    Ranker,
    /// A reader of an `extract` task, by its digest.
    Reader,
}

/// A word that is no kind of artefact.
#[derive(Debug)]
pub struct UnknownKind(String);

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::TunedEncoder => "tuned_encoder",
            Self::Adapter => "adapter",
            Self::Normaliser => "normaliser",
            Self::Ranker => "ranker",
            Self::Reader => "reader",
        }
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        [
            Self::Head,
            Self::TunedEncoder,
            Self::Adapter,
            Self::Normaliser,
            Self::Ranker,
            Self::Reader,
        ]
        .into_iter()
        .find(|kind| kind.name() == word)
        .ok_or_else(|| UnknownKind(word.to_owned()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no kind of artefact", self.0)
    }
}

impl std::error::Error for UnknownKind {}

/// What was trained for a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The task.
    pub task: String,
    /// What kind of artefact it is.
    pub kind: Kind,
    /// The artefact.
    pub digest: Digest,
    /// When it was trained.
    pub at: Timestamp,
    /// What was measured.
    pub figures: Value,
}

impl Store {
    /// Keeps what is known of a candidate, in place of what was known before.
    pub fn insert_candidate(&self, candidate: &Candidate) -> Result<(), Error> {
        let figures = json::encode("figures", &candidate.figures)?;
        let candidate = candidate.clone();
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO candidate (task, kind, digest, at, figures) VALUES (?, ?, ?, ?, ?)
                     ON CONFLICT (task, digest)
                     DO UPDATE SET at = excluded.at, figures = excluded.figures",
                )?
                .execute(params![
                    candidate.task,
                    candidate.kind.name(),
                    candidate.digest.to_string(),
                    candidate.at.0,
                    figures,
                ])?;
            Ok(())
        })
    }

    /// The candidates of a task, newest first.
    pub fn candidates(&self, task: &str) -> Result<Vec<Candidate>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT task, kind, digest, at, figures FROM candidate
                 WHERE task = ? ORDER BY at DESC, id DESC",
            )?;
            let candidates = statement.query_map([task], read)?;
            Ok(candidates.collect::<Result<_, _>>()?)
        })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Candidate> {
    Ok(Candidate {
        task: row.get("task")?,
        kind: json::parse(row, "kind")?,
        digest: json::parse(row, "digest")?,
        at: Timestamp(row.get("at")?),
        figures: json::decode(row, "figures")?,
    })
}

//! Candidates: what was trained for a task, whether or not it was promoted.

use std::fmt;
use std::str::FromStr;

use andon_task::audit::Act;
use andon_task::digest::Digest;
use andon_task::run::Timestamp;
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::audit;
use crate::error::Error;
use crate::json;
use crate::promotion;
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

/// A candidate that is no more, and whose files nobody needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// What kind of artefact it was.
    pub kind: Kind,
    /// The artefact.
    pub digest: Digest,
}

impl Store {
    /// Forgets the candidates of a task but for its `kept` newest, what serves, and what as
    /// many rollbacks lead to. Those that are no candidates of another task either.
    pub fn forget_candidates(
        &self,
        task: &str,
        kept: usize,
        at: Timestamp,
        by: Option<&str>,
    ) -> Result<Vec<Forgotten>, Error> {
        if self
            .read(|connection| Ok(superseded(connection, task, kept)?))?
            .is_empty()
        {
            return Ok(Vec::new());
        }
        let task = task.to_owned();
        let by = by.map(str::to_owned);
        self.write_audited(move |connection| {
            let old = superseded(connection, &task, kept)?;
            let mut forgotten = Vec::new();
            for (id, one) in &old {
                connection
                    .prepare_cached("DELETE FROM candidate WHERE id = ?")?
                    .execute([id])?;
                let is_elsewhere = connection
                    .prepare_cached("SELECT 1 FROM candidate WHERE digest = ?")?
                    .exists([one.digest.to_string()])?;
                if !is_elsewhere {
                    forgotten.push(*one);
                }
            }
            let named = old.iter().map(
                |(_, one)| serde_json::json!({ "kind": one.kind.name(), "digest": one.digest }),
            );
            let detail = serde_json::json!({
                "task": task,
                "candidates": named.collect::<Vec<_>>(),
            });
            let act = Act::CandidatesForgotten;
            let row = audit::append(connection, act, by.as_deref(), at, &detail)?;
            Ok((forgotten, row))
        })
    }

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

/// The candidates of a task that neither serve, nor are led to by so many rollbacks, nor are
/// among as many newest.
fn superseded(
    connection: &Connection,
    task: &str,
    kept: usize,
) -> rusqlite::Result<Vec<(i64, Forgotten)>> {
    let mut needed: Vec<Digest> = Vec::new();
    let mut next = promotion::current(connection, task)?;
    while let Some(promotion) = next {
        needed.push(promotion.digest);
        next = match promotion.previous.filter(|_| needed.len() <= kept) {
            Some(previous) => promotion::numbered(connection, task, previous)?,
            None => None,
        };
    }
    let mut statement = connection.prepare_cached(
        "SELECT id, kind, digest FROM candidate WHERE task = ? ORDER BY at DESC, id DESC",
    )?;
    let candidates = statement.query_map([task], |row| {
        let forgotten = Forgotten {
            kind: json::parse(row, "kind")?,
            digest: json::parse(row, "digest")?,
        };
        Ok((row.get("id")?, forgotten))
    })?;
    let candidates: Vec<_> = candidates.collect::<Result<_, _>>()?;
    let old = candidates.into_iter().skip(kept);
    Ok(old
        .filter(|(_, one)| !needed.contains(&one.digest))
        .collect())
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

//! Promotions: what serves a task, and what served it before. Rows are only added,
//! so the history stays whole.

use andon_task::audit::Act;
use andon_task::digest::Digest;
use andon_task::run::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Value, json};

use crate::audit::{self, AuditId};
use crate::candidate::Kind;
use crate::error::{Error, Fault};
use crate::json as text;
use crate::store::Store;

const SELECT: &str = "SELECT id, task, kind, digest, at, promoted_by, figures, previous, restores
     FROM promotion WHERE task = ?";

/// An artefact made current for a task, by promotion or by rollback.
#[derive(Clone, Debug, PartialEq)]
pub struct Promotion {
    /// Its number, in order of promotion.
    pub id: i64,
    /// The task.
    pub task: String,
    /// What kind of artefact it is.
    pub kind: Kind,
    /// The artefact.
    pub digest: Digest,
    /// When it was made current.
    pub at: Timestamp,
    /// Who made it current, as far as they gave a name.
    pub by: Option<String>,
    /// What was measured before it was first promoted.
    pub figures: Value,
    /// The promotion that a rollback of this one restores.
    pub previous: Option<i64>,
    /// The promotion that this one restored, if it is a rollback.
    pub restores: Option<i64>,
}

impl Store {
    /// Makes a head current for `task`.
    pub fn promote(
        &self,
        task: &str,
        head: Digest,
        at: Timestamp,
        figures: Value,
    ) -> Result<Promotion, Error> {
        self.promote_as(task, (Kind::Head, head), at, None, figures)
    }

    /// Makes an artefact of any kind current for `task`, in the name of `by`.
    pub fn promote_as(
        &self,
        task: &str,
        (kind, digest): (Kind, Digest),
        at: Timestamp,
        by: Option<&str>,
        figures: Value,
    ) -> Result<Promotion, Error> {
        let task = task.to_owned();
        let by = by.map(str::to_owned);
        self.write_audited(move |connection| {
            let promotion = Promotion {
                id: 0,
                task: task.clone(),
                kind,
                digest,
                at,
                by: by.clone(),
                figures: figures.clone(),
                previous: current(connection, &task)?.map(|current| current.id),
                restores: None,
            };
            insert(connection, Act::Promotion, promotion)
        })
    }

    /// What is current for `task`.
    pub fn promoted(&self, task: &str) -> Result<Option<Promotion>, Error> {
        self.read(|connection| Ok(current(connection, task)?))
    }

    /// All promotions of `task`, newest first; the first is current.
    pub fn promotions(&self, task: &str) -> Result<Vec<Promotion>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!("{SELECT} ORDER BY id DESC"))?;
            let promotions = statement.query_map([task], read)?;
            Ok(promotions.collect::<Result<_, _>>()?)
        })
    }

    /// Makes current again what was so before, in the name of `by`. Rolling back
    /// twice goes back two promotions.
    pub fn rollback(
        &self,
        task: &str,
        at: Timestamp,
        by: Option<&str>,
    ) -> Result<Promotion, Error> {
        let task = task.to_owned();
        let by = by.map(str::to_owned);
        self.write_audited(move |connection| {
            let restores = current(connection, &task)?
                .and_then(|current| current.previous)
                .ok_or_else(|| Error::NothingToRollBack(task.clone()))?;
            let restored = connection
                .prepare_cached(&format!("{SELECT} AND id = ?"))?
                .query_row(params![task, restores], read)?;
            // What the restored promotion would lead back to, this one does too.
            let promotion = Promotion {
                at,
                by: by.clone(),
                restores: Some(restores),
                ..restored
            };
            insert(connection, Act::Rollback, promotion)
        })
    }
}

pub(crate) fn current(connection: &Connection, task: &str) -> rusqlite::Result<Option<Promotion>> {
    connection
        .prepare_cached(&format!("{SELECT} ORDER BY id DESC LIMIT 1"))?
        .query_row([task], read)
        .optional()
}

/// The promotion of a task that has a number.
pub(crate) fn numbered(
    connection: &Connection,
    task: &str,
    id: i64,
) -> rusqlite::Result<Option<Promotion>> {
    connection
        .prepare_cached(&format!("{SELECT} AND id = ?"))?
        .query_row(params![task, id], read)
        .optional()
}

fn insert(
    connection: &Connection,
    act: Act,
    mut promotion: Promotion,
) -> Result<(Promotion, AuditId), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO promotion
                 (task, kind, digest, at, promoted_by, figures, previous, restores)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            promotion.task,
            promotion.kind.name(),
            promotion.digest.to_string(),
            promotion.at.0,
            promotion.by,
            text::encode("figures", &promotion.figures)?,
            promotion.previous,
            promotion.restores,
        ])?;
    promotion.id = connection.last_insert_rowid();
    let detail = json!({
        "task": promotion.task,
        "kind": promotion.kind.name(),
        "digest": promotion.digest,
        "promotion": promotion.id,
        "previous": promotion.previous,
        "restores": promotion.restores,
    });
    let row = audit::append(
        connection,
        act,
        promotion.by.as_deref(),
        promotion.at,
        &detail,
    )?;
    Ok((promotion, row))
}

fn read(row: &Row<'_>) -> rusqlite::Result<Promotion> {
    Ok(Promotion {
        id: row.get("id")?,
        task: row.get("task")?,
        kind: text::parse(row, "kind")?,
        digest: text::parse(row, "digest")?,
        at: Timestamp(row.get("at")?),
        by: row.get("promoted_by")?,
        figures: text::decode(row, "figures")?,
        previous: row.get("previous")?,
        restores: row.get("restores")?,
    })
}

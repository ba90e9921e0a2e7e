//! The audit log: rows that are only added, chained by their hashes, and beside the
//! database checkpoints and a head that are signed with a key outside it.
//!
//! A row of an act that changes the database is written in the transaction of the
//! change. [`Store::append_audit`] is for acts outside it, such as sending something.

use andon_task::audit::{Act, BEGINNING, Checkpoint, Entry, Finding, Inspection};
use andon_task::digest::Digest;
use andon_task::run::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Fault};
use crate::json;
use crate::listing::{Page, Selection};
use crate::store::Store;

mod seal;

pub(crate) use seal::Seal;

/// Who acted where nobody gave a name.
const NOBODY: &str = "unnamed";

/// The number of a row of the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditId(pub i64);

/// Which rows to list. The default lists all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only rows of this act.
    pub act: Option<Act>,
    /// Only rows from this time on.
    pub since: Option<Timestamp>,
}

/// What an inspection of the whole log found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspected {
    /// The number of the last row.
    pub rows: i64,
    /// Checkpoints that the rows were compared with.
    pub checkpoints: usize,
    /// The last row that a checkpoint or the head speaks for. Rows after it could be taken away
    /// unseen.
    pub sealed: i64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl Store {
    /// Adds a row to the audit log. It is on disk when this returns. `detail` must not
    /// hold the text of a record: rows are kept for years.
    pub fn append_audit(
        &self,
        act: Act,
        who: &str,
        at: Timestamp,
        detail: Value,
    ) -> Result<AuditId, Error> {
        let who = who.to_owned();
        self.write_audited(move |connection| {
            let row = append(connection, act, Some(&who), at, &detail)?;
            Ok((row, row))
        })
    }

    /// The newest row of an act.
    pub fn newest_audit(&self, act: Act) -> Result<Option<Entry>, Error> {
        let filter = AuditFilter {
            act: Some(act),
            since: None,
        };
        let page = Page {
            before: None,
            limit: 1,
        };
        Ok(self.audit(&filter, page)?.pop())
    }

    /// A page of the log, newest first.
    pub fn audit(&self, filter: &AuditFilter, page: Page) -> Result<Vec<Entry>, Error> {
        let (sql, parameters) = selection(filter).page(SELECT, page);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params_from_iter(parameters), read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Signs what the log has come to, and keeps that beside the database. `None` where
    /// the log is empty.
    pub fn checkpoint_audit(&self) -> Result<Option<Checkpoint>, Error> {
        let head = self.read(|connection| Ok(head(connection)?))?;
        head.map(|head| self.seal().sign(&head)).transpose()
    }

    /// Runs `work`, which adds a row to the log, in the writer's transaction; signs the
    /// log when that is due. What was done is done even if it cannot be signed:
    /// [`Store::ready`] tells that.
    pub(crate) fn write_audited<T, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: Fn(&Connection) -> Result<(T, AuditId), Fault> + Send + 'static,
    {
        let (done, AuditId(row)) = self.write(work)?;
        let seal = self.seal();
        if seal.is_due(row) {
            seal.note(self.checkpoint_audit().map(drop));
        } else if !seal.covers(row) {
            seal.note(self.mark_audit());
        }
        Ok(done)
    }

    /// Signs the last row as the head of the log: whoever is told of a row can rely on it
    /// that the row cannot be taken away unseen.
    fn mark_audit(&self) -> Result<(), Error> {
        let head = self.read(|connection| Ok(head(connection)?))?;
        head.map_or(Ok(()), |head| self.seal().mark(&head))
    }

    /// Reads the whole log and compares it with itself, with the checkpoints beside the
    /// database, and with `kept`: lines that somebody kept elsewhere.
    pub fn inspect_audit(&self, kept: Option<&str>) -> Result<Inspected, Error> {
        let (signed, mut findings) = self.seal().checkpoints(kept)?;
        let checkpoints = signed.len();
        let sealed = signed.iter().map(|one| one.rows).max().unwrap_or(0);
        let mut inspection = Inspection::new(signed);
        self.read(|connection| {
            // In pages of the table itself: no index can hide a row.
            let mut statement = connection
                .prepare_cached("SELECT id, at, who, act, detail, hash FROM audit ORDER BY id")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let stored: String = row.get("hash")?;
                inspection.see(&read(row)?, stored.parse().ok());
            }
            Ok(())
        })?;
        let (rows, found) = inspection.end();
        findings.extend(found);
        Ok(Inspected {
            rows,
            checkpoints,
            sealed,
            findings,
        })
    }
}

const SELECT: &str = "SELECT id, at, who, act, detail FROM audit";

fn selection(filter: &AuditFilter) -> Selection {
    Selection::default()
        .only_for("act = ?", filter.act.map(|act| act.name().to_owned()))
        .only_for("at >= ?", filter.since.map(|since| since.0))
}

fn read(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: row.get("id")?,
        at: Timestamp(row.get("at")?),
        who: row.get("who")?,
        act: row.get("act")?,
        detail: row.get("detail")?,
    })
}

/// The last row.
pub(crate) struct Head {
    row: i64,
    hash: Digest,
    at: Timestamp,
}

pub(crate) fn head(connection: &Connection) -> rusqlite::Result<Option<Head>> {
    connection
        .prepare_cached("SELECT id, hash, at FROM audit ORDER BY id DESC LIMIT 1")?
        .query_row([], |row| {
            Ok(Head {
                row: row.get("id")?,
                hash: json::parse(row, "hash")?,
                at: Timestamp(row.get("at")?),
            })
        })
        .optional()
}

/// Adds a row within the transaction of what it speaks of.
pub(crate) fn append(
    connection: &Connection,
    act: Act,
    who: Option<&str>,
    at: Timestamp,
    detail: &Value,
) -> Result<AuditId, Fault> {
    let (last, previous) = head(connection)?.map_or((0, BEGINNING), |head| (head.row, head.hash));
    let entry = Entry {
        id: last + 1,
        at,
        who: who.unwrap_or(NOBODY).to_owned(),
        act: act.name().to_owned(),
        detail: json::encode("audit detail", detail)?,
    };
    let hash = entry.hash(previous);
    connection
        .prepare_cached(
            "INSERT INTO audit (id, at, who, act, detail, hash) VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            entry.id,
            entry.at.0,
            entry.who,
            entry.act,
            entry.detail,
            hash.to_string(),
        ])?;
    Ok(AuditId(entry.id))
}

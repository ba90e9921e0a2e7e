//! What people say is right. Rows are only added: who corrects an answer adds
//! another, and the newest counts.

use andon_task::audit::Act;
use andon_task::certificate::Mark;
use andon_task::digest::Digest;
use andon_task::run::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use serde_json::Value;

use crate::audit;
use crate::error::Error;
use crate::json;
use crate::record;
use crate::store::Store;

/// What a person says about a record.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAnswer {
    /// The task.
    pub task: String,
    /// The record.
    pub record: i64,
    /// The run that is answered, if there is one.
    pub run: Option<i64>,
    /// The right label or other answer; `None` where none is right.
    pub answer: Option<Value>,
    /// Who says so, as far as they give a name.
    pub by: Option<String>,
}

/// What a person said about a record, with its text.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonAnswer {
    /// Its number, in order of arrival.
    pub id: i64,
    /// The record.
    pub record: i64,
    /// The record's text.
    pub text: String,
    /// What the record's sender said of it.
    pub meta: serde_json::Value,
    /// The right label or other answer; `None` where none is right.
    pub answer: Option<Value>,
    /// Who said so, as far as they gave a name.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A spot check that a person answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpotCheck {
    /// The share of wrong answers that was promised for it.
    pub alpha: f64,
    /// Whether the answer was wrong.
    pub wrong: bool,
}

impl Store {
    /// Keeps what a person says.
    pub fn insert_answer(&self, new: NewAnswer, at: Timestamp) -> Result<i64, Error> {
        let answer = new.answer.as_ref();
        let answer = answer
            .map(|answer| json::encode("answer", answer))
            .transpose()?;
        self.write_audited(move |connection| {
            record::expect(connection, new.record)?;
            if let Some(run) = new.run {
                connection
                    .prepare_cached("SELECT 1 FROM run WHERE id = ? AND record = ? AND task = ?")?
                    .exists(params![run, new.record, new.task])?
                    .then_some(())
                    .ok_or(Error::NoRun(run))?;
            }
            connection
                .prepare_cached(
                    "INSERT INTO answer (task, record, run, answer, answered_by, at)
                     VALUES (?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![new.task, new.record, new.run, answer, new.by, at.0])?;
            let id = connection.last_insert_rowid();
            // What was said may be words of a record: its digest is enough here.
            let said = answer.as_deref();
            let detail = serde_json::json!({
                "task": new.task,
                "record": new.record,
                "run": new.run,
                "answer": id,
                "answer_sha256": said.map(|said| Digest::of(said.as_bytes())),
            });
            let row = audit::append(connection, Act::Settlement, new.by.as_deref(), at, &detail)?;
            Ok((id, row))
        })
    }

    /// The newest answer about each record of a task, in order of arrival.
    pub fn answers(&self, task: &str) -> Result<Vec<PersonAnswer>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT answer.id, record, text, meta, answer, answered_by, at
                 FROM answer JOIN record ON record.id = answer.record
                 WHERE answer.id IN
                     (SELECT max(id) FROM answer WHERE task = ? GROUP BY record)
                 ORDER BY answer.id",
            )?;
            let answers = statement.query_map([task], read)?;
            Ok(answers.collect::<Result<_, _>>()?)
        })
    }

    /// The spot checks of a certificate that people answered, in the order of their
    /// first answers; of several answers the newest counts.
    pub fn spot_checks(&self, task: &str, certificate: Digest) -> Result<Vec<SpotCheck>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT run.run ->> '$.certificate' AS mark, run.run -> '$.answer' AS said,
                        (SELECT answer FROM answer WHERE answer.record = run.record
                         AND answer.task = run.task ORDER BY id DESC LIMIT 1) AS answer
                 FROM run WHERE task = ?1 AND reason = 'spot_check'
                     AND run.run ->> '$.certificate.id' = ?2
                     AND EXISTS (SELECT 1 FROM answer
                                 WHERE answer.record = run.record AND answer.task = run.task)
                     AND run.id = (SELECT min(first.id) FROM run AS first
                                   WHERE first.record = run.record AND first.task = run.task
                                       AND first.reason = 'spot_check')
                 ORDER BY (SELECT min(id) FROM answer
                           WHERE answer.record = run.record AND answer.task = run.task)",
            )?;
            let checks = statement.query_map(params![task, certificate.to_string()], |row| {
                let mark: Mark = json::decode(row, "mark")?;
                let said: Option<Value> = json::decode(row, "said")?;
                let right: Option<Value> = json::decode_present(row, "answer")?;
                Ok(SpotCheck {
                    alpha: mark.alpha,
                    wrong: right != said,
                })
            })?;
            Ok(checks.collect::<Result<_, _>>()?)
        })
    }

    /// The newest run of a task over a record.
    pub fn newest_run(&self, task: &str, record: i64) -> Result<Option<i64>, Error> {
        self.read(|connection| {
            let id = connection
                .prepare_cached(
                    "SELECT id FROM run WHERE record = ? AND task = ? ORDER BY id DESC LIMIT 1",
                )?
                .query_row(params![record, task], |row| row.get(0))
                .optional()?;
            Ok(id)
        })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<PersonAnswer> {
    Ok(PersonAnswer {
        id: row.get("id")?,
        record: row.get("record")?,
        text: row.get("text")?,
        meta: json::decode(row, "meta")?,
        answer: json::decode_present(row, "answer")?,
        by: row.get("answered_by")?,
        at: Timestamp(row.get("at")?),
    })
}

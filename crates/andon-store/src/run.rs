//! Runs: what the tasks made of the records.

use andon_task::digest::Digest;
use andon_task::drift::Evidence;
use andon_task::route::Route;
use andon_task::run::{self, Run, Settlement, StoredRun, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use crate::certificate;
use crate::error::{Error, Fault};
use crate::json;
use crate::listing::{Page, Selection};
use crate::record;
use crate::store::Store;

/// A run with the newest answer of a person about its record.
const SELECT: &str = "SELECT id, record, created_at, run, said, answer, answered_by, said_at
     FROM (SELECT run.id, run.record, run.created_at, run.run, run.task, run.route, run.reason,
                  answer.id AS said, answer.answer, answer.answered_by, answer.at AS said_at
           FROM run LEFT JOIN answer ON answer.id =
               (SELECT max(newest.id) FROM answer AS newest
                WHERE newest.record = run.record AND newest.task = run.task))";

/// Which runs to list. The default lists all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only runs of this task.
    pub task: Option<String>,
    /// Only runs that took this route.
    pub route: Option<Route>,
    /// Leaves out runs that a person has answered.
    pub unsettled_only: bool,
}

/// What is to be told to a certificate's watch of its inputs, with a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// The number of the certificate.
    pub certificate: i64,
    /// How confident the answer is.
    pub confidence: f64,
}

impl Store {
    /// Keeps a run over a record.
    pub fn insert_run(
        &self,
        record: i64,
        created_at: Timestamp,
        run: &Run,
    ) -> Result<StoredRun, Error> {
        Ok(self.insert_observed_run(record, created_at, run, None)?.0)
    }

    /// Keeps a run over a record and, in the same transaction, tells the watch of
    /// its certificate of it. The evidence of the watch after that; `None` where
    /// there was nothing to tell: a record that is run again is no new input.
    pub fn insert_observed_run(
        &self,
        record: i64,
        created_at: Timestamp,
        run: &Run,
        observation: Option<Observation>,
    ) -> Result<(StoredRun, Option<Evidence>), Error> {
        let (short, texts) = encode(run)?;
        let task = run.task.clone();
        let (stored, evidence) = self.write(move |connection| {
            record::expect(connection, record)?;
            let evidence = match observation {
                Some(observation) if !is_run(connection, record, &task)? => {
                    certificate::observe(connection, observation)?
                }
                _ => None,
            };
            let id = insert(connection, record, created_at, &short, &texts)?;
            let stored = connection
                .prepare_cached(&format!("{SELECT} WHERE id = ?"))?
                .query_row([id], read)?;
            Ok((stored, evidence))
        })?;
        let stored = StoredRun {
            run: run.clone(),
            ..stored
        };
        Ok((stored, evidence))
    }

    /// The run of this number.
    pub fn run(&self, id: i64) -> Result<Option<StoredRun>, Error> {
        self.read(|connection| find(connection, id))
    }

    /// All runs over a record, in order of recording.
    pub fn runs_of(&self, record: i64) -> Result<Vec<StoredRun>, Error> {
        self.read(|connection| {
            connection
                .prepare_cached(&format!("{SELECT} WHERE record = ? ORDER BY id"))?
                .query_map([record], read)?
                .map(|stored| restore(connection, stored?))
                .collect()
        })
    }

    /// A page of the runs that `filter` leaves, newest first.
    pub fn runs(&self, filter: &RunFilter, page: Page) -> Result<Vec<StoredRun>, Error> {
        let route = filter.route.map(|route| match route {
            Route::Edge => "edge",
            Route::Cloud => "cloud",
            Route::Human => "human",
        });
        let mut selection = Selection::default()
            .only_for("task = ?", filter.task.clone())
            .only_for("route = ?", route.map(str::to_owned));
        if filter.unsettled_only {
            selection = selection.only("said IS NULL");
        }
        let (sql, parameters) = selection.page(SELECT, page);
        self.read(|connection| {
            connection
                .prepare_cached(&sql)?
                .query_map(params_from_iter(parameters), read)?
                .map(|stored| restore(connection, stored?))
                .collect()
        })
    }
}

pub(crate) fn find(connection: &Connection, id: i64) -> Result<Option<StoredRun>, Fault> {
    let stored = connection
        .prepare_cached(&format!("{SELECT} WHERE id = ?"))?
        .query_row([id], read)
        .optional()?;
    stored.map(|stored| restore(connection, stored)).transpose()
}

/// The JSON of a run without the long texts that it quotes, and these texts.
pub(crate) fn encode(run: &Run) -> Result<(String, Vec<(String, String)>), Error> {
    json::encode("run", run)?;
    let (short, texts) = shorten(run);
    Ok((json::encode("run", &short)?, texts))
}

/// The run with each procedure's text replaced by its digest, and these texts:
/// they are long, and many runs quote the same.
fn shorten(run: &Run) -> (Run, Vec<(String, String)>) {
    let mut run = run.clone();
    let mut texts = Vec::new();
    for evidence in &mut run.evidence {
        if let run::Evidence::Procedure(procedure) = evidence {
            let digest = Digest::of(procedure.text.as_bytes()).to_string();
            let text = std::mem::replace(&mut procedure.text, digest.clone());
            texts.push((digest, text));
        }
    }
    (run, texts)
}

/// Undoes [`shorten`].
fn restore(connection: &Connection, mut stored: StoredRun) -> Result<StoredRun, Fault> {
    for evidence in &mut stored.run.evidence {
        if let run::Evidence::Procedure(procedure) = evidence {
            procedure.text = connection
                .prepare_cached("SELECT text FROM content WHERE digest = ?")?
                .query_row([&procedure.text], |row| row.get(0))?;
        }
    }
    Ok(stored)
}

/// Whether the task was run over the record before.
fn is_run(connection: &Connection, record: i64, task: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM run WHERE record = ? AND task = ?")?
        .exists(params![record, task])
}

pub(crate) fn insert(
    connection: &Connection,
    record: i64,
    created_at: Timestamp,
    run: &str,
    texts: &[(String, String)],
) -> Result<i64, Fault> {
    for (digest, text) in texts {
        connection
            .prepare_cached(
                "INSERT INTO content (digest, text) VALUES (?, ?) ON CONFLICT DO NOTHING",
            )?
            .execute([digest, text])?;
    }
    connection
        .prepare_cached("INSERT INTO run (record, created_at, run) VALUES (?, ?, ?)")?
        .execute(params![record, created_at.0, run])?;
    Ok(connection.last_insert_rowid())
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredRun> {
    Ok(StoredRun {
        id: row.get("id")?,
        record: row.get("record")?,
        created_at: Timestamp(row.get("created_at")?),
        run: json::decode(row, "run")?,
        settled: match row.get::<_, Option<i64>>("said")? {
            None => None,
            Some(_) => Some(Settlement {
                answer: json::decode_present(row, "answer")?,
                by: row.get("answered_by")?,
                at: Timestamp(row.get("said_at")?),
            }),
        },
    })
}

//! Runs: what the tasks made of the records.

use andon_task::digest::Digest;
use andon_task::route::Route;
use andon_task::run::{Evidence, Run, StoredRun, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use crate::error::{Error, Fault};
use crate::json;
use crate::listing::{Page, Selection};
use crate::record;
use crate::store::Store;

const SELECT: &str = "SELECT id, record, created_at, run FROM run";

/// Which runs to list. The default lists all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only runs of this task.
    pub task: Option<String>,
    /// Only runs that took this route.
    pub route: Option<Route>,
}

impl Store {
    /// Keeps a run over a record.
    pub fn insert_run(
        &self,
        record: i64,
        created_at: Timestamp,
        run: &Run,
    ) -> Result<StoredRun, Error> {
        json::encode("run", run)?;
        let (short, texts) = shorten(run);
        let short = json::encode("run", &short)?;
        let id = self.write(move |connection| {
            record::expect(connection, record)?;
            insert(connection, record, created_at, &short, &texts)
        })?;
        Ok(StoredRun {
            id,
            record,
            created_at,
            run: run.clone(),
        })
    }

    /// The run of this number.
    pub fn run(&self, id: i64) -> Result<Option<StoredRun>, Error> {
        self.read(|connection| {
            let stored = connection
                .prepare_cached(&format!("{SELECT} WHERE id = ?"))?
                .query_row([id], read)
                .optional()?;
            stored.map(|stored| restore(connection, stored)).transpose()
        })
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
        let (sql, parameters) = Selection::default()
            .only_for("task = ?", filter.task.clone())
            .only_for("route = ?", route.map(str::to_owned))
            .page(SELECT, page);
        self.read(|connection| {
            connection
                .prepare_cached(&sql)?
                .query_map(params_from_iter(parameters), read)?
                .map(|stored| restore(connection, stored?))
                .collect()
        })
    }
}

/// The run with each procedure's text replaced by its digest, and these texts:
/// they are long, and many runs quote the same.
fn shorten(run: &Run) -> (Run, Vec<(String, String)>) {
    let mut run = run.clone();
    let mut texts = Vec::new();
    for evidence in &mut run.evidence {
        if let Evidence::Procedure(procedure) = evidence {
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
        if let Evidence::Procedure(procedure) = evidence {
            procedure.text = connection
                .prepare_cached("SELECT text FROM content WHERE digest = ?")?
                .query_row([&procedure.text], |row| row.get(0))?;
        }
    }
    Ok(stored)
}

fn insert(
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
    })
}

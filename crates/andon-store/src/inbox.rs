//! What waits for a person.

use andon_task::run::StoredRun;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::error::{Error, Fault};
use crate::run;
use crate::store::Store;

/// Which runs of those that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboxFilter {
    /// Only runs of these tasks; `None`: of all.
    pub tasks: Option<Vec<String>>,
    /// Only runs with a smaller number.
    pub before: Option<i64>,
}

/// A run that waits for a person, with the text that it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// The run: the newest of its task over its record.
    pub run: StoredRun,
    /// The record's text.
    pub text: String,
    /// The asset that it is about.
    pub asset: Option<String>,
}

/// Left to a person, not answered by one, and not overtaken by a later run.
const CONDITION: &str = "run.route = 'human'
     AND NOT EXISTS (SELECT 1 FROM answer
                     WHERE answer.record = run.record AND answer.task = run.task)
     AND NOT EXISTS (SELECT 1 FROM run AS later
                     WHERE later.record = run.record AND later.task = run.task
                       AND later.id > run.id)";

impl Store {
    /// The newest `limit` runs that wait for a person, newest first.
    pub fn inbox(&self, filter: &InboxFilter, limit: usize) -> Result<Vec<Waiting>, Error> {
        let (condition, mut parameters) = condition(filter);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        parameters.push(limit.into());
        let sql = format!(
            "SELECT run.id, record.text, record.asset
             FROM run JOIN record ON record.id = run.record
             WHERE {condition} ORDER BY run.id DESC LIMIT ?"
        );
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params_from_iter(parameters), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
            rows.map(|row| waiting(connection, row?)).collect()
        })
    }

    /// How many runs wait for a person.
    pub fn inbox_size(&self, filter: &InboxFilter) -> Result<u64, Error> {
        let (condition, parameters) = condition(filter);
        let sql = format!("SELECT count(*) FROM run WHERE {condition}");
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let count: i64 = statement.query_row(params_from_iter(parameters), |row| row.get(0))?;
            Ok(count.unsigned_abs())
        })
    }
}

fn condition(filter: &InboxFilter) -> (String, Vec<Value>) {
    let mut condition = CONDITION.to_owned();
    let mut parameters = Vec::new();
    if let Some(before) = filter.before {
        condition.push_str(" AND run.id < ?");
        parameters.push(before.into());
    }
    if let Some(tasks) = &filter.tasks {
        let marks = vec!["?"; tasks.len()].join(", ");
        condition.push_str(&format!(" AND run.task IN ({marks})"));
        parameters.extend(tasks.iter().cloned().map(Value::from));
    }
    (condition, parameters)
}

fn waiting(
    connection: &Connection,
    (id, text, asset): (i64, String, Option<String>),
) -> Result<Waiting, Fault> {
    let run = run::find(connection, id)?.ok_or(Error::NoRun(id))?;
    Ok(Waiting { run, text, asset })
}

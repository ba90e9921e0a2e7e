//! Runs counted as they come: what `/metrics` and the account of costs read, whatever
//! the number of runs.

use andon_task::run::Timestamp;
use rusqlite::params;

use crate::error::Error;
use crate::store::Store;

const DAY_MS: i64 = 86_400_000;

/// The runs of a task that took one route for one reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    /// The task.
    pub task: String,
    /// `edge`, `cloud` or `human`.
    pub route: String,
    /// Why, as a run says it.
    pub reason: String,
    /// How many.
    pub runs: u64,
    /// The time to all their answers, in milliseconds.
    pub took_ms: f64,
    /// Bytes of all their texts.
    pub input_bytes: u64,
    /// Bytes of all their answers.
    pub answer_bytes: u64,
}

/// What one upstream has had.
#[derive(Clone, Debug, PartialEq)]
pub struct Spent {
    /// The upstream, by its name in the plant.
    pub upstream: String,
    /// Calls that it settled.
    pub calls: u64,
    /// Tokens, as far as it counted them.
    pub tokens: u64,
    /// What they cost, as far as that is known.
    pub cost: f64,
}

fn day_of(since: Option<Timestamp>) -> i64 {
    since.map_or(i64::MIN, |since| since.0.div_euclid(DAY_MS))
}

impl Store {
    /// The runs since the beginning of the day (UTC) of `since`; all of them without it.
    pub fn tallies(&self, since: Option<Timestamp>) -> Result<Vec<Tally>, Error> {
        let day = day_of(since);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT task, route, reason, sum(runs) AS runs, sum(took_ms) AS took_ms,
                        sum(input_bytes) AS input_bytes, sum(answer_bytes) AS answer_bytes
                 FROM tally WHERE day >= ? GROUP BY task, route, reason
                 ORDER BY task, runs DESC, route, reason",
            )?;
            let tallies = statement.query_map(params![day], |row| {
                let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
                Ok(Tally {
                    task: row.get("task")?,
                    route: row.get("route")?,
                    reason: row.get("reason")?,
                    runs: count("runs")?,
                    took_ms: row.get("took_ms")?,
                    input_bytes: count("input_bytes")?,
                    answer_bytes: count("answer_bytes")?,
                })
            })?;
            Ok(tallies.collect::<Result<_, _>>()?)
        })
    }

    /// What upstreams have had since the beginning of the day (UTC) of `since`.
    pub fn spent(&self, since: Option<Timestamp>) -> Result<Vec<Spent>, Error> {
        let day = day_of(since);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT upstream, sum(calls) AS calls, sum(tokens) AS tokens, sum(cost) AS cost
                 FROM spent WHERE day >= ? GROUP BY upstream ORDER BY upstream",
            )?;
            let spent = statement.query_map(params![day], |row| {
                Ok(Spent {
                    upstream: row.get("upstream")?,
                    calls: row.get::<_, i64>("calls")?.unsigned_abs(),
                    tokens: row.get::<_, i64>("tokens")?.unsigned_abs(),
                    cost: row.get("cost")?,
                })
            })?;
            Ok(spent.collect::<Result<_, _>>()?)
        })
    }
}

//! What was measured of upstreams.

use andon_task::audit::Act;
use andon_task::run::Timestamp;
use andon_task::worth::Measure;
use rusqlite::params;
use serde_json::json;

use crate::audit;
use crate::error::Error;
use crate::json;
use crate::store::Store;

impl Store {
    /// Keeps what was measured of an upstream for a task, in the name of `by`: it changes
    /// what is sent, so it is an act.
    pub fn insert_measure(
        &self,
        measure: &Measure,
        at: Timestamp,
        by: Option<&str>,
    ) -> Result<(), Error> {
        let text = json::encode("measure", measure)?;
        let by = by.map(str::to_owned);
        let measure = measure.clone();
        self.write_audited(move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO upstream_measure (task, upstream, at, measure)
                     VALUES (?, ?, ?, ?)",
                )?
                .execute(params![measure.task, measure.upstream, at.0, text])?;
            let detail = json!({
                "task": measure.task,
                "upstream": measure.upstream,
                "worth": measure.worth(),
                "uncertain": measure.uncertain,
            });
            let act = Act::UpstreamMeasured;
            let row = audit::append(connection, act, by.as_deref(), at, &detail)?;
            Ok(((), row))
        })
    }

    /// The newest measure of each task and upstream.
    pub fn measures(&self) -> Result<Vec<Measure>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT measure FROM upstream_measure
                 WHERE id IN (SELECT max(id) FROM upstream_measure GROUP BY task, upstream)
                 ORDER BY id",
            )?;
            let measures = statement.query_map([], |row| json::decode(row, "measure"))?;
            Ok(measures.collect::<Result<_, _>>()?)
        })
    }
}

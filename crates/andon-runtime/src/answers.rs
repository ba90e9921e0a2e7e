//! What people say is right: it settles runs, becomes examples and is the evidence
//! of spot checks.

use andon_store::{NewAnswer, PersonAnswer};
use andon_task::run::StoredRun;
use andon_task::task::{Kind, Task};
use serde_json::Value;

use crate::error::Error;
use crate::node::Node;

/// The longest name of a person.
const MAX_NAME: usize = 200;

impl Node {
    /// Keeps the right answer of a run, as a person gives it: one of the task's
    /// labels or what another kind of task answers with, or `None` where nothing is right. It is on disk when this
    /// returns. Another answer to the same run corrects it.
    pub fn settle(
        &self,
        run: i64,
        answer: Option<&Value>,
        by: Option<&str>,
    ) -> Result<StoredRun, Error> {
        let stored = self.run_of(run)?;
        let task = self.task(&stored.run.task)?;
        self.keep_answer(task, (stored.record, Some(run)), answer, by)?;
        self.run_of(run)
    }

    /// Keeps the right answer about a record that was taken in; the newest run of
    /// the task over it is settled.
    pub fn label_record(
        &self,
        task: &str,
        record: i64,
        answer: Option<&Value>,
        by: Option<&str>,
    ) -> Result<(), Error> {
        let task = self.task(task)?;
        self.record(record)?;
        let run = self.store.newest_run(&task.name, record)?;
        self.keep_answer(task, (record, run), answer, by)
    }

    /// What people said about the records of a task, the newest of each record.
    pub fn answers(&self, task: &str) -> Result<Vec<PersonAnswer>, Error> {
        Ok(self.store.answers(&self.task(task)?.name)?)
    }

    fn keep_answer(
        &self,
        task: &Task,
        (record, run): (i64, Option<i64>),
        answer: Option<&Value>,
        by: Option<&str>,
    ) -> Result<(), Error> {
        if let (Some(answer), Kind::Decide(labels)) = (answer, &task.kind) {
            let label = answer.as_str();
            if label.is_none_or(|label| labels.position(label).is_none()) {
                let label = label.map_or_else(|| answer.to_string(), str::to_owned);
                return Err(Error::UnknownLabel {
                    task: task.name.clone(),
                    label: label.chars().take(100).collect(),
                });
            }
        }
        if by.is_some_and(|by| by.trim().is_empty() || by.len() > MAX_NAME) {
            return Err(Error::Name);
        }
        let answer = NewAnswer {
            task: task.name.clone(),
            record,
            run,
            answer: answer.cloned(),
            by: by.map(str::to_owned),
        };
        self.store.insert_answer(answer, self.now())?;
        self.heed_spot_checks(&task.name)
    }
}

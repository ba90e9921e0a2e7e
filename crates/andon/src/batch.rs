//! Tasks over every row of a table.

pub(crate) mod documents;
pub(crate) mod input;
pub(crate) mod journal;
pub(crate) mod output;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use andon_runtime::{Error, Node, Taken};
use andon_store::{Page, RecordFilter};
use andon_task::engine::Terms;
use andon_task::mapping::Columns;
use andon_task::run::{NewRecord, Record, StoredRun};
use andon_task::task::{Class, Task};
use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::progress::Progress;
use input::Table;
use journal::{Journal, Key, Made};
use output::Form;

/// Rows that are at work at once: while one waits for the disk, others compute.
const AT_ONCE: usize = 8;
/// The newest records among which those of an interrupted batch are looked for.
const LOOKED_BACK: usize = 1_000;
/// What names a batch in the metadata of its records.
const BATCH: &str = "batch";

/// What came of a batch.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// Where the results are.
    pub(crate) out: PathBuf,
    /// Rows of the table.
    pub(crate) rows: usize,
    /// Rows that an earlier process had done.
    pub(crate) done_before: usize,
    /// Rows that a task did not answer.
    pub(crate) failed: usize,
    /// Answers by task and route.
    pub(crate) routes: BTreeMap<String, BTreeMap<String, usize>>,
    /// How long this process took.
    pub(crate) took_s: f64,
}

/// A batch that is ready to run.
pub(crate) struct Batch<'a> {
    table: Table,
    columns: Columns,
    tasks: Vec<&'a Task>,
    name: String,
    out: PathBuf,
    form: Form,
    journal: Journal,
}

impl<'a> Batch<'a> {
    /// A batch over a table of this file name. What was done of it before is known.
    pub(crate) fn prepare(
        (table, name): (Table, String),
        columns: Columns,
        tasks: Vec<&'a Task>,
        out: &Path,
    ) -> anyhow::Result<Self> {
        let form = Form::of(out, table.rows.len())?;
        if out.exists() {
            bail!(
                "'{}' is there already: remove it, or name another",
                out.display()
            );
        }
        let key = Key {
            input: table.digest,
            tasks: tasks.iter().map(|task| task.name.clone()).collect(),
            columns: (columns.text.clone(), columns.asset, columns.meta.clone()),
        };
        let mut part = out.as_os_str().to_owned();
        part.push(".part");
        let journal = Journal::open(Path::new(&part), &key)?;
        Ok(Self {
            table,
            columns,
            tasks,
            name,
            out: out.to_owned(),
            form,
            journal,
        })
    }

    /// Runs the tasks over every row that is not done, then writes the results.
    ///
    /// # Errors
    /// Where the store or the disk fails; what was done is kept, and the same command goes
    /// on from there. What is wrong with a row alone stands in its results.
    pub(crate) fn run(mut self, node: &Node) -> anyhow::Result<Summary> {
        let began = Instant::now();
        let done_before = self.journal.done.len();
        let is_new = |row: &usize| !self.journal.done.contains_key(row);
        let rows: Vec<usize> = (0..self.table.rows.len()).filter(is_new).collect();
        let progress = Progress::of_parts(&self.name, self.table.rows.len());
        progress.reach(done_before as u64);
        if done_before > 0 {
            progress.note(&format!(
                "{}: {done_before} of {} rows were done before",
                self.name,
                self.table.rows.len()
            ));
        }
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (table, columns, tasks, name) = (&self.table, &self.columns, &self.tasks, &self.name);
        let batch = self.journal.name.clone();
        let known = known(node, &batch)?;
        let (batch, known) = (batch.as_str(), &known);
        let journal = &mut self.journal;
        std::thread::scope(|scope| {
            let (made, receiver) = mpsc::sync_channel(2 * AT_ONCE);
            for _ in 0..AT_ONCE {
                let (made, rows, next, stop) = (made.clone(), &rows, &next, &stop);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let Some(&row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) else {
                            return;
                        };
                        let outcome = match (known.get(&row), record(table, columns, (row, name))) {
                            (Some(&id), _) => go_on(node, tasks, id),
                            (None, Ok(mut record)) => {
                                record.meta[BATCH] = batch.into();
                                perform(node, tasks, record)
                            }
                            (None, Err(error)) => {
                                Ok(vec![Made::Error(format!("{error:#}")); tasks.len()])
                            }
                        };
                        if made.send((row, outcome)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(made);
            for (row, outcome) in receiver {
                let kept = outcome
                    .with_context(|| format!("row {}", row + 1))
                    .and_then(|made| journal.keep(row, made));
                if let Err(error) = kept {
                    stop.store(true, Ordering::Relaxed);
                    return Err(
                        error.context("the batch is not finished; the same command goes on")
                    );
                }
                progress.reach(journal.done.len() as u64);
            }
            Ok(())
        })?;
        drop(progress);
        output::write(
            &self.out,
            self.form,
            &self.table,
            &self.tasks,
            &self.journal.done,
        )?;
        let summary = self.summary(done_before, began);
        self.journal.remove()?;
        Ok(summary)
    }

    fn summary(&self, done_before: usize, began: Instant) -> Summary {
        let mut routes: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        let mut failed = 0;
        for made in self.journal.done.values() {
            failed += usize::from(made.iter().any(|made| matches!(made, Made::Error(_))));
            for (task, made) in self.tasks.iter().zip(made) {
                if let Made::Run { route, .. } = made {
                    let route = crate::command::word(route);
                    let of = routes.entry(task.name.clone()).or_default();
                    *of.entry(route).or_default() += 1;
                }
            }
        }
        Summary {
            out: self.out.clone(),
            rows: self.table.rows.len(),
            done_before,
            failed,
            routes,
            took_s: began.elapsed().as_secs_f64(),
        }
    }
}

/// The record that a row is.
///
/// # Errors
/// If the row is a document that cannot be read.
pub(crate) fn record(
    table: &Table,
    columns: &Columns,
    (row, name): (usize, &str),
) -> anyhow::Result<NewRecord> {
    let cells = &table.rows[row];
    let filled = |&column: &usize| Some(cells[column].trim()).filter(|cell| !cell.is_empty());
    let mut meta = Map::new();
    let text = match &table.folder {
        Some(folder) => {
            meta.insert(documents::FILE.to_owned(), cells[0].as_str().into());
            meta.insert("row".to_owned(), (row + 1).into());
            documents::text(&folder.join(&cells[0]))?
        }
        None => {
            meta.insert("file".to_owned(), name.into());
            meta.insert("row".to_owned(), (row + 1).into());
            let text: Vec<&str> = columns.text.iter().filter_map(filled).collect();
            text.join("\n")
        }
    };
    for &column in &columns.meta {
        meta.insert(table.columns[column].clone(), cells[column].as_str().into());
    }
    Ok(NewRecord {
        text,
        asset: columns.asset.as_ref().and_then(filled).map(str::to_owned),
        meta: Value::Object(meta),
    })
}

/// The records that a batch has already though its journal does not say so: those at work
/// when an earlier process ended. By row, with their numbers.
fn known(node: &Node, batch: &str) -> anyhow::Result<BTreeMap<usize, i64>> {
    let newest = Page {
        before: None,
        limit: LOOKED_BACK,
    };
    let records = node.records(&RecordFilter::default(), newest);
    let records = records.context("cannot read the records")?;
    let own = records.iter().filter(|record| record.meta[BATCH] == batch);
    let row = |record: &Record| usize::try_from(record.meta["row"].as_u64()?.checked_sub(1)?).ok();
    Ok(own
        .filter_map(|record| Some((row(record)?, record.id)))
        .collect())
}

/// What the tasks have made of a record that is kept already, and what they make of it now.
fn go_on(node: &Node, tasks: &[&Task], id: i64) -> Result<Vec<Made>, Error> {
    let runs = node.runs_of(id)?;
    let made = tasks.iter().map(|task| {
        let mut runs = runs.iter().rev();
        match runs.find(|stored| stored.run.task == task.name) {
            Some(stored) => Ok(Made::from(stored.clone())),
            None => made_of(node, task, &node.recall(id)?),
        }
    });
    made.collect()
}

/// What the tasks make of a record; an error is one that others would meet as well.
fn perform(node: &Node, tasks: &[&Task], record: NewRecord) -> Result<Vec<Made>, Error> {
    let taken = match node.take_in(record) {
        Ok(taken) => taken,
        Err(error) => return Ok(vec![refused(error)?; tasks.len()]),
    };
    let made = tasks.iter().map(|task| made_of(node, task, &taken));
    made.collect()
}

fn made_of(node: &Node, task: &Task, taken: &Taken) -> Result<Made, Error> {
    match node.run(&task.name, taken, &Terms::of(Class::Batch)) {
        Ok(stored) => Ok(Made::from(stored)),
        Err(error) => refused(error),
    }
}

fn refused(error: Error) -> Result<Made, Error> {
    match error {
        Error::Store(_) => Err(error),
        error => Ok(Made::Error(error.to_string())),
    }
}

impl From<StoredRun> for Made {
    fn from(stored: StoredRun) -> Self {
        Self::Run {
            run: stored.id,
            answer: stored.run.answer,
            also: stored.run.also,
            probability: stored.run.probability,
            route: stored.run.route,
            reason: stored.run.reason,
        }
    }
}

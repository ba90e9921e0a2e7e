//! `/api/records`: notes as they come in, stay open and are closed.

use andon_runtime::{Error as NodeError, Taken};
use andon_store::{Page, RecordFilter};
use andon_task::engine::Departure;
use andon_task::run::NewRecord;
use andon_task::task::Class;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::view::{FailedRun, RecordView, RunView};
use crate::access::Caller;
use crate::app::App;
use crate::asked::Asked;
use crate::error::ApiError;
use crate::extract::{Body, Path, Query, Reply};

/// The most items of a page.
pub(super) const MAX_PAGE: usize = 1000;

/// A note, and the tasks to run over it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordRequest {
    /// The note's words; at most 64 KiB.
    text: String,
    /// The asset that it is about, an id of the register.
    asset: Option<String>,
    /// Whatever else is to be kept with it: an object.
    #[serde(default)]
    meta: Value,
    /// The tasks to run over it; by default all that the caller may run.
    tasks: Option<Vec<String>>,
}

/// A record with its runs.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RecordWithRuns {
    record: RecordView,
    /// One run a task that answered.
    runs: Vec<RunView>,
    /// The tasks that did not answer. The record is kept; run them again with
    /// `POST /api/tasks/{task}/runs`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<FailedRun>,
}

/// A page of records, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RecordList {
    records: Vec<RecordView>,
}

/// Which records to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordQuery {
    /// With `true`, closed records are left out.
    open: Option<bool>,
    /// Only records about this asset.
    asset: Option<String>,
    /// Only records with a smaller number: the last of the page before.
    before: Option<i64>,
    /// At most so many, 100 by default and 1,000 at most.
    limit: Option<usize>,
}

/// The number of a record, in the path.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct RecordId {
    /// The number.
    id: i64,
}

pub(super) fn page(before: Option<i64>, limit: Option<usize>) -> Result<Page, ApiError> {
    let limit = limit.unwrap_or(100);
    if !(1..=MAX_PAGE).contains(&limit) {
        let message = format!("limit is {limit}: give 1 to {MAX_PAGE}");
        return Err(ApiError::invalid("limit", message));
    }
    Ok(Page { before, limit })
}

/// Keeps a note and runs tasks over it.
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    asked: Asked,
    Body(request): Body<RecordRequest>,
) -> Result<Reply<RecordWithRuns>, ApiError> {
    app.work(asked.class(), move |node| {
        let tasks: Vec<String> = match request.tasks {
            Some(tasks) => tasks,
            None => {
                let all = node.plant().tasks.keys();
                all.filter(|task| caller.reach(task).is_ok())
                    .cloned()
                    .collect()
            }
        };
        // A task that does not exist is the sender's mistake: nothing is kept.
        if let Some(unknown) = tasks.iter().find(|t| !node.plant().tasks.contains_key(*t)) {
            return Err(NodeError::UnknownTask(unknown.clone()).into());
        }
        tasks.iter().try_for_each(|task| caller.reach(task))?;
        let taken = node.take_in(NewRecord {
            text: request.text,
            asset: request.asset,
            meta: request.meta,
        })?;
        let (mut runs, mut failed) = (Vec::new(), Vec::new());
        for task in tasks {
            // A record is kept, and its tasks are run, even if its sender leaves.
            let class = node.task(&task)?.deadline;
            let terms = asked.or(Some(class)).terms(Departure::default());
            match node.run(&task, &taken, &terms) {
                Ok(run) => runs.push(RunView::from(run)),
                Err(error) => failed.push(failure(task, error)),
            }
        }
        let Taken { record, .. } = taken;
        Ok(Reply(RecordWithRuns {
            record: record.into(),
            runs,
            failed,
        }))
    })
    .await
}

fn failure(task: String, error: NodeError) -> FailedRun {
    let error = ApiError::from(error);
    FailedRun {
        task,
        code: error.code().to_owned(),
        message: error.message().to_owned(),
    }
}

/// Lists records, newest first.
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<RecordQuery>,
) -> Result<Reply<RecordList>, ApiError> {
    let page = page(query.before, query.limit)?;
    let filter = RecordFilter {
        open_only: query.open.unwrap_or(false),
        asset: query.asset,
    };
    app.work(Class::Person, move |node| {
        let records = node.records(&filter, page)?;
        let records = records.into_iter().map(RecordView::from).collect();
        Ok(Reply(RecordList { records }))
    })
    .await
}

/// Shows a record with all its runs.
pub(crate) async fn show(
    State(app): State<App>,
    Path(RecordId { id }): Path<RecordId>,
) -> Result<Reply<RecordWithRuns>, ApiError> {
    app.work(Class::Person, move |node| {
        let record = node.record(id)?;
        let runs = node.runs_of(id)?;
        Ok(Reply(RecordWithRuns {
            record: record.into(),
            runs: runs.into_iter().map(RunView::from).collect(),
            failed: Vec::new(),
        }))
    })
    .await
}

/// Closes a record. One that is closed stays as it is.
pub(crate) async fn close(
    State(app): State<App>,
    Path(RecordId { id }): Path<RecordId>,
) -> Result<Reply<RecordView>, ApiError> {
    app.work(Class::Person, move |node| Ok(Reply(node.close(id)?.into())))
        .await
}

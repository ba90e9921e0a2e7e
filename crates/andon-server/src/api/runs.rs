//! `/api/tasks/{task}/runs` and `/api/runs`.

use andon_store::RunFilter;
use andon_task::route::Route;
use andon_task::run::NewRecord;
use andon_task::task::Class;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::records::page;
use super::view::RunView;
use crate::access::Caller;
use crate::app::App;
use crate::asked::Asked;
use crate::error::ApiError;
use crate::extract::{Body, Path, Query, Reply};
use crate::gate::Presence;

/// What to run a task over: a new text, or a record that is kept already.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunRequest {
    /// A new text, kept as a record; at most 64 KiB.
    input: Option<String>,
    /// The asset that the text is about, an id of the register.
    asset: Option<String>,
    /// Whatever else is to be kept with the text: an object.
    #[serde(default)]
    meta: Value,
    /// The number of a record, instead of `input`.
    record: Option<i64>,
}

/// The right answer of a run, as a person gives it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerRequest {
    /// One of the task's labels, or what another kind of task answers with; null where
    /// nothing is right.
    #[serde(deserialize_with = "present")]
    #[schemars(required)]
    answer: Option<Value>,
    /// Who says so: kept with the answer, if it is given; after the name of the key,
    /// where the caller has one.
    by: Option<String>,
}

/// A field that must be there, even if it is null: who leaves the answer out has
/// forgotten it.
fn present<'de, D: serde::Deserializer<'de>>(field: D) -> Result<Option<Value>, D::Error> {
    Option::deserialize(field)
}

/// The name of a task, in the path.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct TaskName {
    /// The name.
    pub(super) task: String,
}

/// The number of a run, in the path.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct RunId {
    /// The number.
    id: i64,
}

/// A page of runs, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RunList {
    runs: Vec<RunView>,
}

/// Which runs to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunQuery {
    /// Only runs of this task.
    task: Option<String>,
    /// Only runs with this route: `edge`, `cloud` or `human`.
    #[schemars(with = "Option<String>")]
    route: Option<Route>,
    /// With `true`, only runs that no person has answered.
    unsettled: Option<bool>,
    /// Only runs with a smaller number: the last of the page before.
    before: Option<i64>,
    /// At most so many, 100 by default and 1,000 at most.
    limit: Option<usize>,
}

/// Runs a task over a text or a record. The run is on disk before it is answered.
/// The request has the class of the task's file, if its headers name none. The
/// times of the classes are what the node aims at: a run is refused or ended for
/// time only by a deadline that the request gives.
pub(crate) async fn create(
    State(app): State<App>,
    Path(TaskName { task }): Path<TaskName>,
    asked: Asked,
    Body(request): Body<RunRequest>,
) -> Result<Reply<RunView>, ApiError> {
    let asked = asked.or(Some(app.node.task(&task)?.deadline));
    let presence = Presence::new();
    let terms = asked.terms(presence.departure());
    app.work(asked.class(), move |node| {
        let taken = match (request.input, request.record) {
            (Some(text), None) => node.take_in(NewRecord {
                text,
                asset: request.asset,
                meta: request.meta,
            })?,
            (None, Some(_)) if request.asset.is_some() || !request.meta.is_null() => {
                let message = "asset and meta belong to a new input, not to a record";
                return Err(ApiError::invalid("record", message));
            }
            (None, Some(id)) => node.recall(id)?,
            _ => {
                let message = "give either input, a text, or record, a number";
                return Err(ApiError::invalid("input", message));
            }
        };
        Ok(Reply(node.run(&task, &taken, &terms)?.into()))
    })
    .await
}

/// Lists runs, newest first.
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<RunQuery>,
) -> Result<Reply<RunList>, ApiError> {
    let page = page(query.before, query.limit)?;
    if caller.tasks().is_some() {
        // A key that is held to tasks names one of them: '' is none.
        caller.reach(query.task.as_deref().unwrap_or_default())?;
    }
    let filter = RunFilter {
        task: query.task,
        route: query.route,
        unsettled_only: query.unsettled.unwrap_or(false),
    };
    app.work(Class::Person, move |node| {
        let runs = node.runs(&filter, page)?;
        let runs = runs.into_iter().map(RunView::from).collect();
        Ok(Reply(RunList { runs }))
    })
    .await
}

/// Shows one run.
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(RunId { id }): Path<RunId>,
) -> Result<Reply<RunView>, ApiError> {
    app.work(Class::Person, move |node| {
        let run = node.run_of(id)?;
        caller.reach(&run.run.task)?;
        Ok(Reply(run.into()))
    })
    .await
}

/// Keeps the right answer of a run, as a person gives it. It is on disk before this
/// is answered; it settles the run, becomes an example of the task, and is evidence
/// where the run was a spot check. Another answer corrects it.
pub(crate) async fn answer(
    State(app): State<App>,
    caller: Caller,
    Path(RunId { id }): Path<RunId>,
    Body(request): Body<AnswerRequest>,
) -> Result<Reply<RunView>, ApiError> {
    app.work(Class::Person, move |node| {
        caller.reach(&node.run_of(id)?.run.task)?;
        let by = caller.name(request.by.as_deref());
        let settled = node.settle(id, request.answer.as_ref(), by.as_deref())?;
        Ok(Reply(settled.into()))
    })
    .await
}

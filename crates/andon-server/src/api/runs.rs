//! `/api/tasks/{task}/runs` and `/api/runs`.

use andon_runtime::{Node, Taken};
use andon_store::RunFilter;
use andon_task::route::Route;
use andon_task::run::NewRecord;
use andon_task::task::Class;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::live;
use super::records::page;
use super::view::RunView;
use crate::access::Caller;
use crate::app::App;
use crate::asked::Asked;
use crate::error::ApiError;
use crate::extract::{Body, Path, Query, Reply};
use crate::gate::Presence;
use crate::openai::generation::Answered;

/// What to run a task over: a new text, or a record that is kept already.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunRequest {
    /// A new text, kept as a record; at most 64 KiB.
    input: Option<String>,
    /// A file instead of `input`, whose text is kept as a record.
    document: Option<DocumentRequest>,
    /// The asset that the text is about, an id of the register.
    asset: Option<String>,
    /// Whatever else is to be kept with the text: an object.
    #[serde(default)]
    meta: Value,
    /// The number of a record, instead of `input`.
    record: Option<i64>,
    /// With `true` the answer comes as server-sent events: `record` once the text is on disk,
    /// `sentence` for each sentence of a summary and `text` for what a language model writes,
    /// both provisional, and `run` with the run, once it is on disk; or `error`.
    #[serde(default)]
    stream: bool,
}

/// A file whose text is read here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DocumentRequest {
    /// Its name; the ending says what it is: `pdf`, `html`, `md` or `txt`.
    name: String,
    /// Its bytes, in base64.
    content: String,
}

impl RunRequest {
    /// The record that the task is run over.
    fn take_in(self, node: &Node) -> Result<Taken, ApiError> {
        let one = "give one of input, a text, document, a file, or record, a number";
        let (text, file) = match (self.input, self.document, self.record) {
            (Some(text), None, None) => (text, None),
            (None, Some(document), None) => {
                let bytes = STANDARD.decode(&document.content).map_err(|_| {
                    let message = "the content is not base64: encode the file's bytes";
                    ApiError::invalid("document.content", message)
                })?;
                (
                    node.read_document(&document.name, &bytes)?,
                    Some(document.name),
                )
            }
            (None, None, Some(id)) => {
                if self.asset.is_some() || !self.meta.is_null() {
                    let message = "asset and meta belong to a new input, not to a record";
                    return Err(ApiError::invalid("record", message));
                }
                return Ok(node.recall(id)?);
            }
            _ => return Err(ApiError::invalid("input", one)),
        };
        let meta = match (self.meta, file) {
            (Value::Null, Some(file)) => json!({ "file": file }),
            (Value::Object(mut meta), Some(file)) => {
                meta.entry("file").or_insert_with(|| file.into());
                Value::Object(meta)
            }
            (meta, _) => meta,
        };
        Ok(node.take_in(NewRecord {
            text,
            asset: self.asset,
            meta,
        })?)
    }
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
/// time only by a deadline that the request gives. With `stream` it is told as it is made.
pub(crate) async fn create(
    State(app): State<App>,
    Path(TaskName { task }): Path<TaskName>,
    asked: Asked,
    Body(request): Body<RunRequest>,
) -> Result<Answered<RunView>, ApiError> {
    let asked = asked.or(Some(app.node.task(&task)?.deadline));
    if request.stream {
        return live::streamed(&app, (task, asked), |node| request.take_in(node)).await;
    }
    let presence = Presence::new();
    let terms = asked.terms(presence.departure());
    let run = app.work(asked.class(), move |node| {
        let taken = request.take_in(node)?;
        Ok(RunView::from(node.run(&task, &taken, &terms)?))
    });
    Ok(Answered::Whole(Box::new(run.await?)))
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

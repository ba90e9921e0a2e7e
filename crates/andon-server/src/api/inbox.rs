//! `GET /api/inbox`: what waits for a person. It is answered with
//! `POST /api/runs/{id}/answer`.

use andon_runtime::{Inbox, Open, Order};
use andon_store::InboxFilter;
use andon_task::task::Class;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::records::page;
use super::view::RunView;
use crate::access::Caller;
use crate::app::App;
use crate::error::ApiError;
use crate::extract::{Query, Reply};

/// What waits for a person.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InboxView {
    /// How many runs wait in all.
    pub waiting: u64,
    /// Some of them.
    pub items: Vec<InboxItem>,
}

/// A run that waits for a person.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InboxItem {
    /// The record's text.
    pub text: String,
    /// The asset that it is about.
    pub asset: Option<String>,
    /// What the ranking gives the critical labels of the task together.
    pub critical: f64,
    /// The run, with its evidence and the model's ranking.
    pub run: RunView,
}

/// Which of those that wait.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InboxQuery {
    /// Only runs of this task.
    task: Option<String>,
    /// `urgent`, the default: those first that are likeliest critical; or `newest`.
    order: Option<String>,
    /// Only runs with a smaller number: the last of the page before, in the order
    /// `newest`.
    before: Option<i64>,
    /// At most so many, 100 by default and 1,000 at most.
    limit: Option<usize>,
}

impl From<Open> for InboxItem {
    fn from(open: Open) -> Self {
        Self {
            text: open.waiting.text,
            asset: open.waiting.asset,
            critical: open.critical,
            run: open.waiting.run.into(),
        }
    }
}

impl From<Inbox> for InboxView {
    fn from(inbox: Inbox) -> Self {
        Self {
            waiting: inbox.size,
            items: inbox.open.into_iter().map(InboxItem::from).collect(),
        }
    }
}

/// Lists the runs that are left to a person and that nobody has answered.
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<InboxQuery>,
) -> Result<Reply<InboxView>, ApiError> {
    let page = page(query.before, query.limit)?;
    let order = match query.order.as_deref() {
        None | Some("urgent") => Order::Urgent,
        Some("newest") => Order::Newest,
        Some(_) => return Err(ApiError::invalid("order", "say urgent or newest")),
    };
    let tasks = match query.task {
        Some(task) => {
            caller.reach(&task)?;
            Some(vec![task])
        }
        None => caller.tasks().map(<[String]>::to_vec),
    };
    let filter = InboxFilter {
        tasks,
        before: page.before,
    };
    app.work(Class::Person, move |node| {
        Ok(Reply(node.inbox(&filter, order, page.limit)?.into()))
    })
    .await
}

//! `GET /api/audit`: the audit log, for who administers the node.

use andon_store::AuditFilter;
use andon_task::audit::{Act, Entry};
use andon_task::task::Class;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::records::page;
use crate::app::App;
use crate::error::ApiError;
use crate::extract::{Query, Reply};

/// A page of the log, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AuditList {
    rows: Vec<AuditView>,
}

/// A row of the audit log.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AuditView {
    /// Its number: 1, 2, 3 and so on.
    pub id: i64,
    /// When, as RFC 3339 in UTC.
    pub at: String,
    /// Who.
    pub who: String,
    /// What was done.
    pub act: String,
    /// What else is to be known; it differs from act to act.
    pub detail: Value,
}

impl From<Entry> for AuditView {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            at: entry.at.to_string(),
            who: entry.who,
            act: entry.act,
            // What was tampered with may be no JSON any more: it is shown as it is.
            detail: serde_json::from_str(&entry.detail).unwrap_or(Value::String(entry.detail)),
        }
    }
}

/// Which rows to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// Only rows of this act, such as `egress` or `promotion`.
    #[schemars(with = "Option<String>")]
    act: Option<Act>,
    /// Only rows with a smaller number: the last of the page before.
    before: Option<i64>,
    /// At most so many, 100 by default and 1,000 at most.
    limit: Option<usize>,
}

/// Lists the audit log, newest first.
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<AuditQuery>,
) -> Result<Reply<AuditList>, ApiError> {
    let page = page(query.before, query.limit)?;
    let filter = AuditFilter {
        act: query.act,
        since: None,
    };
    app.work(Class::Person, move |node| {
        let rows = node.audit(&filter, page)?;
        let rows = rows.into_iter().map(AuditView::from).collect();
        Ok(Reply(AuditList { rows }))
    })
    .await
}

//! `/api/tasks/{task}/promotions` and `rollback`: what served a task, and what serves it.

use andon_store::{Kind, Promotion};
use andon_task::task::Class;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::runs::TaskName;
use crate::access::Caller;
use crate::app::App;
use crate::error::ApiError;
use crate::extract::{Path, Reply};

/// What was promoted for a task, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PromotionList {
    promotions: Vec<PromotionView>,
}

/// An artefact made current for a task.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PromotionView {
    /// Its number, in order of promotion.
    id: i64,
    /// `head`, `tuned_encoder` or `adapter`.
    #[schemars(with = "String")]
    kind: Kind,
    /// The SHA-256 of the artefact.
    digest: String,
    /// When, as RFC 3339 in UTC.
    at: String,
    /// Who made it current, as far as they gave a name.
    by: Option<String>,
    /// Whether it serves now.
    current: bool,
    /// The promotion that this one restored, if it is a rollback.
    restores: Option<i64>,
    /// The cross-validated accuracy that was measured before.
    accuracy: Option<f64>,
    /// On how many examples.
    n: Option<u64>,
}

fn view(promotion: Promotion, current: bool) -> PromotionView {
    let evaluation = &promotion.figures["evaluation"];
    PromotionView {
        accuracy: evaluation["accuracy"]["value"].as_f64(),
        n: evaluation["n"].as_u64(),
        id: promotion.id,
        kind: promotion.kind,
        digest: promotion.digest.to_string(),
        at: promotion.at.to_string(),
        by: promotion.by,
        current,
        restores: promotion.restores,
    }
}

/// Lets serve again what served a task before; twice goes back two promotions.
pub(crate) async fn roll_back(
    State(app): State<App>,
    caller: Caller,
    Path(TaskName { task }): Path<TaskName>,
) -> Result<Reply<PromotionView>, ApiError> {
    app.work(Class::Person, move |node| {
        let promotion = node.roll_back(&task, caller.name(None).as_deref())?;
        Ok(Reply(view(promotion, true)))
    })
    .await
}

/// Lists what was promoted for a task, newest first; the first serves.
pub(crate) async fn list(
    State(app): State<App>,
    Path(TaskName { task }): Path<TaskName>,
) -> Result<Reply<PromotionList>, ApiError> {
    app.work(Class::Person, move |node| {
        let promotions = node.promotions(&task)?.into_iter().enumerate();
        Ok(Reply(PromotionList {
            promotions: promotions
                .map(|(place, promotion)| view(promotion, place == 0))
                .collect(),
        }))
    })
    .await
}

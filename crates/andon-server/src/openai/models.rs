//! `GET /v1/models` and `GET /v1/models/{id}`.

use andon_task::engine::Identity;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::ApiError;
use crate::extract::{Path, Reply};

/// The models that this node serves.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ModelList {
    /// `list`.
    object: &'static str,
    data: Vec<Model>,
}

/// A model that this node serves.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Model {
    /// The name for the field `model`.
    id: String,
    /// `model`.
    object: &'static str,
    /// Always 0: a file does not say when it was made.
    created: i64,
    /// `andon`.
    owned_by: &'static str,
    /// The SHA-256 digest of the model file, taken while it was loaded.
    digest: String,
    /// The most tokens that a prompt and its answer may have together.
    context_tokens: usize,
    /// What it is for: `language` or `encoder`.
    kind: &'static str,
}

/// The name of a model, in the path.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ModelId {
    /// The name.
    id: String,
}

fn models(app: &App) -> Vec<Model> {
    let show = |identity: &Identity, kind| Model {
        id: identity.name.clone(),
        object: "model",
        created: 0,
        owned_by: "andon",
        digest: identity.digest.to_string(),
        context_tokens: identity.context_tokens,
        kind,
    };
    let language = app.node.language_model();
    let language = language.map(|model| show(model.model(), "language"));
    let encoder = app.node.encoder();
    let encoder = encoder.map(|model| show(model.identity(), "encoder"));
    language.into_iter().chain(encoder).collect()
}

/// Lists the models.
pub(crate) async fn list(State(app): State<App>) -> Reply<ModelList> {
    Reply(ModelList {
        object: "list",
        data: models(&app),
    })
}

/// Shows one model.
pub(crate) async fn show(
    State(app): State<App>,
    Path(ModelId { id }): Path<ModelId>,
) -> Result<Reply<Model>, ApiError> {
    models(&app)
        .into_iter()
        .find(|model| model.id == id)
        .map(Reply)
        .ok_or_else(|| ApiError::no_such_model(&id, "GET /v1/models lists what is"))
}

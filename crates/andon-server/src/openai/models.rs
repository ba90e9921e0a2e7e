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
    /// What it is: `language`, `encoder`, or `adapter` for a language model with
    /// one of its adapters.
    kind: &'static str,
    /// The model that an adapter belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
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
        parent: None,
    };
    let language = app.node.language_model().into_iter().flat_map(|model| {
        let base = show(model.model(), "language");
        let with = model.adapters().into_iter().map(|adapter| Model {
            id: format!("{}+{adapter}", model.model().name),
            parent: Some(model.model().name.clone()),
            ..show(model.model(), "adapter")
        });
        std::iter::once(base).chain(with.collect::<Vec<_>>())
    });
    let encoder = app.node.encoder();
    let encoder = encoder.map(|model| show(model.identity(), "encoder"));
    language.chain(encoder).collect()
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

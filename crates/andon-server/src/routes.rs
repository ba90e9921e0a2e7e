//! Path to handler, and nothing else.

use aide::axum::ApiRouter;
use aide::axum::routing::{get, post};

use crate::api::{audit, certificates, inbox, plant, promotions, queue, records, runs};
use crate::app::App;
use crate::decisions::{openai as decisions, systemone};
use crate::openai::{chat, completions, embeddings, models, responses};
use crate::{health, metrics, openapi, page, rerank};

pub(crate) fn routes() -> ApiRouter<App> {
    ApiRouter::new()
        .api_route("/v1/chat/completions", post(chat::create))
        .api_route("/v1/completions", post(completions::create))
        .api_route("/v1/responses", post(responses::create))
        .api_route("/v1/embeddings", post(embeddings::create))
        .api_route("/v1/rerank", post(rerank::create))
        .api_route("/v1/models", get(models::list))
        .api_route("/v1/models/{id}", get(models::show))
        .api_route("/v1/decisions", post(decisions::create))
        .api_route("/v1/systemone", post(systemone::create))
        .api_route("/api/tasks", get(plant::tasks))
        .api_route("/api/tasks/{task}/runs", post(runs::create))
        .api_route("/api/tasks/{task}/certificate", get(certificates::show))
        .api_route("/api/tasks/{task}/promotions", get(promotions::list))
        .api_route("/api/tasks/{task}/rollback", post(promotions::roll_back))
        .api_route("/api/assets", get(plant::assets))
        .api_route("/api/inbox", get(inbox::list))
        .api_route("/api/queue", get(queue::list))
        .api_route("/api/queue/{id}/retry", post(queue::retry))
        .api_route("/api/runs", get(runs::list))
        .api_route("/api/runs/{id}", get(runs::show))
        .api_route("/api/runs/{id}/answer", post(runs::answer))
        .api_route("/api/records", get(records::list).post(records::create))
        .api_route("/api/records/{id}", get(records::show))
        .api_route("/api/records/{id}/close", post(records::close))
        .api_route("/api/audit", get(audit::list))
        .api_route("/health", get(health::show))
        .api_route("/metrics", get(metrics::show))
        .api_route("/api/openapi.json", get(openapi::show))
        .route("/", get(page::show))
}

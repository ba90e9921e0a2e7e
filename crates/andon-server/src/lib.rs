//! The ways in and out of a node: HTTP as OpenAI has it, and Andon's own
//! resources under `/api/`.
//!
//! Wire formats live here alone: what comes in is decoded, refused or turned
//! into the domain's words at the edge, and nothing below knows HTTP. Handlers
//! decode, call and encode; every call into the node passes [`gate`], which
//! bounds how many run at once.
//!
//! Start at [`serve`], then `routes.rs`, which holds path and handler.

mod access;
mod api;
mod app;
mod asked;
mod connections;
mod decisions;
mod error;
mod extract;
mod gate;
mod guard;
mod health;
mod metrics;
mod openai;
mod openapi;
mod page;
mod queue;
mod rerank;
mod routes;
mod serve;
mod tls;
mod tools;

pub use access::{Door, KeyTerms, NoKey, issue};
pub use api::audit::AuditView;
pub use api::certificates::CertificateView;
pub use api::inbox::{InboxItem, InboxView};
pub use api::queue::{PlaceView, QueueView};
pub use api::view::{FailedRun, RecordView, RunView};
pub use guard::{Exposure, NotLoopback, guard};
pub use openapi::document;
pub use serve::{Limits, ServeError, Serving, router, serve, serve_as, serve_within};
pub use tls::{Tls, TlsError, TlsFiles};

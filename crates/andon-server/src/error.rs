//! Every failure as HTTP: its status, its stable `code` and its message, in
//! OpenAI's error shape. The one place that maps them.

use std::error::Error as _;
use std::time::Duration;

use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, Response as ResponseDocument, SchemaObject};
use andon_runtime::Error as NodeError;
use andon_task::access::Role;
use andon_task::engine::EngineError;
use andon_task::reach::Beyond;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

/// A failure as the client sees it.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    param: Option<String>,
    retry_after: Option<Duration>,
}

/// The body of every answer that is no success.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ErrorBody {
    error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, JsonSchema)]
struct ErrorDetail {
    /// What is wrong, and what to do about it.
    message: String,
    /// `invalid_request_error`, `authentication_error`, `permission_error` or
    /// `server_error`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The field of the request that is meant.
    param: Option<String>,
    /// A stable word for programs.
    code: &'static str,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            param: None,
            retry_after: None,
        }
    }

    /// The same failure, naming the field that is meant.
    pub(crate) fn about(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// A field has a value that cannot be.
    pub(crate) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_value", message).about(param)
    }

    /// The body is not JSON.
    pub(crate) fn invalid_json(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_json", message)
    }

    /// A field that matters and that the node does not fulfil.
    pub(crate) fn unsupported(param: impl Into<String>) -> Self {
        let param = param.into();
        let message = format!("'{param}' with this value is not supported here: leave it out");
        Self::new(StatusCode::BAD_REQUEST, "unsupported_parameter", message).about(param)
    }

    /// The request asks for what small models are bad at.
    pub(crate) fn beyond(beyond: &Beyond, model: &str) -> Self {
        let Beyond {
            what,
            words,
            probability,
        } = beyond;
        let message = format!(
            "the request seems to ask for {words} ({what}, probability {probability:.2}), which a small model answers badly: ask a larger one, or name '{model}' to have its answer anyway"
        );
        let code = "beyond_small_model";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message).about("messages")
    }

    /// The body is too large.
    pub(crate) fn too_large(limit_bytes: usize) -> Self {
        let message = format!("the body has more than {limit_bytes} bytes: send less at a time");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    }

    /// The body is not declared as JSON.
    pub(crate) fn media_type() -> Self {
        let message = "the body must be JSON: send the header 'content-type: application/json'";
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            message,
        )
    }

    /// The connection broke while the body came.
    pub(crate) fn broken_body() -> Self {
        let message = "the body ended before its declared length";
        Self::new(StatusCode::BAD_REQUEST, "broken_body", message)
    }

    /// No such path.
    pub(crate) fn no_such_path(path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        let message = format!("there is no path '{path}': GET /api/openapi.json lists them");
        Self::new(StatusCode::NOT_FOUND, "unknown_path", message)
    }

    /// The path exists, but not for this method.
    pub(crate) fn method(method: &str, path: &str) -> Self {
        let message =
            format!("'{path}' does not take {method}: GET /api/openapi.json lists what does");
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            message,
        )
    }

    /// No such model, or it cannot do what is asked.
    pub(crate) fn no_such_model(name: &str, instead: &str) -> Self {
        let name: String = name.chars().take(200).collect();
        let message = format!("the model '{name}' is not here for this: {instead}");
        Self::new(StatusCode::NOT_FOUND, "model_not_found", message).about("model")
    }

    /// The model has no such adapter.
    pub(crate) fn no_such_adapter(adapter: &str, model: &str) -> Self {
        let adapter: String = adapter.chars().take(200).collect();
        let message =
            format!("the model '{model}' has no adapter '{adapter}': GET /v1/models lists them");
        Self::new(StatusCode::NOT_FOUND, "unknown_adapter", message).about("adapter")
    }

    /// The deadline that the request gave has passed.
    pub(crate) fn deadline_passed() -> Self {
        EngineError::DeadlinePassed.into()
    }

    /// As many requests run as may.
    pub(crate) fn overloaded(in_flight: usize) -> Self {
        let message = format!("the node is busy ({in_flight} requests run): try again later");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message)
            .retry_after(Duration::from_secs(1))
    }

    /// The request took too long.
    pub(crate) fn timed_out(limit: Duration) -> Self {
        let message = format!("the request took longer than {} s", limit.as_secs());
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message)
    }

    /// The request did not come from this machine, or from a page of another.
    pub(crate) fn foreign(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "foreign_request", message)
    }

    /// No key, or none that counts.
    pub(crate) fn key(what: &str) -> Self {
        let message = format!(
            "{what}: send the header 'authorization: Bearer KEY' with a key of `andon key add`"
        );
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    }

    /// The role of the key may not do this.
    pub(crate) fn insufficient_role(role: Role, least: Role) -> Self {
        let message = format!("a key of the role '{role}' may not do this: it takes '{least}'");
        Self::new(StatusCode::FORBIDDEN, "insufficient_role", message)
    }

    /// The key is held to tasks, and this is about more.
    pub(crate) fn out_of_scope(tasks: &[String]) -> Self {
        let message = format!("this key is held to the tasks {}", tasks.join(", "));
        Self::new(StatusCode::FORBIDDEN, "insufficient_scope", message)
    }

    /// A route for which nobody said who may call it.
    pub(crate) fn no_rule(path: &str) -> Self {
        let message = format!("nobody may call '{path}': it has no role");
        Self::new(StatusCode::FORBIDDEN, "insufficient_role", message)
    }

    /// The key has had its requests of this minute.
    pub(crate) fn rate_limited(wait: Duration) -> Self {
        let message = "this key has had its requests of this minute: try again later";
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limit_exceeded",
            message,
        )
        .retry_after(wait)
    }

    /// Too many keys are being checked.
    pub(crate) fn too_many_proofs(wait: Duration) -> Self {
        let message = "the node checks too many keys at once: try again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message).retry_after(wait)
    }

    /// The keys cannot be read, so nobody is let in.
    pub(crate) fn keys_unknown() -> Self {
        let message = "the node cannot read its keys, so it lets nobody in: see its log";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_failed", message)
    }

    /// A fault of the node: it failed this request and lives on.
    pub(crate) fn internal() -> Self {
        let message = "the node failed in this request; its log says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// The message.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The JSON body.
    pub(crate) fn body(&self) -> ErrorBody {
        let kind = match self.status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::FORBIDDEN => "permission_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        ErrorBody {
            error: ErrorDetail {
                message: self.message.clone(),
                kind,
                param: self.param.clone(),
                code: self.code,
            },
        }
    }
}

/// The code of a failure, left with its answer for whoever counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal(pub(crate) &'static str);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        response.extensions_mut().insert(Refusal(self.code));
        if let Some(wait) = self.retry_after {
            response.headers_mut().insert(
                header::RETRY_AFTER,
                HeaderValue::from(wait.as_secs().max(1)),
            );
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let message = error.to_string();
        match error {
            EngineError::DoesNotFit { .. } | EngineError::TooLong { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "context_length_exceeded", message)
            }
            EngineError::Invalid(_) => Self::new(StatusCode::BAD_REQUEST, "invalid_value", message),
            EngineError::Grammar(_) => {
                Self::new(StatusCode::BAD_REQUEST, "unsupported_grammar", message)
            }
            EngineError::UnknownAdapter { .. } => {
                Self::new(StatusCode::NOT_FOUND, "unknown_adapter", message).about("adapter")
            }
            EngineError::Overloaded { retry_after, .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message)
                    .retry_after(retry_after)
            }
            EngineError::Late { retry_after, .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "deadline_too_short", message)
                    .retry_after(retry_after)
            }
            EngineError::DeadlinePassed => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, "deadline_passed", message)
            }
            EngineError::Failed(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "engine_failed", message)
            }
            EngineError::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, "egress_denied", message),
            EngineError::Unreachable { retry_after, .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "upstream_unreachable",
                message,
            )
            .retry_after(retry_after),
            EngineError::Cancelled => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "cancelled", message)
            }
        }
    }
}

impl From<NodeError> for ApiError {
    fn from(error: NodeError) -> Self {
        let message = error.to_string();
        let bad = |code, param: &str| {
            Self::new(StatusCode::BAD_REQUEST, code, message.clone()).about(param)
        };
        let missing = |code| Self::new(StatusCode::NOT_FOUND, code, message.clone());
        match error {
            NodeError::EmptyText => bad("empty_text", "text"),
            NodeError::TextTooLong { .. } => bad("text_too_long", "text"),
            NodeError::QuestionTooLong { .. } => bad("text_too_long", "input"),
            NodeError::Unreadable(_) => bad("unreadable_document", "document"),
            NodeError::Meta => bad("invalid_value", "meta"),
            NodeError::UnknownAsset(_) => bad("unknown_asset", "asset"),
            NodeError::UnknownTask(_) => missing("unknown_task"),
            NodeError::UnknownRecord(_) => missing("unknown_record"),
            NodeError::UnknownRun(_) => missing("unknown_run"),
            NodeError::UnknownUpstream(_) => missing("unknown_upstream"),
            NodeError::UnknownPlace(_) => missing("unknown_place"),
            NodeError::NotGivenUp { .. } | NodeError::NotQueued { .. } => {
                Self::new(StatusCode::CONFLICT, "not_queued", error.to_string())
            }
            NodeError::UnknownLabel { .. } => bad("unknown_label", "answer"),
            NodeError::Name => bad("invalid_value", "by"),
            NodeError::Period(_) => bad("invalid_period", "text"),
            NodeError::NothingAnswers(_)
            | NodeError::NothingLearned(_)
            | NodeError::NoDocuments(_)
            | NodeError::StillReading(_)
            | NodeError::Refused { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "nothing_answers", message)
            }
            NodeError::Reader(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "nothing_found", message)
            }
            NodeError::Unfinished(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unfinished", message)
            }
            NodeError::Engine(error) => error.into(),
            NodeError::Store(error) => from_store(&error),
        }
    }
}

fn from_store(error: &andon_store::Error) -> ApiError {
    use andon_store::Error as Store;
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    match error {
        Store::Overloaded { .. } | Store::Locked { .. } => {
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message)
                .retry_after(Duration::from_secs(1))
        }
        Store::NoSpace { .. } => {
            ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "no_space", message)
        }
        Store::NothingToRollBack(_) => {
            ApiError::new(StatusCode::CONFLICT, "nothing_to_roll_back", message)
        }
        Store::Unstorable(what) => {
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_value", message).about(*what)
        }
        _ => {
            tracing::error!(error = message, "the store failed");
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "store_failed", message)
        }
    }
}

impl aide::OperationOutput for ApiError {
    type Inner = ErrorBody;

    fn operation_response(ctx: &mut GenContext, _: &mut Operation) -> Option<ResponseDocument> {
        let media = MediaType {
            schema: Some(SchemaObject {
                json_schema: ctx.schema.subschema_for::<ErrorBody>(),
                example: None,
                external_docs: None,
            }),
            ..MediaType::default()
        };
        Some(ResponseDocument {
            description: "Any failure, in OpenAI's shape with a stable code.".into(),
            content: [("application/json".to_owned(), media)]
                .into_iter()
                .collect(),
            ..ResponseDocument::default()
        })
    }

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, ResponseDocument)> {
        Self::operation_response(ctx, operation)
            .map(|response| (None, response))
            .into_iter()
            .collect()
    }
}

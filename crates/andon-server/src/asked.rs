//! For whom a request is and until when its answer is of use: two headers that
//! every request may have, read in one place.

use std::time::{Duration, Instant};

use andon_task::engine::{Departure, Terms};
use andon_task::task::Class;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::ApiError;

/// `machine`, `person` or `batch`.
const CLASS: &str = "x-andon-class";
/// Milliseconds from the arrival of the request.
const DEADLINE: &str = "x-andon-deadline-ms";

/// The longest deadline that is read as one: a day.
const MAX_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

/// What a request says of its urgency.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// For whom it is, if it says so.
    pub(crate) class: Option<Class>,
    /// When its answer is of no use any more.
    pub(crate) deadline: Option<Instant>,
}

impl Asked {
    fn read(headers: &HeaderMap, arrived: Instant) -> Result<Self, ApiError> {
        let text = |name: &str| {
            let value = headers.get(name)?;
            Some(value.to_str().unwrap_or("").trim().to_ascii_lowercase())
        };
        let class = match text(CLASS).as_deref() {
            None => None,
            Some("machine") => Some(Class::Machine),
            Some("person") => Some(Class::Person),
            Some("batch") => Some(Class::Batch),
            Some(_) => {
                let message = format!("the header {CLASS} must be machine, person or batch");
                return Err(ApiError::invalid(CLASS, message));
            }
        };
        let deadline = match text(DEADLINE).map(|text| text.parse().map(Duration::from_millis)) {
            None => None,
            Some(Ok(wait)) if !wait.is_zero() && wait <= MAX_DEADLINE => Some(arrived + wait),
            Some(_) => {
                let most = MAX_DEADLINE.as_millis();
                let message = format!("the header {DEADLINE} must be a number from 1 to {most}");
                return Err(ApiError::invalid(DEADLINE, message));
            }
        };
        Ok(Self { class, deadline })
    }

    /// With what else the request says of the same: its header comes first.
    pub(crate) fn or(self, class: Option<Class>) -> Self {
        Self {
            class: self.class.or(class),
            ..self
        }
    }

    /// The class of a request whose kind has none of its own: a person waits.
    pub(crate) fn class(&self) -> Class {
        self.class.unwrap_or(Class::Person)
    }

    /// The terms for the engine.
    pub(crate) fn terms(&self, departure: Departure) -> Terms {
        Terms {
            class: self.class(),
            deadline: self.deadline,
            departure,
        }
    }
}

impl<S: Sync> axum::extract::FromRequestParts<S> for Asked {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(parts.extensions.get().copied().unwrap_or_default())
    }
}

/// The headers as the document names them.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(
    dead_code,
    reason = "read by hand, for refusals that name the header; here for the document"
)]
struct Headers {
    /// For whom the request is: `machine`, `person` (the default, but for tasks,
    /// whose file says it) or `batch`. Machines come first, batches last.
    x_andon_class: Option<String>,
    /// The answer is of no use so many milliseconds after the request has arrived.
    /// What cannot be ready by then is refused with 429, what is not with 504.
    x_andon_deadline_ms: Option<u64>,
}

impl aide::OperationInput for Asked {
    fn operation_input(
        ctx: &mut aide::generate::GenContext,
        operation: &mut aide::openapi::Operation,
    ) {
        let location = aide::operation::ParamLocation::Header;
        crate::extract::document_parameters::<Headers>(ctx, operation, location);
    }
}

/// How much cheaper or faster a request is wanted, as OpenAI has it.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ServiceTier {
    /// As any request.
    Auto,
    /// As any request.
    Default,
    /// Nobody waits: the same as the class `batch`.
    Flex,
    /// As any request: a person waits, and comes before every batch.
    Priority,
    /// As any request.
    Scale,
}

impl ServiceTier {
    /// The class that it is here, if it is one.
    pub(crate) fn class(self) -> Option<Class> {
        match self {
            Self::Flex => Some(Class::Batch),
            Self::Priority => Some(Class::Person),
            Self::Auto | Self::Default | Self::Scale => None,
        }
    }
}

/// Reads the headers, and ends what has not begun its answer in time.
pub(crate) async fn bound(
    State(limit): State<Duration>,
    mut request: Request,
    next: Next,
) -> Response {
    let arrived = Instant::now();
    let asked = match Asked::read(request.headers(), arrived) {
        Ok(asked) => asked,
        Err(error) => return error.into_response(),
    };
    request.extensions_mut().insert(asked);
    let end = arrived + limit;
    let deadline = asked.deadline.filter(|deadline| *deadline < end);
    // Dropping the handler tells the work behind it that nobody waits.
    let answer = tokio::time::timeout_at(deadline.unwrap_or(end).into(), next.run(request));
    match (answer.await, deadline) {
        (Ok(response), _) => response,
        (Err(_), None) => ApiError::timed_out(limit).into_response(),
        (Err(_), Some(_)) => ApiError::deadline_passed().into_response(),
    }
}

//! Who calls, and whether they may: the layer that every request passes first.
//!
//! Keys are bearer tokens. What a route asks of its caller stands in one table
//! ([`table`]); what is not in it is denied to everybody. Nobody needs a key on
//! loopback until the first one is made; from then on everybody does.

use std::sync::Arc;
use std::time::Duration;

use andon_task::access::{Role, Scope};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::app::App;
use crate::error::ApiError;

mod keys;
mod rate;
mod table;
mod token;

pub(crate) use keys::KeyRing;
pub use token::{KeyTerms, NoKey, issue};

use table::{Least, Reach};

/// Whether callers without a key are let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Door {
    /// Never.
    Keys,
    /// Until there is a key, used or revoked: for loopback alone.
    #[default]
    UntilKeys,
    /// Always, though there be keys: for loopback alone, and by an explicit word.
    Open,
}

/// Who calls.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// Somebody on this machine, where no key is asked for.
    Local,
    /// The holder of a key.
    Holder(Arc<Holder>),
}

/// What is known of the holder of a key.
#[derive(Debug)]
pub(crate) struct Holder {
    name: String,
    role: Role,
    /// The tasks that the key is held to; `None`: none in particular.
    tasks: Option<Vec<String>>,
}

impl Holder {
    fn new(name: String, role: Role, scopes: &[Scope]) -> Self {
        let tasks: Vec<String> = scopes
            .iter()
            .map(|Scope::Task(task)| task.clone())
            .collect();
        Self {
            name,
            role,
            tasks: (!tasks.is_empty()).then_some(tasks),
        }
    }
}

impl Caller {
    /// The tasks that the caller is held to, if it is held to any.
    pub(crate) fn tasks(&self) -> Option<&[String]> {
        match self {
            Self::Local => None,
            Self::Holder(holder) => holder.tasks.as_deref(),
        }
    }

    /// Refuses a task that the caller's key does not reach.
    pub(crate) fn reach(&self, task: &str) -> Result<(), ApiError> {
        match self.tasks() {
            Some(tasks) if !tasks.iter().any(|own| own == task) => {
                Err(ApiError::out_of_scope(tasks))
            }
            _ => Ok(()),
        }
    }

    /// In whose name something is kept: that of the key, with whatever name the request
    /// gives after it.
    pub(crate) fn name(&self, given: Option<&str>) -> Option<String> {
        match (self, given) {
            (Self::Local, given) => given.map(str::to_owned),
            (Self::Holder(holder), None) => Some(holder.name.clone()),
            (Self::Holder(holder), Some(given)) => Some(format!("{}/{given}", holder.name)),
        }
    }

    fn may(&self, least: Least) -> Result<(), ApiError> {
        let Self::Holder(holder) = self else {
            return Ok(());
        };
        let (role, machines) = match least {
            Least::Anyone => return Ok(()),
            Least::Role(role) => (role, false),
            Least::RoleOrMachine(role) => (role, true),
        };
        if holder.role.includes(role) || (machines && holder.role == Role::Machine) {
            return Ok(());
        }
        Err(ApiError::insufficient_role(holder.role, role))
    }
}

impl<S: Sync> axum::extract::FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // Without the layer nobody is known, and nobody gets in.
        let caller = parts.extensions.get().cloned();
        caller.ok_or_else(ApiError::internal)
    }
}

impl aide::OperationInput for Caller {}

/// Lets in who may call the route; tells the handler who it is.
pub(crate) async fn authorise(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match admit(&app, &parts).await {
        Ok(caller) => {
            if let Some(caller) = caller {
                parts.extensions.insert(caller);
            }
            next.run(Request::from_parts(parts, body)).await
        }
        Err(error) => error.into_response(),
    }
}

/// The caller; `None` where anyone may call.
async fn admit(app: &App, request: &Parts) -> Result<Option<Caller>, ApiError> {
    let path = request.extensions.get::<MatchedPath>();
    let path = path.map(MatchedPath::as_str);
    let method = &request.method;
    let rule = path.and_then(|path| table::rule_of(method.as_str(), path));
    if rule.is_some_and(|rule| rule.least == Least::Anyone) {
        return Ok(None);
    }
    let token = request.headers.get(header::AUTHORIZATION).map(|value| {
        let text = value.to_str().unwrap_or_default();
        let (scheme, token) = text.split_once(' ').unwrap_or_default();
        match scheme.eq_ignore_ascii_case("bearer") {
            true => token.trim(),
            false => "",
        }
    });
    let caller = app.keys.authenticate(token, app.node.now()).await?;
    let Some(path) = path else {
        // There is nothing here: the fallback says so.
        return Ok(Some(caller));
    };
    let Some(rule) = rule else {
        return Err(match table::knows(path) {
            true => ApiError::method(method.as_str(), path),
            false => ApiError::no_rule(path),
        });
    };
    caller.may(rule.least)?;
    match rule.reach {
        Reach::Common | Reach::Handler => {}
        Reach::Everything => {
            if let Some(tasks) = caller.tasks() {
                return Err(ApiError::out_of_scope(tasks));
            }
        }
        // The route is `/api/tasks/{task}/…`.
        Reach::TaskInPath => {
            let task = request.uri.path().split('/').nth(3);
            caller.reach(task.unwrap_or_default())?;
        }
    }
    Ok(Some(caller))
}

/// Reads the keys anew for as long as the service runs.
pub(crate) async fn keep_fresh(app: App) {
    let mut ticks = tokio::time::interval(keys::REFRESH);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let node = Arc::clone(&app.node);
        let began = std::time::Instant::now();
        match tokio::task::spawn_blocking(move || node.keys()).await {
            Ok(Ok(keys)) => app.keys.replace(keys, Some(began)),
            Ok(Err(error)) => tracing::warn!(%error, "cannot read the keys"),
            Err(failure) => tracing::error!(%failure, "reading the keys failed"),
        }
    }
}

/// How long to wait before another try, where the node checks too many keys at once.
const BUSY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;

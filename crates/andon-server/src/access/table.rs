//! What each route asks of its caller: the one place that says it. A test compares it
//! with the OpenAPI document.

use andon_task::access::Role;

/// The least that a caller must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Least {
    /// Anyone: a page without data.
    Anyone,
    /// A person of this role.
    Role(Role),
    /// A person of this role, or a machine.
    RoleOrMachine(Role),
}

/// What of the plant a route reaches: what keys with scopes are held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Nothing of any record: for keys with scopes too.
    Common,
    /// The task that the path names.
    TaskInPath,
    /// What the handler finds: it holds the caller to its tasks.
    Handler,
    /// Everything: for keys without scopes alone.
    Everything,
}

/// What a route asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) least: Least,
    pub(crate) reach: Reach,
}

const fn rule(method: &'static str, path: &'static str, least: Least, reach: Reach) -> Rule {
    Rule {
        method,
        path,
        least,
        reach,
    }
}

use Least::{Anyone, Role as From, RoleOrMachine as OrMachine};
use Reach::{Common, Everything, Handler, TaskInPath};
use Role::{Admin, Engineer, Operator, Viewer};

/// All routes.
#[rustfmt::skip]
pub(crate) const RULES: &[Rule] = &[
    rule("POST", "/v1/chat/completions", OrMachine(Operator), Everything),
    rule("POST", "/v1/completions", OrMachine(Operator), Everything),
    rule("POST", "/v1/responses", OrMachine(Operator), Everything),
    rule("POST", "/v1/embeddings", OrMachine(Operator), Everything),
    rule("POST", "/v1/rerank", OrMachine(Operator), Everything),
    rule("GET", "/v1/models", OrMachine(Viewer), Common),
    rule("GET", "/v1/models/{id}", OrMachine(Viewer), Common),
    rule("POST", "/v1/decisions", OrMachine(Operator), Everything),
    rule("POST", "/v1/systemone", OrMachine(Operator), Everything),
    rule("GET", "/api/tasks", OrMachine(Viewer), Common),
    rule("POST", "/api/tasks/{task}/runs", OrMachine(Operator), TaskInPath),
    rule("GET", "/api/tasks/{task}/certificate", From(Viewer), TaskInPath),
    rule("GET", "/api/tasks/{task}/promotions", From(Viewer), TaskInPath),
    rule("POST", "/api/tasks/{task}/rollback", From(Engineer), TaskInPath),
    rule("GET", "/api/assets", OrMachine(Viewer), Common),
    rule("GET", "/api/inbox", From(Viewer), Handler),
    rule("GET", "/api/queue", From(Viewer), Everything),
    rule("POST", "/api/queue/{id}/retry", From(Engineer), Everything),
    rule("GET", "/api/runs", From(Viewer), Handler),
    rule("GET", "/api/runs/{id}", From(Viewer), Handler),
    rule("POST", "/api/runs/{id}/answer", From(Operator), Handler),
    rule("GET", "/api/records", From(Viewer), Everything),
    rule("POST", "/api/records", OrMachine(Operator), Handler),
    rule("GET", "/api/records/{id}", From(Viewer), Everything),
    rule("POST", "/api/records/{id}/close", From(Operator), Everything),
    rule("GET", "/api/audit", From(Admin), Everything),
    rule("GET", "/health", OrMachine(Viewer), Common),
    rule("GET", "/metrics", OrMachine(Viewer), Common),
    rule("GET", "/api/openapi.json", OrMachine(Viewer), Common),
    rule("GET", "/", Anyone, Common),
];

/// The rule of a route. HEAD is answered as GET is.
pub(crate) fn rule_of(method: &str, path: &str) -> Option<&'static Rule> {
    let method = match method {
        "HEAD" => "GET",
        other => other,
    };
    RULES
        .iter()
        .find(|rule| rule.method == method && rule.path == path)
}

/// Whether there are rules for a path, whatever the method.
pub(crate) fn knows(path: &str) -> bool {
    RULES.iter().any(|rule| rule.path == path)
}

//! What a policy is asked, and what it says.

use std::fmt;

use crate::redact::Field;
use crate::task::DataClass;

/// Who wants to send something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// A task of the plant, by name.
    Task(String),
    /// Whoever asks over the API, by the name of their key.
    Caller(String),
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(name) => write!(f, "task '{name}'"),
            Self::Caller(name) => write!(f, "caller '{name}'"),
        }
    }
}

/// Whether a field may leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// Who wants to send it.
    pub principal: &'a Principal,
    /// What.
    pub field: Field,
    /// How confidential it is.
    pub class: DataClass,
    /// Where to.
    pub upstream: &'a str,
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may leave, by the policies of these names.
    Permitted(Vec<String>),
    /// It may not: by the policies of these names, or because none lets it.
    Denied(Vec<String>),
    /// It may not: the policies cannot be used.
    Closed(String),
}

impl Verdict {
    /// Whether it may leave.
    pub fn permits(&self) -> bool {
        matches!(self, Self::Permitted(_))
    }
}

/// A policy. What it does not permit is denied.
pub trait Permit: Send + Sync {
    /// Whether a field may leave, and why.
    fn decide(&self, question: &Question<'_>) -> Verdict;

    /// Why everything is denied, if the policy cannot be used.
    fn closed(&self) -> Option<&str>;
}

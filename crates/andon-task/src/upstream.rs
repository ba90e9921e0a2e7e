//! Upstreams: larger models elsewhere, and what has to be known of one.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use serde::Deserialize;

use crate::engine::{Finish, GenerateRequest, ToolCall, Usage};
use crate::period;
use crate::task::DataClass;

/// `[[upstream]]` of `plant.toml`. Nothing of it is secret: keys lie elsewhere.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What policies, runs and the audit log call it.
    pub name: String,
    /// The address of its API, as `https://api.example.com/v1`.
    pub url: String,
    /// Which of its models is asked.
    pub model: String,
    /// The variable of the environment that holds its key.
    pub key_env: Option<String>,
    /// The file that holds its key, outside the plant's directory.
    pub key_file: Option<String>,
    /// Certificates (PEM) that it is known by, instead of the system's.
    pub ca_file: Option<String>,
    /// The certificate (PEM) by which it knows this node.
    pub client_cert_file: Option<String>,
    /// The private key (PEM) of that certificate, outside the plant's directory.
    pub client_key_file: Option<String>,
    /// How long it may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// What a million tokens of a prompt cost, in the plant's currency.
    #[serde(default)]
    pub price_in: f64,
    /// What a million tokens of an answer cost.
    #[serde(default)]
    pub price_out: f64,
    /// The most that may be spent on it in a calendar day (UTC).
    pub budget_day: Option<f64>,
    /// The most that may be spent on it in a calendar month (UTC).
    pub budget_month: Option<f64>,
    /// The most confidential data that it may be sent, whatever the policy says.
    #[serde(default = "internal")]
    pub data_class: DataClass,
}

fn internal() -> DataClass {
    DataClass::Internal
}

/// How long an upstream may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Until there is a connection.
    #[serde(deserialize_with = "period::deserialize")]
    pub connect: Duration,
    /// Until its answer begins.
    #[serde(deserialize_with = "period::deserialize")]
    pub first_token: Duration,
    /// From token to token.
    #[serde(deserialize_with = "period::deserialize")]
    pub inter_token: Duration,
    /// For all of it, with all that is tried again.
    #[serde(deserialize_with = "period::deserialize")]
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            first_token: Duration::from_secs(20),
            inter_token: Duration::from_secs(10),
            total: Duration::from_secs(60),
        }
    }
}

impl Settings {
    /// What is wrong with it, if anything is.
    pub fn wrong(&self) -> Option<String> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if self.name.is_empty() || !self.name.chars().all(fits) {
            return Some(format!(
                "the name '{}' must be lower-case letters, digits, hyphens and underscores",
                self.name
            ));
        }
        if self.key_env.is_some() && self.key_file.is_some() {
            return Some("give key_env or key_file, not both".to_owned());
        }
        if self.client_cert_file.is_some() != self.client_key_file.is_some() {
            return Some("client_cert_file and client_key_file belong together".to_owned());
        }
        let amounts = [
            ("price_in", Some(self.price_in)),
            ("price_out", Some(self.price_out)),
            ("budget_day", self.budget_day),
            ("budget_month", self.budget_month),
        ];
        let is_amount = |amount: f64| amount.is_finite() && amount >= 0.0;
        let mut wrong = amounts
            .into_iter()
            .filter(|(_, amount)| amount.is_some_and(|amount| !is_amount(amount)));
        let (key, _) = wrong.next()?;
        Some(format!("{key} must be a number from 0 on"))
    }

    /// What so many tokens cost.
    pub fn cost(&self, prompt_tokens: usize, answer_tokens: usize) -> f64 {
        (prompt_tokens as f64 * self.price_in + answer_tokens as f64 * self.price_out) / 1e6
    }
}

/// What was wrong when something was sent.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum UpstreamError {
    /// It cannot be reached, or is left alone for a while after it failed.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It said nothing for longer than it may.
    #[error("it is silent: {0}")]
    Silent(String),
    /// It has no place or no more allowance now.
    #[error("it has no place now (status {status})")]
    Busy {
        /// The status of its answer.
        status: u16,
        /// When to come again, if it says so.
        retry_after: Option<Duration>,
    },
    /// It does not take the request as it is.
    #[error("it refuses the request: {0}")]
    Refused(String),
    /// It answered with something that is no answer.
    #[error("its answer is none: {0}")]
    Garbled(String),
    /// Its answer is not what it was to be held to.
    #[error("its answer is not what was asked for")]
    Unfit,
    /// The deadline of the request passed.
    #[error("the deadline passed")]
    DeadlinePassed,
    /// Whoever asked has left.
    #[error("the request was cancelled by its caller")]
    Cancelled,
}

impl UpstreamError {
    /// Whether it speaks of the link and not of the request: the same may succeed
    /// when the link is back.
    pub fn is_of_link(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::Silent(_) | Self::Busy { .. }
        )
    }
}

/// Whether an upstream is thought to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It answered last, or was never asked.
    Up,
    /// It failed, and is left alone until a time that has come: one may try.
    Probing,
    /// It failed, and is left alone.
    Down,
}

/// How an answer is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// All at once.
    Whole,
    /// As it is made.
    Pieces,
}

/// What is sent, as it leaves.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// The request that the body was composed of; redacted, as the body is.
    pub request: &'a GenerateRequest,
    /// The very bytes.
    pub body: &'a [u8],
    /// The same for whatever is sent again: an upstream that looks at it acts once.
    pub key: &'a str,
}

/// What an upstream answered, still with placeholders.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Its words.
    pub text: String,
    /// The tools that it calls.
    pub calls: Vec<ToolCall>,
    /// Why it ended.
    pub finish: Finish,
    /// What it cost, by its own count.
    pub usage: Usage,
}

/// A larger model elsewhere. Calls block.
pub trait Upstream: Send + Sync {
    /// What the plant says of it.
    fn settings(&self) -> &Settings;

    /// The body of a request, as it would leave.
    ///
    /// # Errors
    /// If the request has something that cannot be asked of an upstream.
    fn compose(
        &self,
        request: &GenerateRequest,
        delivery: Delivery,
    ) -> Result<Vec<u8>, UpstreamError>;

    /// Sends it. Words are handed to `on_text` as they come, unless the answer is held
    /// to something: then once it was checked. Nothing is sent again after a word came.
    ///
    /// # Errors
    /// If there is no answer, or none that fits.
    fn send(
        &self,
        letter: &Letter<'_>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Reply, UpstreamError>;

    /// Whether it is thought to be there.
    fn link(&self) -> Link;
}

/// What left the plant for a run.
#[derive(Clone, Debug, PartialEq, serde::Serialize, Deserialize)]
pub struct Egress {
    /// The upstream.
    pub upstream: String,
    /// Which of its models was asked.
    pub model: String,
    /// The fields that left.
    pub fields: Vec<String>,
    /// How often something of each kind was replaced.
    pub redactions: BTreeMap<String, usize>,
    /// The SHA-256 of the policy that let it.
    pub policy: Option<crate::digest::Digest>,
    /// The SHA-256 of the bytes that left.
    pub payload: crate::digest::Digest,
    /// The row of the audit log that was written before they left.
    pub audit: i64,
    /// Tokens of the prompt, as the upstream counts them.
    pub prompt_tokens: usize,
    /// Tokens of its answer.
    pub completion_tokens: usize,
    /// What it cost, in the plant's currency.
    pub cost: f64,
}

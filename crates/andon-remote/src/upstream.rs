//! An upstream: a larger model elsewhere, behind an OpenAI-compatible API.
//!
//! It gets bytes that were looked at before and sends these and no others. Failures
//! before the first word are tried again, within a budget; a breaker leaves an
//! upstream alone that fails. What comes back is checked like any answer and still
//! holds the placeholders of what was sent.

mod answer;
mod breaker;
mod retry;
mod wire;

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use andon_task::engine::{EngineError, Finish, GenerateRequest, Terms};
use andon_task::upstream::{Delivery, Letter, Link, Reply, Settings, UpstreamError};
use serde_json::Value;
use ureq::Body;
use ureq::http::Response;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use self::answer::Collected;
use self::breaker::Breaker;
use self::retry::{Budget, jitter};
use crate::endpoint::Endpoint;
use crate::error::ConnectError;
use crate::events::Events;
use crate::key::Key;
use crate::line::{Call, Lines, Patience};

/// The most bytes of an answer that is no stream, or that says what is wrong.
const MOST_BYTES: u64 = 8 << 20;
/// How often something is sent at most.
const MOST_ATTEMPTS: u32 = 4;
/// How often a wait looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(10);
/// The most of an upstream's own words that are passed on.
const LONGEST_WORDS: usize = 200;

/// By what an upstream and this node know each other.
#[derive(Default)]
pub struct Trust {
    /// Certificates (PEM) that the upstream is known by, instead of the system's.
    pub authorities: Option<Vec<u8>>,
    /// The certificates (PEM) by which it knows this node, and their private key.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Trust {
    fn config(&self) -> Result<TlsConfig, ConnectError> {
        let wrong = |what: &'static str| ConnectError::Certificate(what);
        let certificates = |pem: &[u8], what| {
            let items: Vec<Certificate<'static>> = parse_pem(pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            match items.is_empty() {
                true => Err(wrong(what)),
                false => Ok(items),
            }
        };
        let roots = match &self.authorities {
            Some(pem) => {
                RootCerts::new_with_certs(&certificates(pem, "of the upstream's authority")?)
            }
            None => RootCerts::PlatformVerifier,
        };
        let client = match &self.client {
            Some((chain, key)) => {
                let key = PrivateKey::from_pem(key).map_err(|_| wrong("key of this node"))?;
                let chain = certificates(chain, "of this node")?;
                Some(ClientCert::new_with_certs(&chain, key))
            }
            None => None,
        };
        let config = TlsConfig::builder().root_certs(roots).client_cert(client);
        Ok(config.build())
    }
}

/// A larger model elsewhere.
pub struct Upstream {
    settings: Settings,
    url: String,
    key: Option<Key>,
    lines: Lines,
    breaker: Mutex<Breaker>,
    budget: Mutex<Budget>,
}

impl Upstream {
    /// The upstream of these settings. It is not asked anything yet.
    ///
    /// # Errors
    /// If its address or a certificate is none.
    pub fn new(settings: Settings, key: Option<Key>, trust: &Trust) -> Result<Self, ConnectError> {
        let endpoint: Endpoint = settings.url.parse()?;
        let timeouts = settings.timeouts;
        let patience = Patience {
            connect: timeouts.connect,
            first_token: timeouts.first_token,
            between_tokens: timeouts.inter_token,
            total: timeouts.total,
        };
        Ok(Self {
            url: endpoint.api("/chat/completions"),
            lines: Lines::with_tls(patience, trust.config()?),
            settings,
            key,
            breaker: Mutex::default(),
            budget: Mutex::default(),
        })
    }

    fn with_breaker<T>(&self, work: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = self.breaker.lock();
        work(
            breaker
                .as_mut()
                .unwrap_or_else(|poisoned| poisoned.get_mut()),
        )
    }

    fn with_budget<T>(&self, work: impl FnOnce(&mut Budget) -> T) -> T {
        let mut budget = self.budget.lock();
        work(
            budget
                .as_mut()
                .unwrap_or_else(|poisoned| poisoned.get_mut()),
        )
    }

    /// Sends it once. `spoken` tells whether a word has come.
    fn once(
        &self,
        letter: &Letter<'_>,
        terms: &Terms,
        spoken: &mut bool,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Reply, UpstreamError> {
        let call = self.lines.take(terms).map_err(of_engine)?;
        let response = self.open(letter, &call)?;
        let kind = response.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or("nothing").to_ascii_lowercase();
        let mut collected = Collected::new(letter.request)?;
        if kind.starts_with("application/json") {
            let bytes = read_whole(&call, response)?;
            call.token_came();
            let body: Value = serde_json::from_slice(&bytes)
                .map_err(|error| UpstreamError::Garbled(format!("no JSON: {error}")))?;
            collected.take_whole(body)?;
        } else if kind.starts_with("text/event-stream") {
            let mut events = Events::new(response.into_body().into_reader());
            loop {
                let event = events
                    .next()
                    .map_err(|error| broken(&call, &error.to_string()))?;
                let Some(data) = event else { break };
                if data == "[DONE]" {
                    // The connection can be kept if the stream ends right here.
                    call.wind_up();
                    let _ = events.next();
                    break;
                }
                let event: Value = serde_json::from_str(&data)
                    .map_err(|error| UpstreamError::Garbled(format!("no event: {error}")))?;
                let text = collected.take_event(event)?;
                call.token_came();
                *spoken = true;
                if !text.is_empty() && on_text(&text).is_break() {
                    return Err(UpstreamError::Cancelled);
                }
            }
        } else {
            let kind = words(&kind);
            return Err(UpstreamError::Garbled(format!("it is {kind} and no JSON")));
        }
        let (reply, held) = collected.end()?;
        if !held.is_empty() {
            *spoken = true;
            if on_text(&held).is_break() {
                return Err(UpstreamError::Cancelled);
            }
        }
        Ok(reply)
    }

    fn open(&self, letter: &Letter<'_>, call: &Call<'_>) -> Result<Response<Body>, UpstreamError> {
        let within = Some(call.connect_within());
        let mut request = call.agent().post(&self.url);
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, key.bearer());
        }
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", letter.key)
            .config()
            .timeout_connect(within)
            .timeout_resolve(within)
            .build();
        let response = request
            .send(letter.body)
            .map_err(|error| match call.ended() {
                Some(ended) => of_engine(ended),
                None => UpstreamError::Unreachable(words(&error.to_string())),
            })?;
        let status = response.status().as_u16();
        match status {
            200..300 => Ok(response),
            408 | 425 | 429 | 500 | 502..=504 => {
                let wait = response.headers().get(RETRY_AFTER);
                let wait = wait.and_then(|value| value.to_str().ok()?.trim().parse().ok());
                Err(UpstreamError::Busy {
                    status,
                    retry_after: wait.map(Duration::from_secs),
                })
            }
            // What it says of the request may quote it, so it stays where it is.
            _ => Err(UpstreamError::Refused(format!("status {status}"))),
        }
    }

    /// Waits before the next attempt, as long as the caller stays.
    fn pause(&self, wait: Duration, terms: &Terms) -> Result<(), UpstreamError> {
        let until = Instant::now() + wait;
        loop {
            let now = Instant::now();
            if terms.departure.is_announced() {
                return Err(UpstreamError::Cancelled);
            }
            if now >= until {
                return Ok(());
            }
            thread::sleep(LOOK.min(until - now));
        }
    }
}

impl andon_task::upstream::Upstream for Upstream {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn compose(
        &self,
        request: &GenerateRequest,
        delivery: Delivery,
    ) -> Result<Vec<u8>, UpstreamError> {
        wire::compose(request, &self.settings.model, delivery)
    }

    fn send(
        &self,
        letter: &Letter<'_>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Reply, UpstreamError> {
        let ends = Instant::now() + self.settings.timeouts.total;
        let mut terms = letter.request.terms.clone();
        let deadline = terms.deadline;
        terms.deadline = Some(deadline.map_or(ends, |deadline| deadline.min(ends)));
        let is_late = |now| deadline.is_some_and(|deadline| deadline <= now);
        self.with_budget(Budget::earn);
        let mut attempt = 0;
        let mut failed = None;
        loop {
            attempt += 1;
            if !self.with_breaker(|breaker| breaker.admit(Instant::now())) {
                // What this request met itself says more.
                let rest = || "it failed lately and is left alone for a while".to_owned();
                return Err(failed.unwrap_or_else(|| UpstreamError::Unreachable(rest())));
            }
            let mut spoken = false;
            let result = self.once(letter, &terms, &mut spoken, on_text);
            let result = result.map_err(|error| match error {
                // The time for all of it is the upstream's, a deadline the caller's.
                UpstreamError::DeadlinePassed if !is_late(Instant::now()) => {
                    let total = self.settings.timeouts.total.as_millis();
                    UpstreamError::Silent(format!("it took more than {total} ms in all"))
                }
                error => error,
            });
            let now = Instant::now();
            self.with_breaker(|breaker| breaker.heard(now, letter.key, &result));
            let error = match result {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let asked = match &error {
                UpstreamError::Unreachable(_) => Duration::ZERO,
                UpstreamError::Busy { retry_after, .. } => retry_after.unwrap_or_default(),
                _ => return Err(error),
            };
            let wait = jitter(attempt).max(asked);
            let in_time = now + wait < terms.deadline.unwrap_or(ends);
            let again = !spoken && attempt < MOST_ATTEMPTS && in_time;
            if !(again && self.with_budget(Budget::spend)) {
                return Err(error);
            }
            self.pause(wait, &terms)?;
            failed = Some(error);
        }
    }

    fn link(&self) -> Link {
        self.with_breaker(|breaker| breaker.link(Instant::now()))
    }
}

fn read_whole(call: &Call<'_>, response: Response<Body>) -> Result<Vec<u8>, UpstreamError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let mut reader = response.into_body().into_reader().take(MOST_BYTES + 1);
    reader
        .read_to_end(&mut bytes)
        .map_err(|error| broken(call, &error.to_string()))?;
    match bytes.len() as u64 > MOST_BYTES {
        true => Err(UpstreamError::Garbled(format!(
            "it has more than {MOST_BYTES} bytes"
        ))),
        false => Ok(bytes),
    }
}

/// An answer that did not come to its end.
fn broken(call: &Call<'_>, what: &str) -> UpstreamError {
    match call.ended() {
        Some(ended) => of_engine(ended),
        None => UpstreamError::Garbled(format!("it was cut: {}", words(what))),
    }
}

/// Why a call was ended from this side.
fn of_engine(error: EngineError) -> UpstreamError {
    match error {
        EngineError::Cancelled => UpstreamError::Cancelled,
        EngineError::DeadlinePassed => UpstreamError::DeadlinePassed,
        EngineError::Overloaded { .. } => UpstreamError::Busy {
            status: 503,
            retry_after: None,
        },
        EngineError::Failed(what) => UpstreamError::Silent(what),
        EngineError::Grammar(what) | EngineError::Invalid(what) => UpstreamError::Refused(what),
        other => UpstreamError::Refused(other.to_string()),
    }
}

fn words(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(LONGEST_WORDS).map(plain).collect()
}

/// What OpenAI's word for the end of an answer means.
fn finish_of(word: &str) -> Result<Finish, UpstreamError> {
    match word {
        "stop" | "eos" | "tool_calls" | "function_call" => Ok(Finish::Stop),
        "length" => Ok(Finish::Length),
        other => Err(UpstreamError::Garbled(format!(
            "it ended with '{}'",
            words(other)
        ))),
    }
}

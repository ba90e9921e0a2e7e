//! One client for both sides, so that it costs both the same: connections are
//! kept, nothing is delayed, and only the exchange of bytes is timed.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;
use ureq::Agent;

/// A client of one server; it has its own connection.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    url: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// From the first byte sent to the last received.
    pub(crate) took: Duration,
    /// The answer, if the server gave one.
    pub(crate) body: Result<Value, Refusal>,
}

/// A status other than 200.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// The status.
    pub(crate) status: u16,
    /// What the server said of it.
    pub(crate) reason: String,
    /// When it wants to be asked again.
    pub(crate) retry_after: Option<Duration>,
}

impl Client {
    /// A client of the server at `url`, which waits at most `patience` for an
    /// answer.
    pub(crate) fn new(url: &str, patience: Duration) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .no_delay(true)
            .timeout_global(Some(patience));
        Self {
            agent: config.build().into(),
            url: url.to_owned(),
        }
    }

    /// Whether `GET /health` is 200.
    pub(crate) fn is_healthy(&self) -> bool {
        let answer = self.agent.get(format!("{}/health", self.url)).call();
        answer.is_ok_and(|mut answer| {
            // The connection is only kept if the body was read.
            answer.body_mut().read_to_vec().is_ok() && answer.status() == 200
        })
    }

    /// Posts JSON with headers.
    pub(crate) fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> anyhow::Result<Answer> {
        let url = format!("{}{path}", self.url);
        let bytes = serde_json::to_vec(body)?;
        let mut request = self.agent.post(&url).content_type("application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let began = Instant::now();
        let mut response = request
            .send(&bytes)
            .with_context(|| format!("no answer from {url}"))?;
        let received = response.body_mut().read_to_vec();
        let took = began.elapsed();
        let received = received.with_context(|| format!("half an answer from {url}"))?;
        let status = response.status().as_u16();
        let value: Value = serde_json::from_slice(&received).unwrap_or_default();
        let body = match status {
            200 => Ok(value),
            _ => Err(Refusal {
                status,
                reason: value["error"]["message"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                retry_after: response
                    .headers()
                    .get("retry-after")
                    .and_then(|seconds| seconds.to_str().ok()?.parse().ok())
                    .map(Duration::from_secs),
            }),
        };
        Ok(Answer { took, body })
    }
}

#[cfg(test)]
mod tests;

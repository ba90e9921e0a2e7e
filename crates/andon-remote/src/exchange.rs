//! One request to a server, and what its answer means if it is none.

use std::io::Read;
use std::time::Duration;

use andon_task::engine::EngineError;
use serde::Deserialize;
use serde_json::Value;
use ureq::Body;
use ureq::http::Response;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};

use crate::key::Key;
use crate::line::Call;

/// The most bytes of an answer that is not a stream.
const MOST_BYTES: u64 = 32 << 20;
/// The most bytes of an answer that says what is wrong.
const MOST_ERROR_BYTES: u64 = 1 << 20;
/// The most of a server's own words that are passed on.
const LONGEST_WORDS: usize = 400;
/// When to come again if the server does not say.
const RETRY: Duration = Duration::from_secs(1);
/// The longest that a server can make a client wait.
const LONGEST_RETRY: Duration = Duration::from_secs(3600);

/// What is asked of a server.
pub(crate) struct Ask<'a> {
    /// Where.
    pub(crate) url: &'a str,
    /// What is sent; `None` only looks.
    pub(crate) body: Option<&'a Value>,
    /// Who asks.
    pub(crate) key: Option<&'a Key>,
    /// The name under which the model is known here.
    pub(crate) model: &'a str,
    /// Calls in progress, this one among them.
    pub(crate) taken: usize,
}

impl Ask<'_> {
    /// The beginning of an answer with a status of success.
    pub(crate) fn open(&self, call: &Call<'_>) -> Result<Response<Body>, EngineError> {
        let bearer = self.key.map(Key::bearer);
        let within = Some(call.connect_within());
        let sent = match self.body {
            Some(body) => {
                let mut request = call.agent().post(self.url);
                if let Some(bearer) = &bearer {
                    request = request.header(AUTHORIZATION, bearer);
                }
                let request = request.header(CONTENT_TYPE, "application/json");
                let request = request.config().timeout_connect(within);
                request
                    .timeout_resolve(within)
                    .build()
                    .send(body.to_string().as_bytes())
            }
            None => {
                let mut request = call.agent().get(self.url);
                if let Some(bearer) = &bearer {
                    request = request.header(AUTHORIZATION, bearer);
                }
                let request = request.config().timeout_connect(within);
                request.timeout_resolve(within).build().call()
            }
        };
        let response = sent.map_err(|error| self.broken(call, &error.to_string()))?;
        match response.status().as_u16() {
            200..300 => Ok(response),
            status => Err(self.refused(call, status, response)),
        }
    }

    /// The whole answer, which is JSON.
    pub(crate) fn json(&self, call: &Call<'_>) -> Result<Value, EngineError> {
        let mut body = Vec::new();
        let mut reader = self
            .open(call)?
            .into_body()
            .into_reader()
            .take(MOST_BYTES + 1);
        reader
            .read_to_end(&mut body)
            .map_err(|error| self.broken(call, &error.to_string()))?;
        if body.len() as u64 > MOST_BYTES {
            return Err(self.broken(
                call,
                &format!("the answer has more than {MOST_BYTES} bytes"),
            ));
        }
        serde_json::from_slice(&body)
            .map_err(|error| self.broken(call, &format!("the answer is no JSON: {error}")))
    }

    /// An exchange that did not come to its end.
    pub(crate) fn broken(&self, call: &Call<'_>, what: &str) -> EngineError {
        call.ended()
            .unwrap_or_else(|| EngineError::Failed(format!("{}: {}", self.url, words(what))))
    }

    fn refused(&self, call: &Call<'_>, status: u16, response: Response<Body>) -> EngineError {
        let wait = response.headers().get(RETRY_AFTER);
        let wait = wait.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let retry_after = wait.map_or(RETRY, Duration::from_secs).min(LONGEST_RETRY);
        let mut body = Vec::new();
        let mut reader = response.into_body().into_reader().take(MOST_ERROR_BYTES);
        // What has come says enough; a call that was ended says so itself.
        if reader.read_to_end(&mut body).is_err()
            && let Some(ended) = call.ended()
        {
            return ended;
        }
        let refusal = serde_json::from_slice::<Refusal>(&body).ok();
        let detail = refusal.map(|refusal| refusal.error).unwrap_or_default();
        self.error_of(status, &detail, retry_after)
    }

    /// What a server's error means here. `status` is that of the answer, or 500 for
    /// an error in the middle of a stream that does not name one.
    pub(crate) fn error_of(&self, status: u16, detail: &Detail, wait: Duration) -> EngineError {
        let said = detail.words();
        if let Some((prompt_tokens, context_tokens)) = detail.n_prompt_tokens.zip(detail.n_ctx) {
            return EngineError::DoesNotFit {
                model: self.model.to_owned(),
                prompt_tokens,
                answer_tokens: 1,
                context_tokens,
            };
        }
        let code = detail.code.as_ref().and_then(Value::as_str);
        let failed = |what: &str| EngineError::Failed(format!("{}: {what} {said}", self.url));
        match status {
            429 | 503 => EngineError::Overloaded {
                waiting: self.taken,
                retry_after: wait,
            },
            400 | 422 if code == Some("unsupported_grammar") => EngineError::Grammar(said),
            400 | 413 | 422 => EngineError::Invalid(format!("the server refuses this: {said}")),
            401 | 403 => failed("the server refuses the key:"),
            404 => failed("the server knows no such model or address:"),
            300..400 => failed("the server sends elsewhere, which is not followed"),
            status => failed(&format!("the server failed with status {status}:")),
        }
    }
}

/// When to come again after an error that does not say.
pub(crate) const fn retry() -> Duration {
    RETRY
}

#[derive(Deserialize)]
struct Refusal {
    error: Detail,
}

/// What a server says of an error, as OpenAI has it and as llama-server adds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Detail {
    message: Option<String>,
    /// A word, or a status.
    code: Option<Value>,
    n_prompt_tokens: Option<usize>,
    n_ctx: Option<usize>,
}

impl Detail {
    /// The status that the error would have had if it had come at once.
    pub(crate) fn status(&self) -> u16 {
        let code = self.code.as_ref().and_then(Value::as_u64);
        code.and_then(|code| u16::try_from(code).ok())
            .unwrap_or(500)
    }

    fn words(&self) -> String {
        words(self.message.as_deref().unwrap_or("it does not say why"))
    }
}

/// What a server said, on one line and not for ever.
fn words(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(LONGEST_WORDS).map(plain).collect()
}

use std::ops::ControlFlow;

use andon_task::engine::{EngineError, GenerateRequest, Generation, Piece};
use serde_json::Value;
use ureq::http::header::CONTENT_TYPE;

use crate::answer::Answer;
use crate::events::Events;
use crate::exchange::retry;
use crate::grammar::Hold;
use crate::model::Server;
use crate::wire::{self, Chunk};

impl Server {
    /// Has the server continue a prompt, as a stream.
    pub(crate) fn generate(
        &self,
        request: &GenerateRequest,
        on_piece: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Result<Generation, EngineError> {
        self.refuse_adapter(request.adapter.as_ref())?;
        let grammar = request.grammar.as_ref();
        let hold = grammar
            .map(|grammar| Hold::new(grammar, self.dialect))
            .transpose()?;
        if request.alternatives.is_some() && hold.as_ref().is_some_and(Hold::is_quoted) {
            let message = "this server writes a choice or an expression as JSON, so its tokens are not those of the answer: ask without log-probabilities";
            return Err(EngineError::Invalid(message.into()));
        }
        let (resource, mut body) = wire::generation(request, &self.model)?;
        if let Some(hold) = &hold {
            hold.ask(&mut body);
        }
        let answer = Answer::new(hold.as_ref(), request.alternatives, on_piece);
        self.stream(resource, &Value::Object(body), request, answer)
    }

    fn stream(
        &self,
        resource: &str,
        body: &Value,
        request: &GenerateRequest,
        mut answer: Answer<'_>,
    ) -> Result<Generation, EngineError> {
        let call = self.lines.take(&request.terms)?;
        let url = self.endpoint.api(resource);
        let ask = self.ask(&url, Some(body));
        let response = ask.open(&call)?;
        let kind = response.headers().get(CONTENT_TYPE);
        let kind = kind
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or("nothing");
        if !kind.starts_with("text/event-stream") {
            let what = format!("the answer is {kind} and no stream of events");
            return Err(ask.broken(&call, &what));
        }
        let mut events = Events::new(response.into_body().into_reader());
        loop {
            let event = events.next();
            let event = event.map_err(|error| ask.broken(&call, &error.to_string()))?;
            let Some(data) = event else { break };
            if data == "[DONE]" {
                // The connection can be kept if the stream ends right here.
                call.wind_up();
                let _ = events.next();
                break;
            }
            let chunk: Chunk = serde_json::from_str(&data)
                .map_err(|error| ask.broken(&call, &format!("an event is no chunk: {error}")))?;
            if let Some(error) = &chunk.error {
                return Err(ask.error_of(error.status(), error, retry()));
            }
            self.check_fingerprint(chunk.system_fingerprint.as_deref())?;
            if answer.take(chunk)? {
                call.token_came();
            }
        }
        answer.end()
    }
}

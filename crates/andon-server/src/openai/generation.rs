//! Running a generation for a client: whole, or as server-sent events. Either
//! way it stops within one decode step of the client's leaving.

use std::ops::ControlFlow;
use std::sync::Arc;

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Document};
use andon_runtime::LanguageModel;
use andon_task::engine::{GenerateRequest, Generation};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _, stream};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::app::App;
use crate::error::ApiError;
use crate::extract::Reply;
use crate::gate::Presence;

/// Events that wait for a client that reads slowly; one that falls further behind
/// counts as gone, for the engine must not wait for it.
const EVENTS_WAITING: usize = 4096;

/// The whole answer.
pub(crate) async fn whole(
    app: &App,
    model: Arc<dyn LanguageModel>,
    mut request: GenerateRequest,
) -> Result<Generation, ApiError> {
    let presence = Presence::new();
    request.terms.departure = presence.departure();
    app.long_work(move |_| Ok(model.generate(&request, &mut |_| ControlFlow::Continue(()))?))
        .await
}

/// A generated answer as it goes out.
pub(crate) enum Answered<T> {
    /// All at once.
    Whole(T),
    /// As server-sent events.
    Events(Box<Response>),
}

impl<T: Serialize> IntoResponse for Answered<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Whole(answer) => Reply(answer).into_response(),
            Self::Events(response) => *response,
        }
    }
}

impl<T: JsonSchema> OperationOutput for Answered<T> {
    type Inner = T;

    fn operation_response(ctx: &mut GenContext, operation: &mut Operation) -> Option<Document> {
        Reply::<T>::operation_response(ctx, operation)
    }

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, Document)> {
        Reply::<T>::inferred_responses(ctx, operation)
    }
}

/// How a kind of answer is written as events.
pub(crate) trait Chunks: Send + 'static {
    /// The event before the first text, if there is one.
    fn opening(&self) -> Option<Value>;
    /// The event for a piece of text.
    fn piece(&self, text: &str) -> Value;
    /// The events after the last text.
    fn closing(&self, generation: &Generation) -> Vec<Value>;
}

/// The answer as server-sent events. What fails before the first event is an
/// ordinary error; what fails later is an event of its own.
pub(crate) async fn streamed<T>(
    app: &App,
    model: Arc<dyn LanguageModel>,
    request: GenerateRequest,
    chunks: impl Chunks,
) -> Result<Answered<T>, ApiError> {
    let place = app.long_gate.enter()?;
    let (sender, receiver) = mpsc::channel(EVENTS_WAITING);
    tokio::task::spawn_blocking(move || {
        let mut outlet = Outlet::new(sender);
        outlet.pour(&*model, &request, &chunks);
        drop(place);
    });
    let mut events = ReceiverStream::new(receiver);
    let first = events
        .next()
        .await
        .unwrap_or_else(|| Err(ApiError::internal()))?;
    let all = stream::once(async { Ok(first) }).chain(events);
    let response = Sse::new(encode(all)).into_response();
    Ok(Answered::Events(Box::new(response)))
}

fn encode(
    events: impl Stream<Item = Result<String, ApiError>>,
) -> impl Stream<Item = Result<Event, std::convert::Infallible>> {
    events.map(|event| {
        let data = event.unwrap_or_else(|error| json!(error.body()).to_string());
        Ok(Event::default().data(data))
    })
}

/// The work's end of a stream. However the work ends, by a panic too, the client
/// is told.
struct Outlet {
    sender: mpsc::Sender<Result<String, ApiError>>,
    opened: bool,
    ended: bool,
}

impl Outlet {
    fn new(sender: mpsc::Sender<Result<String, ApiError>>) -> Self {
        Self {
            sender,
            opened: false,
            ended: false,
        }
    }

    fn pour(&mut self, model: &dyn LanguageModel, request: &GenerateRequest, chunks: &impl Chunks) {
        let result = model.generate(request, &mut |piece| {
            self.open(chunks)?;
            self.send(&chunks.piece(piece.text))
        });
        self.ended = true;
        // A client that left is not there to be told.
        let _: ControlFlow<()> = match result {
            Ok(generation) => self.close(chunks, &generation),
            Err(error) => self.push(Err(error.into())),
        };
    }

    fn open(&mut self, chunks: &impl Chunks) -> ControlFlow<()> {
        if !self.opened {
            self.opened = true;
            if let Some(opening) = chunks.opening() {
                self.send(&opening)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn close(&mut self, chunks: &impl Chunks, generation: &Generation) -> ControlFlow<()> {
        self.open(chunks)?;
        for event in chunks.closing(generation) {
            self.send(&event)?;
        }
        self.push(Ok("[DONE]".to_owned()))
    }

    fn send(&self, event: &Value) -> ControlFlow<()> {
        self.push(Ok(event.to_string()))
    }

    fn push(&self, event: Result<String, ApiError>) -> ControlFlow<()> {
        match self.sender.try_send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        if !self.ended {
            // Reached by a panic alone; the client may be gone as well.
            let _: ControlFlow<()> = self.push(Err(ApiError::internal()));
        }
    }
}

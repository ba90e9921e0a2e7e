//! Running a generation for a client: whole, or as server-sent events. Either
//! way it stops within one decode step of the client's leaving.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Document};
use andon_runtime::LanguageModel;
use andon_task::engine::{GenerateRequest, Generation, Piece, Usage};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};
use tokio_stream::wrappers::ReceiverStream;

use crate::app::App;
use crate::asked::Asked;
use crate::error::ApiError;
use crate::extract::Reply;
use crate::gate::Presence;

/// Events that wait for a client that reads slowly; one that falls further behind
/// counts as gone, for the engine must not wait for it.
const EVENTS_WAITING: usize = 4096;

/// What is to be generated.
pub(crate) struct Order {
    pub(crate) model: Arc<dyn LanguageModel>,
    /// What the first choice is; each further one has the next seed.
    pub(crate) request: GenerateRequest,
    /// How many answers are wanted.
    pub(crate) choices: usize,
    /// For whom and until when.
    pub(crate) asked: Asked,
}

impl Order {
    /// The requests of all choices, for one who is present.
    fn requests(&self, presence: &Presence) -> Vec<GenerateRequest> {
        let request = |choice: usize| {
            let mut request = self.request.clone();
            request.terms = self.asked.terms(presence.departure());
            request.sampling.seed = request.sampling.seed.wrapping_add(choice as u64);
            request
        };
        (0..self.choices).map(request).collect()
    }
}

/// The whole answers, in the order of the choices.
pub(crate) async fn whole(app: &App, order: Order) -> Result<Vec<Generation>, ApiError> {
    let place = Arc::new(app.long_gate.enter(order.asked.class(), order.choices)?);
    let presence = Presence::new();
    let mut works = JoinSet::new();
    for (choice, request) in order.requests(&presence).into_iter().enumerate() {
        let (model, place) = (Arc::clone(&order.model), Arc::clone(&place));
        works.spawn_blocking(move || {
            let result = model.generate(&request, &mut |_| ControlFlow::Continue(()));
            drop(place);
            (choice, result)
        });
    }
    let mut answers: Vec<Option<Generation>> = vec![None; order.choices];
    while let Some(done) = works.join_next().await {
        // A failure drops `presence`, which ends the others.
        let (choice, result) = done.map_err(|failure| {
            // What a panic says may quote the text of the request.
            let panicked = failure.is_panic();
            tracing::error!(panicked, "a request failed by a fault of the program");
            ApiError::internal()
        })?;
        answers[choice] = Some(result?);
    }
    Ok(answers.into_iter().flatten().collect())
}

/// What all choices cost together: their prompt is one.
pub(crate) fn usage(generations: &[Generation]) -> Usage {
    generations
        .iter()
        .fold(Usage::default(), |sum, generation| {
            let usage = generation.usage;
            Usage {
                prompt_tokens: usage.prompt_tokens,
                cached_tokens: sum.cached_tokens.max(usage.cached_tokens),
                completion_tokens: sum.completion_tokens + usage.completion_tokens,
            }
        })
}

/// A generated answer as it goes out.
pub(crate) enum Answered<T> {
    /// All at once.
    Whole(Box<T>),
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

/// An event of a stream.
#[derive(Debug)]
pub(crate) struct Frame {
    name: Option<&'static str>,
    data: String,
}

impl Frame {
    /// An event without a name.
    pub(crate) fn plain(data: &Value) -> Self {
        Self {
            name: None,
            data: data.to_string(),
        }
    }

    /// An event with a name.
    pub(crate) fn named(name: &'static str, data: &Value) -> Self {
        Self {
            name: Some(name),
            data: data.to_string(),
        }
    }

    /// The word that ends a stream of OpenAI's older kind.
    pub(crate) fn done() -> Self {
        Self {
            name: None,
            data: "[DONE]".to_owned(),
        }
    }
}

impl From<Frame> for Event {
    fn from(frame: Frame) -> Self {
        let event = Self::default().data(frame.data);
        match frame.name {
            Some(name) => event.event(name),
            None => event,
        }
    }
}

/// How a kind of answer is written as events.
pub(crate) trait Script: Send + 'static {
    /// The events before the first text.
    fn opening(&mut self) -> Vec<Frame>;
    /// The events for a piece of a choice.
    fn piece(&mut self, choice: usize, piece: Piece<'_>) -> Vec<Frame>;
    /// The events after the last text of a choice.
    fn ended(&mut self, choice: usize, generation: &Generation) -> Vec<Frame>;
    /// The events after all choices.
    fn closing(&mut self, generations: &[Generation]) -> Vec<Frame>;

    /// The events for a failure in the middle, after which nothing comes.
    fn failed(&mut self, error: &ApiError) -> Vec<Frame> {
        vec![Frame::plain(&json!(error.body()))]
    }
}

/// The answer as server-sent events. What fails before the first event is an
/// ordinary error; what fails later is an event of its own.
pub(crate) async fn streamed<T>(
    app: &App,
    order: Order,
    script: impl Script,
) -> Result<Answered<T>, ApiError> {
    let place = Arc::new(app.long_gate.enter(order.asked.class(), order.choices)?);
    let presence = Presence::new();
    let (sender, receiver) = mpsc::channel(EVENTS_WAITING);
    let outlet = Arc::new(Mutex::new(Outlet {
        sender: Some(sender),
        opened: false,
        generations: vec![None; order.choices],
        script,
    }));
    for (choice, request) in order.requests(&presence).into_iter().enumerate() {
        let (model, place) = (Arc::clone(&order.model), Arc::clone(&place));
        let voice = Voice {
            outlet: Arc::clone(&outlet),
            choice,
            ended: false,
        };
        spawn_blocking(move || {
            voice.speak(&*model, &request);
            drop(place);
        });
    }
    drop(outlet);
    let failed = |error: ApiError| Frame::plain(&json!(error.body()));
    Answered::events(receiver, presence, failed).await
}

impl<A> Answered<A> {
    /// The events that come, once the first is there; where that is an error, it is the
    /// answer. A later one is told as `failed` says.
    pub(crate) async fn events(
        receiver: mpsc::Receiver<Result<Frame, ApiError>>,
        presence: Presence,
        failed: impl Fn(ApiError) -> Frame + Send + 'static,
    ) -> Result<Self, ApiError> {
        let mut events = ReceiverStream::new(receiver);
        let first = events
            .next()
            .await
            .unwrap_or_else(|| Err(ApiError::internal()))?;
        let all = stream::once(async { Ok(first) }).chain(events);
        let all = all.map(move |frame: Result<Frame, ApiError>| {
            // The stream holds the presence: when it goes, the client has left.
            let _present = &presence;
            let frame = frame.unwrap_or_else(&failed);
            Ok::<Event, std::convert::Infallible>(frame.into())
        });
        Ok(Self::Events(Box::new(Sse::new(all).into_response())))
    }
}

/// Where the events of all choices go.
struct Outlet<S> {
    /// Gone when a choice has failed, or all have ended.
    sender: Option<mpsc::Sender<Result<Frame, ApiError>>>,
    opened: bool,
    generations: Vec<Option<Generation>>,
    script: S,
}

impl<S: Script> Outlet<S> {
    fn piece(&mut self, choice: usize, piece: Piece<'_>) -> ControlFlow<()> {
        self.open()?;
        let frames = self.script.piece(choice, piece);
        self.send(frames)
    }

    fn end(&mut self, choice: usize, generation: Generation) -> ControlFlow<()> {
        self.open()?;
        let frames = self.script.ended(choice, &generation);
        self.send(frames)?;
        self.generations[choice] = Some(generation);
        if self.generations.iter().all(Option::is_some) {
            let all: Vec<Generation> = self.generations.drain(..).flatten().collect();
            let frames = self.script.closing(&all);
            self.send(frames)?;
            self.sender = None;
        }
        ControlFlow::Continue(())
    }

    fn fail(&mut self, error: ApiError) {
        let Some(sender) = self.sender.take() else {
            return;
        };
        // A client that left is not there to be told.
        if self.opened {
            for frame in self.script.failed(&error) {
                sender.try_send(Ok(frame)).ok();
            }
        } else {
            sender.try_send(Err(error)).ok();
        }
    }

    fn open(&mut self) -> ControlFlow<()> {
        if self.opened {
            return ControlFlow::Continue(());
        }
        self.opened = true;
        let frames = self.script.opening();
        self.send(frames)
    }

    fn send(&self, frames: Vec<Frame>) -> ControlFlow<()> {
        let Some(sender) = &self.sender else {
            return ControlFlow::Break(());
        };
        for frame in frames {
            if sender.try_send(Ok(frame)).is_err() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

/// The work of one choice. However it ends, by a panic too, the client is told.
struct Voice<S: Script> {
    outlet: Arc<Mutex<Outlet<S>>>,
    choice: usize,
    ended: bool,
}

impl<S: Script> Voice<S> {
    fn with<T>(&self, act: impl FnOnce(&mut Outlet<S>) -> T) -> T {
        // A panic in another choice has told the client and closed the outlet.
        act(&mut self.outlet.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn speak(mut self, model: &dyn LanguageModel, request: &GenerateRequest) {
        let result = model.generate(request, &mut |piece| {
            self.with(|outlet| outlet.piece(self.choice, piece))
        });
        self.ended = true;
        match result {
            // Whether the client heard the end changes nothing any more.
            Ok(generation) => {
                let _: ControlFlow<()> = self.with(|outlet| outlet.end(self.choice, generation));
            }
            Err(error) => {
                request.terms.departure.announce();
                self.with(|outlet| outlet.fail(error.into()));
            }
        }
    }
}

impl<S: Script> Drop for Voice<S> {
    fn drop(&mut self) {
        if !self.ended {
            // Reached by a panic alone.
            self.with(|outlet| outlet.fail(ApiError::internal()));
        }
    }
}

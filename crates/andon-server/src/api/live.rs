//! A run as it is made, as server-sent events: `record` once the text is on disk, `sentence`
//! and `text` for what comes meanwhile, `run` once the run is on disk, or `error`. Only `run`
//! is the answer.

use andon_runtime::{Node, Taken, Told};
use andon_task::engine::Terms;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::view::RunView;
use crate::app::App;
use crate::asked::Asked;
use crate::error::ApiError;
use crate::gate::Presence;
use crate::openai::generation::{Answered, Frame};

/// Events that wait for a client that reads slowly; what comes beyond them it does not get,
/// but for the last one.
const EVENTS_WAITING: usize = 4096;

/// Runs a task over what `take_in` gives, and tells its client of it. What fails before the
/// record is on disk is an ordinary error; what fails later is an event.
pub(super) async fn streamed(
    app: &App,
    (task, asked): (String, Asked),
    take_in: impl FnOnce(&Node) -> Result<Taken, ApiError> + Send + 'static,
) -> Result<Answered<RunView>, ApiError> {
    let place = app.gate.enter(asked.class(), 1)?;
    let presence = Presence::new();
    let terms = asked.terms(presence.departure());
    let (sender, receiver) = mpsc::channel(EVENTS_WAITING);
    let node = app.node.clone();
    spawn_blocking(move || {
        let mut voice = Voice {
            sender,
            ended: false,
        };
        let ended = take_in(&node).and_then(|taken| voice.run(&node, (&task, &taken), &terms));
        voice.ended = true;
        // A client that left is not there to be told.
        voice.sender.blocking_send(ended).ok();
        drop(place);
    });
    let failed = |error: ApiError| Frame::named("error", &json!(error.body()));
    Answered::events(receiver, presence, failed).await
}

/// Tells a client of the run. However it ends, by a panic too, the client is told.
struct Voice {
    sender: mpsc::Sender<Result<Frame, ApiError>>,
    ended: bool,
}

impl Voice {
    /// The last event.
    fn run(
        &self,
        node: &Node,
        (task, taken): (&str, &Taken),
        terms: &Terms,
    ) -> Result<Frame, ApiError> {
        self.say("record", &json!({"record": taken.record.id}));
        let stored = node.run_telling(task, taken, terms, &|told| match told {
            Told::Sentence(place, sentence) => {
                let mut data = json!(sentence);
                data["place"] = place.into();
                self.say("sentence", &data);
            }
            Told::Text(text) => self.say("text", &json!({"text": text})),
        })?;
        Ok(Frame::named("run", &json!(RunView::from(stored))))
    }

    fn say(&self, name: &'static str, data: &Value) {
        self.sender.try_send(Ok(Frame::named(name, data))).ok();
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        if !self.ended {
            // Reached by a panic alone.
            self.sender.try_send(Err(ApiError::internal())).ok();
        }
    }
}

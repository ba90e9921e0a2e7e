//! `/api/queue`: what waits for an upstream's link, and what came of it.

use andon_store::{Place, PlaceState, QueueCounts, QueueFilter};
use andon_task::task::Class;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::records::page;
use crate::access::Caller;
use crate::app::App;
use crate::error::ApiError;
use crate::extract::{Path, Query, Reply};

/// The queue: how much is in it, and a page of its places, newest first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct QueueView {
    /// Places that wait.
    pub queued: u64,
    /// Places that are being sent.
    pub in_flight: u64,
    /// Places whose answer is there.
    pub settled: u64,
    /// Dead letters: places that will not be sent.
    pub expired: u64,
    /// A page of the places.
    pub places: Vec<PlaceView>,
}

/// A place in the queue. What is asked is not shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PlaceView {
    /// Its number.
    pub id: i64,
    /// The task.
    pub task: String,
    /// The record that is asked about.
    pub record: i64,
    /// `machine`, `person` or `batch`: in this order they are sent.
    #[schemars(with = "String")]
    pub class: Class,
    /// `queued`, `in_flight`, `settled` or `expired`.
    pub state: &'static str,
    /// How often it was sent.
    pub attempts: u32,
    /// How often the upstream failed in it, while it answered others.
    pub failures: u32,
    /// Since when it waits, as RFC 3339 in UTC.
    pub queued_at: String,
    /// Until when it waits, as RFC 3339 in UTC.
    pub expires_at: String,
    /// After a failure: not before, as RFC 3339 in UTC.
    pub not_before: Option<String>,
    /// Why it will not be sent, or how it failed last.
    pub reason: Option<String>,
    /// The run that has its answer.
    pub run: Option<i64>,
}

impl From<Place> for PlaceView {
    fn from(place: Place) -> Self {
        Self {
            id: place.id,
            task: place.new.task,
            record: place.new.record,
            class: place.new.class,
            state: place.state.name(),
            attempts: place.attempts,
            failures: place.failures,
            not_before: (place.failures > 0 && place.state == PlaceState::Queued)
                .then(|| place.not_before.to_string()),
            queued_at: place.new.queued_at.to_string(),
            expires_at: place.new.expires_at.to_string(),
            reason: place.reason,
            run: place.run,
        }
    }
}

impl QueueView {
    /// The queue as it is shown.
    pub fn new(places: Vec<Place>, counts: QueueCounts) -> Self {
        Self {
            queued: counts.queued,
            in_flight: counts.in_flight,
            settled: counts.settled,
            expired: counts.expired,
            places: places.into_iter().map(PlaceView::from).collect(),
        }
    }
}

/// Which places to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueueQuery {
    /// Only places in this state: `queued`, `in_flight`, `settled` or `expired`.
    state: Option<String>,
    /// Only places with a smaller number: the last of the page before.
    before: Option<i64>,
    /// At most so many, 100 by default and 1,000 at most.
    limit: Option<usize>,
}

/// The number of a place, in the path.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct PlaceId {
    /// The number.
    id: i64,
}

/// A place that was made for what had been given up.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RetryView {
    /// The number of the new place.
    place: i64,
}

/// Lets a dead letter wait once more, for as long as its task lets it.
pub(crate) async fn retry(
    State(app): State<App>,
    caller: Caller,
    Path(PlaceId { id }): Path<PlaceId>,
) -> Result<Reply<RetryView>, ApiError> {
    app.work(Class::Person, move |node| {
        let place = node.retry_queued(id, caller.name(None).as_deref())?;
        Ok(Reply(RetryView { place }))
    })
    .await
}

/// Lists what waits for an upstream's link, newest first; dead letters among it.
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<QueueQuery>,
) -> Result<Reply<QueueView>, ApiError> {
    let page = page(query.before, query.limit)?;
    let state = query.state.map(|word| {
        PlaceState::named(&word).ok_or_else(|| {
            let message = "give queued, in_flight, settled or expired";
            ApiError::invalid("state", message)
        })
    });
    let filter = QueueFilter {
        state: state.transpose()?,
    };
    app.work(Class::Person, move |node| {
        let (places, counts) = node.queue(&filter, page)?;
        Ok(Reply(QueueView::new(places, counts)))
    })
    .await
}

//! The one doorway from HTTP to the node's blocking calls: it bounds how many
//! run at once and refuses the rest.

use std::sync::Arc;

use andon_runtime::Node;
use andon_task::engine::Departure;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use crate::error::ApiError;

/// Bounds the calls in flight.
#[derive(Clone)]
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    limit: usize,
}

impl Gate {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limit)),
            limit,
        }
    }

    /// A place; refused, not waited for, where all are taken. It goes with the
    /// work, not with the request: an abandoned call still counts until it ends.
    pub(crate) fn enter(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| ApiError::overloaded(self.limit))
    }

    /// Calls that run now.
    pub(crate) fn in_flight(&self) -> usize {
        self.limit - self.places.available_permits()
    }

    /// Runs `job` on a thread for blocking work. A panic in it fails this request
    /// and nothing else.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        node: &Arc<Node>,
        job: impl FnOnce(&Node) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let place = self.enter()?;
        let node = Arc::clone(node);
        let done = spawn_blocking(move || {
            let result = job(&node);
            drop(place);
            result
        });
        done.await.unwrap_or_else(|failure| {
            tracing::error!(%failure, "a request failed by a fault of the program");
            Err(ApiError::internal())
        })
    }
}

/// Whether the one who asked is still there. The request holds it, and with it
/// goes; the work holds its [`Departure`].
#[derive(Default)]
pub(crate) struct Presence(Departure);

impl Presence {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn departure(&self) -> Departure {
        self.0.clone()
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.announce();
    }
}

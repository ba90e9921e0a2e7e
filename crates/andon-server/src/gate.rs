//! The one doorway from HTTP to the node's blocking calls: it bounds how many
//! run at once and refuses the rest. Each class has places of its own, so that no
//! batch takes those of people, nor people those of machines.

use std::sync::Arc;

use andon_runtime::Node;
use andon_task::engine::Departure;
use andon_task::task::Class;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use crate::error::ApiError;

/// Bounds the calls in flight.
pub(crate) struct Gate {
    machine: Arc<Semaphore>,
    person: Arc<Semaphore>,
    batch: Arc<Semaphore>,
    limit: usize,
}

impl Gate {
    /// As many places as `limit` for each class.
    pub(crate) fn new(limit: usize) -> Self {
        let places = || Arc::new(Semaphore::new(limit));
        Self {
            machine: places(),
            person: places(),
            batch: places(),
            limit,
        }
    }

    fn places(&self, class: Class) -> &Arc<Semaphore> {
        match class {
            Class::Machine => &self.machine,
            Class::Person => &self.person,
            Class::Batch => &self.batch,
        }
    }

    /// So many places; refused, not waited for, where there are not enough. They
    /// go with the work, not with the request: an abandoned call still counts until
    /// it ends.
    pub(crate) fn enter(
        &self,
        class: Class,
        places: usize,
    ) -> Result<OwnedSemaphorePermit, ApiError> {
        let number = u32::try_from(places).unwrap_or(u32::MAX);
        Arc::clone(self.places(class))
            .try_acquire_many_owned(number)
            .map_err(|_| ApiError::overloaded(self.in_flight(class)))
    }

    /// Calls of a class that run now.
    pub(crate) fn in_flight(&self, class: Class) -> usize {
        self.limit - self.places(class).available_permits()
    }

    /// Runs `job` on a thread for blocking work. A panic in it fails this request
    /// and nothing else.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        class: Class,
        node: &Arc<Node>,
        job: impl FnOnce(&Node) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let place = self.enter(class, 1)?;
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

//! The one doorway from HTTP to the node's blocking calls: it bounds how many
//! run at once and refuses the rest. Each class has places of its own, so that no
//! batch takes those of people, nor people those of machines.

use std::sync::Arc;

use andon_runtime::Node;
use andon_task::engine::Departure;
use andon_task::task::Class;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use crate::error::ApiError;

/// Bounds the calls in flight.
pub(crate) struct Gate {
    machine: Arc<Semaphore>,
    person: Arc<Semaphore>,
    batch: Arc<Semaphore>,
    limit: usize,
    let_in: Family<ClassLabels, Counter>,
}

/// The class of calls, for who counts them.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct ClassLabels {
    class: &'static str,
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
            let_in: Family::default(),
        }
    }

    /// How many calls of each class were let in.
    pub(crate) fn let_in(&self) -> Family<ClassLabels, Counter> {
        self.let_in.clone()
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
        let permit = Arc::clone(self.places(class))
            .try_acquire_many_owned(number)
            .map_err(|_| ApiError::overloaded(self.in_flight_of(class)))?;
        let class = match class {
            Class::Machine => "machine",
            Class::Person => "person",
            Class::Batch => "batch",
        };
        self.let_in
            .get_or_create(&ClassLabels { class })
            .inc_by(u64::from(number));
        Ok(permit)
    }

    fn in_flight_of(&self, class: Class) -> usize {
        self.limit - self.places(class).available_permits()
    }

    /// Calls that run now.
    pub(crate) fn in_flight(&self) -> usize {
        [Class::Machine, Class::Person, Class::Batch]
            .map(|class| self.in_flight_of(class))
            .iter()
            .sum()
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
            // What a panic says may quote the text of the request.
            let panicked = failure.is_panic();
            tracing::error!(panicked, "a request failed by a fault of the program");
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

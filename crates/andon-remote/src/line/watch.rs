//! When a call ends: with its caller, its deadline, or the server's silence.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use andon_task::engine::{Departure, EngineError, Terms};

/// How often a call looks whether it is still wanted.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// How long a server may take, apart from what a request's own deadline says.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until there is a connection.
    pub connect: Duration,
    /// Until the first token, with all of the prompt before it.
    pub first_token: Duration,
    /// From token to token.
    pub between_tokens: Duration,
    /// For all of it.
    pub total: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            first_token: Duration::from_secs(60),
            between_tokens: Duration::from_secs(15),
            total: Duration::from_secs(600),
        }
    }
}

/// Why a call was ended from this side.
#[derive(Clone, Debug)]
enum End {
    Left,
    Deadline,
    Silence(&'static str, Duration),
}

/// What a call in progress is watched for.
#[derive(Debug)]
pub(super) struct Watch {
    departure: Departure,
    deadline: Option<Instant>,
    patience: Patience,
    began: Instant,
    /// Until when the next token has to come, and what that wait is called.
    next: (Instant, &'static str, Duration),
    ended: Option<End>,
}

impl Watch {
    pub(super) fn new(terms: &Terms, patience: Patience) -> Self {
        let began = Instant::now();
        Self {
            departure: terms.departure.clone(),
            deadline: terms.deadline,
            patience,
            began,
            next: (
                began + patience.first_token,
                "before its first token",
                patience.first_token,
            ),
            ended: None,
        }
    }

    /// How long nothing but a departure ends the call; `None` once it has ended.
    fn left(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let (silent, wait, allowed) = self.next;
        if self.departure.is_announced() {
            self.ended = Some(End::Left);
        } else if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.ended = Some(End::Deadline);
        } else if self.began + self.patience.total <= now {
            self.ended = Some(End::Silence("until it was done", self.patience.total));
        } else if silent <= now {
            self.ended = Some(End::Silence(wait, allowed));
        }
        if self.ended.is_some() {
            return None;
        }
        let ends = silent.min(self.began + self.patience.total);
        let ends = self.deadline.map_or(ends, |deadline| ends.min(deadline));
        Some(ends - now)
    }
}

/// The watch of the call that a connection is in, if it is in one.
#[derive(Clone, Debug, Default)]
pub(super) struct Post(Arc<Mutex<Option<Watch>>>);

impl Post {
    fn with<T>(&self, work: impl FnOnce(&mut Option<Watch>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How long the call may still take; `None` once it has ended.
    pub(super) fn left(&self) -> Option<Duration> {
        self.with(|watch| watch.as_mut().map_or(Some(LOOK), Watch::left))
    }

    /// A call begins.
    pub(super) fn begin(&self, watch: Watch) {
        self.with(|current| *current = Some(watch));
    }

    /// The call is over.
    pub(super) fn end(&self) {
        self.with(|current| *current = None);
    }

    /// A token has come: from here on the next one is waited for.
    pub(super) fn token_came(&self) {
        self.with(|watch| {
            if let Some(watch) = watch {
                let allowed = watch.patience.between_tokens;
                watch.next = (Instant::now() + allowed, "between two tokens", allowed);
            }
        });
    }

    /// The answer is whole: what still comes is waited for only briefly.
    pub(super) fn wind_up(&self) {
        self.with(|watch| {
            if let Some(watch) = watch {
                watch.next = (Instant::now() + LOOK, "to end its answer", LOOK);
            }
        });
    }

    /// Why the call has ended, if it has.
    pub(super) fn ended(&self) -> Option<EngineError> {
        self.left();
        let end = self.with(|watch| watch.as_ref()?.ended.clone())?;
        Some(match end {
            End::Left => EngineError::Cancelled,
            End::Deadline => EngineError::DeadlinePassed,
            End::Silence(wait, allowed) => EngineError::Failed(format!(
                "the server took more than {} ms {wait}",
                allowed.as_millis()
            )),
        })
    }
}

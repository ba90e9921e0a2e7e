//! What computes the jobs of a language model: the thread of this crate, or something
//! else that is driven in the same way.
//!
//! Whoever brings one gets prompts as tokens and labels as tokens, and a [`Generating`]
//! that says what becomes of logits: everything about text stays with
//! [`LanguageModel`](crate::LanguageModel).

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use andon_task::engine::{EngineError, Statistics, Terms};

use crate::adapter::Applied;
pub use crate::labels::{Branch, Labels};
pub use crate::worker::{
    Evaluate, Event, Generate, Generating, Next, Pin, Restore, Score, Told, Work,
};

/// How often one who waits looks whether there is still something to wait for.
const LOOK: Duration = Duration::from_millis(50);
/// What a deadline may be overdrawn by, so that an answer that is nearly there
/// is not thrown away.
const GRACE: Duration = Duration::from_millis(50);

/// Computes jobs.
pub trait Drive: Send + Sync {
    /// Takes a job, to be computed with an adapter.
    ///
    /// # Errors
    /// If as many jobs wait as may, the job cannot be done before its deadline, or
    /// it needs more memory than there is.
    fn submit(
        &self,
        work: Work,
        adapter: Option<Applied>,
        terms: &Terms,
    ) -> Result<(), EngineError>;

    /// Mends what stands still; called now and then by those who wait.
    fn look_after(&self);

    /// What it does, and whether it does.
    fn statistics(&self) -> Statistics;
}

/// The next message of a job. Nobody waits for what cannot come any more: not
/// past the deadline, not for a thread that is stuck.
///
/// # Errors
/// As the job's own, or if there is nothing to wait for.
pub(crate) fn wait<T>(
    drive: &dyn Drive,
    messages: &Receiver<T>,
    terms: &Terms,
) -> Result<T, EngineError> {
    let lost = || EngineError::Failed("the engine lost the request".into());
    loop {
        match messages.recv_timeout(LOOK) {
            Ok(message) => return Ok(message),
            Err(RecvTimeoutError::Disconnected) => return Err(lost()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if terms.departure.is_announced() {
            return Err(EngineError::Cancelled);
        }
        if terms
            .deadline
            .is_some_and(|deadline| Instant::now() > deadline + GRACE)
        {
            return Err(EngineError::DeadlinePassed);
        }
        drive.look_after();
    }
}

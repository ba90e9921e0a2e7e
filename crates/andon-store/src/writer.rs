//! The one writer: a thread that owns the writing connection and commits what
//! waits together.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::{Error, Fault};

#[cfg(test)]
mod tests;

/// Commands that may wait. One more is refused.
const QUEUE: usize = 1024;

/// Commands in one transaction.
const BATCH: usize = 256;

/// The way to the writing thread. Dropping it waits until all that was queued is
/// on disk.
pub(crate) struct Writer {
    commands: Option<SyncSender<Box<dyn Command>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(connection: Connection) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || serve(connection, &receiver))?;
        Ok(Self {
            commands: Some(sender),
            thread: Some(thread),
        })
    }

    /// Runs `work` in a transaction and answers when it is on disk. `work` may
    /// run again if the transaction that it shared with others was lost.
    pub(crate) fn write<T, W>(&self, work: W) -> Result<T, Fault>
    where
        T: Send + 'static,
        W: Fn(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        self.queue(work)?.recv().map_err(|_| stopped())?
    }

    /// Queues `work`; its outcome comes when it is on disk.
    fn queue<T, W>(&self, work: W) -> Result<Receiver<Result<T, Fault>>, Fault>
    where
        T: Send + 'static,
        W: Fn(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let (answer, answered) = sync_channel(1);
        let command = Box::new(Pending {
            work,
            outcome: None,
            answer,
        });
        let commands = self.commands.as_ref().ok_or_else(stopped)?;
        commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => Error::Overloaded { waiting: QUEUE }.into(),
            TrySendError::Disconnected(_) => stopped(),
        })?;
        Ok(answered)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was told to those who waited for it.
            let _ = thread.join();
        }
    }
}

fn stopped() -> Fault {
    Error::Failed("its writer has stopped: restart the node".to_owned()).into()
}

/// What the writer is asked to do.
trait Command: Send {
    /// Does it, without committing, and says whether to keep what it wrote.
    fn perform(&mut self, connection: &Connection) -> Verdict;

    /// Tells its caller, after the commit.
    fn settle(self: Box<Self>, committed: Result<(), Fault>);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Keep,
    Undo,
}

struct Pending<T, W> {
    work: W,
    outcome: Option<Result<T, Fault>>,
    answer: SyncSender<Result<T, Fault>>,
}

impl<T, W> Command for Pending<T, W>
where
    T: Send,
    W: Fn(&Connection) -> Result<T, Fault> + Send,
{
    fn perform(&mut self, connection: &Connection) -> Verdict {
        // What a panic leaves half-written is undone with the savepoint.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.work)(connection)))
            .unwrap_or_else(|panic| Err(Error::Failed(message_of(&*panic)).into()));
        let verdict = match outcome {
            Ok(_) => Verdict::Keep,
            Err(_) => Verdict::Undo,
        };
        self.outcome = Some(outcome);
        verdict
    }

    fn settle(self: Box<Self>, committed: Result<(), Fault>) {
        let outcome = match (self.outcome, committed) {
            (Some(Err(own)), _) => Err(own),
            (_, Err(fault)) => Err(fault),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(stopped()),
        };
        // Only a caller whose thread is gone does not wait for this.
        let _ = self.answer.send(outcome);
    }
}

/// What a panic says, unless it was put together: that may quote a record.
fn message_of(panic: &(dyn Any + Send)) -> String {
    match panic.downcast_ref::<&str>() {
        Some(message) => format!("it panicked: {message}"),
        None => "it panicked".to_owned(),
    }
}

fn serve(mut connection: Connection, commands: &Receiver<Box<dyn Command>>) {
    while let Ok(first) = commands.recv() {
        let mut batch = vec![first];
        batch.extend(commands.try_iter().take(BATCH - 1));
        let committed = commit(&mut connection, &mut batch);
        if matches!(&committed, Err(fault) if batch.len() > 1 && is_of_one(fault)) {
            for mut command in batch {
                let committed = commit(&mut connection, std::slice::from_mut(&mut command));
                command.settle(committed);
            }
        } else {
            for command in batch {
                command.settle(committed.clone());
            }
        }
    }
}

/// Whether one command may have failed the batch, so that others may succeed
/// alone: it lost the transaction, or the disk has no room for all of them.
fn is_of_one(fault: &Fault) -> bool {
    matches!(fault, Fault::Known(_)) || fault.is_no_space()
}

/// Performs the commands in one transaction and syncs it to disk.
fn commit(connection: &mut Connection, batch: &mut [Box<dyn Command>]) -> Result<(), Fault> {
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for command in batch {
        let savepoint = transaction.savepoint()?;
        let verdict = command.perform(&savepoint);
        // On some failures, as a full disk, SQLite undoes the whole transaction.
        if savepoint.is_autocommit() {
            return Err(Error::Failed("its transaction was undone".to_owned()).into());
        }
        match verdict {
            Verdict::Keep => savepoint.commit()?,
            Verdict::Undo => savepoint.finish()?,
        }
    }
    transaction.commit()?;
    Ok(())
}

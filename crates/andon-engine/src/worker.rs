//! The one thread that drives a model, and the way to it.
//!
//! Jobs wait on a [`board`] in the order of their ranks. The thread takes them in
//! steps of three words: schedule, run, settle. A panic within a step fails the
//! jobs that run and nothing else. A thread that makes no progress is left behind:
//! whoever waits notices it, and a new one takes its place, for the weights never
//! change and all else is made anew.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use andon_kernels::{Kernels, kv};
use andon_task::engine::{EngineError, Statistics, Terms};

use crate::adapter::Applied;
use crate::decoder::{Decoder, Logits, Pause, Slot, Workspace};
use crate::drive::Drive;

mod board;
mod engine;
mod generating;
mod job;
mod pin;
mod running;
mod score;
mod sequence;

use board::Board;
use engine::Engine;
pub use generating::{Generating, Next};
pub use job::{Evaluate, Event, Generate, Pin, Restore, Score, Told, Work};

/// What the thread drives: a decoder's weights, never changed.
pub(crate) trait Model: Send + Sync + 'static {
    /// Room for the keys and values of `blocks` blocks in every layer.
    fn new_cache(&self, blocks: usize) -> Vec<kv::Layer>;

    /// Tokens of the vocabulary: logits of a row.
    fn vocabulary(&self) -> usize;

    /// Computes one step: writes the keys and values of every token into `cache`
    /// and returns the logits that are wanted. Behind every layer it calls `pause`,
    /// which may compute other sequences' steps in the same cache.
    fn step(
        &self,
        kernels: &Kernels,
        workspace: &mut Workspace,
        cache: &mut [kv::Layer],
        slots: &[Slot<'_>],
        pause: &mut Pause<'_>,
    ) -> Logits;
}

impl Model for Decoder {
    fn new_cache(&self, blocks: usize) -> Vec<kv::Layer> {
        Decoder::new_cache(self, blocks)
    }

    fn vocabulary(&self) -> usize {
        Decoder::vocabulary(self)
    }

    fn step(
        &self,
        kernels: &Kernels,
        workspace: &mut Workspace,
        cache: &mut [kv::Layer],
        slots: &[Slot<'_>],
        pause: &mut Pause<'_>,
    ) -> Logits {
        Decoder::step(self, kernels, workspace, cache, slots, pause)
    }
}

/// The thread and the way to it. Dropping it ends the thread after its step.
pub(crate) struct Worker {
    model: Arc<dyn Model>,
    kernels: Arc<Kernels>,
    blocks: usize,
    /// How long a step may take before its thread counts as stuck.
    patience: Duration,
    board: Arc<Board>,
    thread: Mutex<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread of a model with room for `blocks` blocks. A step that
    /// takes longer than `patience`, and than many times what steps took so far,
    /// is given up with its thread.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn start(
        model: impl Model,
        kernels: Arc<Kernels>,
        blocks: usize,
        patience: Duration,
    ) -> std::io::Result<Self> {
        let model: Arc<dyn Model> = Arc::new(model);
        let board = Arc::new(Board::new(blocks));
        let thread = spawn(&model, &kernels, &board, blocks)?;
        Ok(Self {
            model,
            kernels,
            blocks,
            patience,
            board,
            thread: Mutex::new(thread),
        })
    }

    /// Leaves a thread behind that makes no progress. What it ran is lost, and its
    /// callers are told; what waits goes on with a new thread.
    fn replace_if_stuck(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = thread.is_finished();
        if !is_over && !self.board.is_stuck(self.patience) {
            return;
        }
        tracing::error!("the engine makes no progress and is replaced");
        self.board.disown();
        match spawn(&self.model, &self.kernels, &self.board, self.blocks) {
            // The old thread is on its own: it finds that the board is not its any more.
            Ok(new) => drop(std::mem::replace(&mut *thread, new)),
            Err(error) => tracing::error!(%error, "no thread for the engine"),
        }
    }
}

impl Drive for Worker {
    fn submit(
        &self,
        work: Work,
        adapter: Option<Applied>,
        terms: &Terms,
    ) -> Result<(), EngineError> {
        let blocks = work.blocks();
        if blocks > self.blocks {
            return Err(EngineError::Invalid(format!(
                "the request needs {blocks} blocks of the KV cache, which has {}: shorten it",
                self.blocks
            )));
        }
        self.board.put(work, adapter, terms)
    }

    fn look_after(&self) {
        self.replace_if_stuck();
    }

    fn statistics(&self) -> Statistics {
        self.replace_if_stuck();
        self.board.statistics()
    }
}

fn spawn(
    model: &Arc<dyn Model>,
    kernels: &Arc<Kernels>,
    board: &Arc<Board>,
    blocks: usize,
) -> std::io::Result<JoinHandle<()>> {
    let (model, kernels) = (Arc::clone(model), Arc::clone(kernels));
    let tenure = board.tenure();
    std::thread::Builder::new()
        .name("andon-engine".into())
        .spawn(move || Engine::new(model, kernels, tenure, blocks).live())
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.board.close();
        let thread = self.thread.get_mut();
        let thread = thread.unwrap_or_else(PoisonError::into_inner);
        // Not joined: a stuck thread would keep its owner for ever.
        while !thread.is_finished() && !self.board.is_stuck(self.patience) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests;

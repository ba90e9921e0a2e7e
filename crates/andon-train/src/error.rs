//! Why nothing was trained.

use std::path::PathBuf;

/// Why a training ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// There is too little to learn from.
    #[error("{found} examples are too few to train on: give {needed} at least")]
    TooFew {
        /// Examples that there are.
        found: usize,
        /// Examples that are needed.
        needed: usize,
    },
    /// An example is longer than the model's context.
    #[error(
        "example {example} has {tokens} tokens, and the model holds {context}: shorten it or leave it out"
    )]
    TooLong {
        /// Its position, from 1.
        example: usize,
        /// Its tokens.
        tokens: usize,
        /// Tokens that the model holds.
        context: usize,
    },
    /// An example cannot be learnt from as it stands.
    #[error("example {example} {reason}")]
    Unfit {
        /// Its position, from 1.
        example: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The memory would not suffice.
    #[error(
        "training takes some {} MiB of memory and {} MiB may be used: take a smaller batch or model, or give it more",
        needed >> 20,
        allowed >> 20
    )]
    Memory {
        /// Bytes that training would take.
        needed: u64,
        /// Bytes that may be used.
        allowed: u64,
    },
    /// The loss became no number; what was trained is of no use.
    #[error(
        "the loss is no number any more in epoch {epoch}, step {step}: nothing is kept; try a lower learning rate"
    )]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
        /// The step in it, from 1.
        step: usize,
    },
    /// The caller ended it; it can be resumed.
    #[error("the training was stopped; the same call resumes it where it stood")]
    Stopped,
    /// A checkpoint could not be written.
    #[error(
        "the checkpoint '{}' cannot be written: free some space there or make the folder writable",
        path.display()
    )]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The arithmetic failed.
    #[error("a step of the training failed")]
    Arithmetic(#[from] candle_core::Error),
}

//! The rows: each kind of work, done by both sides in turn.

use std::path::PathBuf;
use std::time::Duration;

use crate::andon::{Andon, Site};
use crate::peer::Peer;
use crate::work::{Decide, Restart};

pub(crate) mod ask;
pub(crate) mod engine;
pub(crate) mod mix;
pub(crate) mod restart;

/// A model that both sides run.
#[derive(Debug)]
pub(crate) struct Subject {
    /// Its name in the results, and in Andon's home.
    pub(crate) name: String,
    /// The file.
    pub(crate) gguf: PathBuf,
    /// What is asked of it.
    pub(crate) size: Size,
}

/// What is asked of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// Everything.
    Small,
    /// Prefill, decode and labels; it does not know a language.
    Large,
}

/// How often things are measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Turns of each side.
    pub(crate) rounds: usize,
    /// Requests of a turn that take tens of milliseconds.
    pub(crate) short: usize,
    /// Requests of a turn that may take a second.
    pub(crate) long: usize,
    /// Tokens of an answer whose speed is measured.
    pub(crate) decode_tokens: usize,
    /// Rounds of prefill and decode with a large model.
    pub(crate) large_rounds: usize,
    /// How long each side is under load.
    pub(crate) load: Duration,
    /// Restarts of each side.
    pub(crate) restarts: usize,
}

impl Plan {
    /// The whole comparison, in some ten minutes.
    pub(crate) const WHOLE: Self = Self {
        rounds: 3,
        short: 10,
        long: 4,
        decode_tokens: 128,
        large_rounds: 2,
        load: Duration::from_secs(20),
        restarts: 2,
    };

    /// Enough to see that everything works.
    pub(crate) const QUICK: Self = Self {
        rounds: 1,
        short: 3,
        long: 1,
        decode_tokens: 32,
        large_rounds: 1,
        load: Duration::from_secs(4),
        restarts: 1,
    };
}

/// Both sides, and what they are to be asked.
#[derive(Debug)]
pub(crate) struct Contest {
    /// llama.cpp.
    pub(crate) peer: Peer,
    /// Andon.
    pub(crate) andon: Andon,
    /// How often.
    pub(crate) plan: Plan,
    /// Notes and failure modes, where the data is there.
    pub(crate) decide: Option<Decide>,
    /// The task with a long prefix.
    pub(crate) restart: Restart,
    /// Files that come and go.
    pub(crate) scratch: PathBuf,
}

impl Contest {
    /// The plant for a model.
    pub(crate) fn site(&self, subject: &Subject) -> anyhow::Result<Site> {
        self.andon
            .site(&subject.name, self.decide.as_ref(), &self.restart)
    }
}

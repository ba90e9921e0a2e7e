//! What is typed about what may leave and what waits to.

use clap::{Args, Subcommand};

use super::Who;

/// What can be done with a policy.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Explain what may leave and why, find policies that can never apply, and run the
    /// plant's tests.
    Check(PolicyCheck),
    /// Run the tests in policy/tests/*.toml.
    Test,
}

/// `andon policy check`
#[derive(Debug, Args)]
pub(crate) struct PolicyCheck {
    /// Only what this task sends.
    #[arg(long, value_name = "TASK", conflicts_with = "caller")]
    pub(crate) task: Option<String>,
    /// What a caller of the API sends, by the name of its key.
    #[arg(long, value_name = "NAME")]
    pub(crate) caller: Option<String>,
    /// Only this field, such as input, instructions, labels or messages.user.
    #[arg(long, value_name = "FIELD")]
    pub(crate) field: Option<String>,
    /// Only to this upstream.
    #[arg(long, value_name = "NAME")]
    pub(crate) upstream: Option<String>,
}

/// What can be done with the queue.
#[derive(Debug, Subcommand)]
pub(crate) enum Queue {
    /// List what waits, what came of it, and dead letters, newest first.
    List(QueueList),
    /// Let a dead letter wait once more, for as long as its task lets it.
    Retry(QueueRetry),
}

/// `andon queue retry`
#[derive(Debug, Args)]
pub(crate) struct QueueRetry {
    /// The number of its place, as `andon queue list --state expired` shows it.
    #[arg(value_name = "PLACE")]
    pub(crate) place: i64,
    #[command(flatten)]
    pub(crate) who: Who,
}

/// `andon queue list`
#[derive(Debug, Args)]
pub(crate) struct QueueList {
    /// Only places in this state: queued, in_flight, settled or expired.
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<String>,
    /// How many at most.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub(crate) n: usize,
}

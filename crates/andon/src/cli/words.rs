//! What is typed about questions, periods, and requests beyond a small model's reach.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// `andon summarise`
#[derive(Debug, Args)]
pub(crate) struct Summarise {
    /// How far back: a number with m, h or d, as 30m, 8h or 7d. What came in as long
    /// before is compared with.
    #[arg(long, value_name = "TIME", default_value = "8h", value_parser = span)]
    pub(crate) since: Duration,
    /// Only records about this asset.
    #[arg(long, value_name = "ID")]
    pub(crate) asset: Option<String>,
    /// Tell it in plain sentences, without a language model.
    #[arg(long)]
    pub(crate) plain: bool,
}

fn span(typed: &str) -> Result<Duration, String> {
    let wrong = || "give a number with m, h or d, such as 8h".to_owned();
    let digits = typed.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    let minutes = match &typed[digits.len()..] {
        "m" | "min" => count,
        "h" => count.saturating_mul(60),
        "d" => count.saturating_mul(1440),
        _ => return Err(wrong()),
    };
    match minutes {
        1..=527_040 => Ok(Duration::from_secs(60 * minutes)),
        _ => Err("give at least 1m and at most 366d".to_owned()),
    }
}

/// `andon reach`
#[derive(Debug, Args)]
pub(crate) struct MakeReach {
    /// Labelled requests that nothing is fitted to.
    #[arg(long, value_name = "FILE")]
    pub(crate) held_out: PathBuf,
    /// The folder for the head and its figures.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// `andon ask`
#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// The question; without it they are read from standard input, a line each, and each
    /// may go on from the one before.
    pub(crate) question: Option<String>,
    /// The task that answers; needed where the plant has several.
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// A question that was asked before, which this one goes on from; may be repeated, the
    /// last one last.
    #[arg(long, value_name = "QUESTION")]
    pub(crate) before: Vec<String>,
}

//! The command line, as it is typed.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use clap::{Parser, ValueEnum};

/// Measures Andon and llama.cpp side by side, on this machine, with the same files.
#[derive(Debug, Parser)]
#[command(name = "andon-peers")]
pub(crate) struct Options {
    /// The binary under test.
    #[arg(long, value_name = "FILE")]
    pub(crate) andon: PathBuf,
    /// The folder of llama-server, llama-bench and llama-quantize.
    #[arg(long, value_name = "DIR")]
    pub(crate) programs: PathBuf,
    /// Where requantised models, logs and Andon's home for the comparison go.
    #[arg(long, value_name = "DIR")]
    pub(crate) work: PathBuf,
    /// Public data sets.
    #[arg(
        long,
        value_name = "DIR",
        env = "ANDON_DATA",
        default_value = "../shared/data"
    )]
    pub(crate) data: PathBuf,
    /// A large model for prefill, decode and labels; may be repeated.
    #[arg(long, value_name = "NAME=FILE")]
    pub(crate) large: Vec<Large>,
    /// Only these kinds of work.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) rows: Vec<Work>,
    /// Only models whose name holds this; may be repeated.
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Vec<String>,
    /// A smoke run of a minute or two; its numbers say little.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Where the JSON goes; by default to the end of the output.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// A large model by name and file.
#[derive(Clone, Debug)]
pub(crate) struct Large {
    /// Its name in the results.
    pub(crate) name: String,
    /// The file.
    pub(crate) gguf: PathBuf,
}

impl FromStr for Large {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, file) = text.split_once('=').context("give NAME=FILE")?;
        Ok(Self {
            name: name.to_owned(),
            gguf: file.into(),
        })
    }
}

/// Kinds of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Prefill and decode.
    Engine,
    /// Prefill and decode while something else keeps a core busy.
    Contention,
    /// Labels behind a cached prefix.
    Labels,
    /// Deciding between failure modes.
    Decide,
    /// Four questions on a report.
    Questions,
    /// Six fields of a work order.
    Extract,
    /// Sixteen clients at once, and memory.
    Mix,
    /// The first answer after a restart.
    Restart,
}

impl Options {
    /// Whether this kind of work was asked for.
    pub(crate) fn wants(&self, work: Work) -> bool {
        self.rows.is_empty() || self.rows.contains(&work)
    }

    /// Whether this model was asked for.
    pub(crate) fn wants_model(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }
}

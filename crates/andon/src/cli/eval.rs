//! `andon eval` as it is typed.

use std::path::PathBuf;

use clap::Args;

use crate::command::{Contender, Whom};

/// `andon eval`
#[derive(Debug, Args)]
pub(crate) struct Eval {
    /// The task.
    pub(crate) task: String,
    /// Labelled examples to measure on; without it the plant's own, of which a
    /// head is measured by cross-validation.
    #[arg(long, value_name = "FILE")]
    pub(crate) examples: Option<PathBuf>,
    /// What is measured: head (what is promoted), head:DIGEST, adapter:DIGEST (one that
    /// `andon learn --adapter` kept), learn (what would be learned), learn+tune, labels (the
    /// plant's language model) or a model's name, with +adapter=PATH for an adapter of it and
    /// +prompt=FILE for other instructions. By default head with a file, and learn without
    /// one.
    #[arg(long, value_name = "CONTENDER")]
    pub(crate) with: Option<Contender>,
    /// Compare it with these on the same examples, and say which should run.
    #[arg(long, value_name = "CONTENDER", value_delimiter = ',')]
    pub(crate) against: Vec<Contender>,
    /// Write all that was found as one page of HTML.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Measure the plant's upstreams (upstream, or upstream:NAME for one of them) beside
    /// what answers here, as policy and budgets let it. One that is not right more often
    /// where it would be asked is not asked from then on.
    #[arg(long, value_name = "UPSTREAM")]
    pub(crate) on: Option<Whom>,
    /// With --on: at most so many of the examples.
    #[arg(long, value_name = "COUNT")]
    pub(crate) sample: Option<usize>,
}

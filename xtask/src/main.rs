//! The project's own tools: `tidy`, its checks, and `gguf`, which writes model
//! files of random weights.
//!
//! `tidy` is run by `make lint` and holds what no compiler does: which crate may
//! use which, where SQL may stand, that a crate says what it is for, and that files
//! stay readable. Start at [`tidy`] and [`gguf`].

mod gguf;
mod tidy;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((command, [])) if command == "tidy" => check(),
        Some((command, options)) if command == "gguf" => {
            gguf::run(options)?;
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("usage: cargo run -p xtask -- tidy, or: {}", gguf::USAGE),
    }
}

fn check() -> anyhow::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask lies in the workspace")?;
    let faults = tidy::check(root)?;
    let mut out = std::io::stderr().lock();
    for fault in &faults {
        writeln!(out, "{fault}")?;
    }
    Ok(if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        writeln!(out, "tidy: {} faults", faults.len())?;
        ExitCode::FAILURE
    })
}

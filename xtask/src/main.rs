//! The project's own checks, run by `make lint` as `cargo run -p xtask -- tidy`.
//!
//! They hold what no compiler does: which crate may use which, where SQL may
//! stand, that a crate says what it is for, and that files stay readable. Start
//! at [`tidy`].

mod tidy;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments != ["tidy"] {
        bail!("usage: cargo run -p xtask -- tidy");
    }
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

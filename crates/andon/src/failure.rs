//! How a failed command ends: the chain of causes and an exit code.

use std::io::{self, Write};
use std::process::ExitCode;

/// Prints `error` with what caused it and gives the exit code for it. A reader
/// that closed the pipe has what it wanted: that is no error.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let closed = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(closed) {
        return ExitCode::SUCCESS;
    }
    // Nothing is left to tell a closed standard error.
    let _ = write!(io::stderr(), "{}", chain(error));
    ExitCode::FAILURE
}

fn chain(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error}\n");
    for cause in error.chain().skip(1) {
        text.push_str(&format!("  caused by: {cause}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::chain;

    #[test]
    fn the_whole_chain_is_told() {
        let error = anyhow::anyhow!("the disk is full")
            .context("cannot write 'x'")
            .context("cannot keep the model");
        assert_eq!(
            chain(&error),
            "error: cannot keep the model\n  caused by: cannot write 'x'\n  caused by: the disk is full\n"
        );
    }
}

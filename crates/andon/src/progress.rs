//! Progress of what takes longer than a second: a bar on a terminal, plain lines elsewhere. Both go to
//! standard error, so that standard output stays the command's answer.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const OF_BYTES: &str = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
const OF_BYTES_WITHOUT_END: &str = "{msg} {spinner} {bytes} {bytes_per_sec}";
const OF_PARTS: &str = "{msg} {wide_bar} {pos}/{len} {eta}";

/// The progress of one thing that takes a while.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins to show `what`; `bytes` is its size, where it is known.
    pub(crate) fn start(what: &str, bytes: Option<u64>) -> Self {
        match bytes {
            Some(bytes) => Self::show(what, ProgressBar::new(bytes), OF_BYTES),
            None => Self::show(what, ProgressBar::new_spinner(), OF_BYTES_WITHOUT_END),
        }
    }

    /// Begins to show `what`, which has so many parts.
    pub(crate) fn of_parts(what: &str, parts: usize) -> Self {
        Self::show(what, ProgressBar::new(parts as u64), OF_PARTS)
    }

    fn show(what: &str, bar: ProgressBar, template: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            line(what);
            return Self { bar: None };
        }
        bar.set_style(ProgressStyle::with_template(template).expect("the templates are constant"));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar: Some(bar) }
    }

    /// So many bytes, or parts, are there now.
    pub(crate) fn reach(&self, position: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(position);
        }
    }

    /// What is going on is called this now.
    pub(crate) fn rename(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
        }
    }

    /// Says something that the user should know, without disturbing the bar.
    pub(crate) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| line(text)),
            None => line(text),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// One line of what goes on, on standard error.
pub(crate) fn line(text: &str) {
    // A closed standard error must not end a fetch.
    let _ = writeln!(std::io::stderr(), "{text}");
}

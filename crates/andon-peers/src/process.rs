//! Programs that end with the one who started them.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::http::Client;

/// Runs a program until it ends or standard input is closed. A pipe is closed
/// however its other end goes: by a return, a panic, Ctrl-C or a kill. So nothing
/// is left behind that keeps cores busy in the next measurement.
const GUARD: &str = r#"
trap '' INT
exec 3<&0
"$@" </dev/null 3<&- &
program=$!
(
    read -r _
    kill -TERM "$program"
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        sleep 0.5
        kill -0 "$program" || exit
    done
    kill -KILL "$program"
) <&3 >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait "$program"
status=$?
kill "$watcher"
exit $status
"#;

/// A program that a guard watches; dropping it ends both.
#[derive(Debug)]
pub(crate) struct Guarded {
    guard: Child,
}

impl Guarded {
    /// Starts `program` with `arguments`; what it prints goes to `output`, its
    /// errors to `log`.
    fn start(
        program: &Path,
        arguments: &[String],
        output: Stdio,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let log =
            File::create(log).with_context(|| format!("cannot create '{}'", log.display()))?;
        let guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start '{}'", program.display()))?;
        Ok(Self { guard })
    }

    /// Waits for the end, at most so long.
    fn wait(&mut self, patience: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.guard.try_wait()? {
                return Ok(Some(status));
            }
            if began.elapsed() > patience {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The number of the guard's process.
    pub(crate) fn id(&self) -> u32 {
        self.guard.id()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // The guard allows the program five seconds.
        if !matches!(self.wait(Duration::from_secs(8)), Ok(Some(_))) {
            // Nothing more can be done about a guard that does not end.
            self.guard.kill().ok();
            self.guard.wait().ok();
        }
    }
}

/// Runs a program to its end and returns what it printed.
pub(crate) fn output(
    program: &Path,
    arguments: &[String],
    log: &Path,
    patience: Duration,
) -> anyhow::Result<String> {
    let printed = log.with_extension("out");
    let file =
        File::create(&printed).with_context(|| format!("cannot create '{}'", printed.display()))?;
    let mut guarded = Guarded::start(program, arguments, file.into(), log)?;
    let Some(status) = guarded.wait(patience)? else {
        bail!(
            "'{}' did not end within {} s",
            program.display(),
            patience.as_secs()
        );
    };
    if !status.success() {
        bail!("'{}' failed ({status}):\n{}", program.display(), tail(log));
    }
    std::fs::read_to_string(&printed)
        .with_context(|| format!("cannot read '{}'", printed.display()))
}

/// A server on a free port of loopback that has said that it is ready.
#[derive(Debug)]
pub(crate) struct Server {
    guarded: Guarded,
    url: String,
    started: Instant,
    ready: Instant,
}

impl Server {
    /// Starts a server and waits until `GET /health` is 200. `arguments` gets the
    /// port.
    pub(crate) fn start(
        program: &Path,
        arguments: impl FnOnce(u16) -> Vec<String>,
        log: &Path,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .context("no port of loopback is free")?
            .port();
        let arguments = arguments(port);
        let url = format!("http://127.0.0.1:{port}");
        let started = Instant::now();
        let mut guarded = Guarded::start(program, &arguments, Stdio::null(), log)?;
        let client = Client::new(&url, patience);
        while !client.is_healthy() {
            if let Some(status) = guarded.wait(Duration::ZERO)? {
                bail!(
                    "'{}' ended before it was ready ({status}):\n{}",
                    program.display(),
                    tail(log)
                );
            }
            if started.elapsed() > patience {
                bail!(
                    "'{}' was not ready within {} s: see '{}'",
                    program.display(),
                    patience.as_secs(),
                    log.display()
                );
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(Self {
            guarded,
            url,
            started,
            ready: Instant::now(),
        })
    }

    /// Its address, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// When its process was started.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// When it said that it was ready.
    pub(crate) fn ready(&self) -> Instant {
        self.ready
    }

    /// Memory of its processes, in MB: each page counted once for all who share it.
    pub(crate) fn memory_mb(&self) -> anyhow::Result<f64> {
        let mut open = children(self.guarded.id())?;
        // The guard's own watcher is a child of the guard too.
        open.retain(|id| command(*id).is_some_and(|name| name != "sh"));
        let mut kilobytes = 0;
        while let Some(id) = open.pop() {
            open.extend(children(id)?);
            kilobytes += proportional_kilobytes(id)?;
        }
        Ok(kilobytes as f64 * 1024.0 / 1e6)
    }
}

/// The end of a log, for people.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

fn command(id: u32) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/{id}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

fn children(id: u32) -> anyhow::Result<Vec<u32>> {
    let tasks = format!("/proc/{id}/task");
    let entries = std::fs::read_dir(&tasks).with_context(|| format!("cannot read '{tasks}'"))?;
    let mut found = Vec::new();
    for entry in entries {
        let text = std::fs::read_to_string(entry?.path().join("children")).unwrap_or_default();
        found.extend(
            text.split_whitespace()
                .filter_map(|id| id.parse::<u32>().ok()),
        );
    }
    Ok(found)
}

fn proportional_kilobytes(id: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{id}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read '{path}'"))?;
    text.lines()
        .find_map(|line| {
            line.strip_prefix("Pss:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .with_context(|| format!("'{path}' has no Pss"))
}

#[cfg(test)]
mod tests;

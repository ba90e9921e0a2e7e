//! PDF files, read by a process of their own: this binary once more, with little memory and
//! little time. A file that is broken, or made to break its reader, ends that process and
//! nothing else.

use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pdf_extract::Document;

/// The hidden verb under which the binary reads a PDF.
pub(crate) const VERB: &str = "read-pdf";

/// What a file may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The longest that its process may run.
    pub(crate) time: Duration,
    /// The memory of the process, in bytes.
    pub(crate) memory: u64,
}

/// No text is longer, in bytes.
const LONGEST: u64 = 64 << 20;
/// What the process writes of an encrypted file.
const ENCRYPTED: &str = "encrypted";

/// The text of a PDF, its pages parted by form feeds.
pub(crate) fn read(path: &str, bytes: &[u8], bounds: Bounds) -> Result<String, String> {
    let cannot_start = |error: std::io::Error| {
        format!("'{path}' is not read, since no process can be started for it ({error}): try again")
    };
    let program = std::env::current_exe().map_err(cannot_start)?;
    let memory = bounds.memory.to_string();
    let mut command = Command::new(program);
    read_with(command.args([VERB, &memory]), path, bytes, bounds.time)
}

fn read_with(
    command: &mut Command,
    path: &str,
    bytes: &[u8],
    time: Duration,
) -> Result<String, String> {
    let failed = |error: std::io::Error| {
        format!("'{path}' is not read, since its process failed ({error}): try again")
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let (mut input, output, problem) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (text, problem, ended) = thread::scope(|scope| {
        scope.spawn(move || {
            // A process that ends early has said why.
            if let Some(mut input) = input.take() {
                input.write_all(bytes).ok();
            }
        });
        let text = scope.spawn(move || {
            let mut text = Vec::new();
            let read = output.map(|output| output.take(LONGEST + 1).read_to_end(&mut text));
            read.transpose().map(|_| text)
        });
        let problem = scope.spawn(move || {
            let mut said = Vec::new();
            if let Some(problem) = problem {
                problem.take(4096).read_to_end(&mut said).ok();
            }
            String::from_utf8_lossy(&said).into_owned()
        });
        let began = Instant::now();
        let ended = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if began.elapsed() < time && !text.is_finished() => {
                    thread::sleep(Duration::from_millis(2));
                }
                // Its output is whole, or too long: it has a moment to end by itself.
                Ok(None) if began.elapsed() < time => {
                    thread::sleep(Duration::from_millis(20));
                    if matches!(child.try_wait(), Ok(None)) && began.elapsed() >= time {
                        break None;
                    }
                }
                _ => break None,
            }
        };
        if ended.is_none() {
            child.kill().ok();
            child.wait().ok();
        }
        (text.join(), problem.join(), ended)
    });
    let problem = problem.unwrap_or_default();
    let Some(status) = ended else {
        let seconds = time.as_secs();
        return Err(format!(
            "'{path}' took more than {seconds} s to read: split it, or save it as text"
        ));
    };
    if !status.success() {
        if problem.trim_end().ends_with(ENCRYPTED) {
            return Err(format!("'{path}' is encrypted: save it without a password"));
        }
        let why = problem
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("no reason");
        let why: String = why.chars().take(200).collect();
        return Err(format!(
            "'{path}' is damaged and cannot be read ({why}): save it anew, or as text"
        ));
    }
    let text = text.ok().and_then(Result::ok).unwrap_or_default();
    if text.len() as u64 > LONGEST {
        return Err(format!(
            "'{path}' has more than {LONGEST} bytes of text: split it"
        ));
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    if !text.chars().any(char::is_alphanumeric) {
        return Err(format!(
            "'{path}' has no text, it seems to be scanned: recognise its text with an OCR program, and put the result in its place"
        ));
    }
    Ok(text)
}

/// What the process does, in as much memory as its argument says: a PDF on standard input,
/// its text on standard output.
pub(crate) fn serve() -> ExitCode {
    #[cfg(unix)]
    if let Some(memory) = std::env::args().nth(2).and_then(|bytes| bytes.parse().ok()) {
        rlimit::setrlimit(rlimit::Resource::AS, memory, memory).ok();
    }
    let mut bytes = Vec::new();
    let text = std::io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())
        .and_then(|_| pages(&bytes));
    let written = text.and_then(|text| {
        std::io::stdout()
            .write_all(text.as_bytes())
            .map_err(|error| error.to_string())
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            std::io::stderr().write_all(problem.as_bytes()).ok();
            ExitCode::FAILURE
        }
    }
}

fn pages(bytes: &[u8]) -> Result<String, String> {
    let is_encrypted = bytes.windows(8).any(|window| window == b"/Encrypt");
    let read = || {
        let expected = Document::load_mem(bytes)
            .map_err(|error| error.to_string())?
            .get_pages()
            .len();
        let pages = pdf_extract::extract_text_from_mem_by_pages(bytes);
        let pages = pages.map_err(|error| error.to_string())?;
        match pages.len() < expected {
            // A text that ends in the middle would be taken for the whole.
            true => Err(format!("page {} of {expected}", pages.len() + 1)),
            false => Ok(pages.join("\u{c}")),
        }
    };
    match read() {
        // A wrong key opens a file with nothing in it.
        Ok(text) if is_encrypted && text.trim().is_empty() => Err(ENCRYPTED.to_owned()),
        Err(_) if is_encrypted => Err(ENCRYPTED.to_owned()),
        read => read,
    }
}

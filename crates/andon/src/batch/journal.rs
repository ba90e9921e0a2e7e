//! What is done of a batch, a line a row, so that a batch that was ended goes on where it
//! was.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use andon_task::digest::Digest;
use andon_task::route::{Reason, Route};
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How often a lock is tried, and how long apart.
const LOCK_TRIES: usize = 20;
const LOCK_WAIT: Duration = Duration::from_millis(50);

/// What a batch is: another file, mapping or list of tasks is another batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Key {
    /// The digest of the file.
    pub(crate) input: Digest,
    /// The tasks, in order.
    pub(crate) tasks: Vec<String>,
    /// The columns of text, asset and the rest.
    pub(crate) columns: (Vec<usize>, Option<usize>, Vec<usize>),
}

/// The first line: what the batch is, and a name that no other batch has.
#[derive(Debug, Serialize, Deserialize)]
struct Heading {
    #[serde(flatten)]
    key: Key,
    name: String,
}

/// What a task made of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Made {
    /// A run, as far as a table shows it.
    Run {
        /// Its number.
        run: i64,
        /// Its answer.
        answer: Value,
        /// The second label.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        also: Option<String>,
        /// The calibrated probability.
        probability: Option<f64>,
        /// Where it went.
        route: Route,
        /// Why.
        reason: Reason,
    },
    /// Nothing, for this reason.
    Error(String),
}

/// A row that is done.
#[derive(Debug, Serialize, Deserialize)]
struct Done {
    row: usize,
    made: Vec<Made>,
}

/// The journal of a batch, held by one process.
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    /// The name of the batch: its records have it.
    pub(crate) name: String,
    /// What is done, by row.
    pub(crate) done: BTreeMap<usize, Vec<Made>>,
}

impl Journal {
    /// Opens the journal of a batch, with what was done before, or begins one.
    pub(crate) fn open(path: &Path, key: &Key) -> anyhow::Result<Self> {
        let shown = path.display();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(|| format!("cannot open '{shown}'"))?;
        // A process that ends lets go of it a little later.
        let mut tries = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries < LOCK_TRIES => {
                    tries += 1;
                    std::thread::sleep(LOCK_WAIT);
                }
                Err(TryLockError::WouldBlock) => {
                    bail!("another process is at work on '{shown}': let it end")
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock '{shown}'"));
                }
            }
        }
        let (whole, name, done) = read(&file, key).with_context(|| format!("in '{shown}'"))?;
        // A line that was being written when the process ended is written anew.
        file.set_len(whole)?;
        file.seek(SeekFrom::Start(whole))?;
        let name = match name {
            Some(name) => name,
            None => {
                let mut bytes = [0; 8];
                getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
                let name = format!("{:016x}", u64::from_be_bytes(bytes));
                let (key, name) = (key.clone(), name);
                let heading = Heading { key, name };
                write(&mut file, &heading).with_context(|| format!("cannot write '{shown}'"))?;
                heading.name
            }
        };
        Ok(Self {
            file,
            path: path.to_owned(),
            name,
            done,
        })
    }

    /// Keeps what was made of a row.
    pub(crate) fn keep(&mut self, row: usize, made: Vec<Made>) -> anyhow::Result<()> {
        let done = Done { row, made };
        write(&mut self.file, &done)
            .with_context(|| format!("cannot write '{}'", self.path.display()))?;
        self.done.insert(row, done.made);
        Ok(())
    }

    /// Takes the journal away: the results are there.
    pub(crate) fn remove(self) -> anyhow::Result<()> {
        std::fs::remove_file(&self.path)
            .with_context(|| format!("cannot remove '{}'", self.path.display()))
    }
}

fn write(file: &mut File, line: &impl Serialize) -> anyhow::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(file.write_all(&bytes)?)
}

/// What is done, by row.
type RowsDone = BTreeMap<usize, Vec<Made>>;

/// How many bytes of whole lines there are, the name of the batch, and what is done.
fn read(file: &File, key: &Key) -> anyhow::Result<(u64, Option<String>, RowsDone)> {
    let mut reader = BufReader::new(file);
    let (mut whole, mut name, mut done) = (0, None, BTreeMap::new());
    let mut line = String::new();
    loop {
        line.clear();
        let bytes = reader.read_line(&mut line)?;
        if !line.ends_with('\n') {
            return Ok((whole, name, done));
        }
        match whole {
            0 => {
                let found: Heading = serde_json::from_str(&line)
                    .context("it is no journal of a batch: remove it, or name another `--out`")?;
                if found.key != *key {
                    bail!(
                        "it is of another batch (another file, other columns or tasks): remove it, or name another `--out`"
                    );
                }
                name = Some(found.name);
            }
            _ => {
                let of: Done = serde_json::from_str(&line)
                    .context("a line is damaged: remove the file, and begin anew")?;
                done.insert(of.row, of.made);
            }
        }
        whole += bytes as u64;
    }
}

#[cfg(test)]
mod tests;

//! Checkpoints: signed, and kept in a file beside the database.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use andon_task::audit::{Checkpoint, Finding};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::Head;
use crate::error::Error;

/// The file of the key, beside the database: whoever has it can sign.
const KEY: &str = "audit.key";

/// The file of checkpoints beside the database: one JSON object a line.
const CHECKPOINTS: &str = "audit.checkpoints";

/// At most so many rows are added without a checkpoint, but for a batch.
const EVERY: i64 = 16;

/// More than a line of the file of checkpoints has, in bytes.
const TAIL: u64 = 4096;

/// Signs the log of one database.
pub(crate) struct Seal {
    key: PathBuf,
    checkpoints: PathBuf,
    signed: Mutex<Signed>,
}

#[derive(Default)]
struct Signed {
    /// The last row that this process has signed.
    row: i64,
    /// The last row that this process has added.
    added: i64,
    /// Why signing failed the last time, if it did.
    failure: Option<Error>,
}

impl Seal {
    /// Key and checkpoints lie beside the database. Nothing is made before it is needed.
    pub(crate) fn beside(database: &Path) -> Self {
        Self {
            key: database.with_file_name(KEY),
            checkpoints: database.with_file_name(CHECKPOINTS),
            signed: Mutex::default(),
        }
    }

    /// Whether the log is to be signed now that this row was added.
    pub(crate) fn is_due(&self, row: i64) -> bool {
        let mut signed = self.lock();
        signed.added = signed.added.max(row);
        row - signed.row >= EVERY
    }

    /// Whether this process has added rows that it has not signed.
    pub(crate) fn has_unsigned(&self) -> bool {
        let signed = self.lock();
        signed.added > signed.row
    }

    /// Keeps how signing ended.
    pub(crate) fn note(&self, outcome: Result<(), Error>) {
        self.lock().failure = outcome.err();
    }

    /// Fails if signing failed the last time.
    pub(crate) fn state(&self) -> Result<(), Error> {
        self.lock().failure.clone().map_or(Ok(()), Err)
    }

    /// Signs the last row and has the checkpoint on disk.
    pub(crate) fn sign(&self, head: &Head) -> Result<Checkpoint, Error> {
        // Held to the end: checkpoints are written one after the other.
        let mut signed = self.lock();
        let pair = self.pair()?;
        let message = Checkpoint::message(head.row, head.hash, head.at);
        let checkpoint = Checkpoint {
            rows: head.row,
            hash: head.hash,
            at: head.at,
            key: hexadecimal(pair.public_key().as_ref()),
            signature: hexadecimal(pair.sign(&message).as_ref()),
        };
        if head.row > signed.row {
            self.keep(&checkpoint)
                .map_err(|error| fail(&self.checkpoints, error))?;
            signed.row = head.row;
        }
        Ok(checkpoint)
    }

    /// All checkpoints with a good signature, those of `kept` too, and what is wrong with
    /// the others.
    pub(crate) fn checkpoints(
        &self,
        kept: Option<&str>,
    ) -> Result<(Vec<Checkpoint>, Vec<Finding>), Error> {
        let beside = match std::fs::read_to_string(&self.checkpoints) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(fail(&self.checkpoints, error)),
        };
        let mut key = match self.key.try_exists() {
            Ok(true) => Some(hexadecimal(self.pair()?.public_key().as_ref())),
            _ => None,
        };
        // A line that was cut by a lost power supply never counted.
        let whole = beside.rfind('\n').map_or("", |end| &beside[..end]);
        let name = CHECKPOINTS.to_owned();
        let kept = kept.map(|text| ("the checkpoints given".to_owned(), text));
        let (mut good, mut findings) = (Vec::new(), Vec::new());
        // What was kept elsewhere comes first: its key is the one to trust.
        for (name, text) in kept.into_iter().chain([(name, whole)]) {
            for (line, number) in text.lines().zip(1..) {
                if line.trim().is_empty() {
                    continue;
                }
                match check(line, key.as_deref()) {
                    Ok(checkpoint) => {
                        key.get_or_insert_with(|| checkpoint.key.clone());
                        good.push(checkpoint);
                    }
                    Err(reason) => findings.push(Finding::Checkpoint {
                        problem: format!("{name}, line {number}: {reason}"),
                    }),
                }
            }
        }
        Ok((good, findings))
    }

    /// The key of this node, made if there is none.
    fn pair(&self) -> Result<Ed25519KeyPair, Error> {
        let seed = match self.read_key() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.make_key().and_then(|()| self.read_key())
            }
            read => read,
        };
        let seed = seed.map_err(|error| fail(&self.key, error))?;
        Ed25519KeyPair::from_seed_unchecked(&seed)
            .map_err(|_| fail(&self.key, "it is no key: move it away"))
    }

    fn read_key(&self) -> io::Result<[u8; 32]> {
        let mut file = File::open(&self.key)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            if file.metadata()?.mode() & 0o077 != 0 {
                return Err(io::Error::other("others may read it: chmod 600"));
            }
        }
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        bytes(text.trim())
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| io::Error::other("it is no key: restore it, or move it away"))
    }

    /// Makes a key, unless another process has made one meanwhile.
    fn make_key(&self) -> io::Result<()> {
        let mut seed = [0; 32];
        SystemRandom::new()
            .fill(&mut seed)
            .map_err(|_| io::Error::other("the system gives no random numbers"))?;
        let directory = self.key.parent().unwrap_or(Path::new("."));
        // For its owner alone from the beginning.
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        writeln!(file, "{}", hexadecimal(&seed))?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(&self.key) {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error.error),
        }
    }

    fn keep(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.checkpoints)?;
        // Another process may sign the same log.
        file.lock()?;
        let length = file.metadata()?.len();
        let before_tail = length.saturating_sub(TAIL);
        file.seek(SeekFrom::Start(before_tail))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        // What a lost power supply left of a line goes.
        let end = tail.iter().rposition(|&byte| byte == b'\n');
        let end = before_tail + end.map_or(0, |end| end as u64 + 1);
        let mut line = serde_json::to_string(checkpoint)?;
        line.push('\n');
        file.set_len(end)?;
        file.seek(SeekFrom::End(0))?;
        file.write_all(line.as_bytes())?;
        file.sync_data()
    }

    fn lock(&self) -> MutexGuard<'_, Signed> {
        // Numbers that are set whole: a panic leaves nothing half-done.
        self.signed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fail(path: &Path, reason: impl ToString) -> Error {
    Error::Seal {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// The checkpoint of a line, if its signature is that of `key`, or of its own where none
/// is known yet.
fn check(line: &str, key: Option<&str>) -> Result<Checkpoint, &'static str> {
    let checkpoint: Checkpoint = serde_json::from_str(line).map_err(|_| "this is no checkpoint")?;
    if key.is_some_and(|key| key != checkpoint.key) {
        return Err("it was signed with another key");
    }
    let message = Checkpoint::message(checkpoint.rows, checkpoint.hash, checkpoint.at);
    let (Some(public), Some(signature)) = (bytes(&checkpoint.key), bytes(&checkpoint.signature))
    else {
        return Err("its signature is not written in hexadecimal");
    };
    UnparsedPublicKey::new(&ED25519, public)
        .verify(&message, &signature)
        .map_err(|_| "its signature is wrong")?;
    Ok(checkpoint)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

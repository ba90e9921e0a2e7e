//! Signatures beside the database: checkpoints, a line every so often, which stay; and the
//! head, the newest row alone, written anew with every row.

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

/// The file of the head: one checkpoint, in place of the one before.
const HEAD: &str = "audit.head";

/// Its size: written at once, within a sector, so that it is whole or as it was.
const HEAD_BYTES: usize = 512;

/// At most so many rows are added without a checkpoint, but for a batch.
const EVERY: i64 = 16;

/// More than a line of the file of checkpoints has, in bytes.
const TAIL: u64 = 4096;

/// Signs the log of one database.
pub(crate) struct Seal {
    key: PathBuf,
    checkpoints: PathBuf,
    head: PathBuf,
    signed: Mutex<Signed>,
}

#[derive(Default)]
struct Signed {
    /// The last row that this process has signed.
    row: i64,
    /// The last row that this process has signed as the head.
    headed: i64,
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
            head: database.with_file_name(HEAD),
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

    /// Whether a row of this process stands behind a signed head.
    pub(crate) fn covers(&self, row: i64) -> bool {
        self.lock().headed >= row
    }

    /// Signs the last row as the head. It is not synced: an end of the process leaves it,
    /// and a lost power supply leaves one from shortly before.
    pub(crate) fn mark(&self, head: &Head) -> Result<(), Error> {
        let mut signed = self.lock();
        if signed.headed < head.row {
            let checkpoint = self.checkpoint(head)?;
            self.write_head(&checkpoint)
                .map_err(|error| fail(&self.head, error))?;
            signed.headed = head.row;
        }
        Ok(())
    }

    fn checkpoint(&self, head: &Head) -> Result<Checkpoint, Error> {
        let pair = self.pair()?;
        let message = Checkpoint::message(head.row, head.hash, head.at);
        Ok(Checkpoint {
            rows: head.row,
            hash: head.hash,
            at: head.at,
            key: hexadecimal(pair.public_key().as_ref()),
            signature: hexadecimal(pair.sign(&message).as_ref()),
        })
    }

    /// Writes the head, unless another process has written a later one.
    fn write_head(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.head)?;
        file.lock()?;
        let mut text = String::new();
        // What cannot be read is replaced: an inspection before this one has told of it.
        let known = file.read_to_string(&mut text).ok();
        let known = known.and_then(|_| serde_json::from_str::<Checkpoint>(text.trim()).ok());
        let is_later =
            known.is_some_and(|known| known.key == checkpoint.key && known.rows >= checkpoint.rows);
        if is_later {
            return Ok(());
        }
        let line = serde_json::to_string(checkpoint)?;
        let padded = format!("{line:<width$}\n", width = HEAD_BYTES - 1);
        file.seek(SeekFrom::Start(0))?;
        file.write_all(padded.as_bytes())
    }

    /// The head, if there is one with a good signature, or what is wrong with it.
    fn read_head(&self, key: Option<&str>) -> Result<Option<Checkpoint>, String> {
        let text = match std::fs::read_to_string(&self.head) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{HEAD} cannot be read: {error}")),
        };
        let (head, _) = check(text.trim(), key).map_err(|reason| format!("{HEAD}: {reason}"))?;
        Ok(Some(head))
    }

    /// Signs the last row and has the checkpoint on disk.
    pub(crate) fn sign(&self, head: &Head) -> Result<Checkpoint, Error> {
        self.mark(head)?;
        // Held to the end: checkpoints are written one after the other.
        let mut signed = self.lock();
        let checkpoint = self.checkpoint(head)?;
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
        let mut has_head = false;
        // What was kept elsewhere comes first: its key is the one to trust.
        for (name, text) in kept.into_iter().chain([(name, whole)]) {
            for (line, number) in text.lines().zip(1..) {
                if line.trim().is_empty() {
                    continue;
                }
                match check(line, key.as_deref()) {
                    Ok((checkpoint, form)) => {
                        has_head |= form == Form::WithHead;
                        key.get_or_insert_with(|| checkpoint.key.clone());
                        good.push(checkpoint);
                    }
                    Err(reason) => findings.push(Finding::Checkpoint {
                        problem: format!("{name}, line {number}: {reason}"),
                    }),
                }
            }
        }
        match self.read_head(key.as_deref()) {
            Ok(Some(head)) => good.push(head),
            Ok(None) if has_head => findings.push(Finding::Checkpoint {
                problem: format!(
                    "{HEAD} is not there: rows after the last checkpoint may have been taken away"
                ),
            }),
            Ok(None) => {}
            Err(problem) => findings.push(Finding::Checkpoint { problem }),
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

/// Who signed a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One that keeps a head as well.
    WithHead,
    /// An earlier version.
    WithoutHead,
}

/// The checkpoint of a line, if its signature is that of `key`, or of its own where none
/// is known yet.
fn check(line: &str, key: Option<&str>) -> Result<(Checkpoint, Form), &'static str> {
    let checkpoint: Checkpoint = serde_json::from_str(line).map_err(|_| "this is no checkpoint")?;
    if key.is_some_and(|key| key != checkpoint.key) {
        return Err("it was signed with another key");
    }
    let Checkpoint { rows, hash, at, .. } = checkpoint;
    let forms = [
        (Form::WithHead, Checkpoint::message(rows, hash, at)),
        (
            Form::WithoutHead,
            Checkpoint::message_without_head(rows, hash, at),
        ),
    ];
    let (Some(public), Some(signature)) = (bytes(&checkpoint.key), bytes(&checkpoint.signature))
    else {
        return Err("its signature is not written in hexadecimal");
    };
    let public = UnparsedPublicKey::new(&ED25519, public);
    let mut forms = forms.into_iter();
    let form = forms.find(|(_, message)| public.verify(message, &signature).is_ok());
    let (form, _) = form.ok_or("its signature is wrong")?;
    Ok((checkpoint, form))
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

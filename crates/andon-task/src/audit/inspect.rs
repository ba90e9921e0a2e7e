//! What is wrong with a log, row by row.

use std::fmt;

use serde::Serialize;

use super::{BEGINNING, Checkpoint, Entry};
use crate::digest::Digest;

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// The row does not have the hash that it should have after the one before it: it was
    /// changed, or stood elsewhere, or another stood before it.
    Changed {
        /// The row.
        row: i64,
    },
    /// Rows are not there.
    Missing {
        /// The first.
        first: i64,
        /// The last.
        last: i64,
    },
    /// A row with a number that none can have.
    Foreign {
        /// The row.
        row: i64,
    },
    /// The hashes agree with each other and not with what was signed: the log was
    /// written anew from some row on.
    Rewritten {
        /// The last row that a checkpoint speaks for and that is as it was.
        after: i64,
        /// The row whose hash was signed otherwise.
        row: i64,
    },
    /// A checkpoint that nobody with the key can have made.
    Checkpoint {
        /// Where it stands, and what is wrong with it.
        problem: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { row } => write!(f, "row {row} was changed or moved"),
            Self::Missing { first, last } if first == last => write!(f, "row {first} is missing"),
            Self::Missing { first, last } => write!(f, "rows {first} to {last} are missing"),
            Self::Foreign { row } => write!(f, "row {row} does not belong to the log"),
            Self::Rewritten { after, row } => {
                write!(
                    f,
                    "rows {} to {row} were written anew: the hash of row {row} is not the one that was signed",
                    after + 1
                )
            }
            Self::Checkpoint { problem } => f.write_str(problem),
        }
    }
}

/// An inspection under way. Rows are given in the order of their numbers.
#[derive(Debug)]
pub struct Inspection {
    /// Those not yet reached, the last one first.
    checkpoints: Vec<Checkpoint>,
    last: i64,
    previous: Digest,
    /// The last row that a checkpoint proved.
    proved: i64,
    findings: Vec<Finding>,
}

impl Inspection {
    /// An inspection against checkpoints whose signatures were found good.
    pub fn new(mut checkpoints: Vec<Checkpoint>) -> Self {
        checkpoints.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.rows));
        Self {
            checkpoints,
            last: 0,
            previous: BEGINNING,
            proved: 0,
            findings: Vec::new(),
        }
    }

    /// Looks at the next row and the hash that is stored with it; `None` if that is no
    /// hash.
    pub fn see(&mut self, entry: &Entry, stored: Option<Digest>) {
        if entry.id <= self.last {
            self.findings.push(Finding::Foreign { row: entry.id });
            return;
        }
        let expected = self.last + 1;
        // After a gap nobody knows what this row rests on: the gap is the finding.
        let follows = entry.id == expected;
        if !follows {
            let (first, last) = (expected, entry.id - 1);
            self.findings.push(Finding::Missing { first, last });
        }
        let hash = entry.hash(self.previous);
        if follows && stored != Some(hash) {
            self.findings.push(Finding::Changed { row: entry.id });
        }
        // The next row rests on what is stored here, so that one change is one finding.
        self.previous = stored.unwrap_or(hash);
        self.last = entry.id;
        while let Some(checkpoint) = self.checkpoints.pop_if(|next| next.rows <= entry.id) {
            self.compare(&checkpoint);
        }
    }

    fn compare(&mut self, checkpoint: &Checkpoint) {
        let row = checkpoint.rows;
        if row == self.last && checkpoint.hash == self.previous {
            self.proved = row;
        } else if row == self.last {
            let after = self.proved;
            self.findings.push(Finding::Rewritten { after, row });
        }
        // A checkpoint of a row that is missing: the gap was found already.
    }

    /// How many rows there were, and what is wrong.
    pub fn end(mut self) -> (i64, Vec<Finding>) {
        if let Some(checkpoint) = self.checkpoints.first()
            && checkpoint.rows > self.last
        {
            let (first, last) = (self.last + 1, checkpoint.rows);
            self.findings.push(Finding::Missing { first, last });
        }
        (self.last, self.findings)
    }
}

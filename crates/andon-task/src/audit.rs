//! The audit chain, pure: what a row is, how its hash rests on the row before it, and
//! what an inspection of all rows finds.
//!
//! Who can write to the database can also compute hashes, so a chain alone shows only
//! careless changes. [`Checkpoint`]s are signed with a key that is not in the database:
//! what stands at or before one cannot be changed, taken away or put elsewhere unseen.
//!
//! The rows are kept for years and cannot be taken back: a detail holds digests, counts,
//! names and numbers, and never the text of a record.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::run::Timestamp;

mod inspect;

pub use inspect::{Finding, Inspection};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// A node began to serve.
    NodeStarted,
    /// A node ended as it was asked to.
    NodeStopped,
    /// The policy of the plant is another than at the start before.
    PolicyChanged,
    /// Something is about to be sent to an upstream; see [`egress`].
    Egress,
    /// What came of something that was sent.
    EgressSettled,
    /// Something was not sent: policy or redaction refused it.
    EgressRefused,
    /// An artefact was made current for a task.
    Promotion,
    /// What was current before was made so again.
    Rollback,
    /// Candidates that were long superseded were deleted.
    CandidatesForgotten,
    /// A certificate was issued.
    Certificate,
    /// A certificate was suspended.
    Suspension,
    /// What failed at an upstream waits once more.
    QueueRetry,
    /// An upstream was measured for a task.
    UpstreamMeasured,
    /// A person said what is right.
    Settlement,
    /// An API key was made.
    KeyAdded,
    /// An API key was revoked.
    KeyRevoked,
}

impl Act {
    /// The word that stands in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::NodeStarted => "node_started",
            Self::NodeStopped => "node_stopped",
            Self::PolicyChanged => "policy_changed",
            Self::Egress => "egress",
            Self::EgressSettled => "egress_settled",
            Self::EgressRefused => "egress_refused",
            Self::Promotion => "promotion",
            Self::Rollback => "rollback",
            Self::CandidatesForgotten => "candidates_forgotten",
            Self::Certificate => "certificate",
            Self::Suspension => "suspension",
            Self::QueueRetry => "queue_retry",
            Self::UpstreamMeasured => "upstream_measured",
            Self::Settlement => "settlement",
            Self::KeyAdded => "key_added",
            Self::KeyRevoked => "key_revoked",
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The keys of an egress row's detail. What is not known is left out.
pub mod egress {
    /// The task.
    pub const TASK: &str = "task";
    /// The number of the record.
    pub const RECORD: &str = "record";
    /// The upstream, by its name in the plant.
    pub const UPSTREAM: &str = "upstream";
    /// The SHA-256 of the policy that allowed it.
    pub const POLICY: &str = "policy";
    /// The names of the fields that left.
    pub const FIELDS: &str = "fields";
    /// How often something of each kind was replaced: an object of numbers.
    pub const REDACTIONS: &str = "redactions";
    /// The SHA-256 of the bytes that left.
    pub const PAYLOAD: &str = "payload_sha256";
    /// How many bytes left.
    pub const BYTES: &str = "bytes";
    /// Tokens of the prompt and of the answer together, as the upstream counts them.
    pub const TOKENS: &str = "tokens";
    /// What it cost, in the currency of the plant.
    pub const COST: &str = "cost";
}

/// A row of the log, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number: 1, 2, 3 and so on.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who: the name of a key, of a person, or `node`.
    pub who: String,
    /// The word of an [`Act`].
    pub act: String,
    /// What else is to be known, as JSON text.
    pub detail: String,
}

/// What the first row rests on.
pub const BEGINNING: Digest = Digest::from_bytes([0; 32]);

impl Entry {
    /// The hash of this row after one with the hash `previous`. Each part is hashed with
    /// its length, and the detail as the very bytes that are stored.
    pub fn hash(&self, previous: Digest) -> Digest {
        Digest::of_parts([
            b"andon audit 1".as_slice(),
            previous.as_bytes(),
            &self.id.to_le_bytes(),
            &self.at.0.to_le_bytes(),
            self.who.as_bytes(),
            self.act.as_bytes(),
            self.detail.as_bytes(),
        ])
    }
}

/// How far the log had come and what its last row's hash was, signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The number of the last row.
    pub rows: i64,
    /// Its hash.
    pub hash: Digest,
    /// When this was signed, in milliseconds since 1970.
    pub at: Timestamp,
    /// The public Ed25519 key, in hexadecimal.
    pub key: String,
    /// The signature of [`Checkpoint::message`], in hexadecimal.
    pub signature: String,
}

impl Checkpoint {
    /// What is signed, by those who keep a signed head as well: where there is such a
    /// checkpoint, there has to be a head.
    pub fn message(rows: i64, hash: Digest, at: Timestamp) -> Vec<u8> {
        format!("andon checkpoint 2\n{rows}\n{hash}\n{}\n", at.0).into_bytes()
    }

    /// What versions signed that kept no head.
    pub fn message_without_head(rows: i64, hash: Digest, at: Timestamp) -> Vec<u8> {
        format!("andon checkpoint 1\n{rows}\n{hash}\n{}\n", at.0).into_bytes()
    }
}

#[cfg(test)]
mod tests;

//! Records and runs: what came in, and what a task made of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::answer::Citation;
use crate::certificate::Mark;
use crate::digest::Digest;
use crate::procedure::Procedure;
use crate::route::{Reason, Route};
use crate::upstream::Egress;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A record as it comes in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewRecord {
    /// The text, unchanged.
    pub text: String,
    /// The asset that it is about, by id.
    pub asset: Option<String>,
    /// Whatever else its sender said of it: an object, or null.
    pub meta: Value,
}

/// A text that came in, on disk before its sender was told so.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its number, in order of arrival.
    pub id: i64,
    /// When it came in.
    pub received_at: Timestamp,
    /// The text, unchanged.
    pub text: String,
    /// The asset that it is about, by id.
    pub asset: Option<String>,
    /// Whatever else its sender said of it.
    pub meta: Value,
    /// The open record that it repeats.
    pub repeats: Option<Repeat>,
    /// When it was closed; `None` while it is open.
    pub closed_at: Option<Timestamp>,
}

/// An open record that a new one repeats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Repeat {
    /// The earlier record.
    pub record: i64,
    /// How alike they are, from 0 to 1.
    pub likeness: f64,
}

/// One label with its share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelProbability {
    /// The label.
    pub label: String,
    /// Its probability, or its score where the run is not calibrated. Over all
    /// labels of the task they add up to one.
    pub probability: f64,
}

/// Digests of all that shaped an answer. Any change of them makes another system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// The model file that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Digest>,
    /// The head that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Digest>,
    /// The prompt without the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Digest>,
    /// The labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Digest>,
    /// The schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Digest>,
    /// The reader that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<Digest>,
    /// The adapter that the model was used with, at its scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<Digest>,
    /// The glossary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glossary: Option<Digest>,
    /// The ranker, where one was learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranker: Option<Digest>,
    /// The documents that were searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corpus: Option<Digest>,
    /// The policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Digest>,
}

impl Digests {
    /// Those that shape the answer: all but the policy, which shapes what may
    /// leave the plant.
    pub fn artefacts(&self) -> Self {
        Self {
            policy: None,
            ..self.clone()
        }
    }
}

/// Who answered a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answerer {
    /// A head, trained on the plant's examples.
    Head,
    /// The language model, by scoring the labels.
    LabelScoring,
    /// A larger model elsewhere.
    Upstream,
    /// A normaliser, trained on the plant's examples.
    Normaliser,
    /// Nobody: the answer was computed.
    Computation,
    /// The answer was computed, and the language model put some of it into words.
    WordedComputation,
    /// The plant's documents, word for word.
    Passages,
    /// A reader, trained on the plant's examples.
    Reader,
    /// The language model, by writing what the schema allows.
    Generation,
    /// A reader and the language model, each by itself: what they say was fused.
    ReaderAndGeneration,
    /// A query over the rows of a table.
    Table,
}

/// What stands behind an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guarantee {
    /// No certificate speaks for these artefacts.
    Uncertified,
    /// There was one, and it was suspended: what was promised may not hold any more.
    Suspended,
    /// A certificate that holds.
    #[serde(untagged)]
    Certified(Mark),
}

/// One task over one record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The task.
    pub task: String,
    /// The best label; for other kinds of task what they answer with. Null where
    /// there is no answer.
    pub answer: Value,
    /// The second label, where it is probable enough that the text tells of two
    /// problems. A certificate speaks of `answer` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also: Option<String>,
    /// The calibrated probability of `answer`; `None` where it is only a score.
    pub probability: Option<f64>,
    /// All labels, most probable first; empty for other kinds of task.
    pub probabilities: Vec<LabelProbability>,
    /// Whether `probabilities` are calibrated; if not they are scores.
    pub calibrated: bool,
    /// Where the answer comes from, or who is to give it.
    pub route: Route,
    /// Why.
    pub reason: Reason,
    /// Who answered.
    pub answered_by: Answerer,
    /// What the answer rests on or leads to.
    pub evidence: Vec<Evidence>,
    /// What stands behind the answer.
    pub certificate: Guarantee,
    /// Digests of all that shaped the answer.
    pub digests: Digests,
    /// Time from the request to the answer, without storing it, in milliseconds.
    pub took_ms: f64,
}

/// What an answer rests on or leads to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Evidence {
    /// The procedure that the answer leads to, word for word.
    Procedure(Procedure),
    /// The open record that this one repeats.
    Repeats(Repeat),
    /// What left the plant, and for which answer.
    Egress(Egress),
    /// What waits to leave: the number of its place in the queue. The run's answer is
    /// provisional until another run of the record has what comes back.
    Queued {
        /// Its number.
        place: i64,
    },
    /// What was answered here before somebody else was asked.
    Edge {
        /// The answer.
        answer: Value,
        /// Its probability, or its score.
        confidence: f64,
    },
    /// A token that was written anew.
    Change(Change),
    /// A sentence of a summary.
    Sentence(Sentence),
    /// A place in the plant's documents: first the quoted one, then others that were found.
    Passage(Passage),
    /// The documents do not hold the answer, as far as can be said.
    Unsaid {
        /// The same as a sentence.
        note: String,
    },
    /// A value of the answer, and where the text says it.
    Field(FieldEvidence),
}

/// A token of the text that a normaliser wrote anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Where it stands in the text, in bytes.
    pub span: Span,
    /// As it was written.
    pub from: String,
    /// What became of it; empty where it was merged into the token before it.
    pub to: String,
    /// The calibrated probability of that.
    pub confidence: f64,
    /// Whether the plant's glossary says so, of a word that no example has.
    pub by_glossary: bool,
}

/// A place in a text, in bytes: from `start` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte behind the last.
    pub end: usize,
}

/// A sentence of a summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sentence {
    /// `what_happened`, `what_is_open` or `what_to_watch`.
    pub section: String,
    /// The sentence.
    pub text: String,
    /// The records that it rests on, by their identifiers.
    pub records: Vec<String>,
}

/// Words of a document, with the place that they stand in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// The words.
    pub text: String,
    /// Where they stand.
    #[serde(flatten)]
    pub citation: Citation,
}

/// A value of an extracted object, and where the text says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldEvidence {
    /// Where the value belongs, as `total` or `positions[2].quantity`.
    pub path: String,
    /// The value; null where the text has none.
    pub value: Value,
    /// How probable it is that the value is right; null where that is not known.
    pub confidence: Option<f64>,
    /// Its place in the record's text; null where no place says it.
    pub span: Option<Span>,
    /// Whether the place says the value as it stands, but for blanks and punctuation. If
    /// not, the value is the form that examples had, or what the model wrote.
    pub verbatim: bool,
    /// Whether the reader and the language model say the same; null where only one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed: Option<bool>,
}

/// A run as the store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRun {
    /// Its number, in order of recording.
    pub id: i64,
    /// The record that it is about.
    pub record: i64,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// The run.
    pub run: Run,
    /// What a person answered since.
    pub settled: Option<Settlement>,
}

/// What a person said that a run should have answered. The newest of a run counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settlement {
    /// The right label or other answer; `None` where none is right.
    pub answer: Option<Value>,
    /// Who said so, as far as they gave a name.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
}

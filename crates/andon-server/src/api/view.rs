//! Records and runs as they are printed, by the API and by the command line.

use std::collections::BTreeMap;

use andon_task::route::{Reason, Route};
use andon_task::run::{
    Answerer, Digests, Evidence, Guarantee, LabelProbability, Record, Repeat, Settlement, StoredRun,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A record.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RecordView {
    /// Its number, in order of arrival.
    pub id: i64,
    /// When it came in, as RFC 3339 in UTC.
    pub received_at: String,
    /// The text, unchanged.
    pub text: String,
    /// The asset that it is about.
    pub asset: Option<String>,
    /// What else its sender said of it: an object, or null.
    pub meta: Value,
    /// The open record that it repeats.
    pub repeats: Option<RepeatView>,
    /// Whether it is open.
    pub open: bool,
    /// When it was closed.
    pub closed_at: Option<String>,
}

/// An open record that a new one repeats.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RepeatView {
    /// The earlier record.
    pub record: i64,
    /// How alike they are, from 0 to 1.
    pub likeness: f64,
}

/// A run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RunView {
    /// Its number, in order of recording.
    pub id: i64,
    /// The record that it is about.
    pub record: i64,
    /// The task.
    pub task: String,
    /// The best label; for other kinds of task what they answer with; null where there is
    /// no answer.
    pub answer: Value,
    /// The second label, where the text seems to tell of two problems; a certificate
    /// speaks of `answer` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub also: Option<String>,
    /// The calibrated probability of the answer; null where there are only scores.
    pub probability: Option<f64>,
    /// Every label of the task with its probability (its score, where the run is
    /// not calibrated), the most probable first. They add up to one.
    #[schemars(with = "BTreeMap<String, f64>")]
    pub probabilities: Map<String, Value>,
    /// Whether the probabilities are calibrated.
    pub calibrated: bool,
    /// `edge`, `cloud` or `human`.
    #[schemars(with = "String")]
    pub route: Route,
    /// `confident`, `below_threshold`, `not_calibrated` or `spot_check`: accepted,
    /// and drawn for a person to check. Where an upstream was to be asked and did not
    /// answer, why: `data_class`, `policy_denied`, `link_down`, `deadline`, `budget`,
    /// `busy`, `redaction_failed`, `audit_failed`, `upstream_failed`,
    /// `upstream_invalid`; or `queued`, where the answer is provisional. `checked`:
    /// computed, and checked against what it rests on.
    #[schemars(with = "String")]
    pub reason: Reason,
    /// All that the answer rests on or leads to.
    #[schemars(with = "Vec<Map<String, Value>>")]
    pub evidence: Vec<Evidence>,
    /// The procedure that the answer leads to, word for word.
    pub procedure: Option<ProcedureView>,
    /// The open record that this one repeats.
    pub repeats: Option<RepeatView>,
    /// What stands behind the answer: a certificate with its `id`, `alpha`, `delta`,
    /// `n`, `threshold` and `basis`; or `uncertified`; or `suspended`, where there
    /// was one and it may not hold any more.
    #[schemars(with = "Value")]
    pub certificate: Guarantee,
    /// `head`, `label_scoring`, `upstream`, `reader`, `generation`, `reader_and_generation`
    /// (what both say was fused), `normaliser`, `computation`, `worded_computation`
    /// (computed, with some of its sentences in the language model's words), `passages` or
    /// `table`.
    #[schemars(with = "String")]
    pub answered_by: Answerer,
    /// SHA-256 digests of all that shaped the answer.
    #[schemars(with = "BTreeMap<String, String>")]
    pub digests: Digests,
    /// Time to the answer, without storing it, in milliseconds.
    pub took_ms: f64,
    /// When it was recorded, as RFC 3339 in UTC.
    pub created_at: String,
    /// What a person said is right; null until somebody does.
    pub settled: Option<SettlementView>,
}

/// What a person said is right.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SettlementView {
    /// The right label or other answer; null where none is right.
    pub answer: Option<Value>,
    /// Who said so, as far as they gave a name.
    pub by: Option<String>,
    /// When, as RFC 3339 in UTC.
    pub at: String,
}

/// A procedure, word for word.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ProcedureView {
    /// The file under `procedures/`.
    pub file: String,
    /// The plant's own number for it.
    pub id: String,
    /// The title.
    pub title: String,
    /// The revision, as the plant writes it.
    pub revision: Option<String>,
    /// The Markdown text, unchanged.
    pub text: String,
}

/// A task that did not answer over a record that was taken in.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FailedRun {
    /// The task.
    pub task: String,
    /// The stable code of the failure.
    pub code: String,
    /// What is wrong, and what to do about it.
    pub message: String,
}

impl From<Repeat> for RepeatView {
    fn from(repeat: Repeat) -> Self {
        Self {
            record: repeat.record,
            likeness: repeat.likeness,
        }
    }
}

impl From<Record> for RecordView {
    fn from(record: Record) -> Self {
        Self {
            id: record.id,
            received_at: record.received_at.to_string(),
            text: record.text,
            asset: record.asset,
            meta: record.meta,
            repeats: record.repeats.map(RepeatView::from),
            open: record.closed_at.is_none(),
            closed_at: record.closed_at.map(|at| at.to_string()),
        }
    }
}

impl From<Settlement> for SettlementView {
    fn from(settlement: Settlement) -> Self {
        Self {
            answer: settlement.answer,
            by: settlement.by,
            at: settlement.at.to_string(),
        }
    }
}

impl From<StoredRun> for RunView {
    fn from(stored: StoredRun) -> Self {
        let run = stored.run;
        let procedure = run.evidence.iter().find_map(|evidence| match evidence {
            Evidence::Procedure(procedure) => Some(ProcedureView {
                file: procedure.file.clone(),
                id: procedure.id.clone(),
                title: procedure.title.clone(),
                revision: procedure.revision.clone(),
                text: procedure.text.clone(),
            }),
            _ => None,
        });
        let repeats = run.evidence.iter().find_map(|evidence| match evidence {
            Evidence::Repeats(repeat) => Some(RepeatView::from(*repeat)),
            _ => None,
        });
        Self {
            id: stored.id,
            record: stored.record,
            task: run.task,
            answer: run.answer,
            also: run.also,
            probability: run.probability,
            probabilities: by_label(run.probabilities),
            calibrated: run.calibrated,
            route: run.route,
            reason: run.reason,
            evidence: run.evidence,
            procedure,
            repeats,
            certificate: run.certificate,
            answered_by: run.answered_by,
            digests: run.digests,
            took_ms: run.took_ms,
            created_at: stored.created_at.to_string(),
            settled: stored.settled.map(SettlementView::from),
        }
    }
}

fn by_label(probabilities: Vec<LabelProbability>) -> Map<String, Value> {
    probabilities
        .into_iter()
        .map(|item| (item.label, json!(item.probability)))
        .collect()
}

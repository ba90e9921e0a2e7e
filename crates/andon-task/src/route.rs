//! Where a decision goes, as a function of what is known about it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::certificate::{Certificate, Mark, Severity};
use crate::digest::Digest;
use crate::drift;
use crate::run::Guarantee;
use crate::task::{DataClass, Escalation, Task};
use crate::upstream::Link;
use crate::worth::Worth;

/// Where a run was answered, or waits to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// Answered here.
    Edge,
    /// To a larger model elsewhere.
    Cloud,
    /// To a person.
    Human,
}

/// Why a run took its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The probability reaches the threshold.
    Confident,
    /// The probability is below the threshold.
    BelowThreshold,
    /// There is no calibrated probability to compare with the threshold.
    NotCalibrated,
    /// The answer would have been accepted, and was drawn to be checked by a
    /// person: this is how an error that certificates promise not to make is found.
    SpotCheck,
    /// The upstream may not be sent data of this class.
    DataClass,
    /// The policy does not let a field leave.
    PolicyDenied,
    /// The upstream was measured, and is not right more often than what answers here.
    NotBetter,
    /// No upstream can be reached.
    LinkDown,
    /// An upstream would not answer before the deadline.
    Deadline,
    /// What may be spent on upstreams is spent.
    Budget,
    /// As many requests wait for upstreams as may.
    Busy,
    /// The text could not be redacted for certain.
    RedactionFailed,
    /// What was to leave could not be entered in the audit log.
    AuditFailed,
    /// The upstream refused the request or failed in it.
    UpstreamFailed,
    /// The upstream's answer was not what was asked for, twice.
    UpstreamInvalid,
    /// The link is down, and the request waits for it; the answer is provisional.
    Queued,
    /// The answer was computed, and everything in it was checked against what it rests on.
    Checked,
}

/// What a task answered, as far as routing looks at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answered<'a> {
    /// The text that was decided.
    pub text: &'a str,
    /// The probability of the answer, or its score.
    pub confidence: f64,
    /// Whether `confidence` is a calibrated probability.
    pub calibrated: bool,
    /// What kind of label was answered.
    pub said: Severity,
}

/// Whether a certificate speaks for an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing<'a> {
    /// None does.
    Uncertified,
    /// One did, and was suspended.
    Suspended(&'a Certificate),
    /// This one does, known by its digest.
    Certified(&'a Certificate, Digest),
}

/// Where a decision goes, why, and what stands behind it.
///
/// By a certificate an answer is accepted from its threshold on, but for those
/// that are drawn as spot checks. Without one the task's own rule decides. While
/// one is suspended both have to accept, so that doubt never lets more through.
pub fn decide(
    task: &Task,
    answered: Answered<'_>,
    standing: Standing<'_>,
) -> (Route, Reason, Guarantee) {
    let by_task = || match answered.calibrated {
        true if answered.confidence >= task.accept => Reason::Confident,
        true => Reason::BelowThreshold,
        false => Reason::NotCalibrated,
    };
    let by_certificate = |certificate: &Certificate| match certificate
        .thresholds
        .accept(answered.said, answered.confidence)
    {
        true => Reason::Confident,
        false => Reason::BelowThreshold,
    };
    let (reason, guarantee) = match standing {
        Standing::Uncertified => (by_task(), Guarantee::Uncertified),
        Standing::Suspended(certificate) => {
            let reason = match by_task() {
                Reason::Confident => by_certificate(certificate),
                other => other,
            };
            (reason, Guarantee::Suspended)
        }
        Standing::Certified(certificate, id) => {
            let mark = Mark::of(certificate, id, answered.said);
            let reason = match by_certificate(certificate) {
                Reason::Confident
                    if drift::is_spot_check(&task.name, answered.text, task.spot_check) =>
                {
                    Reason::SpotCheck
                }
                reason => reason,
            };
            (reason, Guarantee::Certified(mark))
        }
    };
    // Whether an upstream is asked instead is for `escalate` to say; a person is the
    // last resort of every task.
    let route = match reason {
        Reason::Confident => Route::Edge,
        _ => Route::Human,
    };
    (route, reason, guarantee)
}

/// What is known of an upstream when something may be sent to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// The most confidential data that it may be sent.
    pub data_class: DataClass,
    /// Whether the policy lets all fields leave.
    pub permitted: bool,
    /// What it was measured to be worth for the task.
    pub worth: Worth,
    /// Whether it is thought to be there.
    pub link: Link,
    /// How long its answers took lately.
    pub expected: Duration,
    /// Whether the request can be paid from what is left of its budgets.
    pub affordable: bool,
    /// Whether there is a place among the requests that wait for upstreams.
    pub has_room: bool,
}

/// Whether an uncertain case goes to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escalated {
    /// To the upstream of this place in the list.
    To(usize),
    /// To none, for the reason that keeps it from the first of them.
    Closed(Reason),
    /// It was not meant to.
    NotAsked,
}

/// Whether a case was not accepted here and its task asks upstreams.
pub fn is_uncertain(task: &Task, reason: Reason) -> bool {
    matches!(reason, Reason::BelowThreshold | Reason::NotCalibrated)
        && task.escalate.first() == Some(&Escalation::Cloud)
}

/// Whether a case that was not accepted here goes to an upstream: to the first that
/// nothing speaks against. `left` is the time until the deadline, where there is one.
pub fn escalate(
    task: &Task,
    reason: Reason,
    left: Option<Duration>,
    outlooks: &[Outlook],
) -> Escalated {
    if !is_uncertain(task, reason) || outlooks.is_empty() {
        return Escalated::NotAsked;
    }
    let against: Vec<Option<Reason>> = (outlooks.iter())
        .map(|outlook| against(task, left, outlook))
        .collect();
    match against.iter().position(Option::is_none) {
        Some(place) => Escalated::To(place),
        None => Escalated::Closed(against[0].unwrap_or(reason)),
    }
}

/// What speaks against sending something to an upstream. What is a matter of the
/// plant's will comes before what is a matter of the moment.
fn against(task: &Task, left: Option<Duration>, outlook: &Outlook) -> Option<Reason> {
    if task.data_class > outlook.data_class {
        Some(Reason::DataClass)
    } else if !outlook.permitted {
        Some(Reason::PolicyDenied)
    } else if outlook.worth == Worth::NotBetter {
        Some(Reason::NotBetter)
    } else if !outlook.affordable {
        Some(Reason::Budget)
    } else if left.is_some_and(|left| left <= outlook.expected) {
        Some(Reason::Deadline)
    } else if outlook.link == Link::Down {
        Some(Reason::LinkDown)
    } else if !outlook.has_room {
        Some(Reason::Busy)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;

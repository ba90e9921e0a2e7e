//! `GET /api/tasks/{task}/certificate`: what is promised for a task, and what was
//! found since.

use std::fmt;

use andon_runtime::{CertificateStatus, Validity};
use andon_task::certificate::{Basis, Promise, Terms, Thresholds};
use andon_task::drift::Evidence;
use andon_task::task::Class;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::runs::TaskName;
use crate::app::App;
use crate::error::ApiError;
use crate::extract::{Path, Reply};

/// The newest certificate of a task.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CertificateReply {
    /// Null where there is none.
    certificate: Option<CertificateView>,
}

/// A certificate with all that is known of it now.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CertificateView {
    /// Its digest.
    pub id: String,
    /// The task.
    pub task: String,
    /// `in_force`; `suspended` where something was found that it does not allow for;
    /// `void` where something else answers now.
    pub status: &'static str,
    /// Why it is not in force.
    pub reason: Option<String>,
    /// What was asked for: `alpha`, `critical_alpha` and `delta`.
    #[schemars(with = "Map<String, Value>")]
    pub terms: Terms,
    /// `fresh` or `cross_fitted`: the latter is approximate.
    #[schemars(with = "String")]
    pub basis: Basis,
    /// The labelled examples behind it.
    pub n: usize,
    /// From which confidence on an answer is accepted.
    #[schemars(with = "Map<String, Value>")]
    pub thresholds: Thresholds,
    /// The share of the examples that was accepted.
    pub coverage: f64,
    /// What holds at these thresholds.
    #[schemars(with = "Vec<Map<String, Value>>")]
    pub promises: Vec<Promise>,
    /// When it was made, as RFC 3339 in UTC.
    pub issued_at: String,
    /// Who had it made, as far as they gave a name.
    pub by: Option<String>,
    /// Spot checks that people answered.
    pub spot_checks: usize,
    /// Those of them that were wrong.
    pub spot_checks_wrong: usize,
    /// The evidence of spot checks that more is wrong than promised.
    #[schemars(with = "Map<String, Value>")]
    pub errors: Evidence,
    /// The evidence that what comes in has changed.
    #[schemars(with = "Map<String, Value>")]
    pub inputs: Evidence,
    /// The evidence of either kind at which it is suspended.
    pub limit: f64,
}

impl From<CertificateStatus> for CertificateView {
    fn from(status: CertificateStatus) -> Self {
        let (word, reason) = match status.validity {
            Validity::InForce => ("in_force", None),
            Validity::Suspended(reason) => ("suspended", Some(reason)),
            Validity::Void(reason) => ("void", Some(reason)),
        };
        let certificate = status.stored.certificate;
        Self {
            id: status.stored.digest.to_string(),
            task: certificate.task,
            status: word,
            reason,
            terms: certificate.terms,
            basis: certificate.basis,
            n: certificate.n,
            thresholds: certificate.thresholds,
            coverage: certificate.coverage,
            promises: certificate.promises,
            issued_at: certificate.issued_at.to_string(),
            by: status.stored.by,
            spot_checks: status.spot_checks.0,
            spot_checks_wrong: status.spot_checks.1,
            errors: status.errors,
            inputs: status.inputs,
            limit: status.limit,
        }
    }
}

impl fmt::Display for CertificateView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.status.replace('_', " ");
        writeln!(f, "certificate {} of {}: {word}", &self.id[..12], self.task)?;
        if let Some(reason) = &self.reason {
            writeln!(f, "  {reason}")?;
        }
        writeln!(
            f,
            "  at most {:.1} % of the accepted answers wrong, with confidence {:.1} %, from {} examples",
            100.0 * self.terms.alpha,
            100.0 * (1.0 - self.terms.delta),
            self.n
        )?;
        writeln!(f, "  coverage {:.1} %", 100.0 * self.coverage)?;
        let by = self.by.as_deref().unwrap_or("nobody who gave a name");
        writeln!(f, "  issued {} by {by}", self.issued_at)?;
        writeln!(
            f,
            "  spot checks: {} answered, {} wrong (evidence {:.1}, suspended at {:.0})",
            self.spot_checks, self.spot_checks_wrong, self.errors.peak, self.limit
        )?;
        write!(
            f,
            "  inputs: {} notes seen (evidence {:.1}, suspended at {:.0})",
            self.inputs.n, self.inputs.peak, self.limit
        )
    }
}

/// Shows the newest certificate of a task.
pub(crate) async fn show(
    State(app): State<App>,
    Path(TaskName { task }): Path<TaskName>,
) -> Result<Reply<CertificateReply>, ApiError> {
    app.work(Class::Person, move |node| {
        let status = node.certificate_status(&task)?;
        Ok(Reply(CertificateReply {
            certificate: status.map(CertificateView::from),
        }))
    })
    .await
}

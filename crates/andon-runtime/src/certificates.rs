//! The certificates in force, and what watches them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use andon_store::{Observation, StoredCertificate, Suspension};
use andon_task::certificate::Certificate;
use andon_task::drift::{self, Evidence};
use andon_task::route::Standing;
use andon_task::run::{Digests, Run, StoredRun};
use andon_task::task::{Kind, Task};

use crate::error::Error;
use crate::node::Node;

/// The newest certificate of each task; replaced as a whole.
#[derive(Default)]
pub(crate) struct Certificates(RwLock<Arc<BTreeMap<String, Arc<StoredCertificate>>>>);

impl Certificates {
    fn of(&self, task: &str) -> Option<Arc<StoredCertificate>> {
        self.current().get(task).cloned()
    }

    fn current(&self) -> Arc<BTreeMap<String, Arc<StoredCertificate>>> {
        // A map is replaced whole: a panic elsewhere leaves nothing half-done.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, certificates: BTreeMap<String, Arc<StoredCertificate>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificates);
    }
}

/// Whether a certificate speaks for what answers now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It does.
    InForce,
    /// It was suspended: something was found that it does not allow for.
    Suspended(String),
    /// It was made for other artefacts than those that answer now.
    Void(String),
}

/// A certificate with all that is known of it now.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateStatus {
    /// The certificate.
    pub stored: StoredCertificate,
    /// Whether it counts.
    pub validity: Validity,
    /// Spot checks that people answered, and how many of them were wrong.
    pub spot_checks: (usize, usize),
    /// The evidence of the spot checks that more is wrong than promised.
    pub errors: Evidence,
    /// The evidence that what comes in has changed.
    pub inputs: Evidence,
    /// The evidence at which it is suspended.
    pub limit: f64,
}

/// What speaks for a run, held while it is decided.
pub(crate) struct Backing(Option<(Arc<StoredCertificate>, bool)>);

impl Backing {
    pub(crate) fn standing(&self) -> Standing<'_> {
        match &self.0 {
            None => Standing::Uncertified,
            Some((stored, true)) => Standing::Suspended(&stored.certificate),
            Some((stored, false)) => Standing::Certified(&stored.certificate, stored.digest),
        }
    }

    /// What to tell the watch of inputs of a run.
    pub(crate) fn observation(&self, run: &Run) -> Option<Observation> {
        let (stored, suspended) = self.0.as_ref()?;
        let best = run.probabilities.first().map(|best| best.probability);
        let confidence = best.or(run.probability)?;
        (!suspended).then_some(Observation {
            certificate: stored.id,
            confidence,
        })
    }
}

impl Node {
    pub(crate) fn refresh_certificates(&self) -> Result<(), Error> {
        let mut certificates = BTreeMap::new();
        for task in self.plant.tasks.keys() {
            if let Some(stored) = self.store.certificate(task)? {
                certificates.insert(task.clone(), Arc::new(stored));
            }
        }
        self.certificates.replace(certificates);
        Ok(())
    }

    /// What speaks for an answer that was made with `digests`.
    pub(crate) fn backing(&self, task: &str, digests: &Digests) -> Backing {
        let stored = self.certificates.of(task);
        let stored = stored.filter(|stored| stored.certificate.covers(digests));
        Backing(stored.map(|stored| {
            let suspended = stored.suspension.is_some();
            (stored, suspended)
        }))
    }

    /// Suspends the certificate of a run's task if the watch of its inputs says so.
    pub(crate) fn heed_inputs(
        &self,
        run: &StoredRun,
        evidence: Option<Evidence>,
    ) -> Result<(), Error> {
        let task = &run.run.task;
        let (Some(evidence), Some(stored)) = (evidence, self.certificates.of(task)) else {
            return Ok(());
        };
        let limit = drift::limit(stored.certificate.terms.delta);
        if stored.suspension.is_none() && evidence.peak >= limit {
            let reason = format!(
                "the notes that come in are not like those it was made from (evidence {:.0} of {limit:.0} after {} notes): certify again on fresh examples",
                evidence.peak, evidence.n
            );
            self.suspend(&stored, reason)?;
        }
        Ok(())
    }

    /// Suspends the certificate of a task if its spot checks say so.
    pub(crate) fn heed_spot_checks(&self, task: &str) -> Result<(), Error> {
        let Some(stored) = self.certificates.of(task) else {
            return Ok(());
        };
        let (evidence, (n, wrong)) = self.evidence_of_errors(&stored)?;
        let limit = drift::limit(stored.certificate.terms.delta);
        if stored.suspension.is_none() && evidence.peak >= limit {
            let reason = format!(
                "of {n} spot checks {wrong} were wrong, more than it promises (evidence {:.0} of {limit:.0}): learn from the corrections and certify again",
                evidence.peak
            );
            self.suspend(&stored, reason)?;
        }
        Ok(())
    }

    fn evidence_of_errors(
        &self,
        stored: &StoredCertificate,
    ) -> Result<(Evidence, (usize, usize)), Error> {
        let task = &stored.certificate.task;
        let checks = self.store.spot_checks(task, stored.digest)?;
        let wrong = checks.iter().filter(|check| check.wrong).count();
        let evidence =
            drift::evidence_of_errors(checks.iter().map(|check| (check.alpha, check.wrong)));
        Ok((evidence, (checks.len(), wrong)))
    }

    fn suspend(&self, stored: &StoredCertificate, reason: String) -> Result<(), Error> {
        let task = &stored.certificate.task;
        tracing::warn!(task, certificate = %stored.digest, reason, "a certificate is suspended");
        let at = self.now();
        self.store.suspend(stored.id, &Suspension { at, reason })?;
        self.refresh_certificates()
    }

    /// The digests of what answers a task now, for a text that fits it.
    pub fn serving_digests(&self, task: &Task) -> Option<Digests> {
        match &task.kind {
            Kind::Decide(_) => self.digests_of_deciding(task),
            Kind::Extract(schema) => match self.readers.serving(&task.name) {
                Some(crate::ServingReader { reader, .. }) => {
                    Some(match self.second_opinion(task, schema, &reader) {
                        Some(Ok((fusion, _))) => self.digests_of_fusion(&reader, fusion, schema),
                        None | Some(Err(_)) => self.digests_of_reader(&reader, schema),
                    })
                }
                None => {
                    let writer = self.writer(task)?;
                    Some(self.digests_of_generation(task, schema, &writer))
                }
            },
            Kind::Normalise => {
                let normaliser = self.normalisers.serving(&task.name)?;
                Some(self.digests_of_normaliser(normaliser.digest()))
            }
            Kind::Answer => {
                let searching = self.rankers.serving(&task.name)?;
                Some(self.digests_of_search(&searching))
            }
            // Computed from the records alone: there is no certificate of it.
            Kind::Summarise => None,
        }
    }

    /// The newest certificate of a task with all that is known of it now.
    pub fn certificate_status(&self, task: &str) -> Result<Option<CertificateStatus>, Error> {
        let task = self.task(task)?;
        let Some(stored) = self.store.certificate(&task.name)? else {
            return Ok(None);
        };
        let (errors, spot_checks) = self.evidence_of_errors(&stored)?;
        let validity = match (&stored.suspension, self.serving_digests(task)) {
            (_, None) => Validity::Void("nothing answers the task now".to_owned()),
            (_, Some(now)) if !stored.certificate.covers(&now) => {
                let changed = changed(&stored.certificate, &now);
                Validity::Void(format!("what answers now has {changed}: certify again"))
            }
            (Some(suspension), _) => Validity::Suspended(suspension.reason.clone()),
            (None, _) => Validity::InForce,
        };
        Ok(Some(CertificateStatus {
            validity,
            spot_checks,
            errors,
            inputs: stored.watch.evidence(),
            limit: drift::limit(stored.certificate.terms.delta),
            stored,
        }))
    }
}

/// Which artefacts differ from those of the certificate, in words.
fn changed(certificate: &Certificate, now: &Digests) -> String {
    let then = &certificate.artefacts;
    let parts = [
        ("model", then.model != now.model),
        ("head", then.head != now.head),
        ("adapter", then.adapter != now.adapter),
        ("prompt", then.prompt != now.prompt),
        ("label file", then.labels != now.labels),
        ("schema", then.schema != now.schema),
        ("reader", then.reader != now.reader),
        ("ranker", then.ranker != now.ranker),
        ("corpus", then.corpus != now.corpus),
        ("glossary", then.glossary != now.glossary),
    ];
    let changed: Vec<&str> = parts
        .iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| *name)
        .collect();
    format!("another {}", changed.join(", another "))
}

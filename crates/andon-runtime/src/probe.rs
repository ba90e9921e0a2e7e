use std::ops::ControlFlow;

use andon_task::engine::{Embed, EngineError, GenerateRequest, Prompt, ScoreRequest, Terms};
use andon_task::task::Class;

use crate::certificates::Validity;
use crate::model::LanguageModel;
use crate::node::Node;

/// What was tried, and whether it works.
#[derive(Clone, Debug, PartialEq)]
pub struct Readiness {
    /// The store, each model, and the heads and adapters that do not serve.
    pub checks: Vec<Check>,
    /// What does not work, and which the node can serve without.
    pub degraded: Vec<Check>,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it works.
    pub ready: bool,
    /// Why not, or what else is to be known.
    pub detail: Option<String>,
}

impl Readiness {
    /// Whether everything works.
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|check| check.ready)
    }
}

impl Node {
    /// Tries whether the node works: writes to the store and puts a tiny request
    /// to each model. A model that has no place now is one that works.
    pub fn readiness(&self) -> Readiness {
        let store = self.store.ready().err();
        let mut checks = vec![Check {
            name: "store".to_owned(),
            ready: store.is_none(),
            detail: store.map(|error| error.to_string()),
        }];
        let settings = &self.plant.settings;
        checks.push(match &self.language_model {
            Some(model) => self.language_model_answers(&**model),
            None => not_loaded(&settings.language_model),
        });
        checks.push(match &self.encoder {
            Some(encoder) => answered(&encoder.identity().name, embed_something(&**encoder)),
            None => not_loaded(&settings.encoder),
        });
        let tasks = self.plant.tasks.keys();
        checks.extend(tasks.filter_map(|task| {
            let reason = self.heads.status(task)?.refused?;
            Some(Check {
                name: format!("head of {task}"),
                // The task is still answered, by scoring its labels.
                ready: self.language_model.is_some(),
                detail: Some(reason),
            })
        }));
        checks.extend(self.plant.tasks.keys().filter_map(|task| {
            let reason = self.adapters.status(task)?.refused?;
            Some(Check {
                name: format!("adapter of {task}"),
                // The task is still answered, by scoring its labels without it.
                ready: self.language_model.is_some(),
                detail: Some(reason),
            })
        }));
        checks.extend(self.plant.tasks.keys().filter_map(|task| {
            let status = self.certificate_status(task).ok()??;
            let reason = match status.validity {
                Validity::InForce => return None,
                Validity::Suspended(reason) => format!("suspended: {reason}"),
                Validity::Void(reason) => format!("void: {reason}"),
            };
            Some(Check {
                name: format!("certificate of {task}"),
                // The task is answered, without a promise.
                ready: true,
                detail: Some(reason),
            })
        }));
        let closed = self.egress.as_ref().and_then(|egress| egress.closed());
        let degraded = closed.map(|reason| Check {
            name: "egress".to_owned(),
            ready: false,
            detail: Some(format!("nothing leaves the plant: {reason}")),
        });
        Readiness {
            checks,
            degraded: degraded.into_iter().collect(),
        }
    }

    /// A model that cannot weigh labels is enough where no task needs it.
    fn language_model_answers(&self, model: &dyn LanguageModel) -> Check {
        let name = &model.model().name;
        match score_something(model) {
            Err(EngineError::Invalid(reason)) if self.heads_answer_all() => {
                let mut check = answered(name, generate_something(model));
                check.detail.get_or_insert(reason);
                check
            }
            result => answered(name, result),
        }
    }

    /// Whether a head serves every task, so that no labels are scored.
    fn heads_answer_all(&self) -> bool {
        let mut tasks = self.plant.tasks.keys();
        tasks.all(|task| {
            let status = self.heads.status(task);
            status.is_some_and(|status| status.refused.is_none())
        })
    }
}

fn generate_something(model: &dyn LanguageModel) -> Result<(), EngineError> {
    let request = GenerateRequest {
        max_tokens: Some(1),
        terms: Terms::of(Class::Machine),
        ..GenerateRequest::new(Prompt::Text("ready".to_owned()))
    };
    model
        .generate(&request, &mut |_| ControlFlow::Continue(()))
        .map(drop)
}

fn score_something(model: &dyn LanguageModel) -> Result<(), EngineError> {
    let labels = vec!["yes".to_owned(), "no".to_owned()];
    // Ahead of people's work: that a node is busy does not make it unready.
    let request = ScoreRequest {
        terms: Terms::of(Class::Machine),
        ..ScoreRequest::new(Prompt::Text("ready".to_owned()), labels)
    };
    let scores = model.score(&request)?;
    let sum: f64 = scores.shares.iter().sum();
    if scores.shares.len() == 2 && (sum - 1.0).abs() < 1e-3 {
        return Ok(());
    }
    let found = format!("{:?} for two labels", scores.shares);
    Err(EngineError::Failed(found))
}

fn embed_something(encoder: &dyn Embed) -> Result<(), EngineError> {
    let vectors = encoder.embed(&["ready"])?;
    let vector = vectors.first().map_or(&[][..], Vec::as_slice);
    if vector.len() == encoder.dimensions() && vector.iter().all(|v| v.is_finite()) {
        return Ok(());
    }
    let found = format!("a vector of {} numbers, or not finite", vector.len());
    Err(EngineError::Failed(found))
}

fn answered(name: &str, result: Result<(), EngineError>) -> Check {
    let (ready, detail) = match result {
        Ok(()) => (true, None),
        Err(busy @ (EngineError::Overloaded { .. } | EngineError::Late { .. })) => {
            (true, Some(busy.to_string()))
        }
        Err(error) => (false, Some(error.to_string())),
    };
    Check {
        name: name.to_owned(),
        ready,
        detail,
    }
}

fn not_loaded(name: &str) -> Check {
    Check {
        name: name.to_owned(),
        ready: false,
        detail: Some(format!(
            "not loaded: get it with 'andon model pull {name}' and start again"
        )),
    }
}

use andon_task::engine::{EngineError, Identity, ScoreRequest, Terms};
use andon_task::head::Head;
use andon_task::label::LabelSet;
use andon_task::prompt;
use andon_task::run::{Answerer, Digests, Evidence, LabelProbability, Run};
use andon_task::task::Task;

use crate::adapters::Loaded;
use crate::error::Error;
use crate::heads::Serving;
use crate::intake::vector_of;
use crate::node::Node;
use crate::run::{Asked, Outcome};

/// The shares of a task's labels, in their order, and where they come from.
struct Decision {
    shares: Vec<f64>,
    calibrated: bool,
    /// From which probability on the second label is answered as well.
    also: Option<f64>,
    answered_by: Answerer,
    digests: Digests,
}

impl Node {
    /// One label of a closed set.
    pub(crate) fn decide(&self, labels: &LabelSet, asked: Asked<'_>) -> Result<Run, Error> {
        let Asked {
            task, text, terms, ..
        } = asked;
        // By the head, if one serves the task and the text fits its encoder; otherwise by
        // scoring the labels with the language model, and with the adapter that serves.
        let decision = match self.decide_by_head(task, text, asked.vector.clone())? {
            Some(decision) => decision,
            None => self.decide_by_scoring(task, text, terms)?,
        };
        Ok(self.conclude(labels, &asked, decision))
    }

    /// The probabilities that the head of a task gives its labels for a record,
    /// `vector` being that of the plant's encoder; `None` where no head serves.
    pub fn probabilities(
        &self,
        task: &Task,
        text: &str,
        vector: &[f32],
    ) -> Result<Option<Vec<f64>>, Error> {
        let decision = self.decide_by_head(task, text, Some(vector.to_vec()))?;
        Ok(decision.map(|decision| decision.shares))
    }

    fn decide_by_head(
        &self,
        task: &Task,
        text: &str,
        vector: Option<Vec<f32>>,
    ) -> Result<Option<Decision>, Error> {
        let Some(Serving { head, tuned }) = self.heads.serving(&task.name) else {
            return Ok(None);
        };
        let Some(encoder) = tuned.as_ref().or(self.encoder.as_ref()) else {
            return Ok(None);
        };
        let reading = self.plant.glossary.read(text);
        // The vector of the record is that of the plant's own encoder.
        let vector = match vector.filter(|_| tuned.is_none()) {
            Some(vector) => Some(vector),
            None => vector_of(&**encoder, &reading)?,
        };
        let Some(vector) = vector else {
            return Ok(None);
        };
        let shares = head
            .decide(&reading, &vector)
            .map_err(|error| EngineError::Failed(error.to_string()))?;
        Ok(Some(Decision {
            shares,
            calibrated: true,
            also: head.also(),
            answered_by: Answerer::Head,
            digests: self.digests_of_head(task, &head),
        }))
    }

    fn decide_by_scoring(&self, task: &Task, text: &str, terms: &Terms) -> Result<Decision, Error> {
        let model = self
            .language_model
            .as_ref()
            .ok_or_else(|| Error::NothingAnswers(task.name.clone()))?;
        let names = task.labels().names();
        // Held until the answer is there: what is demoted meanwhile stays loaded.
        let loaded = self.adapters.serving(&task.name);
        let loaded = loaded.as_deref();
        let prompt = match loaded {
            Some(loaded) => loaded.adapter.asked(task, text),
            None => prompt::decide(task, text),
        };
        let scores = model.score(&ScoreRequest {
            terms: terms.clone(),
            adapter: loaded.map(|loaded| loaded.adapter.named()),
            ..ScoreRequest::new(prompt, names)
        })?;
        let shares = match loaded {
            Some(loaded) => loaded.adapter.probabilities(&scores.shares),
            None => scores.shares,
        };
        Ok(Decision {
            shares,
            calibrated: loaded.is_some(),
            also: None,
            answered_by: Answerer::LabelScoring,
            digests: self.digests_of_scoring(task, model.model(), loaded),
        })
    }

    fn digests_of_head(&self, task: &Task, head: &Head) -> Digests {
        Digests {
            model: Some(head.encoder()),
            head: Some(head.digest()),
            labels: Some(task.labels().digest()),
            glossary: Some(self.plant.glossary.digest()),
            policy: self.plant.policy,
            ..Digests::default()
        }
    }

    fn digests_of_scoring(
        &self,
        task: &Task,
        model: &Identity,
        loaded: Option<&Loaded>,
    ) -> Digests {
        Digests {
            model: Some(model.digest),
            adapter: loaded.map(|loaded| loaded.digest),
            prompt: Some(match loaded {
                Some(loaded) => loaded.adapter.prompt,
                None => prompt::digest(&prompt::decide(task, "")),
            }),
            labels: Some(task.labels().digest()),
            policy: self.plant.policy,
            ..Digests::default()
        }
    }

    /// The digests of what decides a task now, for a text that fits it.
    pub(crate) fn digests_of_deciding(&self, task: &Task) -> Option<Digests> {
        match self.heads.serving(&task.name) {
            Some(serving) if self.encoder.is_some() => {
                Some(self.digests_of_head(task, &serving.head))
            }
            _ => {
                let model = self.language_model.as_ref()?;
                let loaded = self.adapters.serving(&task.name);
                Some(self.digests_of_scoring(task, model.model(), loaded.as_deref()))
            }
        }
    }

    fn conclude(&self, labels: &LabelSet, asked: &Asked<'_>, decision: Decision) -> Run {
        let mut probabilities: Vec<LabelProbability> = (labels.names().into_iter())
            .zip(decision.shares)
            .map(|(label, probability)| LabelProbability { label, probability })
            .collect();
        probabilities.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        let best = probabilities[0].clone();
        let also = decision.also.and_then(|least| {
            let second = probabilities.get(1)?;
            (second.probability >= least).then(|| second.label.clone())
        });
        let procedure = self.plant.procedure_of(asked.task, &best.label).cloned();
        let outcome = Outcome {
            confidence: best.probability,
            calibrated: decision.calibrated,
            said: labels.severity(&best.label),
            answer: best.label.into(),
            answered_by: decision.answered_by,
            evidence: procedure.into_iter().map(Evidence::Procedure).collect(),
            digests: decision.digests,
        };
        Run {
            also,
            probabilities,
            ..self.routed(asked, outcome)
        }
    }
}

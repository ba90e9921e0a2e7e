use std::time::Instant;

use andon_task::engine::{EngineError, Identity, ScoreRequest, Terms};
use andon_task::head::Head;
use andon_task::route::Answered;
use andon_task::run::{Answerer, Digests, Evidence, LabelProbability, Repeat, Run, StoredRun};
use andon_task::task::Task;
use andon_task::{prompt, route};

use crate::adapters::Loaded;
use crate::error::Error;
use crate::heads::Serving;
use crate::intake::{Taken, check_text, vector_of};
use crate::node::Node;

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
    /// Runs a task over a record, on the terms of whoever asks. The run is on disk
    /// when this returns: an answer without a record of it cannot be audited.
    pub fn run(&self, task: &str, taken: &Taken, terms: &Terms) -> Result<StoredRun, Error> {
        let task = self.task(task)?;
        let began = Instant::now();
        let text = &taken.record.text;
        let decision = self.decide(task, text, taken.vector.clone(), terms)?;
        let mut run = self.conclude(task, text, decision, taken.record.repeats);
        run.took_ms = (taken.took + began.elapsed()).as_secs_f64() * 1000.0;
        let observation = self.backing(&task.name, &run.digests).observation(&run);
        let (stored, evidence) =
            self.store
                .insert_observed_run(taken.record.id, self.now(), &run, observation)?;
        self.heed_inputs(&stored, evidence)?;
        Ok(stored)
    }

    /// What a task makes of a text, without keeping either.
    pub fn preview(&self, task: &str, text: &str) -> Result<Run, Error> {
        let task = self.task(task)?;
        check_text(text)?;
        let began = Instant::now();
        let decision = self.decide(task, text, None, &Terms::of(task.deadline))?;
        let mut run = self.conclude(task, text, decision, None);
        run.took_ms = began.elapsed().as_secs_f64() * 1000.0;
        Ok(run)
    }

    /// By the head, if one serves the task and the text fits its encoder;
    /// otherwise by scoring the labels with the language model, and with the adapter
    /// that serves the task.
    fn decide(
        &self,
        task: &Task,
        text: &str,
        vector: Option<Vec<f32>>,
        terms: &Terms,
    ) -> Result<Decision, Error> {
        match self.decide_by_head(task, text, vector)? {
            Some(decision) => Ok(decision),
            None => self.decide_by_scoring(task, text, terms),
        }
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
        let scores = model.score(&ScoreRequest {
            terms: terms.clone(),
            adapter: loaded.map(|loaded| loaded.adapter.named()),
            ..ScoreRequest::new(prompt::decide(task, text), names)
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
            prompt: Some(prompt::digest(&prompt::decide(task, ""))),
            labels: Some(task.labels().digest()),
            policy: self.plant.policy,
            ..Digests::default()
        }
    }

    /// The digests of what answers a task now, for a text that fits it.
    pub fn serving_digests(&self, task: &Task) -> Option<Digests> {
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

    /// The run of a decision, but for the time it took.
    fn conclude(
        &self,
        task: &Task,
        text: &str,
        decision: Decision,
        repeats: Option<Repeat>,
    ) -> Run {
        let names = task.labels().names();
        let mut probabilities: Vec<LabelProbability> = names
            .into_iter()
            .zip(decision.shares)
            .map(|(label, probability)| LabelProbability { label, probability })
            .collect();
        probabilities.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        let best = probabilities[0].clone();
        let also = decision.also.and_then(|least| {
            let second = probabilities.get(1)?;
            (second.probability >= least).then(|| second.label.clone())
        });
        let probability = decision.calibrated.then_some(best.probability);
        let backing = self.backing(&task.name, &decision.digests);
        let answered = Answered {
            text,
            confidence: best.probability,
            calibrated: decision.calibrated,
            said: task.labels().severity(&best.label),
        };
        let (route, reason, certificate) = route::decide(task, answered, backing.standing());
        let procedure = self.plant.procedure_of(task, &best.label).cloned();
        let procedure = procedure.map(Evidence::Procedure);
        Run {
            task: task.name.clone(),
            answer: best.label,
            also,
            probability,
            probabilities,
            calibrated: decision.calibrated,
            route,
            reason,
            answered_by: decision.answered_by,
            evidence: procedure
                .into_iter()
                .chain(repeats.map(Evidence::Repeats))
                .collect(),
            certificate,
            digests: decision.digests,
            took_ms: 0.0,
        }
    }
}

use std::time::Instant;

use andon_task::digest::Digest;
use andon_task::engine::{EngineError, Message, Prompt, ScoreRequest, Terms};
use andon_task::run::{
    Answerer, Certificate, Digests, Evidence, LabelProbability, Repeat, Run, StoredRun,
};
use andon_task::task::Task;
use andon_task::{prompt, route};

use crate::error::Error;
use crate::heads::Serving;
use crate::intake::{Taken, check_text, vector_of};
use crate::node::Node;

/// The shares of a task's labels, in their order, and where they come from.
struct Decision {
    shares: Vec<f64>,
    calibrated: bool,
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
        let mut run = self.conclude(task, decision, taken.record.repeats);
        run.took_ms = (taken.took + began.elapsed()).as_secs_f64() * 1000.0;
        Ok(self.store.insert_run(taken.record.id, self.now(), &run)?)
    }

    /// What a task makes of a text, without keeping either.
    pub fn preview(&self, task: &str, text: &str) -> Result<Run, Error> {
        let task = self.task(task)?;
        check_text(text)?;
        let began = Instant::now();
        let decision = self.decide(task, text, None, &Terms::of(task.deadline))?;
        let mut run = self.conclude(task, decision, None);
        run.took_ms = began.elapsed().as_secs_f64() * 1000.0;
        Ok(run)
    }

    /// By the head, if one serves the task and the text fits its encoder;
    /// otherwise by scoring the labels with the language model.
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
            answered_by: Answerer::Head,
            digests: Digests {
                model: Some(encoder.identity().digest),
                head: Some(head.digest()),
                prompt: None,
                labels: Some(task.labels().digest()),
                policy: self.plant.policy,
            },
        }))
    }

    fn decide_by_scoring(&self, task: &Task, text: &str, terms: &Terms) -> Result<Decision, Error> {
        let model = self
            .language_model
            .as_ref()
            .ok_or_else(|| Error::NothingAnswers(task.name.clone()))?;
        let names = task.labels().names();
        let scores = model.score(&ScoreRequest {
            terms: terms.clone(),
            ..ScoreRequest::new(prompt::decide(task, text), names)
        })?;
        Ok(Decision {
            shares: scores.shares,
            calibrated: false,
            answered_by: Answerer::LabelScoring,
            digests: Digests {
                model: Some(model.model().digest),
                head: None,
                prompt: Some(digest_of_prompt(&prompt::decide(task, ""))),
                labels: Some(task.labels().digest()),
                policy: self.plant.policy,
            },
        })
    }

    /// The run of a decision, but for the time it took.
    fn conclude(&self, task: &Task, decision: Decision, repeats: Option<Repeat>) -> Run {
        let names = task.labels().names();
        let mut probabilities: Vec<LabelProbability> = names
            .into_iter()
            .zip(decision.shares)
            .map(|(label, probability)| LabelProbability { label, probability })
            .collect();
        probabilities.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        let best = probabilities[0].clone();
        let probability = decision.calibrated.then_some(best.probability);
        let (route, reason) = route::decide(task, probability);
        let procedure = self.plant.procedure_of(task, &best.label).cloned();
        let procedure = procedure.map(Evidence::Procedure);
        Run {
            task: task.name.clone(),
            answer: best.label,
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
            certificate: Certificate::Uncertified,
            digests: decision.digests,
            took_ms: 0.0,
        }
    }
}

fn digest_of_prompt(prompt: &Prompt) -> Digest {
    match prompt {
        Prompt::Text(text) => Digest::of(text.as_bytes()),
        Prompt::Chat(chat) => {
            let role = |message: &Message| format!("{:?}", message.role);
            let parts: Vec<String> = chat
                .messages
                .iter()
                .flat_map(|message| [role(message), message.content.clone()])
                .collect();
            Digest::of_parts(parts.iter().map(String::as_bytes))
        }
    }
}

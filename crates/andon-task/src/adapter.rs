//! An adapter that answers a task: with it the language model weighs the task's labels, and
//! a temperature makes probabilities of the weights; or it writes an object of the task's
//! schema.

use serde::{Deserialize, Serialize};

use crate::calibration;
use crate::digest::Digest;
use crate::engine::{Adapter, Prompt};
use crate::prompt;
use crate::task::{Kind, Task};

/// All that the answers of an adapter rest on. Its digest names it: any change, of the
/// temperature too, makes another system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskAdapter {
    /// The file of the adapter.
    pub file: Digest,
    /// The language model that it belongs to.
    pub model: Digest,
    /// The prompt that it was trained with, without the input.
    pub prompt: Digest,
    /// The labels that it weighs, or the schema of what it writes.
    #[serde(rename = "labels")]
    pub answers: Digest,
    /// What the logarithms of the weights are divided by; fitted on answers to
    /// examples that the adapter was not trained on. `None` where it weighs nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
}

/// Why an adapter does not answer.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// It is for another model.
    #[error(
        "it was trained for another language model ({trained}) than the one that serves ({serves}): learn again"
    )]
    OtherModel {
        /// The beginning of the digest of the model that it was trained for.
        trained: String,
        /// The same of the model that serves.
        serves: String,
    },
    /// The labels or the schema changed.
    #[error("it was trained for other labels or another schema than the task has now: learn again")]
    OtherAnswers,
    /// The instructions changed.
    #[error("it was trained with another prompt than the task has now: learn again")]
    OtherPrompt,
    /// The bytes are no description of an adapter.
    #[error("it cannot be understood: learn again")]
    Malformed(#[source] serde_json::Error),
    /// The temperature cannot divide anything.
    #[error("its temperature is {0}, which is no positive number: learn again")]
    Temperature(f64),
}

impl TaskAdapter {
    /// The adapter in `file`, trained on a model for `task`, which decides or extracts, with
    /// [`prompt::adapted`].
    pub fn new(task: &Task, file: Digest, model: Digest) -> Self {
        Self {
            file,
            model,
            prompt: prompt::digest(&prompt::adapted(task, "")),
            answers: answers_of(task),
            temperature: None,
        }
    }

    /// The same, whose weights are made probabilities by a temperature.
    pub fn calibrated(self, temperature: f64) -> Self {
        Self {
            temperature: Some(temperature),
            ..self
        }
    }

    /// Reads what [`TaskAdapter::bytes`] wrote.
    pub fn parse(bytes: &[u8]) -> Result<Self, AdapterError> {
        let read: Self = serde_json::from_slice(bytes).map_err(AdapterError::Malformed)?;
        let is_unsound = |temperature: &f64| !temperature.is_finite() || *temperature <= 0.0;
        match read.temperature.filter(is_unsound) {
            None => Ok(read),
            Some(temperature) => Err(AdapterError::Temperature(temperature)),
        }
    }

    /// What is kept of it.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("digests and a number have a form in JSON")
    }

    /// Its name.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes())
    }

    /// Refuses a task or a model that it was not trained for.
    pub fn fits(&self, task: &Task, model: Digest) -> Result<(), AdapterError> {
        if self.model != model {
            return Err(AdapterError::OtherModel {
                trained: self.model.short(),
                serves: model.short(),
            });
        }
        if self.answers != answers_of(task) {
            return Err(AdapterError::OtherAnswers);
        }
        let known = [Form::Adapted, Form::Full].map(|form| form.prompt(task, ""));
        match known
            .iter()
            .any(|known| prompt::digest(known) == self.prompt)
        {
            true => Ok(()),
            false => Err(AdapterError::OtherPrompt),
        }
    }

    /// What it is asked for a text: in the form that it was trained with, which is that
    /// without an adapter for those of earlier versions.
    pub fn asked(&self, task: &Task, input: &str) -> Prompt {
        let adapted = prompt::digest(&Form::Adapted.prompt(task, ""));
        let form = match adapted == self.prompt {
            true => Form::Adapted,
            false => Form::Full,
        };
        form.prompt(task, input)
    }

    /// As requests name it to a model that holds it.
    pub fn named(&self) -> Adapter {
        Adapter {
            name: self.file.to_string(),
            scale: 1.0,
        }
    }

    /// Probabilities of the labels from the shares that the model gives them with it.
    pub fn probabilities(&self, shares: &[f64]) -> Vec<f64> {
        calibration::probabilities(&logits(shares), self.temperature.unwrap_or(1.0))
    }
}

/// Shares as logits, for [`calibration`]; a share of nothing is one of very little.
pub fn logits(shares: &[f64]) -> Vec<f32> {
    let least = f64::from(f32::MIN_POSITIVE);
    shares
        .iter()
        .map(|share| share.max(least).ln() as f32)
        .collect()
}

/// The forms of prompts that adapters are trained with.
#[derive(Clone, Copy)]
enum Form {
    /// What an adapter needs to be told.
    Adapted,
    /// What the model is told without an adapter.
    Full,
}

impl Form {
    fn prompt(self, task: &Task, input: &str) -> Prompt {
        match (self, &task.kind) {
            (Self::Full, Kind::Extract(schema)) => prompt::extract(task, schema, input),
            (Self::Full, _) => prompt::decide(task, input),
            (Self::Adapted, _) => prompt::adapted(task, input),
        }
    }
}

/// The digest of what a task may be answered with.
fn answers_of(task: &Task) -> Digest {
    match &task.kind {
        Kind::Extract(schema) => schema.digest(),
        _ => task.labels().digest(),
    }
}

#[cfg(test)]
mod tests;

//! An adapter that answers a task: the language model weighs the task's labels with
//! it, and a temperature makes probabilities of the weights.

use serde::{Deserialize, Serialize};

use crate::calibration;
use crate::digest::Digest;
use crate::engine::Adapter;
use crate::prompt;
use crate::task::Task;

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
    /// The labels that it weighs.
    pub labels: Digest,
    /// What the logarithms of the weights are divided by; fitted on answers to
    /// examples that the adapter was not trained on.
    pub temperature: f64,
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
    /// The labels changed.
    #[error("it was trained for other labels than the task has now: learn again")]
    OtherLabels,
    /// The instructions or the descriptions of labels changed.
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
    /// The adapter in `file`, trained for `task` on a model.
    pub fn new(task: &Task, file: Digest, model: Digest, temperature: f64) -> Self {
        Self {
            file,
            model,
            prompt: prompt_of(task),
            labels: task.labels().digest(),
            temperature,
        }
    }

    /// Reads what [`TaskAdapter::bytes`] wrote.
    pub fn parse(bytes: &[u8]) -> Result<Self, AdapterError> {
        let read: Self = serde_json::from_slice(bytes).map_err(AdapterError::Malformed)?;
        match read.temperature.is_finite() && read.temperature > 0.0 {
            true => Ok(read),
            false => Err(AdapterError::Temperature(read.temperature)),
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
        if self.labels != task.labels().digest() {
            return Err(AdapterError::OtherLabels);
        }
        if self.prompt != prompt_of(task) {
            return Err(AdapterError::OtherPrompt);
        }
        Ok(())
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
        calibration::probabilities(&logits(shares), self.temperature)
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

fn prompt_of(task: &Task) -> Digest {
    prompt::digest(&prompt::decide(task, ""))
}

#[cfg(test)]
mod tests;

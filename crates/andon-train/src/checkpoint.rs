//! What an interrupted training is taken up again with.

use std::io::Write;
use std::path::Path;

use andon_task::digest::Digest;
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

use crate::adam::{Adam, Parameter};
use crate::course::Epoch;
use crate::error::TrainError;

/// The state of a training between two steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// The epochs that are over.
    pub(crate) history: Vec<Epoch>,
    /// Steps of the present epoch that are done.
    pub(crate) step: usize,
    /// The sum of their losses.
    pub(crate) loss: f64,
    pub(crate) adam: Adam,
    pub(crate) best: Option<Best>,
    /// The parameters; only in files, while it runs they are where they are used.
    values: Vec<Vec<f32>>,
}

/// The best epoch so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    /// Which, from 1.
    pub(crate) epoch: usize,
    loss: f64,
    values: Vec<Vec<f32>>,
}

impl Checkpoint {
    pub(crate) fn begin(adam: Adam) -> Self {
        Self {
            history: Vec::new(),
            step: 0,
            loss: 0.0,
            adam,
            best: None,
            values: Vec::new(),
        }
    }

    /// Puts the parameters back. Says whether they fitted.
    pub(crate) fn restore(&self, parameters: &[Parameter]) -> Result<bool> {
        put(&self.values, parameters)
    }

    /// Puts the parameters of the best epoch back, where one is known.
    pub(crate) fn restore_best(&self, parameters: &[Parameter]) -> Result<()> {
        if let Some(best) = &self.best {
            put(&best.values, parameters)?;
        }
        Ok(())
    }

    /// Notes what came of an epoch.
    pub(crate) fn end_epoch(
        &mut self,
        steps: usize,
        held_out: Option<f64>,
        parameters: &[Parameter],
    ) -> Result<()> {
        self.history.push(Epoch {
            loss: self.loss / steps as f64,
            held_out,
        });
        (self.step, self.loss) = (0, 0.0);
        if let Some(loss) = held_out
            && self.best.as_ref().is_none_or(|best| loss < best.loss)
        {
            self.best = Some(Best {
                epoch: self.history.len(),
                loss,
                values: take(parameters)?,
            });
        }
        Ok(())
    }

    /// Writes it beside `path` and puts it in its place when it is whole.
    pub(crate) fn keep(
        &mut self,
        path: &Path,
        key: Digest,
        parameters: &[Parameter],
    ) -> std::result::Result<(), TrainError> {
        self.values = take(parameters)?;
        let body = postcard::to_stdvec(self);
        self.values = Vec::new();
        let body = body.map_err(|error| TrainError::Checkpoint {
            path: path.to_owned(),
            source: std::io::Error::other(error),
        })?;
        write(path, key, &body).map_err(|source| TrainError::Checkpoint {
            path: path.to_owned(),
            source,
        })
    }
}

fn write(path: &Path, key: Digest, body: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(key.as_bytes())?;
    file.write_all(Digest::of_parts([key.as_bytes().as_slice(), body]).as_bytes())?;
    file.write_all(body)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// The checkpoint of this very training, if there is a whole one.
pub(crate) fn load(path: &Path, key: Digest) -> Option<Checkpoint> {
    let file = std::fs::read(path).ok()?;
    let (found, rest) = file.split_first_chunk::<32>()?;
    let (seal, body) = rest.split_first_chunk::<32>()?;
    let is_whole = Digest::of_parts([found.as_slice(), body]).as_bytes() == seal;
    match is_whole && found == key.as_bytes() {
        true => postcard::from_bytes(body).ok(),
        false => None,
    }
}

fn take(parameters: &[Parameter]) -> Result<Vec<Vec<f32>>> {
    let values = parameters.iter().map(|parameter| &parameter.values);
    values
        .map(|values| values.flatten_all()?.to_vec1::<f32>())
        .collect()
}

fn put(values: &[Vec<f32>], parameters: &[Parameter]) -> Result<bool> {
    let fits = |(numbers, parameter): (&Vec<f32>, &Parameter)| {
        numbers.len() == parameter.values.elem_count()
    };
    if values.len() != parameters.len() || !values.iter().zip(parameters).all(fits) {
        return Ok(false);
    }
    for (numbers, Parameter { values, .. }) in values.iter().zip(parameters) {
        let numbers = Tensor::from_slice(numbers, values.shape(), values.device())?;
        values.set(&numbers)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests;

//! The course of a training: epochs, steps, measuring on held-out examples, stopping
//! early, and taking up again what was interrupted.

use std::ops::ControlFlow;
use std::path::Path;

use andon_task::digest::Digest;
use candle_core::{Result, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::adam::{Adam, Parameter};
use crate::checkpoint::{self, Checkpoint};
use crate::error::TrainError;

/// Steps during which the learning rate rises to its full height.
const WARM_UP: usize = 10;

/// How a training goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Times that all examples are seen, at most.
    pub epochs: usize,
    /// Examples of a step.
    pub batch: usize,
    /// The learning rate at its height; it rises at first and falls to nothing.
    pub rate: f64,
    /// Epochs without a better loss on held-out examples, after which it ends.
    pub patience: usize,
    /// What random numbers are drawn from: the same seed gives the same result.
    pub seed: u64,
}

/// How far a training has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The epoch, from 1.
    pub epoch: usize,
    /// How many there are at most.
    pub epochs: usize,
    /// Steps of the epoch that are done.
    pub step: usize,
    /// How many it has.
    pub steps: usize,
    /// The mean loss of the epoch's steps so far.
    pub loss: f64,
    /// The loss on held-out examples after the last epoch, where there are any.
    pub held_out: Option<f64>,
}

/// What came of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Epoch {
    /// The mean loss of its steps.
    pub loss: f64,
    /// The loss on held-out examples after it, where there are any.
    pub held_out: Option<f64>,
}

/// Whether examples are learnt from or measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Learnt from; what is left out at random is drawn from the seed.
    Learn { seed: u64 },
    /// Held out and measured on.
    Measure,
}

/// What is trained.
pub(crate) trait Trainee {
    /// Examples to learn from.
    fn examples(&self) -> usize;
    /// Examples to measure on.
    fn held_out(&self) -> usize;
    /// What changes.
    fn parameters(&self) -> &[Parameter];
    /// The mean loss of some examples.
    fn loss(&self, indices: &[usize], purpose: Purpose) -> Result<Tensor>;
}

/// Where a training keeps what it needs to be taken up again.
#[derive(Clone, Copy, Debug)]
pub struct Resume<'a> {
    /// The file, replaced whole each time; gone when the training has ended.
    pub path: &'a Path,
    /// Steps between two of them.
    pub every: usize,
}

/// Trains until the end of the schedule or until it gets worse; the parameters are then
/// those of the best epoch. `key` names all that shapes the result: a checkpoint of
/// another training is disregarded.
pub(crate) fn run(
    trainee: &dyn Trainee,
    schedule: &Schedule,
    key: Digest,
    resume: Option<Resume<'_>>,
    report: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> std::result::Result<Vec<Epoch>, TrainError> {
    let parameters = trainee.parameters();
    let steps = trainee.examples().div_ceil(schedule.batch);
    let found = resume.and_then(|resume| checkpoint::load(resume.path, key));
    let mut state = match found {
        Some(found) if found.adam.fits(parameters) && found.restore(parameters)? => found,
        _ => Checkpoint::begin(Adam::new(parameters)),
    };
    while state.history.len() < schedule.epochs && !is_over(&state, schedule) {
        let epoch = state.history.len();
        let order = order(trainee.examples(), schedule.seed, epoch);
        let batches: Vec<&[usize]> = order.chunks(schedule.batch).collect();
        for (step, batch) in batches.iter().enumerate().skip(state.step) {
            let done = epoch * steps + step;
            let seed = schedule.seed.wrapping_mul(0x9e37_79b9) ^ done as u64;
            let loss = trainee.loss(batch, Purpose::Learn { seed })?;
            let value = f64::from(loss.to_scalar::<f32>()?);
            if !value.is_finite() {
                forget(resume);
                let (epoch, step) = (epoch + 1, step + 1);
                return Err(TrainError::Diverged { epoch, step });
            }
            let gradients = loss.backward()?;
            let rate = rate(schedule, done, steps * schedule.epochs);
            state.adam.step(parameters, &gradients, rate)?;
            state.step = step + 1;
            state.loss += value;
            let told = report(Progress {
                epoch: epoch + 1,
                epochs: schedule.epochs,
                step: step + 1,
                steps,
                loss: state.loss / (step + 1) as f64,
                held_out: state.history.last().and_then(|epoch| epoch.held_out),
            });
            let is_stopped = told.is_break();
            if let Some(resume) = resume
                && (is_stopped || (done + 1).is_multiple_of(resume.every))
            {
                state.keep(resume.path, key, parameters)?;
            }
            if is_stopped {
                return Err(TrainError::Stopped);
            }
        }
        let held_out = measure(trainee, schedule)?;
        if held_out.is_some_and(|loss| !loss.is_finite()) {
            forget(resume);
            let epoch = epoch + 1;
            return Err(TrainError::Diverged { epoch, step: steps });
        }
        state.end_epoch(steps, held_out, parameters)?;
    }
    state.restore_best(parameters)?;
    forget(resume);
    Ok(state.history)
}

/// A checkpoint that is of no use any more.
fn forget(resume: Option<Resume<'_>>) {
    if let Some(resume) = resume {
        // If it cannot be removed, its key still keeps it from other trainings.
        let _ = std::fs::remove_file(resume.path);
    }
}

/// Whether held-out examples have become no better for too long.
fn is_over(state: &Checkpoint, schedule: &Schedule) -> bool {
    let best = state.best.as_ref().map(|best| best.epoch);
    best.is_some_and(|best| state.history.len() - best > schedule.patience)
}

/// Rises over the first steps, then falls in a line to nothing.
fn rate(schedule: &Schedule, step: usize, steps: usize) -> f64 {
    let warm_up = WARM_UP.min(steps / 4).max(1);
    let rising = (step + 1) as f64 / warm_up as f64;
    let falling = (steps - step) as f64 / (steps - warm_up + 1) as f64;
    schedule.rate * rising.min(falling).min(1.0)
}

/// The order of the examples in an epoch.
fn order(examples: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..examples).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(epoch as u64 + 1);
    for last in (1..examples).rev() {
        let other = (u128::from(random.next_u64()) * (last as u128 + 1)) >> 64;
        order.swap(last, other as usize);
    }
    order
}

/// The mean loss of the held-out examples.
fn measure(trainee: &dyn Trainee, schedule: &Schedule) -> Result<Option<f64>> {
    let indices: Vec<usize> = (0..trainee.held_out()).collect();
    if indices.is_empty() {
        return Ok(None);
    }
    let mut total = 0.0;
    for batch in indices.chunks(schedule.batch) {
        let loss = trainee.loss(batch, Purpose::Measure)?.to_scalar::<f32>()?;
        total += f64::from(loss) * batch.len() as f64;
    }
    Ok(Some(total / indices.len() as f64))
}

#[cfg(test)]
mod tests;

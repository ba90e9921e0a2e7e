//! How wrong answers are.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{floats, with_floats};

/// A place where one of some columns is right.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    /// The row of the logits.
    pub(crate) row: usize,
    /// The columns to choose among; the right one first.
    pub(crate) columns: Vec<usize>,
    /// What its loss is multiplied by.
    pub(crate) weight: f32,
    /// How much of the right column's share all columns are to have.
    pub(crate) smoothing: f32,
}

/// The sum of the choices' cross entropies, each times its weight.
pub(crate) fn choices_loss(logits: &Tensor, choices: Vec<Choice>) -> Result<Tensor> {
    match logits.device().is_cpu() {
        true => logits.apply_op1(Choices(choices)),
        false => composed(logits, &choices),
    }
}

/// The mean cross entropy of rows whose right columns are `right`.
pub(crate) fn cross_entropy(logits: &Tensor, right: &[usize], smoothing: f32) -> Result<Tensor> {
    let (rows, columns) = logits.dims2()?;
    let choices = right.iter().enumerate().map(|(row, &right)| Choice {
        row,
        columns: std::iter::once(right)
            .chain((0..columns).filter(|&column| column != right))
            .collect(),
        weight: 1.0 / rows as f32,
        smoothing,
    });
    choices_loss(logits, choices.collect())
}

struct Choices(Vec<Choice>);

impl Choices {
    /// The loss of a choice and the shares of its columns.
    fn weigh(choice: &Choice, row: &[f32]) -> (f64, Vec<f64>) {
        let logit = |&column: &usize| f64::from(row[column]);
        let most = choice.columns.iter().map(logit).fold(f64::MIN, f64::max);
        let powers: Vec<f64> = choice
            .columns
            .iter()
            .map(|column| (logit(column) - most).exp())
            .collect();
        let total: f64 = powers.iter().sum();
        let rest = f64::from(choice.smoothing) / powers.len() as f64;
        let losses = choice.columns.iter().enumerate().map(|(index, column)| {
            let wanted = choice.wanted(index, rest);
            wanted * (total.ln() + most - logit(column))
        });
        let loss = losses.sum::<f64>() * f64::from(choice.weight);
        (loss, powers.iter().map(|power| power / total).collect())
    }
}

/// The same by candle's own operations.
pub(super) fn composed(logits: &Tensor, choices: &[Choice]) -> Result<Tensor> {
    let mut total = Tensor::zeros((), logits.dtype(), logits.device())?;
    for choice in choices {
        let columns: Vec<u32> = choice.columns.iter().map(|&c| c as u32).collect();
        let columns = Tensor::from_vec(columns, choice.columns.len(), logits.device())?;
        let row = logits.get(choice.row)?.index_select(&columns, 0)?;
        let most = row.max(0)?.detach();
        let shares = row.broadcast_sub(&most)?;
        let sum = shares.exp()?.sum(0)?.log()?;
        let losses = shares.broadcast_sub(&sum)?.neg()?;
        let rest = f64::from(choice.smoothing) / choice.columns.len() as f64;
        let wanted: Vec<f32> = (0..choice.columns.len())
            .map(|index| (choice.wanted(index, rest) * f64::from(choice.weight)) as f32)
            .collect();
        let wanted = Tensor::from_vec(wanted, choice.columns.len(), logits.device())?;
        total = (total + (losses * wanted)?.sum_all()?)?;
    }
    Ok(total)
}

impl Choice {
    /// The share that a column is to have.
    fn wanted(&self, index: usize, rest: f64) -> f64 {
        match index {
            0 => 1.0 - f64::from(self.smoothing) + rest,
            _ => rest,
        }
    }
}

impl CustomOp1 for Choices {
    fn name(&self) -> &'static str {
        "choices"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, columns) = layout.shape().dims2()?;
        let logits = floats(logits, layout)?;
        let losses = self.0.iter().map(|choice| {
            let row = &logits[choice.row * columns..][..columns];
            Self::weigh(choice, row).0
        });
        let loss = losses.sum::<f64>() as f32;
        Ok((CpuStorage::F32(vec![loss]), ().into()))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let columns = logits.dim(1)?;
        let strength = gradient.to_scalar::<f32>()?;
        let mut out = vec![0.0; logits.elem_count()];
        with_floats([logits], |[logits]| {
            for choice in &self.0 {
                let from = choice.row * columns;
                let (_, shares) = Self::weigh(choice, &logits[from..][..columns]);
                let rest = f64::from(choice.smoothing) / shares.len() as f64;
                for (index, (&column, share)) in choice.columns.iter().zip(&shares).enumerate() {
                    let difference = (share - choice.wanted(index, rest)) as f32;
                    out[from + column] += strength * choice.weight * difference;
                }
            }
            Ok(())
        })?;
        Ok(Some(Tensor::from_vec(
            out,
            logits.shape(),
            logits.device(),
        )?))
    }
}

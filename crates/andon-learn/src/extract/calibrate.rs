//! Calibration: probabilities of fields and records, from texts that were held out.

use andon_task::extract::{Fields, Line, Reading, Trust, log_odds, logistic, of_record};

use super::grade::{Graded, odds};

/// Fields with fewer held-out values share one line.
const LEAST: usize = 40;

/// How strongly a line is held to the one that changes nothing, in examples.
const PRIOR: f64 = 4.0;

/// Learns from graded readings of a reader that is not calibrated.
pub(super) fn calibrate(fields: &Fields, graded: &[&Graded]) -> Trust {
    let read: Vec<&Graded> = graded
        .iter()
        .copied()
        .filter(|graded| graded.reading.is_some())
        .collect();
    let of = |field: usize| {
        read.iter()
            .map(move |graded| (vec![odds(graded, field)], graded.right[field]))
    };
    let count = fields.all().len();
    let all: Vec<(Vec<f64>, bool)> = (0..count).flat_map(of).collect();
    let pooled = line(&all, Line::default());
    let lines: Vec<Line> = (0..count)
        .map(|field| match read.len() < LEAST {
            true => pooled,
            false => line(&of(field).collect::<Vec<_>>(), pooled),
        })
        .collect();
    let mut trust = Trust {
        fields: lines,
        record: Vec::new(),
    };
    // The record's numbers are made of calibrated confidences.
    let records: Vec<(Vec<f64>, bool)> = read
        .iter()
        .filter_map(|graded| {
            let seen = record_of(&trust, graded.reading.as_ref()?);
            Some((seen.to_vec(), graded.is_right()))
        })
        .collect();
    let record = fit(&records, &[0.0, 0.7, 0.3]);
    trust.record = record;
    trust
}

/// What a record's numbers would be with a calibration.
pub(super) fn record_of(trust: &Trust, reading: &Reading) -> [f64; 2] {
    let confidences = reading.fields.iter().map(|pointed| {
        let line = trust.fields[pointed.field];
        logistic(line.slope * log_odds(pointed.confidence) + line.offset)
    });
    of_record(confidences, reading.doubt)
}

fn line(points: &[(Vec<f64>, bool)], prior: Line) -> Line {
    let fitted = fit(points, &[prior.offset, prior.slope]);
    Line {
        offset: fitted[0],
        slope: fitted[1].max(0.0),
    }
}

/// Logistic regression by Newton's method, held to a prior: offset, then slopes.
pub(super) fn fit(points: &[(Vec<f64>, bool)], prior: &[f64]) -> Vec<f64> {
    let size = prior.len();
    let mut at = prior.to_vec();
    for _ in 0..50 {
        let mut slope: Vec<f64> = at
            .iter()
            .zip(prior)
            .map(|(at, prior)| PRIOR * (at - prior))
            .collect();
        let mut curve = vec![vec![0.0; size]; size];
        for (index, row) in curve.iter_mut().enumerate() {
            row[index] = PRIOR;
        }
        for (point, right) in points {
            let row: Vec<f64> = std::iter::once(1.0).chain(point.iter().copied()).collect();
            let sum: f64 = row.iter().zip(&at).map(|(x, w)| x * w).sum();
            let share = logistic(sum);
            let miss = share - f64::from(u8::from(*right));
            for i in 0..size {
                slope[i] += miss * row[i];
                for j in 0..size {
                    curve[i][j] += share * (1.0 - share) * row[i] * row[j];
                }
            }
        }
        let step = solve(curve, slope);
        for (at, step) in at.iter_mut().zip(&step) {
            *at -= step.clamp(-2.0, 2.0);
        }
        if step.iter().all(|step| step.abs() < 1e-9) {
            break;
        }
    }
    at
}

/// The solution of a small system whose matrix is positive definite (Gauss).
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let size = right.len();
    for pivot in 0..size {
        let (above, below) = matrix.split_at_mut(pivot + 1);
        let pivots = &above[pivot];
        for (row, values) in below.iter_mut().enumerate() {
            let factor = values[pivot] / pivots[pivot];
            for (value, by) in values[pivot..].iter_mut().zip(&pivots[pivot..]) {
                *value -= factor * by;
            }
            right[pivot + 1 + row] -= factor * right[pivot];
        }
    }
    for pivot in (0..size).rev() {
        for column in pivot + 1..size {
            right[pivot] -= matrix[pivot][column] * right[column];
        }
        right[pivot] /= matrix[pivot][pivot];
    }
    right
}

#[cfg(test)]
mod tests;

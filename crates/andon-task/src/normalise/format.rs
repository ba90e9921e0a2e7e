//! The file of a normaliser: magic bytes, the format's number (little-endian), the parts
//! in postcard's encoding, and the SHA-256 of all before it.

use serde::{Deserialize, Serialize};

use super::feature::{BITS, NUMBERS};
use super::memory::{Counts, Memory, Word};
use super::normaliser::Calibration;
use super::ranker::Ranker;
use crate::digest::Digest;

const MAGIC: &[u8; 8] = b"ANDONNRM";
const FORMAT: u32 = 1;
const PREFIX: usize = MAGIC.len() + size_of::<u32>();
const SEAL: usize = 32;
/// Weights are kept as multiples of this.
const GRAIN: f32 = 1.0 / 256.0;

/// What is wrong with the file of a normaliser.
#[derive(Debug, thiserror::Error)]
pub enum NormaliserError {
    /// It is no such file.
    #[error("not the file of a normaliser: learn the task again")]
    Foreign,
    /// Another version wrote it.
    #[error("format {0} is not read by this version: learn the task again")]
    Format(u32),
    /// It is cut off or changed.
    #[error("the file is damaged: learn the task again")]
    Damaged,
}

/// The parts as they are written. The order of the fields is the format.
#[derive(Serialize, Deserialize)]
struct Written {
    targets: Vec<String>,
    /// By rising key.
    counts: Vec<(u64, Counts)>,
    words: Vec<Word>,
    /// Weights that are not nothing: the gap to the one before, and multiples of a grain.
    weights: Vec<(u32, i16)>,
    numbers: [f32; NUMBERS],
    calibration: [f64; 3],
}

pub(crate) fn write(memory: &Memory, ranker: &Ranker, calibration: Calibration) -> Vec<u8> {
    let counts = memory.sorted();
    let mut last = 0;
    let mut weights = Vec::new();
    for (place, weight) in ranker.weights.iter().enumerate() {
        let grains = (weight / GRAIN).round().clamp(-32_768.0, 32_767.0) as i16;
        if grains != 0 {
            weights.push((place as u32 - last, grains));
            last = place as u32;
        }
    }
    let written = Written {
        targets: memory.targets.clone(),
        counts: counts
            .into_iter()
            .map(|(key, counts)| (key, counts.clone()))
            .collect(),
        words: memory.words.clone(),
        weights,
        numbers: ranker.numbers,
        calibration: [
            calibration.temperature,
            calibration.slope,
            calibration.intercept,
        ],
    };
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT.to_le_bytes());
    let mut bytes = postcard::to_extend(&written, bytes).expect("a vector takes all");
    let seal = Digest::of(&bytes);
    bytes.extend(seal.as_bytes());
    bytes
}

pub(crate) fn parse(bytes: &[u8]) -> Result<(Memory, Ranker, Calibration), NormaliserError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(NormaliserError::Foreign)?;
    let (format, _) = rest.split_first_chunk().ok_or(NormaliserError::Damaged)?;
    let format = u32::from_le_bytes(*format);
    if format != FORMAT {
        return Err(NormaliserError::Format(format));
    }
    let end = bytes.len().saturating_sub(SEAL).max(PREFIX);
    let (content, seal) = bytes.split_at(end.min(bytes.len()));
    if Digest::of(content).as_bytes() != seal {
        return Err(NormaliserError::Damaged);
    }
    let written: Written =
        postcard::from_bytes(&content[PREFIX..]).map_err(|_| NormaliserError::Damaged)?;
    let mut ranker = Ranker {
        numbers: written.numbers,
        ..Ranker::default()
    };
    let mut place = 0u32;
    for (gap, grains) in written.weights {
        place = place.checked_add(gap).ok_or(NormaliserError::Damaged)?;
        if place >= 1 << BITS {
            return Err(NormaliserError::Damaged);
        }
        ranker.weights[place as usize] = f32::from(grains) * GRAIN;
    }
    let memory = Memory::from_parts(written.targets, written.counts, written.words)
        .ok_or(NormaliserError::Damaged)?;
    let [temperature, slope, intercept] = written.calibration;
    if ![temperature, slope, intercept]
        .iter()
        .all(|n| n.is_finite())
        || temperature <= 0.0
    {
        return Err(NormaliserError::Damaged);
    }
    let calibration = Calibration {
        temperature,
        slope,
        intercept,
    };
    Ok((memory, ranker, calibration))
}

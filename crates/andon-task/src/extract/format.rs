//! The file of a reader: magic bytes, the format's number (little-endian), the parts in
//! postcard's encoding, and the SHA-256 of all before it.

use serde::{Deserialize, Serialize};

use super::ReaderError;
use super::candidate::Demand;
use super::fusion::Fusion;
use super::meaning::Meaning;
use super::memory::Remembered;
use super::reader::{Grouping, Parts};
use super::spelling::Spelling;
use super::trust::Trust;
use crate::digest::Digest;

const MAGIC: &[u8; 8] = b"ANDONRDR";
const FORMAT: u32 = 3;
/// The earliest format that is read: it ends before `fusion`.
const EARLIEST: u32 = 2;
const PREFIX: usize = MAGIC.len() + size_of::<u32>();
const SEAL: usize = 32;

/// The parts as they are written. The order of the fields is the format.
#[derive(Serialize, Deserialize)]
struct Written {
    schema: [u8; 32],
    demands: Vec<Demand>,
    remembered: Vec<Vec<Remembered>>,
    spelling: Vec<Spelling>,
    grouping: Vec<Grouping>,
    nested: bool,
    always: Vec<usize>,
    /// How far each place is from the one before.
    steps: Vec<u32>,
    weights: Vec<f32>,
    trust: Trust,
    meaning: Option<Meaning>,
    fusion: Option<Fusion>,
}

pub(super) fn write(parts: &Parts) -> (Vec<u8>, Digest) {
    let mut last = 0;
    let steps = parts.weights.iter().map(|&(place, _)| {
        let step = place - last;
        last = place;
        step
    });
    let written = Written {
        schema: *parts.schema.as_bytes(),
        demands: parts.demands.clone(),
        remembered: parts.remembered.clone(),
        spelling: parts.spelling.clone(),
        grouping: parts.grouping.clone(),
        nested: parts.nested,
        always: parts.always.clone(),
        steps: steps.collect(),
        weights: parts.weights.iter().map(|&(_, weight)| weight).collect(),
        trust: parts.trust.clone(),
        meaning: parts.meaning.clone(),
        fusion: parts.fusion.clone(),
    };
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT.to_le_bytes());
    let mut bytes = postcard::to_extend(&written, bytes)
        .expect("numbers, strings and sequences of known length have an encoding");
    let digest = Digest::of(&bytes);
    bytes.extend(digest.as_bytes());
    (bytes, digest)
}

pub(super) fn read(bytes: &[u8]) -> Result<(Parts, Digest), ReaderError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(ReaderError::NotAReader)?;
    let (format, _) = rest
        .split_first_chunk()
        .ok_or(ReaderError::Damaged("it ends early"))?;
    // Before the digest: a later format may seal its files in another way.
    let format = u32::from_le_bytes(*format);
    if format > FORMAT {
        return Err(ReaderError::NewerFormat {
            found: format,
            known: FORMAT,
        });
    }
    if format < EARLIEST {
        return Err(ReaderError::OlderFormat);
    }
    let (sealed, seal) = bytes
        .split_last_chunk::<SEAL>()
        .ok_or(ReaderError::Damaged("it ends early"))?;
    let digest = Digest::of(sealed);
    if sealed.len() < PREFIX || digest != Digest::from_bytes(*seal) {
        return Err(ReaderError::Damaged("its digest is another"));
    }
    let mut content = sealed[PREFIX..].to_vec();
    if format < FORMAT {
        // Postcard's `None`: that format knew no fusion.
        content.push(0);
    }
    let written: Written = postcard::from_bytes(&content)
        .map_err(|_| ReaderError::Damaged("its content has another shape"))?;
    if written.steps.len() != written.weights.len() {
        return Err(ReaderError::Damaged("the number of weights is wrong"));
    }
    let mut last = 0u32;
    let mut weights = Vec::with_capacity(written.steps.len());
    for (step, weight) in written.steps.into_iter().zip(written.weights) {
        last = last
            .checked_add(step)
            .ok_or(ReaderError::Damaged("its weights are out of order"))?;
        weights.push((last, weight));
    }
    let parts = Parts {
        schema: Digest::from_bytes(written.schema),
        demands: written.demands,
        remembered: written.remembered,
        spelling: written.spelling,
        grouping: written.grouping,
        nested: written.nested,
        always: written.always,
        weights,
        trust: written.trust,
        meaning: written.meaning,
        fusion: written.fusion,
    };
    Ok((parts, digest))
}

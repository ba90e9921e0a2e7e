//! The file of a head: magic bytes, the format's number (little-endian), the
//! parts in postcard's encoding, and the SHA-256 of all before it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{HeadError, Parts, Vocabulary};
use crate::digest::Digest;

const MAGIC: &[u8; 8] = b"ANDONHED";
const FORMAT: u32 = 1;
const PREFIX: usize = MAGIC.len() + size_of::<u32>();
const SEAL: usize = 32;

/// The parts as format 1 writes them. The order of the fields is the format.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    labels: Cow<'a, [String]>,
    label_set: [u8; 32],
    encoder: [u8; 32],
    glossary: [u8; 32],
    dimensions: usize,
    keys: Cow<'a, [u64]>,
    rarity: Cow<'a, [f32]>,
    weights: Cow<'a, [f32]>,
    temperature: f64,
}

pub(super) fn write(parts: &Parts) -> (Vec<u8>, Digest) {
    let (keys, rarity) = parts.vocabulary.parts();
    let written = Written {
        labels: Cow::Borrowed(&parts.labels),
        label_set: *parts.label_set.as_bytes(),
        encoder: *parts.encoder.as_bytes(),
        glossary: *parts.glossary.as_bytes(),
        dimensions: parts.dimensions,
        keys: Cow::Borrowed(keys),
        rarity: Cow::Borrowed(rarity),
        weights: Cow::Borrowed(&parts.weights),
        temperature: parts.temperature,
    };
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT.to_le_bytes());
    let mut bytes = postcard::to_extend(&written, bytes)
        .expect("numbers, strings and sequences of known length have an encoding");
    let digest = Digest::of(&bytes);
    bytes.extend(digest.as_bytes());
    (bytes, digest)
}

pub(super) fn read(bytes: &[u8]) -> Result<(Parts, Digest), HeadError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(HeadError::NotAHead)?;
    let (format, _) = rest
        .split_first_chunk()
        .ok_or(HeadError::Damaged("it ends early"))?;
    // Before the digest: a later format may seal its files in another way.
    let format = u32::from_le_bytes(*format);
    if format > FORMAT {
        return Err(HeadError::NewerFormat {
            found: format,
            known: FORMAT,
        });
    }
    let (sealed, seal) = bytes
        .split_last_chunk::<SEAL>()
        .ok_or(HeadError::Damaged("it ends early"))?;
    let digest = Digest::of(sealed);
    if sealed.len() < PREFIX || digest != Digest::from_bytes(*seal) {
        return Err(HeadError::Damaged("its digest is another"));
    }
    let written: Written<'_> = postcard::from_bytes(&sealed[PREFIX..])
        .map_err(|_| HeadError::Damaged("its content has another shape"))?;
    let vocabulary = Vocabulary::from_parts(written.keys.into_owned(), written.rarity.into_owned())
        .ok_or(HeadError::Damaged("its n-grams are out of order"))?;
    let parts = Parts {
        labels: written.labels.into_owned(),
        label_set: Digest::from_bytes(written.label_set),
        encoder: Digest::from_bytes(written.encoder),
        glossary: Digest::from_bytes(written.glossary),
        dimensions: written.dimensions,
        vocabulary,
        weights: written.weights.into_owned(),
        temperature: written.temperature,
    };
    Ok((parts, digest))
}

//! The file of a head: magic bytes, the format's number (little-endian), the
//! parts in postcard's encoding, and the SHA-256 of all before it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{HeadError, Parts, Recipe, Unit, Vocabulary};
use crate::digest::Digest;

const MAGIC: &[u8; 8] = b"ANDONHED";
const FORMAT: u32 = 3;
const PREFIX: usize = MAGIC.len() + size_of::<u32>();
const SEAL: usize = 32;

/// The parts as they are written. The order of the fields is the format.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    one: OneLabel<'a>,
    also: Option<f64>,
}

/// The parts as format 2 wrote them: it knew no second label.
/// Format 1 had no words, and is read as a head that knows none.
#[derive(Serialize, Deserialize)]
struct OneLabel<'a> {
    labels: Cow<'a, [String]>,
    label_set: [u8; 32],
    encoder: [u8; 32],
    glossary: [u8; 32],
    dimensions: usize,
    keys: Cow<'a, [u64]>,
    rarity: Cow<'a, [f32]>,
    weights: Cow<'a, [f32]>,
    temperature: f64,
    words: Words<'a>,
    recipe: Recipe,
}

/// How heads of format 1 were trained.
const FIRST_RECIPE: Recipe = Recipe {
    words: 0.0,
    vector: 0.85,
    looseness: 10.0,
};

#[derive(Default, Serialize, Deserialize)]
struct Words<'a> {
    keys: Cow<'a, [u64]>,
    rarity: Cow<'a, [f32]>,
}

/// The parts as format 1 wrote them.
#[derive(Deserialize)]
struct WithoutWords {
    labels: Vec<String>,
    label_set: [u8; 32],
    encoder: [u8; 32],
    glossary: [u8; 32],
    dimensions: usize,
    keys: Vec<u64>,
    rarity: Vec<f32>,
    weights: Vec<f32>,
    temperature: f64,
}

impl From<WithoutWords> for OneLabel<'_> {
    fn from(old: WithoutWords) -> Self {
        Self {
            labels: Cow::Owned(old.labels),
            label_set: old.label_set,
            encoder: old.encoder,
            glossary: old.glossary,
            dimensions: old.dimensions,
            keys: Cow::Owned(old.keys),
            rarity: Cow::Owned(old.rarity),
            weights: Cow::Owned(old.weights),
            temperature: old.temperature,
            words: Words::default(),
            recipe: FIRST_RECIPE,
        }
    }
}

pub(super) fn write(parts: &Parts) -> (Vec<u8>, Digest) {
    let (keys, rarity) = parts.characters.parts();
    let words = parts.words.parts();
    let one = OneLabel {
        labels: Cow::Borrowed(&parts.labels),
        label_set: *parts.label_set.as_bytes(),
        encoder: *parts.encoder.as_bytes(),
        glossary: *parts.glossary.as_bytes(),
        dimensions: parts.dimensions,
        keys: Cow::Borrowed(keys),
        rarity: Cow::Borrowed(rarity),
        weights: Cow::Borrowed(&parts.weights),
        temperature: parts.temperature,
        words: Words {
            keys: Cow::Borrowed(words.0),
            rarity: Cow::Borrowed(words.1),
        },
        recipe: parts.recipe,
    };
    let written = Written {
        one,
        also: parts.also,
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
    let content = &sealed[PREFIX..];
    let first = |one| Written { one, also: None };
    let written: Result<Written<'_>, _> = match format {
        1 => postcard::from_bytes::<WithoutWords>(content)
            .map(OneLabel::from)
            .map(first),
        2 => postcard::from_bytes::<OneLabel<'_>>(content).map(first),
        _ => postcard::from_bytes(content),
    };
    let Written { one: written, also } =
        written.map_err(|_| HeadError::Damaged("its content has another shape"))?;
    let vocabulary = |unit, keys: Cow<'_, [u64]>, rarity: Cow<'_, [f32]>| {
        Vocabulary::from_parts(unit, keys.into_owned(), rarity.into_owned())
            .ok_or(HeadError::Damaged("its n-grams are out of order"))
    };
    let characters = vocabulary(Unit::Characters, written.keys, written.rarity)?;
    let words = vocabulary(Unit::Words, written.words.keys, written.words.rarity)?;
    let parts = Parts {
        labels: written.labels.into_owned(),
        label_set: Digest::from_bytes(written.label_set),
        encoder: Digest::from_bytes(written.encoder),
        glossary: Digest::from_bytes(written.glossary),
        dimensions: written.dimensions,
        characters,
        words,
        weights: written.weights.into_owned(),
        temperature: written.temperature,
        recipe: written.recipe,
        also,
    };
    Ok((parts, digest))
}

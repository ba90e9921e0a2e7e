//! Encoders, tuned so that the states of words tell which places of a text are the values of
//! which field: span classification, as Eberts and Ulges do it (SpERT, 2020), with one linear
//! layer over the words at a place's ends and beside it.

use std::ops::{ControlFlow, Range};

use andon_task::digest::Digest;
use andon_task::weights::EncoderWeights;
use candle_core::{DType, Result, Tensor};

use crate::adam::Parameter;
use crate::course::{self, Epoch, Progress, Purpose, Resume, Trainee};
use crate::encoder::{Encoder, WORD_SPREAD};
use crate::error::TrainError;
use crate::op::{Dropout, cross_entropy};
use crate::tuning::{EncoderSettings, Shown, encoder_file, to_tune};

/// The words that are seen of a place: the one before it, its first, its last, the one behind.
pub const ROLES: usize = 4;

/// A text in tokens and words, and places in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkedText {
    /// Its tokens, with those that begin and end it.
    pub tokens: Vec<u32>,
    /// The tokens of each of its words.
    pub words: Vec<Range<usize>>,
    /// Places that are values, and others that are not.
    pub places: Vec<Place>,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The words that are seen of it, by their roles.
    pub words: [Option<usize>; ROLES],
    /// The field that it is a value of; `None`: of none.
    pub field: Option<usize>,
}

/// An encoder's tuned layers, and weights on what they make of words.
#[derive(Clone, Debug, PartialEq)]
pub struct TunedWords {
    /// A file that the engine loads beside the encoder that was tuned.
    pub file: Vec<u8>,
    /// What came of each epoch.
    pub history: Vec<Epoch>,
    /// `[field][role][width]`, on states of words of unit length: the sum over a place's words
    /// is its logit for a field, beside 0 for none.
    pub weights: Vec<f32>,
}

/// Tunes the layers of an encoder on places in texts; its embeddings stay as they are. `base`
/// is the digest of the encoder, `fields` their number.
///
/// # Errors
/// As for [`tune_encoder`](crate::tune_encoder).
pub fn tune_words(
    weights: &dyn EncoderWeights,
    base: Digest,
    (texts, fields): (&[MarkedText], usize),
    settings: &EncoderSettings,
    resume: Option<Resume<'_>>,
    report: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> std::result::Result<TunedWords, TrainError> {
    let shape = weights.shape();
    let encoder = to_tune(weights, fields * ROLES, texts, settings, |text| {
        sound(text, fields)
    })?;
    let trainee = Marking {
        parameters: encoder.parameters(settings.head_rate),
        encoder,
        texts,
        settings,
    };
    let key = Digest::of(format!("{base} {shape:?} {settings:?} {fields} {texts:?}").as_bytes());
    let history = course::run(&trainee, &settings.schedule, key, resume, report)?;
    let length = WORD_SPREAD * (shape.width as f64).sqrt();
    let weights = trainee.encoder.head()?;
    Ok(TunedWords {
        file: encoder_file(&trainee.encoder, base)?,
        history,
        weights: weights.iter().map(|x| x * length as f32).collect(),
    })
}

/// What is wrong with a text, if anything is.
fn sound(text: &MarkedText, fields: usize) -> Option<&'static str> {
    let known = |word: Option<usize>| word.is_none_or(|word| word < text.words.len());
    let places = text.places.iter();
    if text.words.iter().any(|word| word.end > text.tokens.len()) {
        Some("has a word beyond its tokens")
    } else if !places
        .clone()
        .all(|place| place.words.into_iter().all(known))
    {
        Some("has a place beyond its words")
    } else if places
        .filter_map(|place| place.field)
        .any(|field| field >= fields)
    {
        Some("has a field that is not known")
    } else {
        None
    }
}

impl Shown for MarkedText {
    fn tokens(&self) -> &[u32] {
        &self.tokens
    }
}

/// An encoder and what it learns from.
struct Marking<'a> {
    encoder: Encoder<'a>,
    parameters: Vec<Parameter>,
    texts: &'a [MarkedText],
    settings: &'a EncoderSettings,
}

impl Trainee for Marking<'_> {
    fn examples(&self) -> usize {
        self.texts.len()
    }

    fn held_out(&self) -> usize {
        0
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn loss(&self, indices: &[usize], purpose: Purpose) -> Result<Tensor> {
        let texts = indices.iter().map(|&index| &self.texts[index]);
        let tokens: Vec<&[u32]> = texts.clone().map(|text| text.tokens.as_slice()).collect();
        let words: Vec<&[Range<usize>]> = texts.clone().map(|text| text.words.as_slice()).collect();
        let (dropout, smoothing) = match purpose {
            Purpose::Learn { seed } => (
                Dropout::new(self.settings.dropout, seed),
                self.settings.smoothing,
            ),
            Purpose::Measure => (Dropout::new(0.0, 0), 0.0),
        };
        let table = self.encoder.words(&tokens, &words, dropout)?;
        let right: Vec<usize> = texts
            .clone()
            .flat_map(|text| &text.places)
            .map(|place| place.field.map_or(0, |field| field + 1))
            .collect();
        if right.is_empty() {
            return (table.sum_all()? * 0.0)?.to_dtype(DType::F32);
        }
        cross_entropy(
            &place_logits(&table, texts, right.len())?,
            &right,
            smoothing,
        )
    }
}

/// The logits of each place, those of none first: `[place][1 + field]`.
fn place_logits<'a>(
    table: &Tensor,
    texts: impl Iterator<Item = &'a MarkedText>,
    places: usize,
) -> Result<Tensor> {
    let (words, rows) = table.dims2()?;
    let (fields, device) = (rows / ROLES, table.device());
    // A row for each word and role, and one of zeros for words that are not there.
    let table = table
        .reshape((words, fields, ROLES))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((words * ROLES, fields))?;
    let none = Tensor::zeros((1, fields), DType::F32, device)?;
    let table = Tensor::cat(&[&table, &none], 0)?;
    let mut seen: [Vec<u32>; ROLES] = Default::default();
    let mut from = 0;
    for text in texts {
        for place in &text.places {
            for (role, (rows, word)) in seen.iter_mut().zip(place.words).enumerate() {
                let row = word.map_or(words * ROLES, |word| (from + word) * ROLES + role);
                rows.push(row as u32);
            }
        }
        from += text.words.len();
    }
    let mut logits = Tensor::zeros((places, fields), DType::F32, device)?;
    for rows in seen {
        let rows = Tensor::from_vec(rows, places, device)?;
        logits = (logits + table.index_select(&rows, 0)?)?;
    }
    let none = Tensor::zeros((places, 1), DType::F32, device)?;
    Tensor::cat(&[&none, &logits], 1)
}

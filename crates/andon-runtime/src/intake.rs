use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use andon_store::Vector;
use andon_task::duplicate::{self, Note};
use andon_task::engine::{Embed, EngineError};
use andon_task::glossary::Reading;
use andon_task::label::Label;
use andon_task::run::{NewRecord, Record, Repeat};

use crate::error::Error;
use crate::node::Node;

/// The longest text of a record.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;

/// A new record is compared with so many open ones of its asset, the newest.
const MAX_COMPARED: usize = 32;

/// A record, with what was computed of it on the way in.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The record, on disk.
    pub record: Record,
    /// The vector of its text, if one was made.
    pub vector: Option<Vec<f32>>,
    /// How long that took, without storing it.
    pub took: Duration,
}

impl Node {
    /// Takes a record in: checks it, finds the open record that it repeats and
    /// keeps both on disk. A text that the encoder cannot take is kept too and
    /// compared by its characters; only an engine that has no place now refuses.
    pub fn take_in(&self, new: NewRecord) -> Result<Taken, Error> {
        self.check(&new)?;
        let began = Instant::now();
        let vector = self.vector_on_arrival(&new.text)?;
        let repeats = self.find_repeated(&new, vector.as_deref())?;
        let took = began.elapsed();
        let stored = self
            .encoder
            .as_ref()
            .zip(vector.clone())
            .map(|(encoder, values)| Vector {
                encoder: encoder.identity().digest,
                values,
            });
        let record = self.store.insert_record(new, self.now(), repeats, stored)?;
        Ok(Taken {
            record,
            vector,
            took,
        })
    }

    /// A record that was taken in before, to run tasks over it.
    pub fn recall(&self, id: i64) -> Result<Taken, Error> {
        Ok(Taken {
            record: self.record(id)?,
            vector: None,
            took: Duration::ZERO,
        })
    }

    fn check(&self, new: &NewRecord) -> Result<(), Error> {
        check_text(&new.text)?;
        if !new.meta.is_null() && !new.meta.is_object() {
            return Err(Error::Meta);
        }
        match &new.asset {
            Some(asset) if !self.knows_asset(asset) => {
                let asset = asset.chars().take(100).collect();
                Err(Error::UnknownAsset(asset))
            }
            _ => Ok(()),
        }
    }

    fn knows_asset(&self, asset: &str) -> bool {
        self.plant.assets.is_empty() || self.plant.assets.contains_key(asset)
    }

    fn vector_on_arrival(&self, text: &str) -> Result<Option<Vec<f32>>, Error> {
        let Some(encoder) = &self.encoder else {
            return Ok(None);
        };
        match vector_of(&**encoder, &self.plant.glossary.read(text)) {
            Ok(vector) => Ok(vector),
            Err(busy @ (EngineError::Overloaded { .. } | EngineError::Cancelled)) => {
                Err(busy.into())
            }
            Err(error) => {
                // The record matters more than its vector, which a run makes again.
                tracing::warn!(%error, "a record is kept without a vector");
                Ok(None)
            }
        }
    }

    fn find_repeated(
        &self,
        new: &NewRecord,
        vector: Option<&[f32]>,
    ) -> Result<Option<Repeat>, Error> {
        // Notes about no asset are about one thing only where the plant names none.
        if new.asset.is_none() && !self.plant.assets.is_empty() {
            return Ok(None);
        }
        let open = self
            .store
            .open_with_vectors(new.asset.as_deref(), MAX_COMPARED)?;
        let encoder = self.encoder.as_ref().map(|e| e.identity().digest);
        let open: Vec<Known<'_>> = open
            .iter()
            .map(|open| {
                let vector = open.vector.as_ref();
                let vector = vector.filter(|vector| Some(vector.encoder) == encoder);
                let vector = vector.map(|vector| vector.values.as_slice());
                let reading = self.plant.glossary.read(&open.record.text);
                Known {
                    record: open.record.id,
                    vector,
                    procedures: self.procedures(&reading, vector),
                    reading,
                }
            })
            .collect();
        // As the glossary reads them: notes in two languages have few characters in common.
        let reading = self.plant.glossary.read(&new.text);
        let procedures = self.procedures(&reading, vector);
        let new = Note {
            text: reading.text(),
            vector,
            procedures: procedures.as_deref(),
        };
        let open = open.iter().map(|known| (known.record, known.note()));
        let threshold = self.plant.settings.duplicate_likeness;
        Ok(duplicate::repeated(new, open, threshold))
    }

    /// The probability of each procedure that a note may lead to, by the first
    /// task that leads to procedures and has a head.
    fn procedures(&self, reading: &Reading<'_>, vector: Option<&[f32]>) -> Option<Vec<f64>> {
        let leads = |label: &Label| label.procedure.is_some();
        let (task, head) = self.plant.tasks.values().find_map(|task| {
            let leads = task.labels().labels().iter().any(leads);
            let serving = leads.then(|| self.heads.serving(&task.name)).flatten()?;
            // A tuned encoder would have to read every open record anew.
            serving.tuned.is_none().then_some((task, serving.head))
        })?;
        let probabilities = head.decide(reading, vector?).ok()?;
        let mut by_procedure = BTreeMap::new();
        for (label, probability) in task.labels().labels().iter().zip(probabilities) {
            if let Some(procedure) = &label.procedure {
                *by_procedure.entry(procedure).or_insert(0.0) += probability;
            }
        }
        Some(by_procedure.into_values().collect())
    }
}

/// An open record as it is compared.
struct Known<'a> {
    record: i64,
    reading: Reading<'a>,
    vector: Option<&'a [f32]>,
    procedures: Option<Vec<f64>>,
}

impl Known<'_> {
    fn note(&self) -> Note<'_> {
        Note {
            text: self.reading.text(),
            vector: self.vector,
            procedures: self.procedures.as_deref(),
        }
    }
}

pub(crate) fn check_text(text: &str) -> Result<(), Error> {
    if text.trim().is_empty() {
        return Err(Error::EmptyText);
    }
    let bytes = text.len();
    if bytes > MAX_TEXT_BYTES {
        return Err(Error::TextTooLong { bytes });
    }
    Ok(())
}

/// The vector of a text as the plant's glossary reads it; `None` where it does
/// not fit the encoder.
pub(crate) fn vector_of(
    encoder: &dyn Embed,
    reading: &Reading<'_>,
) -> Result<Option<Vec<f32>>, EngineError> {
    match encoder.embed(&[reading.text()]) {
        Ok(vectors) => Ok(vectors.into_iter().next()),
        Err(EngineError::DoesNotFit { .. } | EngineError::TooLong { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

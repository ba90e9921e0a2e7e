//! The `extract` kind: by the reader that serves the task, which is given a second opinion by
//! the language model where that was learnt to help; otherwise by the language model alone
//! under the schema.

use std::sync::Arc;

use andon_task::certificate::Severity;
use andon_task::engine::{Embed, EngineError};
use andon_task::extract::{Fusion, Reader, ReaderError, Reading, is_empty, locate};
use andon_task::run::{Answerer, Digests, Evidence, FieldEvidence, Run, Span};
use andon_task::schema::Schema;
use andon_task::task::Task;
use serde_json::Value;

use crate::error::Error;
use crate::node::Node;
use crate::readers::ServingReader;
use crate::run::{Asked, Outcome, Told};

mod opinion;
mod writer;

pub use writer::{Tokens, WriteError, Writer, grammar};

impl Node {
    /// An object of the schema, its values from the text.
    pub(crate) fn extract(&self, schema: &Schema, asked: Asked<'_>) -> Result<Run, Error> {
        let outcome = match self.readers.serving(&asked.task.name) {
            Some(serving) => self.extract_by_reader(schema, &serving, &asked)?,
            None => self.extract_by_generation(schema, &asked)?,
        };
        Ok(self.routed(&asked, outcome))
    }

    fn extract_by_reader(
        &self,
        schema: &Schema,
        ServingReader { reader, tuned }: &ServingReader,
        asked: &Asked<'_>,
    ) -> Result<Outcome, Error> {
        let states = match reader.encoder() {
            None => None,
            Some(digest) => {
                let same = |encoder: &&Arc<dyn Embed>| encoder.identity().digest == digest;
                let encoder = tuned.as_ref().or(self.encoder.as_ref()).filter(same);
                encoder
                    .ok_or(ReaderError::OtherEncoder)?
                    .states(asked.text)?
            }
        };
        let reading = reader.read(asked.text, states.as_ref())?;
        let alone = |reading| {
            let digests = self.digests_of_reader(reader, schema);
            Ok(outcome(reading, Answerer::Reader, digests))
        };
        let (fusion, writer) = match self.second_opinion(asked.task, schema, reader) {
            Some(Ok(second)) => second,
            None | Some(Err(_)) => return alone(reading),
        };
        // Whether it is asked is part of what answers.
        let digests = self.digests_of_fusion(reader, fusion, schema);
        if !fusion.asks(&reading) {
            return Ok(outcome(reading, Answerer::Reader, digests));
        }
        match opinion::fused(&writer, (schema, reader, fusion), &reading, asked) {
            Ok(fused) => Ok(outcome(fused, Answerer::ReaderAndGeneration, digests)),
            // Nobody waits for the answer any more.
            Err(WriteError::Engine(EngineError::Cancelled)) => Err(EngineError::Cancelled.into()),
            Err(reason) => {
                let task = &asked.task.name;
                tracing::info!(task, %reason, "the reader answers alone");
                alone(reading)
            }
        }
    }

    pub(crate) fn digests_of_reader(&self, reader: &Reader, schema: &Schema) -> Digests {
        Digests {
            reader: Some(reader.digest()),
            schema: Some(schema.digest()),
            policy: self.plant.policy,
            ..Digests::default()
        }
    }

    /// Of a reader, and the language model that it is given a second opinion by.
    pub(crate) fn digests_of_fusion(
        &self,
        reader: &Reader,
        fusion: &Fusion,
        schema: &Schema,
    ) -> Digests {
        Digests {
            model: Some(fusion.opinion.model),
            prompt: Some(fusion.opinion.prompt),
            adapter: fusion.opinion.adapter,
            ..self.digests_of_reader(reader, schema)
        }
    }

    pub(crate) fn digests_of_generation(
        &self,
        task: &Task,
        schema: &Schema,
        writer: &Writer<'_>,
    ) -> Digests {
        let opinion = writer.opinion(task, schema, &[]);
        Digests {
            model: Some(opinion.model),
            prompt: Some(opinion.prompt),
            adapter: opinion.adapter,
            schema: Some(schema.digest()),
            policy: self.plant.policy,
            ..Digests::default()
        }
    }

    /// What writes objects for a task: the language model, with the adapter that serves it.
    pub(crate) fn writer(&self, task: &Task) -> Option<Writer<'_>> {
        let model = self.language_model.as_deref()?;
        Some(Writer::held(model, self.adapters.serving(&task.name)))
    }

    fn extract_by_generation(&self, schema: &Schema, asked: &Asked<'_>) -> Result<Outcome, Error> {
        let writer = self
            .writer(asked.task)
            .ok_or_else(|| Error::NothingAnswers(asked.task.name.clone()))?;
        let digests = self.digests_of_generation(asked.task, schema, &writer);
        let task = (asked.task, schema);
        let written = writer.write_whole(task, asked.text, asked.terms, &mut |piece| {
            (asked.tell)(Told::Text(piece));
        });
        let answer = match written {
            Ok(written) => written.value,
            Err(WriteError::Unfinished(tokens)) => return Err(Error::Unfinished(tokens)),
            Err(WriteError::Engine(error)) => return Err(error.into()),
        };
        let evidence = written_out(asked.text, &answer);
        Ok(Outcome {
            confidence: 0.0,
            calibrated: false,
            said: Severity::Ordinary,
            answer,
            answered_by: Answerer::Generation,
            evidence: evidence.into_iter().map(Evidence::Field).collect(),
            digests,
        })
    }
}

/// What was read, as what a task answered.
fn outcome(reading: Reading, answered_by: Answerer, digests: Digests) -> Outcome {
    let field = |pointed: andon_task::extract::Pointed| {
        Evidence::Field(FieldEvidence {
            path: pointed.path,
            value: pointed.value.unwrap_or(Value::Null),
            confidence: Some(pointed.confidence),
            span: pointed.span.map(|(start, end)| Span { start, end }),
            verbatim: pointed.verbatim,
            agreed: pointed.agreed,
        })
    };
    // A document in which nothing is found is one of another kind: somebody looks.
    let nothing = is_empty(&reading.value);
    Outcome {
        confidence: if nothing { 0.0 } else { reading.confidence },
        calibrated: true,
        said: Severity::Ordinary,
        answer: reading.value,
        answered_by,
        evidence: reading.fields.into_iter().map(field).collect(),
        digests,
    }
}

/// The values of an object that was written for a text, each with its place there.
pub(crate) fn written_out(text: &str, object: &Value) -> Vec<FieldEvidence> {
    let mut fields = Vec::new();
    leaves(object, String::new(), &mut |path, value| {
        let place = locate(text, value);
        fields.push(FieldEvidence {
            path,
            value: value.clone(),
            confidence: None,
            span: place.map(|(start, end)| Span { start, end }),
            verbatim: place.is_some(),
            agreed: None,
        });
    });
    fields
}

/// Each value of an object that is neither an object nor a list, with its path.
fn leaves(value: &Value, path: String, see: &mut impl FnMut(String, &Value)) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let path = match path.is_empty() {
                    true => name.clone(),
                    false => format!("{path}.{name}"),
                };
                leaves(value, path, see);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                leaves(value, format!("{path}[{index}]"), see);
            }
        }
        value => see(path, value),
    }
}

#[cfg(test)]
mod tests;

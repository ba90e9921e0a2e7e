//! The `extract` kind: by the reader that serves the task, otherwise by the language model
//! under the schema.

use std::sync::Arc;

use andon_task::certificate::Severity;
use andon_task::engine::{Embed, Identity};
use andon_task::extract::{Reader, ReaderError, is_empty, locate};
use andon_task::prompt;
use andon_task::run::{Answerer, Digests, Evidence, FieldEvidence, Run, Span};
use andon_task::schema::Schema;
use andon_task::task::Task;
use serde_json::Value;

use crate::adapters::Loaded;
use crate::error::Error;
use crate::node::Node;
use crate::readers::ServingReader;
use crate::run::{Asked, Outcome, Told};
use crate::writing::{Writer, Written};

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
        let field = |pointed: andon_task::extract::Pointed| {
            Evidence::Field(FieldEvidence {
                path: pointed.path,
                value: pointed.value.unwrap_or(Value::Null),
                confidence: Some(pointed.confidence),
                span: pointed.span.map(|(start, end)| Span { start, end }),
                verbatim: pointed.verbatim,
            })
        };
        // A document in which nothing is found is one of another kind: somebody looks.
        let nothing = is_empty(&reading.value);
        Ok(Outcome {
            confidence: if nothing { 0.0 } else { reading.confidence },
            calibrated: true,
            said: Severity::Ordinary,
            answer: reading.value,
            answered_by: Answerer::Reader,
            evidence: reading.fields.into_iter().map(field).collect(),
            digests: self.digests_of_reader(reader, schema),
        })
    }

    pub(crate) fn digests_of_reader(&self, reader: &Reader, schema: &Schema) -> Digests {
        Digests {
            reader: Some(reader.digest()),
            schema: Some(schema.digest()),
            policy: self.plant.policy,
            ..Digests::default()
        }
    }

    pub(crate) fn digests_of_generation(
        &self,
        task: &Task,
        schema: &Schema,
        (model, loaded): (&Identity, Option<&Loaded>),
    ) -> Digests {
        let prompt = loaded.map(|loaded| loaded.adapter.prompt);
        Digests {
            model: Some(model.digest),
            adapter: loaded.map(|loaded| loaded.digest),
            prompt: prompt.or_else(|| Some(prompt::digest(&prompt::extract(task, schema, "")))),
            schema: Some(schema.digest()),
            policy: self.plant.policy,
            ..Digests::default()
        }
    }

    fn extract_by_generation(&self, schema: &Schema, asked: &Asked<'_>) -> Result<Outcome, Error> {
        let model = self
            .language_model
            .as_ref()
            .ok_or_else(|| Error::NothingAnswers(asked.task.name.clone()))?;
        // Held until the answer is there: what is demoted meanwhile stays loaded.
        let loaded = self.adapters.serving(&asked.task.name);
        let loaded = loaded.as_deref();
        let digests = self.digests_of_generation(asked.task, schema, (model.model(), loaded));
        let writer = Writer {
            model: &**model,
            adapter: loaded.map(|loaded| &loaded.adapter),
        };
        let task = (asked.task, schema);
        let Written { object, tokens } =
            writer.write(task, asked.text, asked.terms, &mut |text| {
                (asked.tell)(Told::Text(text));
            })?;
        let answer = object.ok_or(Error::Unfinished(tokens))?;
        let evidence = written(asked.text, &answer);
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

/// The values of an object that was written for a text, each with its place there.
pub(crate) fn written(text: &str, object: &Value) -> Vec<FieldEvidence> {
    let mut fields = Vec::new();
    leaves(object, String::new(), &mut |path, value| {
        let place = locate(text, value);
        fields.push(FieldEvidence {
            path,
            value: value.clone(),
            confidence: None,
            span: place.map(|(start, end)| Span { start, end }),
            verbatim: place.is_some(),
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

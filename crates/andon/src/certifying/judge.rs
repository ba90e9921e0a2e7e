//! Whether a run of a task that does not decide says what an example expects.

use std::collections::HashSet;

use andon_runtime::Node;
use andon_store::Store;
use andon_task::answer::Index;
use andon_task::certificate::{Basis, Judged, Severity};
use andon_task::engine::Embed;
use andon_task::example::Example;
use andon_task::extract::{Fields, Gold};
use andon_task::plant::Plant;
use andon_task::run::{Evidence, Run};
use andon_task::task::{Kind, Task};
use anyhow::{Context, bail};
use serde_json::Value;

use super::Sample;
use crate::asking;
use crate::progress::Progress;

/// What an answer is compared by.
pub(crate) enum Judge {
    /// The fields of an object, all of them.
    Fields(Fields),
    /// The words of a text.
    Words,
    /// The section that is quoted; or that there is none.
    Sections(Box<Index>),
}

impl Judge {
    /// What the answers of a task are compared by.
    pub(crate) fn of(
        task: &Task,
        plant: &Plant,
        store: &Store,
        encoder: Option<&dyn Embed>,
    ) -> anyhow::Result<Self> {
        match &task.kind {
            Kind::Extract(schema) => Ok(Self::Fields(Fields::of(schema.value())?)),
            Kind::Normalise => Ok(Self::Words),
            Kind::Answer => {
                let encoder = encoder.context("a task that answers needs an encoder")?;
                let corpus = asking::corpus(plant, store, encoder)?;
                Ok(Self::Sections(Box::new(corpus.index(task))))
            }
            Kind::Decide(_) | Kind::Summarise => bail!(
                "'{}' is of kind '{}': there is nothing to certify in another way",
                task.name,
                task.kind.name()
            ),
        }
    }

    fn right(&self, run: &Run, expected: &Value) -> anyhow::Result<bool> {
        match self {
            Self::Fields(fields) => {
                let read = |value| Gold::of(fields, value).map_err(anyhow::Error::msg);
                let (meant, said) = (read(expected)?, read(&run.answer)?);
                Ok(meant.grade(&said, fields).into_iter().all(|right| right))
            }
            Self::Words => {
                let words = |text: &Value| -> Option<Vec<String>> {
                    let words = text.as_str()?.split_whitespace();
                    Some(words.map(str::to_owned).collect())
                };
                let meant = words(expected).context("expected is no text")?;
                Ok(words(&run.answer) == Some(meant))
            }
            Self::Sections(index) => {
                let sources = expected.get("sources").and_then(Value::as_array);
                let sources = sources.into_iter().flatten().filter_map(Value::as_str);
                let meant: HashSet<usize> = sources.flat_map(|one| index.find(one)).collect();
                // Who is told that the documents do not say has not been told anything wrong.
                if run.answer.is_null() {
                    return Ok(meant.is_empty());
                }
                let quoted = run.evidence.iter().find_map(|evidence| match evidence {
                    Evidence::Passage(passage) => Some(&passage.citation),
                    _ => None,
                });
                Ok(quoted.is_some_and(|quoted| {
                    let source = format!("{}#{}", quoted.document, quoted.section);
                    index
                        .find(&source)
                        .iter()
                        .any(|section| meant.contains(section))
                }))
            }
        }
    }
}

/// Has what serves answer `examples`, but for those whose texts it knows. No answer counts
/// as one that nobody is sure of.
pub(crate) fn fresh_of_kind(
    node: &Node,
    task: &Task,
    judge: &Judge,
    (examples, known): (&[Example], &HashSet<&str>),
) -> anyhow::Result<Sample> {
    let what = format!("{}: answering {} examples", task.name, examples.len());
    let progress = Progress::of_parts(&what, examples.len());
    let mut artefacts = None;
    let (mut judged, mut left_out) = (Vec::new(), 0);
    for (done, example) in examples.iter().enumerate() {
        progress.reach(done as u64);
        let at = || format!("example {}", done + 1);
        if known.contains(example.input.as_str()) {
            left_out += 1;
            continue;
        }
        let run = node.preview(&task.name, &example.input).with_context(at)?;
        if !run.calibrated {
            bail!(
                "'{0}' is answered by a score and no probability: `andon learn {0}` first",
                task.name
            );
        }
        let own = run.digests.artefacts();
        if *artefacts.get_or_insert_with(|| own.clone()) != own {
            left_out += 1;
            continue;
        }
        let confidence = match run.answer.is_null() {
            true => 0.0,
            false => run.probability.unwrap_or(0.0),
        };
        judged.push(Judged {
            confidence,
            right: judge.right(&run, &example.expected).with_context(at)?,
            said: Severity::Ordinary,
            meant: Severity::Ordinary,
        });
    }
    let Some(artefacts) = artefacts else {
        bail!(
            "none of the {} examples can be used: it was trained on them; give others",
            examples.len()
        );
    };
    Ok(Sample {
        basis: Basis::Fresh,
        artefacts,
        judged,
        earlier: Vec::new(),
        left_out,
    })
}

//! One task's examples, embedded and dealt into folds, and the heads that are
//! trained on them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use andon_task::calibration::{self, Scored};
use andon_task::digest::Digest;
use andon_task::engine::Embed;
use andon_task::example::LabelledText;
use andon_task::glossary::{Glossary, Reading};
use andon_task::head::{Head, Parts};
use andon_task::task::Task;

use crate::embed::{self, Described, Embedded};
use crate::error::LearnError;
use crate::evaluate::Answer;
use crate::fold;
use crate::learn::{Clock, Progress, Stage, check_labels};
use crate::promotion::Outcome;
use crate::train::{Text, train};

/// An answer to an example by the head of the fold that held it out.
pub(crate) struct HeldOut {
    pub(crate) scored: Scored,
    took: Duration,
}

/// One task's examples, embedded and dealt into folds.
pub(crate) struct Study<'a> {
    task: &'a Task,
    examples: &'a [LabelledText],
    embedded: Vec<Embedded<'a>>,
    described: Vec<Described>,
    encoder: Digest,
    glossary: &'a Glossary,
    dimensions: usize,
    fold_of: Vec<usize>,
    folds: usize,
}

impl<'a> Study<'a> {
    pub(crate) fn new(
        task: &'a Task,
        examples: &'a [LabelledText],
        encoder: &dyn Embed,
        glossary: &'a Glossary,
        clock: Clock<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, LearnError> {
        check_labels(task, examples)?;
        let first = examples[0].label;
        if examples.iter().all(|example| example.label == first) {
            return Err(LearnError::OneLabel {
                task: task.name.clone(),
                label: task.labels().labels()[first].label.clone(),
            });
        }
        let (fold_of, folds) = fold::assign(examples, glossary);
        if folds < 2 {
            return Err(LearnError::OneText {
                task: task.name.clone(),
            });
        }
        let embedded = embed::examples(examples, encoder, glossary, clock, progress)?;
        Ok(Self {
            task,
            examples,
            embedded,
            described: embed::descriptions(task, encoder, glossary)?,
            encoder: encoder.identity().digest,
            glossary,
            dimensions: encoder.dimensions(),
            fold_of,
            folds,
        })
    }

    /// Trains on all examples but those of the fold `held_out`.
    fn train_without(&self, held_out: Option<usize>) -> Parts {
        let shown = (0..self.examples.len())
            .filter(|&index| Some(self.fold_of[index]) != held_out)
            .map(|index| Text {
                reading: &self.embedded[index].reading,
                vector: &self.embedded[index].vector,
                label: self.examples[index].label,
            });
        let readings: Vec<Reading<'_>> = self
            .described
            .iter()
            .map(|described| self.glossary.read(&described.text))
            .collect();
        let described = self.described.iter().zip(&readings);
        let described = described.map(|(described, reading)| Text {
            reading,
            vector: &described.vector,
            label: described.label,
        });
        let texts: Vec<Text<'_>> = shown.chain(described).collect();
        let labels = self.task.labels();
        let (vocabulary, weights) = train(&texts, labels.labels().len());
        Parts {
            labels: labels.names(),
            label_set: labels.digest(),
            encoder: self.encoder,
            glossary: self.glossary.digest(),
            dimensions: self.dimensions,
            vocabulary,
            weights,
            temperature: 1.0,
        }
    }

    pub(crate) fn train_folds(&self, progress: &mut dyn FnMut(Progress)) -> Vec<Parts> {
        let held_out: Vec<Option<usize>> = (0..self.folds).map(Some).collect();
        self.train_each(&held_out, progress)
    }

    pub(crate) fn train_folds_and_whole(
        &self,
        progress: &mut dyn FnMut(Progress),
    ) -> (Vec<Parts>, Parts) {
        // The whole first: it is the longest, so the threads end together.
        let held_out: Vec<Option<usize>> = [None]
            .into_iter()
            .chain((0..self.folds).map(Some))
            .collect();
        let mut trained = self.train_each(&held_out, progress);
        let whole = trained.remove(0);
        (trained, whole)
    }

    /// Trains once for each entry, on as many threads as there are cores. What
    /// is trained does not depend on their number.
    fn train_each(
        &self,
        held_out: &[Option<usize>],
        progress: &mut dyn FnMut(Progress),
    ) -> Vec<Parts> {
        let total = held_out.len();
        let threads = thread::available_parallelism()
            .map_or(1, usize::from)
            .min(total);
        let mut report = |done| {
            progress(Progress {
                stage: Stage::Training,
                done,
                total,
            });
        };
        let next = AtomicUsize::new(0);
        let mut trained: Vec<(usize, Parts)> = Vec::with_capacity(total);
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            for _ in 0..threads {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    loop {
                        let job = next.fetch_add(1, Ordering::Relaxed);
                        let Some(&fold) = held_out.get(job) else {
                            break;
                        };
                        if sender.send((job, self.train_without(fold))).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            report(0);
            for part in receiver {
                trained.push(part);
                report(trained.len());
            }
        });
        trained.sort_unstable_by_key(|&(job, _)| job);
        trained.into_iter().map(|(_, parts)| parts).collect()
    }

    /// The answers of each fold's head to the examples that it did not see.
    pub(crate) fn answer_held_out(
        &self,
        of_folds: Vec<Parts>,
        clock: Clock<'_>,
    ) -> Result<Vec<HeldOut>, LearnError> {
        let heads = of_folds
            .into_iter()
            .map(Head::new)
            .collect::<Result<Vec<_>, _>>()?;
        self.examples
            .iter()
            .zip(&self.embedded)
            .zip(&self.fold_of)
            .map(|((example, embedded), &fold)| {
                let start = clock();
                let logits = heads[fold].logits(&embedded.reading, &embedded.vector)?;
                let took = embedded.took + clock().saturating_sub(start);
                let label = example.label;
                let scored = Scored { logits, label };
                Ok(HeldOut { scored, took })
            })
            .collect()
    }

    /// The held-out answers as probabilities: in each fold at the temperature
    /// that the other folds ask for.
    pub(crate) fn calibrate(&self, held_out: &[HeldOut]) -> Vec<Answer> {
        let temperatures: Vec<f64> = (0..self.folds)
            .map(|fold| {
                let others: Vec<Scored> = held_out
                    .iter()
                    .zip(&self.fold_of)
                    .filter(|&(_, &of)| of != fold)
                    .map(|(answer, _)| answer.scored.clone())
                    .collect();
                calibration::temperature(&others)
            })
            .collect();
        held_out
            .iter()
            .zip(&self.fold_of)
            .zip(self.examples)
            .map(|((answer, &fold), example)| {
                let logits = &answer.scored.logits;
                let probabilities = calibration::probabilities(logits, temperatures[fold]);
                let language = example.language.clone();
                Answer::grade(&probabilities, example.label, language, answer.took)
            })
            .collect()
    }

    pub(crate) fn outcomes(&self, answers: &[Answer]) -> Vec<Outcome> {
        let names = self.task.labels().labels();
        self.examples
            .iter()
            .zip(answers)
            .map(|(example, answer)| {
                let label = names[example.label].label.as_bytes();
                Outcome {
                    example: Digest::of_parts([example.text.as_bytes(), label]),
                    right: answer.is_right(),
                    language: example.language.clone(),
                    judged: Some(answer.judged(names)),
                }
            })
            .collect()
    }
}

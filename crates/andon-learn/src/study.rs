//! One task's examples, embedded and dealt into folds, and the heads that are
//! trained on them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use andon_task::calibration::{self, Scored};
use andon_task::digest::Digest;
use andon_task::example::LabelledText;
use andon_task::glossary::Glossary;
use andon_task::head::{Head, Parts};
use andon_task::task::Task;

use crate::embed::{self, Taught, View};
use crate::error::LearnError;
use crate::evaluate::Answer;
use crate::fold;
use crate::learn::{Clock, Lesson, Progress, Stage, check_labels};
use crate::promotion::Outcome;
use crate::train::{Text, train};
use crate::tune::{Labelled, Tuned};

/// An answer to an example by the head of the fold that held it out.
pub(crate) struct HeldOut {
    pub(crate) scored: Scored,
    took: Duration,
}

/// What a study trains.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// A head for each fold.
    Folds,
    /// A head for each fold, and one on all examples.
    FoldsAndWhole,
}

/// One task's examples, embedded and dealt into folds.
pub(crate) struct Study<'a> {
    task: &'a Task,
    examples: &'a [LabelledText],
    taught: Vec<Taught<'a>>,
    described: Vec<Taught<'static>>,
    /// One view for all; where the encoder is tuned, one for each fold and last
    /// that of the encoder that was tuned on all examples.
    views: Vec<View>,
    glossary: &'a Glossary,
    fold_of: Vec<usize>,
    folds: usize,
    extent: Extent,
}

impl<'a> Study<'a> {
    pub(crate) fn new(
        lesson: &Lesson<'a>,
        extent: Extent,
        clock: Clock<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, LearnError> {
        let &Lesson {
            task,
            examples,
            glossary,
            ..
        } = lesson;
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
        let texts = examples
            .iter()
            .map(|example| (example.text.as_str(), example.label));
        let mut study = Self {
            task,
            examples,
            taught: embed::read(texts, glossary),
            described: embed::descriptions(task, glossary),
            views: Vec::new(),
            glossary,
            fold_of,
            folds,
            extent,
        };
        study.views = study.look(lesson, clock, progress)?;
        Ok(study)
    }

    /// What the encoder sees; a tuned one for each fold, which must not have been
    /// tuned on what the fold holds out.
    fn look(
        &self,
        lesson: &Lesson<'_>,
        clock: Clock<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<View>, LearnError> {
        let readings = || self.taught.iter().map(|taught| &taught.reading);
        let Some(tune) = lesson.tune else {
            return Ok(vec![View::of(
                readings(),
                &self.described,
                lesson.encoder,
                clock,
                progress,
            )?]);
        };
        self.jobs()
            .into_iter()
            .map(|held_out| {
                let shown = self.shown(held_out).map(|index| &self.taught[index]);
                let texts: Vec<Labelled<'_>> = shown
                    .chain(&self.described)
                    .map(|taught| Labelled {
                        text: taught.reading.text(),
                        label: taught.label,
                    })
                    .collect();
                let labels = self.task.labels().labels().len();
                let Tuned { encoder, bytes } = tune.tune(&texts, labels, &mut |done, total| {
                    progress(Progress {
                        stage: Stage::Tuning,
                        done,
                        total,
                    });
                })?;
                let view = View::of(readings(), &self.described, &*encoder, clock, progress)?;
                let tuned = Some(bytes);
                Ok(View { tuned, ..view })
            })
            .collect()
    }

    /// Which fold each head does without.
    fn jobs(&self) -> Vec<Option<usize>> {
        let whole = (self.extent == Extent::FoldsAndWhole).then_some(None);
        (0..self.folds).map(Some).chain(whole).collect()
    }

    fn view(&self, held_out: Option<usize>) -> &View {
        match self.views.as_slice() {
            [shared] => shared,
            each => &each[held_out.unwrap_or(self.folds)],
        }
    }

    /// What the tuned encoder of the whole has to be kept as.
    pub(crate) fn tuned(&self) -> Option<Vec<u8>> {
        self.view(None).tuned.clone()
    }

    /// The examples that a head is trained on.
    fn shown(&self, held_out: Option<usize>) -> impl Iterator<Item = usize> {
        (0..self.examples.len()).filter(move |&index| Some(self.fold_of[index]) != held_out)
    }

    /// Trains on all examples but those of the fold `held_out`.
    fn train_without(&self, held_out: Option<usize>) -> Parts {
        let view = self.view(held_out);
        let shown = self
            .shown(held_out)
            .map(|index| (&self.taught[index], view.vectors[index].as_slice()));
        let described = self.described.iter().zip(&view.described);
        let texts: Vec<Text<'_>> = shown
            .chain(described.map(|(taught, vector)| (taught, vector.as_slice())))
            .map(|(taught, vector)| Text {
                reading: &taught.reading,
                vector,
                label: taught.label,
            })
            .collect();
        let labels = self.task.labels();
        let (vocabulary, weights) = train(&texts, labels.labels().len());
        Parts {
            labels: labels.names(),
            label_set: labels.digest(),
            encoder: view.encoder,
            glossary: self.glossary.digest(),
            dimensions: view.dimensions,
            vocabulary,
            weights,
            temperature: 1.0,
        }
    }

    /// The heads of the folds, and where the extent says so that of the whole.
    pub(crate) fn train(&self, progress: &mut dyn FnMut(Progress)) -> (Vec<Parts>, Option<Parts>) {
        let mut jobs = self.jobs();
        // The whole first: it is the longest, so the threads end together.
        jobs.sort_by_key(Option::is_some);
        let mut trained = self.train_each(&jobs, progress);
        let whole = jobs[0].is_none().then(|| trained.remove(0));
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
            .zip(&self.fold_of)
            .enumerate()
            .map(|(index, (example, &fold))| {
                let view = self.view(Some(fold));
                let start = clock();
                let reading = &self.taught[index].reading;
                let logits = heads[fold].logits(reading, &view.vectors[index])?;
                let took = view.took[index] + clock().saturating_sub(start);
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
                }
            })
            .collect()
    }
}

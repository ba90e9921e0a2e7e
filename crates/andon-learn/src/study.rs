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
use andon_task::head::{Head, Parts, Recipe};
use andon_task::task::Task;

use crate::embed::{self, Taught, View};
use crate::error::LearnError;
use crate::evaluate::Answer;
use crate::fold;
use crate::learn::{Clock, Lesson, Progress, Stage, check_labels};
use crate::promotion::Outcome;
use crate::recipe::{self, Trial};
use crate::second;
use crate::stranger;
use crate::train::{Loss, Sheet, Text};
use crate::tune::{Labelled, Tune};
use crate::tuned::{self, TunedView};

/// An answer to an example by the head of the fold that held it out.
pub(crate) struct HeldOut {
    scored: Scored,
    /// The logits of the classifier of the fold's tuned encoder.
    tuned: Option<Vec<f32>>,
    took: Duration,
}

/// What is fitted on held-out answers.
struct Fitted {
    /// How much the tuned encoder's classifier adds.
    share: f32,
    /// The label for what fits no other, and its logit.
    level: Option<(usize, f32)>,
    temperature: f64,
}

impl Fitted {
    fn probabilities(&self, answer: &HeldOut) -> Vec<f64> {
        let logits = leveled(&answer.blended(self.share), self.level);
        calibration::probabilities(&logits, self.temperature)
    }
}

impl HeldOut {
    fn blended(&self, share: f32) -> Vec<f32> {
        tuned::blend(&self.scored.logits, self.tuned.as_deref(), share)
    }
}

fn leveled(logits: &[f32], level: Option<(usize, f32)>) -> Vec<f32> {
    let mut logits = logits.to_vec();
    if let Some((none, level)) = level {
        logits[none] = level;
    }
    logits
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
    view: View,
    /// Where the encoder is tuned, what came of it in each of the [`jobs`](Self::jobs).
    tuned: Vec<TunedView>,
    glossary: &'a Glossary,
    /// The label for what fits no other, where there is no example of it.
    none: Option<usize>,
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
        let taught = |example: &LabelledText| example.label == first && example.also.is_none();
        if examples.iter().all(taught) {
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
        let unseen = |&none: &usize| !examples.iter().any(|example| example.accepts(none));
        let none = task.labels().none().filter(unseen);
        // What such a label says of itself is no text that it stands for.
        let mut described = embed::descriptions(task, glossary);
        described.retain(|taught| Some(taught.label) != none);
        let taught = embed::read(examples, glossary);
        let readings = taught.iter().map(|taught| &taught.reading);
        let view = View::of(readings, &described, lesson.encoder, clock, progress)?;
        let mut study = Self {
            task,
            examples,
            taught,
            described,
            view,
            tuned: Vec::new(),
            glossary,
            none,
            fold_of,
            folds,
            extent,
        };
        if let Some(tune) = lesson.tune {
            study.tuned = study.tune(tune, clock, progress)?;
        }
        Ok(study)
    }

    /// Tunes an encoder for each job, on what the job may see.
    fn tune(
        &self,
        tune: &dyn Tune,
        clock: Clock<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<TunedView>, LearnError> {
        let labels = self.task.labels().labels().len();
        let jobs = self.jobs();
        let count = jobs.len();
        let jobs = jobs.into_iter().enumerate();
        jobs.map(|(job, held_out)| {
            let shown = self.shown(held_out).map(|index| &self.taught[index]);
            let texts: Vec<Labelled<'_>> = shown
                .chain(&self.described)
                .flat_map(|taught| {
                    let labels = [Some(taught.label), taught.also];
                    labels.into_iter().flatten().map(|label| Labelled {
                        text: taught.reading.text(),
                        label,
                    })
                })
                .collect();
            let tuned = tune.tune(&texts, labels, &mut |done, total| {
                progress(Progress {
                    stage: Stage::Tuning,
                    done: job * total + done,
                    total: count * total,
                });
            })?;
            let readings = self.taught.iter().map(|taught| &taught.reading);
            let view = View::of(readings, &[], &*tuned.encoder, clock, progress)?;
            Ok(TunedView {
                view,
                classifier: tuned.classifier,
                bytes: tuned.bytes,
            })
        })
        .collect()
    }

    /// Which fold each head does without.
    fn jobs(&self) -> Vec<Option<usize>> {
        let whole = (self.extent == Extent::FoldsAndWhole).then_some(None);
        (0..self.folds).map(Some).chain(whole).collect()
    }

    /// What came of tuning without a fold; `None` where the encoder is not tuned.
    fn tuned_without(&self, held_out: Option<usize>) -> Option<&TunedView> {
        self.tuned.get(held_out.unwrap_or(self.folds))
    }

    /// What the tuned encoder of the whole has to be kept as.
    pub(crate) fn tuned(&self) -> Option<Vec<u8>> {
        self.tuned_without(None).map(|tuned| tuned.bytes.clone())
    }

    /// The examples that a head is trained on.
    fn shown(&self, held_out: Option<usize>) -> impl Iterator<Item = usize> {
        (0..self.examples.len()).filter(move |&index| Some(self.fold_of[index]) != held_out)
    }

    /// The features of all examples but those of the folds `without`, and of what
    /// the labels say of themselves.
    fn sheet(&self, without: &[usize]) -> Sheet<'_> {
        let view = &self.view;
        let shown = (0..self.examples.len())
            .filter(|&index| !without.contains(&self.fold_of[index]))
            .map(|index| (&self.taught[index], view.vectors[index].as_slice()));
        let vectors = view.described.iter().map(Vec::as_slice);
        let described = self.described.iter().zip(vectors);
        let texts: Vec<Text<'_>> = shown
            .chain(described)
            .map(|(taught, vector)| Text {
                reading: &taught.reading,
                vector,
                label: taught.label,
                also: taught.also,
            })
            .collect();
        Sheet::of(&texts, self.task.labels().labels().len())
    }

    fn parts(&self, sheet: Sheet<'_>, weights: Vec<f32>, recipe: Recipe) -> Parts {
        let labels = self.task.labels();
        let (characters, words) = sheet.into_vocabularies();
        Parts {
            labels: labels.names(),
            label_set: labels.digest(),
            encoder: self.view.encoder,
            glossary: self.glossary.digest(),
            dimensions: self.view.dimensions,
            characters,
            words,
            weights,
            temperature: 1.0,
            recipe,
            also: None,
        }
    }

    /// Trains on all examples but those of the fold `held_out`.
    fn train_without(&self, held_out: Option<usize>, recipe: Recipe) -> Parts {
        let sheet = self.sheet(held_out.as_slice());
        let weights = sheet.train(recipe);
        self.parts(sheet, weights, recipe)
    }

    /// The heads of the folds, and where the extent says so that of the whole.
    pub(crate) fn train(&self, progress: &mut dyn FnMut(Progress)) -> (Vec<Parts>, Option<Parts>) {
        let usual = self.usual();
        let trials = self.trials(usual, progress);
        let mut jobs = self.jobs();
        // The whole first: it is the longest, so the threads end together.
        jobs.sort_by_key(Option::is_some);
        let mut trained = each(&jobs, Stage::Training, progress, |&held_out| {
            self.train_without(held_out, recipe::choose(usual, &trials, held_out))
        });
        let whole = jobs[0].is_none().then(|| trained.remove(0));
        (trained, whole)
    }

    /// By the length of the texts, which says nothing of their labels.
    fn usual(&self) -> Recipe {
        let words = |taught: &Taught<'_>| taught.reading.text().split_whitespace().count();
        let total: usize = self.taught.iter().map(words).sum();
        recipe::usual(total as f32 / self.taught.len() as f32)
    }

    /// What every recipe makes of the examples, where these are few enough to try:
    /// heads of all folds but two neighbours, asked for the examples of these two.
    fn trials(&self, usual: Recipe, progress: &mut dyn FnMut(Progress)) -> Vec<Trial> {
        let few = self.examples.len() <= recipe::MOST_EXAMPLES;
        if !few || self.folds < fold::FOLDS {
            return Vec::new();
        }
        let pairs: Vec<[usize; 2]> = (0..self.folds)
            .map(|fold| [fold, (fold + 1) % self.folds])
            .collect();
        let trials = each(&pairs, Stage::Choosing, progress, |pair| {
            self.try_all(usual, *pair)
        });
        trials.into_iter().flatten().collect()
    }

    fn try_all(&self, usual: Recipe, pair: [usize; 2]) -> Vec<Trial> {
        let sheet = self.sheet(&pair);
        let mut weights = None;
        let mut trials = Vec::new();
        for recipe in recipe::candidates(usual) {
            let trained = sheet.train_one(Loss::Logistic, recipe, weights.as_deref());
            for (held_out, without) in [(pair[0], pair[1]), (pair[1], pair[0])] {
                let answers = (0..self.examples.len())
                    .filter(|&index| self.fold_of[index] == held_out)
                    .map(|index| Scored {
                        logits: sheet.logits(
                            &trained,
                            &self.taught[index].reading,
                            &self.view.vectors[index],
                        ),
                        label: self.examples[index].label,
                    })
                    .collect();
                trials.push(Trial {
                    recipe,
                    without,
                    answers,
                });
            }
            weights = Some(trained);
        }
        trials
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
                let start = clock();
                let reading = &self.taught[index].reading;
                let logits = heads[fold].logits(reading, &self.view.vectors[index])?;
                let took = clock().saturating_sub(start);
                let label = example.label;
                let tuned = self.tuned_without(Some(fold));
                let view = tuned.map_or(&self.view, |tuned| &tuned.view);
                Ok(HeldOut {
                    scored: Scored { logits, label },
                    tuned: tuned.map(|tuned| tuned.logits(index, heads[fold].parts().labels.len())),
                    took: view.took[index] + took,
                })
            })
            .collect()
    }

    /// What held-out answers ask for: those of all folds but `without`.
    fn fit(&self, held_out: &[HeldOut], without: Option<usize>) -> Fitted {
        let others = || held_out.iter().zip(&self.fold_of).zip(self.examples);
        let others = || others().filter(|&((_, &fold), _)| Some(fold) != without);
        // Of two right labels neither can be sure.
        let single = || others().filter(|(_, example)| example.also.is_none());
        let share = tuned::share(
            single().map(|((answer, _), _)| (&answer.scored, answer.tuned.as_deref())),
        );
        let level = self.none.map(|none| {
            let logits: Vec<Vec<f32>> = others()
                .map(|((answer, _), _)| answer.blended(share))
                .collect();
            let logits = logits.iter().map(Vec::as_slice);
            (none, stranger::level(logits, none))
        });
        let scored: Vec<Scored> = single()
            .map(|((answer, _), _)| Scored {
                logits: leveled(&answer.blended(share), level),
                label: answer.scored.label,
            })
            .collect();
        Fitted {
            share,
            level,
            temperature: calibration::temperature(&scored),
        }
    }

    /// A trained head with what its folds' answers ask for.
    pub(crate) fn finish(&self, mut whole: Parts, held_out: &[HeldOut]) -> Parts {
        let fitted = self.fit(held_out, None);
        if let Some(tuned) = self.tuned_without(None) {
            tuned.join(&mut whole, fitted.share);
        }
        if let Some((none, level)) = fitted.level {
            stranger::set(&mut whole, none, level);
        }
        Parts {
            temperature: fitted.temperature,
            also: self.second_from(held_out, &fitted, None),
            ..whole
        }
    }

    /// From which probability on a second label is named, as the answers of all folds but
    /// `without` ask for.
    fn second_from(
        &self,
        held_out: &[HeldOut],
        fitted: &Fitted,
        without: Option<usize>,
    ) -> Option<f64> {
        let answers = self.examples.iter().zip(held_out).zip(&self.fold_of);
        let answers = answers.filter(|&(_, &fold)| Some(fold) != without);
        second::threshold(
            answers.map(|((example, answer), _)| (example, fitted.probabilities(answer))),
        )
    }

    /// The held-out answers as probabilities: in each fold as the other folds ask for.
    pub(crate) fn calibrate(&self, held_out: &[HeldOut]) -> Vec<Answer> {
        let fitted: Vec<Fitted> = (0..self.folds)
            .map(|fold| self.fit(held_out, Some(fold)))
            .collect();
        let seconds: Vec<Option<f64>> = (0..self.folds)
            .map(|fold| self.second_from(held_out, &fitted[fold], Some(fold)))
            .collect();
        held_out
            .iter()
            .zip(&self.fold_of)
            .zip(self.examples)
            .map(|((answer, &fold), example)| {
                let probabilities = fitted[fold].probabilities(answer);
                Answer::grade(&probabilities, example, seconds[fold], answer.took)
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

/// Does `work` for each job, on as many threads as there are cores. What comes out
/// does not depend on their number.
fn each<J: Sync, T: Send>(
    jobs: &[J],
    stage: Stage,
    progress: &mut dyn FnMut(Progress),
    work: impl Fn(&J) -> T + Sync,
) -> Vec<T> {
    let total = jobs.len();
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(total);
    let mut report = |done| progress(Progress { stage, done, total });
    let next = AtomicUsize::new(0);
    let mut results: Vec<(usize, T)> = Vec::with_capacity(total);
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(number) else {
                        break;
                    };
                    if sender.send((number, work(job))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        report(0);
        for result in receiver {
            results.push(result);
            report(results.len());
        }
    });
    results.sort_unstable_by_key(|&(number, _)| number);
    results.into_iter().map(|(_, result)| result).collect()
}

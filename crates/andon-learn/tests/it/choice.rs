//! What is chosen for labelling teaches at least as much as what chance chooses.

use std::time::Duration;

use andon_learn::choose::{Unlabelled, choose, uncertainty};
use andon_learn::{Lesson, Progress, learn};
use andon_task::engine::Embed as _;
use andon_task::example::LabelledText;
use andon_task::glossary::Glossary;
use andon_task::head::Head;
use andon_task::task::Task;

use crate::data::{self, fmc};
use crate::encoder::Trigrams;
use crate::random::Random;

fn still() -> Duration {
    Duration::ZERO
}

fn nothing(_: Progress) {}

/// A set of notes with vectors, dealt into a pool and a test part.
struct Set {
    task: Task,
    examples: Vec<LabelledText>,
    vectors: Vec<Vec<f32>>,
    pool: Vec<usize>,
    test: Vec<usize>,
}

impl Set {
    fn new(rows: &[(String, String)], tested: usize, seed: u64) -> Self {
        let (task, examples) = data::task(rows);
        let encoder = Trigrams::new();
        let texts: Vec<&str> = examples.iter().map(|e| e.text.as_str()).collect();
        let vectors = encoder.embed(&texts).expect("sound data");
        let mut order: Vec<usize> = (0..examples.len()).collect();
        Random::seeded(seed).shuffle(&mut order);
        let (test, pool) = order.split_at(tested);
        Self {
            task,
            test: test.to_vec(),
            pool: pool.to_vec(),
            examples,
            vectors,
        }
    }

    fn head(&self, labelled: &[usize]) -> Head {
        let shown: Vec<LabelledText> = labelled
            .iter()
            .map(|&at| self.examples[at].clone())
            .collect();
        let (encoder, glossary) = (Trigrams::new(), Glossary::default());
        let lesson = Lesson {
            task: &self.task,
            examples: &shown,
            encoder: &encoder,
            tune: None,
            glossary: &glossary,
        };
        learn(&lesson, &still, &mut nothing)
            .expect("sound data")
            .head
    }

    fn probabilities(&self, head: &Head, at: usize) -> Vec<f64> {
        let glossary = Glossary::default();
        let reading = glossary.read(&self.examples[at].text);
        head.decide(&reading, &self.vectors[at])
            .expect("sound data")
    }

    fn accuracy(&self, head: &Head) -> f64 {
        let right = self.test.iter().filter(|&&at| {
            let probabilities = self.probabilities(head, at);
            let best = (0..probabilities.len())
                .max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
            best == Some(self.examples[at].label)
        });
        right.count() as f64 / self.test.len() as f64
    }

    /// Labels `start` notes by chance and then `batch` after `batch`, as `choice`
    /// says; the accuracy after each batch.
    fn play(
        &self,
        (start, batch, batches): (usize, usize, usize),
        mut choice: impl FnMut(&Head, &[usize], &[usize]) -> Vec<usize>,
    ) -> Vec<f64> {
        let mut labelled: Vec<usize> = self.pool[..start].to_vec();
        let mut left: Vec<usize> = self.pool[start..].to_vec();
        let mut head = self.head(&labelled);
        let mut accuracies = Vec::new();
        for _ in 0..batches {
            let mut chosen = choice(&head, &labelled, &left);
            chosen.truncate(batch);
            labelled.extend(chosen.iter().map(|&place| left[place]));
            let mut place = 0;
            left.retain(|_| {
                place += 1;
                !chosen.contains(&(place - 1))
            });
            head = self.head(&labelled);
            accuracies.push(self.accuracy(&head));
        }
        accuracies
    }

    fn by_choice(&self, plan: (usize, usize, usize)) -> Vec<f64> {
        self.play(plan, |head, labelled, left| {
            let pool: Vec<Unlabelled<'_>> = left
                .iter()
                .map(|&at| Unlabelled {
                    vector: &self.vectors[at],
                    uncertainty: uncertainty(self.probabilities(head, at)),
                })
                .collect();
            let known: Vec<&[f32]> = labelled
                .iter()
                .map(|&at| self.vectors[at].as_slice())
                .collect();
            choose(&pool, &known, plan.1)
        })
    }

    fn by_chance(&self, plan: (usize, usize, usize)) -> Vec<f64> {
        // The pool is in random order already.
        self.play(plan, |_, _, left| (0..left.len()).collect())
    }
}

/// The mean accuracies over `seeds`, by choice and by chance, after each batch.
fn compare(
    rows: &[(String, String)],
    tested: usize,
    plan: (usize, usize, usize),
    seeds: u64,
) -> Vec<(f64, f64)> {
    let mut sums = vec![(0.0, 0.0); plan.2];
    for seed in 0..seeds {
        let set = Set::new(rows, tested, seed);
        let (chosen, drawn) = (set.by_choice(plan), set.by_chance(plan));
        for (sum, (chosen, drawn)) in sums.iter_mut().zip(chosen.iter().zip(&drawn)) {
            sum.0 += chosen / seeds as f64;
            sum.1 += drawn / seeds as f64;
        }
    }
    sums
}

#[allow(clippy::print_stdout, reason = "a test says what it measured")]
fn tell(name: &str, (start, batch, _): (usize, usize, usize), found: &[(f64, f64)]) {
    for (step, (chosen, drawn)) in (1..).zip(found) {
        println!(
            "{name}: {} labels: {chosen:.3} chosen, {drawn:.3} by chance",
            start + step * batch
        );
    }
}

#[test]
fn choosing_is_no_worse_than_chance_on_fmc() {
    let Some(rows) = fmc() else {
        println!("skipped: choosing_is_no_worse_than_chance_on_fmc needs fmc_mwo2kg");
        return;
    };
    let plan = (50, 50, 3);
    let found = compare(&rows, 200, plan, 4);
    tell("FMC", plan, &found);
    // Over the whole way: a single step of so few draws is noise.
    let (chosen, drawn) = found
        .iter()
        .fold((0.0, 0.0), |sum, found| (sum.0 + found.0, sum.1 + found.1));
    assert!(chosen >= drawn, "{found:?}");
}

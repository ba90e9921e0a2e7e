//! Certificates on real data, split again and again. Not part of the repository;
//! the folder of data sets is `ANDON_DATA`, or `../shared/data` beside the checkout.

use std::time::Duration;

use andon_learn::{Lesson, Progress, learn};
use andon_task::certificate::{Judged, Severity, Terms, certify};
use andon_task::engine::Embed as _;
use andon_task::glossary::Glossary;

use crate::data::{self, clinc, msha};
use crate::encoder::Trigrams;
use crate::random::Random;

const RESPLITS: usize = 200;
const DELTA: f64 = 0.1;

fn still() -> Duration {
    Duration::ZERO
}

fn nothing(_: Progress) {}

/// What a head that was trained on the first `shown` rows answers to the others,
/// and what twins answered to those while they were held out.
fn answered(rows: &[(String, String)], shown: usize) -> (Vec<Judged>, Vec<Judged>) {
    let (task, examples) = data::task(rows);
    let (encoder, glossary) = (Trigrams::new(), Glossary::default());
    let lesson = Lesson {
        task: &task,
        examples: &examples[..shown],
        encoder: &encoder,
        tune: None,
        glossary: &glossary,
    };
    let candidate = learn(&lesson, &still, &mut nothing).expect("sound data");
    let earlier = candidate.outcomes.iter().filter_map(|o| o.judged).collect();
    let held_out = examples[shown..]
        .iter()
        .filter_map(|example| {
            let reading = glossary.read(&example.text);
            let vector = encoder.embed(&[reading.text()]).ok()?.pop()?;
            let probabilities = candidate
                .head
                .decide(&reading, &vector)
                .expect("sound data");
            let mut places: Vec<usize> = (0..probabilities.len()).collect();
            places.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
            Some(Judged {
                confidence: probabilities[places[0]],
                right: places[0] == example.label,
                said: Severity::Ordinary,
                meant: Severity::Ordinary,
            })
        })
        .collect();
    (held_out, earlier)
}

/// Draws `n` answers with and without a plan, again and again, certifies on them and
/// looks at all answers: there the true share of wrong ones among the accepted is
/// known. Says how often the promise was broken.
#[allow(clippy::print_stdout, reason = "a test says what it measured")]
fn check(name: &str, rows: &[(String, String)], shown: usize, n: usize, alphas: &[f64]) {
    let (pool, earlier) = answered(rows, shown);
    let right = pool.iter().filter(|judged| judged.right).count();
    let accuracy = right as f64 / pool.len() as f64;
    for &alpha in alphas {
        for (plan, earlier) in [("planned", &earlier[..]), ("counted", &[])] {
            let mut chance = Random::seeded(17);
            let (mut broken, mut broken_on_rest, mut issued, mut coverage) = (0, 0, 0, 0.0);
            for _ in 0..RESPLITS {
                let terms = Terms {
                    alpha,
                    critical_alpha: alpha,
                    delta: DELTA,
                };
                // With replacement: then the pool is the population, exactly.
                let drawn: Vec<Judged> = (0..n).map(|_| pool[chance.below(pool.len())]).collect();
                if let Some(threshold) = certify(&drawn, earlier, terms).thresholds.ordinary {
                    let (accepted, wrong) = at(&pool, threshold);
                    issued += 1;
                    broken += usize::from(wrong as f64 > alpha * accepted as f64);
                    coverage += accepted as f64 / pool.len() as f64;
                }
                // Without: a split, judged on the part that was not drawn.
                let mut shuffled = pool.clone();
                chance.shuffle(&mut shuffled);
                let (drawn, rest) = shuffled.split_at(n);
                if let Some(threshold) = certify(drawn, earlier, terms).thresholds.ordinary {
                    let (accepted, wrong) = at(rest, threshold);
                    broken_on_rest += usize::from(wrong as f64 > alpha * accepted as f64);
                }
            }
            println!(
                "{name}: accuracy {accuracy:.3}, alpha {alpha}, {plan}: {issued} certificates of {RESPLITS}, {broken} broken ({broken_on_rest} on the rest of a split), mean coverage {:.3}",
                coverage / f64::from(u32::try_from(RESPLITS).expect("a small number"))
            );
            // δ of 200 is 20; three standard errors are 12.7 more.
            assert!(broken <= 32, "{broken} of {RESPLITS} promises are broken");
        }
    }
}

/// How many are accepted from `threshold` on, and how many of these are wrong.
fn at(answers: &[Judged], threshold: f64) -> (usize, usize) {
    let accepted = answers.iter().filter(|a| a.confidence >= threshold);
    accepted.fold((0, 0), |(n, wrong), a| {
        (n + 1, wrong + usize::from(!a.right))
    })
}

#[test]
fn promises_hold_on_clinc150() {
    let Some(mut rows) = clinc() else {
        println!("skipped: promises_hold_on_clinc150 needs clinc150");
        return;
    };
    // Some of the intents: the test is about promises, not about size.
    rows.retain(|(_, label)| label.as_bytes()[0] < b'f');
    Random::seeded(1).shuffle(&mut rows);
    rows.truncate(2_400);
    check("CLINC150", &rows, 900, 500, &[0.05, 0.10]);
}

#[test]
fn promises_hold_on_msha() {
    let Some(mut rows) = msha() else {
        println!("skipped: promises_hold_on_msha needs msha_injuries");
        return;
    };
    Random::seeded(1).shuffle(&mut rows);
    rows.truncate(3_600);
    check("MSHA", &rows, 1_500, 800, &[0.05, 0.10]);
}

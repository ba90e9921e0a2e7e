//! MaintNorm: work orders in plain words with masks. Not part of the repository; see
//! `data`.

use andon_learn::normalise::{Outcome, evaluate, learn, outcome};
use andon_task::glossary::Glossary;

use crate::data;

#[test]
fn four_fifths_of_the_errors_go_with_a_sixth_of_the_examples() {
    let (Some(train), Some(held)) = (data::maintnorm("train"), data::maintnorm("val")) else {
        eprintln!(
            "skipped: four_fifths_of_the_errors_go_with_a_sixth_of_the_examples needs maintnorm"
        );
        return;
    };
    assert_eq!((train.len(), held.len()), (9_600, 1_200));
    // All of them take a minute; the example `maintnorm` measures that.
    let some: Vec<(&str, &str)> = train
        .iter()
        .step_by(6)
        .map(|(text, expected)| (text.as_str(), expected.as_str()))
        .collect();
    let learned = learn("maintnorm", &some, &mut |_, _| {}).unwrap();
    let glossary = Glossary::default();
    let outcomes: Vec<Outcome> = held
        .iter()
        .map(|(text, expected)| {
            let normalised = learned.normaliser.normalise(text, &glossary);
            outcome(&learned.normaliser, (text, expected), &normalised)
        })
        .collect();
    let found = evaluate(&outcomes).unwrap();
    let reduction = found.error_reduction.unwrap();
    eprintln!("{found:?}");
    assert!(reduction.value >= 0.80, "{reduction:?}");
    assert!(found.ece.unwrap() <= 0.06, "{:?}", found.ece);
    // Held out or not, the same answers: the figures that were promised hold.
    let promised = learned.figures.error_reduction.unwrap();
    assert!(
        (promised.value - reduction.value).abs() < 0.03,
        "{promised:?}"
    );
}

use andon_task::example::LabelledText;
use proptest::prelude::*;

use super::*;

fn answer(label: usize, best: usize, confidence: f64) -> Answer {
    Answer {
        label,
        also: None,
        second: None,
        best,
        confidence,
        above: usize::from(label != best),
        language: Some(if label == 0 { "en" } else { "es" }.to_owned()),
        took: Duration::from_millis(10),
    }
}

fn names() -> Vec<String> {
    ["a", "b", "c"].map(str::to_owned).to_vec()
}

fn labels() -> Vec<Label> {
    let label = |label| Label {
        label,
        description: None,
        procedure: None,
        critical: false,
        none: false,
    };
    names().into_iter().map(label).collect()
}

fn close(found: Option<f64>, expected: Option<f64>) -> bool {
    match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() < 1e-12,
        (found, expected) => found == expected,
    }
}

#[test]
fn grading_finds_the_answer_and_the_rank_of_the_right_label() {
    let grade = |probabilities: &[f64], label, also| {
        let example = LabelledText {
            text: "a note".into(),
            label,
            also,
            language: None,
        };
        Answer::grade(probabilities, &example, Some(0.3), Duration::ZERO)
    };
    let check = |probabilities: &[f64], label, best, above| {
        let graded = grade(probabilities, label, None);
        assert_eq!(
            (graded.best, graded.above),
            (best, above),
            "{probabilities:?}"
        );
        assert_eq!(graded.confidence, probabilities[best]);
    };
    check(&[0.2, 0.5, 0.3], 1, 1, 0);
    check(&[0.2, 0.5, 0.3], 0, 1, 2);
    // Of equals the first is the answer.
    check(&[0.5, 0.5], 1, 0, 1);
    check(&[0.25, 0.25, 0.25, 0.25], 3, 0, 3);
    // Of two right labels the more probable one counts, whichever stands first.
    for (label, also) in [(0, 1), (1, 0)] {
        let graded = grade(&[0.2, 0.5, 0.3], label, Some(also));
        assert_eq!((graded.label, graded.also), (1, Some(0)));
        assert!(graded.is_right());
        assert_eq!(graded.second, Some(false), "the third label is not right");
    }
    assert_eq!(grade(&[0.1, 0.5, 0.4], 1, Some(2)).second, Some(true));
    assert_eq!(grade(&[0.25, 0.5, 0.25], 1, Some(2)).second, None);
}

#[test]
fn figures_are_those_of_hand() {
    let answers = [
        answer(0, 0, 0.9),
        answer(0, 0, 0.8),
        answer(0, 1, 0.7),
        answer(1, 1, 0.7),
        answer(1, 0, 0.3),
    ];
    let found = evaluate(&answers, &names(), 0.7).unwrap();
    assert_eq!(found.n, 5);
    let check = |found: Estimate, expected: f64| {
        assert!(
            (found.value - expected).abs() < 1e-12,
            "{found:?} is not {expected}"
        );
        assert!(found.low <= found.value && found.value <= found.high);
    };
    check(found.accuracy, 0.6);
    check(found.top3_accuracy, 1.0);
    check(found.macro_f1, f64::midpoint(4.0 / 6.0, 2.0 / 4.0));
    // Right 0.9, 0.8 and 0.7 against wrong 0.7 and 0.3: 5.5 of 6 pairs.
    check(found.auroc.unwrap(), 5.5 / 6.0);
    check(found.ece, (0.1 + 0.2 + (1.4 - 1.0) + 0.3) / 5.0);
    check(found.coverage, 0.8);
    check(found.selective_error.unwrap(), 0.25);
    assert!(!found.certified);
    assert_eq!((found.p50_ms, found.p99_ms), (10.0, 10.0));
    let labels: Vec<_> = found
        .per_label
        .iter()
        .map(|of| (of.recall, of.support))
        .collect();
    assert_eq!(labels, [(Some(2.0 / 3.0), 3), (Some(0.5), 2), (None, 0)]);
    assert!(close(found.per_label[1].precision, Some(0.5)));
    assert_eq!(found.per_label[2].precision, None);
    let languages: Vec<_> = found
        .per_language
        .iter()
        .map(|of| (of.language.as_str(), of.n))
        .collect();
    assert_eq!(languages, [("en", 3), ("es", 2)]);
}

#[test]
fn what_is_not_defined_is_not_given() {
    assert_eq!(evaluate(&[], &names(), 0.6), None);
    let all_right = evaluate(&[answer(0, 0, 0.5), answer(1, 1, 0.4)], &names(), 0.6).unwrap();
    assert_eq!(all_right.auroc, None);
    assert_eq!(all_right.selective_error, None);
    assert_eq!(all_right.coverage.value, 0.0);
}

#[test]
fn percentiles_are_times_that_were_measured() {
    let sorted: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
    let check = |share, expected| assert_eq!(percentile_ms(&sorted, share), expected);
    check(0.5, 50.0);
    check(0.99, 99.0);
    check(1.0, 100.0);
}

#[test]
fn coverage_at_an_error_is_that_of_hand() {
    // By falling confidence: right, right, wrong, right, right, right.
    let confidences = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4];
    let answers: Vec<Answer> = confidences
        .iter()
        .enumerate()
        .map(|(index, &confidence)| answer(0, usize::from(index == 2), confidence))
        .collect();
    let at = |error| Ranked::of(&answers).coverage_at(&[1.0; 6], error);
    assert_eq!(at(0.0), 2.0 / 6.0);
    assert_eq!(at(0.17), 1.0);
    assert_eq!(at(0.2), 1.0);
    let found = evaluate(&answers, &names(), 0.6).unwrap();
    let threshold = found.coverage_at_error[0].threshold;
    assert_eq!(threshold, Some(0.8));
    assert_eq!(found.confusion.len(), 1);
    assert_eq!(found.confusion[0].n, 1);
    // Equal confidences are accepted together or not at all.
    let tied = [answer(0, 0, 0.9), answer(0, 1, 0.9)];
    assert_eq!(Ranked::of(&tied).coverage_at(&[1.0; 2], 0.1), 0.0);
}

#[test]
fn a_certificate_moves_the_threshold() {
    let answers = [answer(0, 0, 0.9), answer(0, 1, 0.7), answer(1, 1, 0.65)];
    let found = evaluate(&answers, &names(), 0.6).unwrap();
    assert_eq!((found.coverage.value, found.certified), (1.0, false));
    let found = found.at_certified(
        &Thresholds {
            ordinary: Some(0.8),
            critical: None,
        },
        &labels(),
    );
    assert_eq!((found.accept, found.certified), (0.8, true));
    assert!((found.coverage.value - 1.0 / 3.0).abs() < 1e-12);
    assert_eq!(found.selective_error.unwrap().value, 0.0);
}

#[test]
fn one_example_leaves_everything_open() {
    let found = evaluate(&[answer(0, 0, 0.9)], &names(), 0.6).unwrap();
    assert!(found.accuracy.low < 0.25, "{:?}", found.accuracy);
    assert!(found.macro_f1.low < 0.05, "{:?}", found.macro_f1);
    assert_eq!(found.macro_f1.high, 1.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn the_curve_falls_in_threshold_as_coverage_grows(
        drawn in prop::collection::vec((0usize..3, 0usize..3, 0u8..20), 1..60),
    ) {
        let answers: Vec<Answer> = drawn
            .iter()
            .map(|&(label, best, step)| answer(label, best, f64::from(step) / 20.0))
            .collect();
        let points = curve(&answers);
        for two in points.windows(2) {
            prop_assert!(two[0].coverage < two[1].coverage);
            prop_assert!(two[0].threshold > two[1].threshold);
            // What is wrong among the accepted can only grow in number.
            let wrong = |point: &Point| (point.error * point.coverage * answers.len() as f64).round();
            prop_assert!(wrong(&two[0]) <= wrong(&two[1]));
        }
        let last = points.last().unwrap();
        let wrong = answers.iter().filter(|answer| !answer.is_right()).count();
        prop_assert!((last.coverage - 1.0).abs() < 1e-12);
        prop_assert!((last.error - wrong as f64 / answers.len() as f64).abs() < 1e-12);
        // More errors allowed never cover less; the figures lie in their intervals.
        let found = evaluate(&answers, &names(), 0.5).unwrap();
        for two in found.coverage_at_error.windows(2) {
            prop_assert!(two[0].coverage.value <= two[1].coverage.value);
        }
        for at in &found.coverage_at_error {
            let of = at.coverage;
            prop_assert!(0.0 <= of.low && of.low <= of.value && of.value <= of.high && of.high <= 1.0);
        }
        let told: usize = found.confusion.iter().map(|pair| pair.n).sum();
        prop_assert_eq!(told, wrong);
        prop_assert_eq!(found.reliability.iter().map(|bin| bin.n).sum::<usize>(), answers.len());
    }
}

#[test]
fn chance_alone_leaves_a_calibration_error() {
    // Of answers that are sure none can be off by chance, of few halves many are.
    let by_chance = |n: usize, confidence| {
        let answers = vec![answer(0, 0, confidence); n];
        evaluate(&answers, &names(), 0.5).unwrap().ece_by_chance
    };
    assert_eq!(by_chance(100, 1.0), 0.0);
    // The mean distance of the share of 100 coins from one half is 0.5 * sqrt(2/pi) / 10.
    assert!((by_chance(100, 0.5) - 0.0399).abs() < 0.008);
    assert!(by_chance(2_500, 0.5) < 0.012);
}

#[test]
fn branches_are_told_where_labels_have_them() {
    let answers = [answer(0, 1, 0.9), answer(1, 1, 0.9), answer(2, 1, 0.9)];
    let of = |names: [&str; 3]| {
        let names = names.map(str::to_owned);
        let found = evaluate(&answers, &names, 0.5).unwrap();
        found.parent_accuracy.map(|parent| parent.value)
    };
    assert_eq!(of(["seal", "bearing", "noise"]), None);
    assert_eq!(of(["pump/seal", "pump/bearing", "noise"]), Some(2.0 / 3.0));
}

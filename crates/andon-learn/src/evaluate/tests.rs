use super::*;

fn answer(label: usize, best: usize, confidence: f64) -> Answer {
    Answer {
        label,
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

fn close(found: Option<f64>, expected: Option<f64>) -> bool {
    match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() < 1e-12,
        (found, expected) => found == expected,
    }
}

#[test]
fn grading_finds_the_answer_and_the_rank_of_the_right_label() {
    let check = |probabilities: &[f64], label, best, above| {
        let graded = Answer::grade(probabilities, label, None, Duration::ZERO);
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

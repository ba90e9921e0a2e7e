use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// `n` examples of two labels; wrong where `wrong` says so.
fn answers(n: usize, wrong: impl Fn(usize) -> bool) -> Given {
    let answer = |index: usize| {
        let label = index % 2;
        let best = if wrong(index) { 1 - label } else { label };
        Answer {
            label,
            also: None,
            second: None,
            best,
            confidence: if best == label { 0.9 } else { 0.6 },
            above: usize::from(best != label),
            language: None,
            took: Duration::from_millis(2),
        }
    };
    Given::Answers((0..n).map(answer).collect())
}

fn contender(name: &str, given: Given) -> Contender {
    Contender {
        name: name.to_owned(),
        given,
    }
}

#[test]
fn better_is_said_where_it_is_shown() {
    let good = contender("good", answers(100, |index| index < 5));
    let bad = contender("bad", answers(100, |index| index < 40));
    let found = compare(&[bad, good], 2).unwrap();
    let pair = &found.pairs[0];
    assert_eq!((pair.first_alone, pair.second_alone), (0, 35));
    assert_eq!(pair.verdict, Verdict::Second);
    assert_eq!(pair.more_examples, None);
    assert!((pair.accuracy.value + 0.35).abs() < 1e-12);
    assert!(pair.accuracy.high < 0.0, "{:?}", pair.accuracy);
    let leads: Vec<bool> = found.contenders.iter().map(|of| of.leads).collect();
    assert_eq!(leads, [false, true]);
    let f1 = pair.figures.iter().find(|of| of.figure == "macro_f1");
    assert!(
        f1.is_some_and(|of| of.high < 0.0 && of.p_value < 0.01),
        "{f1:?}"
    );
}

#[test]
fn what_chance_explains_is_not_called_better() {
    let one = contender("one", answers(50, |index| index < 10));
    let two = contender("two", answers(50, |index| (8..16).contains(&index)));
    let found = compare(&[one, two], 2).unwrap();
    assert_eq!(found.pairs[0].verdict, Verdict::NotShown);
    assert!(found.contenders.iter().all(|of| of.leads));
    // 6 against 8 of 50.
    assert!(found.pairs[0].more_examples.is_some_and(|more| more > 500));
}

#[test]
fn twins_do_not_differ_in_anything() {
    let twins = ["a", "b"].map(|name| contender(name, answers(30, |index| index < 9)));
    let found = compare(&twins, 2).unwrap();
    let pair = &found.pairs[0];
    assert_eq!((pair.accuracy.p_value, pair.more_examples), (1.0, None));
    for figure in &pair.figures {
        assert_eq!((figure.value, figure.p_value), (0.0, 1.0), "{figure:?}");
    }
}

#[test]
fn several_pairs_are_judged_more_strictly() {
    // 9 against 1 is shown by itself (p = 0.021), not among three pairs.
    let base = |index: usize| index < 9;
    let other = |index: usize| index == 20;
    let alone = [
        contender("base", answers(60, base)),
        contender("other", answers(60, other)),
    ];
    assert_eq!(
        compare(&alone, 2).unwrap().pairs[0].verdict,
        Verdict::Second
    );
    let third = contender("third", answers(60, |index| index < 5));
    let [base, other] = alone;
    let found = compare(&[base, other, third], 2).unwrap();
    assert_eq!(found.pairs.len(), 3);
    assert_eq!(found.pairs[0].verdict, Verdict::NotShown);
    let raw = found.pairs[0].accuracy.p_value;
    assert!((found.pairs[0].accuracy.p_adjusted - 3.0 * raw).abs() < 1e-12);
}

#[test]
fn outcomes_are_compared_where_they_are_known() {
    let kept = (0..40).map(|index| (index >= 10).then_some(index >= 20));
    let kept = contender("kept", Given::Outcomes(kept.collect()));
    let full = contender("full", answers(40, |_| false));
    let found = compare(&[full, kept], 2).unwrap();
    assert_eq!(found.n, 30);
    assert_eq!(
        (found.pairs[0].first_alone, found.pairs[0].second_alone),
        (10, 0)
    );
    assert!(found.pairs[0].figures.is_empty());
    assert_eq!(found.contenders[1].p50_ms, None);
}

#[test]
fn what_cannot_be_compared_is_said() {
    let check = |contenders: &[Contender], expected: &str| {
        let error = compare(contenders, 2).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let full = contender("full", answers(4, |_| false));
    check(
        std::slice::from_ref(&full),
        "one contender is no comparison: name at least one more",
    );
    let unknown = contender("kept", Given::Outcomes(vec![None; 4]));
    check(
        &[full, unknown],
        "the contenders have no example in common: measure them on the same ones",
    );
}

#[test]
fn one_example_shows_nothing() {
    let right = contender("right", answers(1, |_| false));
    let wrong = contender("wrong", answers(1, |_| true));
    let found = compare(&[right, wrong], 2).unwrap();
    assert_eq!(found.pairs[0].verdict, Verdict::NotShown);
    for figure in &found.pairs[0].figures {
        assert!(figure.p_value >= SIGNIFICANCE, "{figure:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn intervals_hold_their_differences(
        n in 1usize..40,
        first in prop::collection::vec(any::<bool>(), 40),
        second in prop::collection::vec(any::<bool>(), 40),
    ) {
        let contenders = [
            contender("first", answers(n, |index| first[index])),
            contender("second", answers(n, |index| second[index])),
        ];
        let found = compare(&contenders, 2).unwrap();
        let pair = &found.pairs[0];
        for of in std::iter::once(&pair.accuracy).chain(&pair.figures) {
            prop_assert!(of.low <= of.value && of.value <= of.high, "{:?}", of);
            prop_assert!(of.p_value <= of.p_adjusted + 1e-12 && of.p_adjusted <= 1.0);
        }
    }
}

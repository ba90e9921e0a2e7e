use proptest::prelude::*;

use super::*;

#[test]
fn mcnemar_agrees_with_known_values() {
    // Twice the binomial tails at one half, as R's binom.test gives them.
    let check = |first, second, expected: f64| {
        let found = mcnemar(first, second);
        assert!((found - expected).abs() < 5e-7, "{first}:{second} {found}");
    };
    check(0, 0, 1.0);
    check(1, 0, 1.0);
    check(5, 0, 0.0625);
    check(6, 0, 0.03125);
    check(10, 2, 0.038_574_2);
    check(2, 10, 0.038_574_2);
    check(15, 5, 0.041_389_5);
    check(8, 8, 1.0);
}

#[test]
fn thousands_of_differences_are_no_overflow() {
    assert!(mcnemar(5_000, 5_000) > 0.99);
    assert!(mcnemar(6_000, 4_000) < 1e-60);
}

#[test]
fn holm_agrees_with_a_worked_case() {
    // p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") in R.
    let found = holm(&[0.01, 0.04, 0.03, 0.005]);
    for (found, expected) in found.iter().zip([0.03, 0.06, 0.06, 0.02]) {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
    assert_eq!(holm(&[]), Vec::<f64>::new());
    assert_eq!(holm(&[0.2]), [0.2]);
}

#[test]
fn a_difference_that_is_found_needs_no_more_examples() {
    // 30 against 10 of 100: p = 0.002.
    assert!(examples_needed(100, 30, 10).is_some_and(|needed| needed <= 100));
    // 11 against 9 of 100 takes thousands.
    assert!(examples_needed(100, 11, 9).is_some_and(|needed| needed > 3_000));
    assert_eq!(examples_needed(100, 9, 9), None);
    assert_eq!(examples_needed(0, 0, 0), None);
}

proptest! {
    #[test]
    fn a_test_is_symmetric_and_a_chance(first in 0usize..300, second in 0usize..300) {
        let found = mcnemar(first, second);
        prop_assert!((0.0..=1.0).contains(&found));
        prop_assert_eq!(found, mcnemar(second, first));
        // One more on the heavier side is never weaker evidence.
        prop_assert!(first < second || mcnemar(first + 1, second) <= found + 1e-12);
    }

    #[test]
    fn the_interval_holds_the_difference(
        first in 0usize..200,
        second in 0usize..200,
        others in 0usize..200,
    ) {
        let n = first + second + others;
        let (value, low, high) = difference(n, first, second);
        prop_assert!(-1.0 <= low && low <= value && value <= high && high <= 1.0);
    }

    #[test]
    fn correction_only_raises_and_keeps_the_order(values in prop::collection::vec(0.0f64..=1.0, 0..12)) {
        let adjusted = holm(&values);
        for (a, (&raw, &found)) in values.iter().zip(&adjusted).enumerate() {
            prop_assert!(raw <= found && found <= 1.0);
            for (b, &other) in values.iter().enumerate() {
                prop_assert!(raw > other || adjusted[a] <= adjusted[b]);
            }
        }
    }
}

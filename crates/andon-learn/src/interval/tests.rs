use proptest::prelude::*;

use super::*;

#[test]
fn wilson_agrees_with_published_values() {
    let check = |hits, trials, low: f64, high: f64| {
        let found = wilson(hits, trials).unwrap();
        assert!((found.low - low).abs() < 5e-5, "{found:?}");
        assert!((found.high - high).abs() < 5e-5, "{found:?}");
    };
    // Newcombe (1998), table I.
    check(81, 263, 0.2553, 0.3662);
    check(15, 148, 0.0624, 0.1605);
    check(0, 20, 0.0, 0.1611);
    check(1, 29, 0.0061, 0.1718);
}

#[test]
fn nothing_tried_is_nothing_known() {
    assert_eq!(wilson(0, 0), None);
}

proptest! {
    #[test]
    fn the_interval_holds_the_figure(trials in 1usize..5000, share in 0.0f64..=1.0) {
        let found = wilson((share * trials as f64) as usize, trials).unwrap();
        prop_assert!(0.0 <= found.low && found.low <= found.value);
        prop_assert!(found.value <= found.high && found.high <= 1.0);
    }
}

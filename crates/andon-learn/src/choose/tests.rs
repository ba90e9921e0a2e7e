use proptest::prelude::*;

use super::*;

#[test]
fn margins_make_uncertainty() {
    let check = |probabilities: &[f64], expected: f64| {
        let found = uncertainty(probabilities.iter().copied());
        assert!((found - expected).abs() < 1e-12, "{found}");
    };
    check(&[1.0, 0.0], 0.0);
    check(&[0.2, 0.5, 0.3], 0.8);
    check(&[0.5, 0.5], 1.0);
}

#[test]
fn of_equals_the_different_and_of_the_different_the_unsure() {
    let note = |vector: &'static [f32], uncertainty| Unlabelled {
        vector,
        uncertainty,
    };
    const EAST: &[f32] = &[1.0, 0.0];
    const NORTH: &[f32] = &[0.0, 1.0];
    let pool = [note(EAST, 0.9), note(EAST, 0.8), note(NORTH, 0.5)];
    assert_eq!(choose(&pool, &[], 3), [0, 2, 1]);
    // What is labelled already is not asked for again in other words.
    assert_eq!(choose(&pool, &[EAST], 1), [2]);
    let pool = [note(EAST, 0.1), note(NORTH, 0.2)];
    assert_eq!(choose(&pool, &[], 1), [1]);
}

proptest! {
    #[test]
    fn nobody_is_chosen_twice(
        notes in prop::collection::vec((0.0f32..6.3, 0.0f64..=1.0), 0..40),
        count in 0usize..50,
    ) {
        let vectors: Vec<([f32; 2], f64)> =
            notes.iter().map(|&(angle, unsure)| ([angle.cos(), angle.sin()], unsure)).collect();
        let pool: Vec<Unlabelled<'_>> = vectors
            .iter()
            .map(|(vector, uncertainty)| Unlabelled { vector, uncertainty: *uncertainty })
            .collect();
        let mut chosen = choose(&pool, &[], count);
        prop_assert_eq!(chosen.len(), count.min(pool.len()));
        chosen.sort_unstable();
        chosen.dedup();
        prop_assert_eq!(chosen.len(), count.min(pool.len()));
    }
}

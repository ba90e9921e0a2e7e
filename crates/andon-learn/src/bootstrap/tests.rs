use super::*;

fn share_of_first_half(weights: &[f64]) -> Option<f64> {
    let half = weights.len() / 2;
    Some(weights[..half].iter().sum::<f64>() / weights.iter().sum::<f64>())
}

#[test]
fn the_interval_of_a_proportion_is_that_of_theory() {
    let found = estimate(400, share_of_first_half).unwrap();
    // Half of 400: the standard error is 0.025.
    assert_eq!(found.value, 0.5);
    assert!((found.low - 0.451).abs() < 0.006, "{found:?}");
    assert!((found.high - 0.549).abs() < 0.006, "{found:?}");
}

#[test]
fn the_same_examples_give_the_same_interval() {
    assert_eq!(
        estimate(50, share_of_first_half),
        estimate(50, share_of_first_half)
    );
}

#[test]
fn an_undefined_figure_has_no_estimate() {
    assert_eq!(estimate(3, |_| None), None);
    assert_eq!(
        estimate(0, |weights| (!weights.is_empty()).then_some(1.0)),
        None
    );
}

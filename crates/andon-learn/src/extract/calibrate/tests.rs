use super::fit;

#[test]
fn finds_the_line_that_points_were_drawn_from() {
    // Right three times of four at 1, once of four at -1: log-odds of ±ln 3.
    let points: Vec<(Vec<f64>, bool)> = (0..4000)
        .map(|index| {
            let side = if index % 2 == 0 { 1.0 } else { -1.0 };
            let usual = (index / 2) % 4 != 0;
            (vec![side], (side > 0.0) == usual)
        })
        .collect();
    let fitted = fit(&points, &[0.0, 1.0]);
    assert!(fitted[0].abs() < 0.01, "{fitted:?}");
    assert!((fitted[1] - 3f64.ln()).abs() < 0.01, "{fitted:?}");
}

#[test]
fn stays_near_the_prior_without_points() {
    assert_eq!(fit(&[], &[0.5, 1.0]), [0.5, 1.0]);
}

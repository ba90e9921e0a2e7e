use super::{best, confidence, expected};

#[test]
fn readings_of_shares() {
    let check = |shares: &[f64], place: usize, sure: f64, level: f64| {
        assert_eq!(best(shares), place);
        assert!((confidence(shares) - sure).abs() < 1e-12, "{shares:?}");
        assert!((expected(shares) - level).abs() < 1e-12, "{shares:?}");
    };
    check(&[0.5, 0.5], 0, 0.0, 0.5);
    check(&[0.0, 1.0], 1, 1.0, 1.0);
    check(&[0.25, 0.25, 0.25, 0.25], 0, 0.0, 1.5);
    check(&[0.1, 0.7, 0.2], 1, 0.55, 1.1);
}

use super::*;

fn check(cases: &[(&[f64], Option<usize>)], expected: Option<f64>) {
    let examples: Vec<LabelledText> = cases
        .iter()
        .map(|&(_, also)| LabelledText {
            text: "a note".into(),
            label: 0,
            also,
            language: None,
        })
        .collect();
    let shares = cases.iter().map(|&(shares, _)| shares.to_vec());
    assert_eq!(threshold(examples.iter().zip(shares)), expected);
}

#[test]
fn a_second_label_is_named_from_where_it_is_right_most_often() {
    // Without examples of two labels there is no threshold.
    check(&[(&[0.6, 0.4, 0.0], None), (&[0.9, 0.1, 0.0], None)], None);
    let both: &[f64] = &[0.55, 0.45, 0.0];
    let sure: &[f64] = &[0.9, 0.1, 0.0];
    let unsure: &[f64] = &[0.7, 0.3, 0.0];
    let other: &[f64] = &[0.1, 0.5, 0.4];
    check(
        &[(both, Some(1)), (unsure, Some(1)), (sure, None)],
        Some(0.3),
    );
    // The one below the threshold costs less than the two it would let in.
    check(
        &[
            (both, Some(1)),
            (unsure, None),
            (unsure, None),
            (sure, Some(1)),
        ],
        Some(0.45),
    );
    // A second label that is another is no hit.
    check(&[(other, Some(1))], None);
}

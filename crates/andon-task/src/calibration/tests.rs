use proptest::prelude::*;

use super::*;

fn scored(logits: &[f32], label: usize) -> Scored {
    Scored {
        logits: logits.to_vec(),
        label,
    }
}

#[test]
fn a_classifier_that_is_too_sure_is_cooled() {
    // Nine of ten right, but each answer claims more than 0.9999.
    let mut held_out = vec![scored(&[10.0, 0.0], 0); 9];
    held_out.push(scored(&[10.0, 0.0], 1));
    let temperature = temperature(&held_out);
    let confidence = probabilities(&[10.0, 0.0], temperature)[0];
    assert!((confidence - 0.9).abs() < 1e-3, "{confidence}");
}

#[test]
fn nothing_held_out_changes_nothing() {
    assert_eq!(temperature(&[]), 1.0);
    assert_eq!(expected_calibration_error([]), None);
}

#[test]
fn error_is_the_gap_between_confidence_and_accuracy() {
    let check = |confidence: f64, rights: &[bool], expected: f64| {
        let answers = rights
            .iter()
            .map(|&right| (Graded { confidence, right }, 1.0));
        let error = expected_calibration_error(answers).unwrap();
        assert!((error - expected).abs() < 1e-12, "{error} for {confidence}");
    };
    check(0.75, &[true, true, true, false], 0.0);
    check(1.0, &[true, false], 0.5);
    check(0.5, &[true, true], 0.5);
}

proptest! {
    #[test]
    fn probabilities_add_up_and_keep_the_order(
        logits in prop::collection::vec(-1e3f32..1e3, 2..40),
        temperature in 0.05f64..20.0,
    ) {
        let shares = probabilities(&logits, temperature);
        prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let mut ranked: Vec<(f32, f64)> = logits.into_iter().zip(shares).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        prop_assert!(ranked.is_sorted_by(|a, b| a.1 <= b.1));
    }
}

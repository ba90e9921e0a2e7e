use proptest::prelude::*;

use super::{beginning, normalised, shares};

/// A model that is sure of nothing and thinks of every token by where it stands.
fn logit(before: &[u32], token: u32) -> f64 {
    let place = before
        .iter()
        .fold(7u32, |sum, token| sum.wrapping_mul(31) + token);
    f64::from(place.wrapping_mul(2_654_435_761).wrapping_add(token * 97) % 1000) / 250.0
}

/// The share of each label, path by path.
fn enumerated(labels: &[Vec<u32>]) -> Vec<f64> {
    let share = |label: &Vec<u32>| {
        (0..label.len())
            .map(|depth| {
                let before = &label[..depth];
                let mut after: Vec<u32> = labels
                    .iter()
                    .filter(|other| other.len() > depth && other.starts_with(before))
                    .map(|other| other[depth])
                    .collect();
                after.sort_unstable();
                after.dedup();
                let total: f64 = after.iter().map(|&token| logit(before, token).exp()).sum();
                logit(before, label[depth]).exp() / total
            })
            .product()
    };
    labels.iter().map(share).collect()
}

proptest! {
    #[test]
    fn shares_are_those_of_full_enumeration(
        labels in proptest::collection::btree_set(proptest::collection::vec(0u32..4, 1..5), 1..12)
    ) {
        // An end that no other token is, as servers' tokens for it are.
        let labels: Vec<Vec<u32>> = labels
            .into_iter()
            .map(|mut label| { label.push(9); label })
            .collect();
        let found = shares(&labels, |fork| {
            let logs = fork.after.iter().map(|&token| logit(fork.before, token));
            Ok(normalised(&logs.collect::<Vec<f64>>()))
        });
        let found = found.expect("shares");
        for (found, expected) in found.iter().zip(enumerated(&labels)) {
            prop_assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        prop_assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
}

#[test]
fn labels_that_begin_with_one_another_are_found() {
    let check = |labels: &[&[u32]], expected: Option<usize>| {
        let labels: Vec<Vec<u32>> = labels.iter().map(|label| label.to_vec()).collect();
        assert_eq!(beginning(&labels), expected, "{labels:?}");
    };
    check(&[&[1], &[2], &[3, 1]], None);
    check(&[&[3, 1], &[2], &[3]], Some(2));
    check(&[&[1, 2], &[1, 2]], Some(0));
    check(&[&[1]], None);
}

#[test]
fn what_is_no_number_gives_no_shares() {
    let labels = vec![vec![1], vec![2]];
    assert!(shares(&labels, |_| Ok(normalised(&[f64::NAN, 0.0]))).is_err());
    let nothing = [f64::NEG_INFINITY, f64::NEG_INFINITY];
    assert!(shares(&labels, |_| Ok(normalised(&nothing))).is_err());
}

use proptest::prelude::*;

use super::*;

/// A language of five tokens in which what follows depends on what came, by a
/// seed; 0 ends the turn.
fn logarithms(seed: u64, path: &[u32]) -> [f64; 5] {
    let mut state = path.iter().fold(seed | 1, |state, &token| {
        (state ^ u64::from(token + 7)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    let weights: [f64; 5] = std::array::from_fn(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((state >> 40) as f64 / f64::from(1 << 24) * 18.0).exp()
    });
    let total: f64 = weights.iter().sum();
    weights.map(|weight| (weight / total).ln())
}

/// The shares, and how many labels were evaluated.
fn search(seed: u64, tokens: &[Vec<u32>]) -> (Vec<f64>, usize) {
    let mut labels = Labels::new(tokens.to_vec());
    // The root's logarithms are too large by something.
    labels.learn(0, 0, |token| 40.0 + logarithms(seed, &[])[token as usize]);
    let mut evaluated = 0;
    loop {
        let round = labels.next_round();
        if round.is_empty() {
            return (labels.shares(), evaluated);
        }
        evaluated += round.len();
        for Branch { label, known } in round {
            for depth in known..tokens[label].len() {
                let path = &tokens[label][..depth];
                labels.learn(label, depth, |token| logarithms(seed, path)[token as usize]);
            }
        }
    }
}

fn enumerate(seed: u64, tokens: &[Vec<u32>]) -> Vec<f64> {
    let masses: Vec<f64> = tokens
        .iter()
        .map(|path| {
            let sum: f64 = (0..path.len())
                .map(|at| logarithms(seed, &path[..at])[path[at] as usize])
                .sum();
            sum.exp()
        })
        .collect();
    let total: f64 = masses.iter().sum();
    masses.iter().map(|mass| mass / total).collect()
}

fn label() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(1u32..5, 0..6).prop_map(|mut path| {
        path.push(0);
        path
    })
}

proptest! {
    #[test]
    fn shares_are_those_of_full_enumeration(
        seed in any::<u64>(),
        tokens in prop::collection::btree_set(label(), 1..40),
    ) {
        let tokens: Vec<Vec<u32>> = tokens.into_iter().collect();
        let (found, _) = search(seed, &tokens);
        prop_assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        for (found, expected) in found.iter().zip(enumerate(seed, &tokens)) {
            prop_assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
        }
    }
}

#[test]
fn labels_that_cannot_matter_are_not_evaluated() {
    // Every path of four tokens: 256 labels, of which few have any weight.
    let tokens: Vec<Vec<u32>> = (0..256u32)
        .map(|n| vec![n % 4 + 1, n / 4 % 4 + 1, n / 16 % 4 + 1, n / 64 + 1, 0])
        .collect();
    let (shares, evaluated) = search(3, &tokens);
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    assert!(evaluated < 64, "{evaluated} of 256");
}

#[test]
fn one_label_has_everything_and_equal_labels_share() {
    let (shares, evaluated) = search(1, &[vec![1, 2, 0]]);
    assert_eq!(shares, [1.0]);
    assert!(evaluated <= 1);
    // The same label twice: both say what it says alone.
    let twice = [vec![1, 0], vec![1, 0], vec![2, 0]];
    let (shares, _) = search(1, &twice);
    assert_eq!(shares[0].to_bits(), shares[1].to_bits());
}

use proptest::prelude::*;

use super::*;

/// A language of five tokens in which what follows depends on what came, by a
/// seed; 0 ends the turn.
fn logits(seed: u64, path: &[u32]) -> [f32; 5] {
    let mut state = path.iter().fold(seed | 1, |state, &token| {
        (state ^ u64::from(token + 7)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    std::array::from_fn(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f32 / (1 << 24) as f32 * 18.0
    })
}

/// The shares, and how many nodes were evaluated.
fn search(seed: u64, tokens: &[Vec<u32>]) -> (Vec<f64>, usize) {
    let mut labels = Labels::new(tokens.to_vec());
    labels.learn(Branch { label: 0, depth: 0 }, |token| {
        logits(seed, &[])[token as usize]
    });
    let mut evaluated = 0;
    loop {
        let round = labels.next_round();
        if round.is_empty() {
            return (labels.shares(), evaluated);
        }
        evaluated += round.len();
        for branch in round {
            let path = &tokens[branch.label][..branch.depth];
            labels.learn(branch, |token| logits(seed, path)[token as usize]);
        }
    }
}

/// What a model that is held to the labels says, every way tried.
fn enumerate(seed: u64, tokens: &[Vec<u32>]) -> Vec<f64> {
    let share = |label: &Vec<u32>| {
        let steps = (0..label.len()).map(|at| {
            let path = &label[..at];
            let mut next: Vec<u32> = tokens
                .iter()
                .filter(|other| other.len() > at && other[..at] == *path)
                .map(|other| other[at])
                .collect();
            next.sort_unstable();
            next.dedup();
            let weight = |token: u32| f64::from(logits(seed, path)[token as usize]).exp();
            let total: f64 = next.into_iter().map(weight).sum();
            weight(label[at]) / total
        });
        steps.product()
    };
    tokens.iter().map(share).collect()
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
fn labels_that_differ_in_their_first_token_cost_nothing_more() {
    let tokens = [vec![1, 2, 3, 0], vec![2, 2, 0], vec![3, 0]];
    let (shares, evaluated) = search(5, &tokens);
    assert_eq!(evaluated, 0);
    for (found, expected) in shares.iter().zip(enumerate(5, &tokens)) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }
}

#[test]
fn one_label_has_everything_and_equal_labels_share() {
    let (shares, evaluated) = search(1, &[vec![1, 2, 0]]);
    assert_eq!((shares, evaluated), (vec![1.0], 0));
    // The same label twice: both say what it says alone.
    let twice = [vec![1, 0], vec![1, 0], vec![2, 0]];
    let (shares, _) = search(1, &twice);
    assert_eq!(shares[0].to_bits(), shares[1].to_bits());
}

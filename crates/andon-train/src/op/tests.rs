use std::sync::Arc;

use andon_task::weights::{Gate, Pairing};
use candle_core::{Device, Result, Tensor, Var};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::gate::gated_composed;
use super::*;
use crate::kernel::attention::{Order, Sight, Sizes};

fn random(seed: u64, shape: &[usize]) -> Var {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let numbers: Vec<f32> = (0..shape.iter().product())
        .map(|_| random.next_u32() as f32 / (1u64 << 31) as f32 - 1.0)
        .collect();
    let tensor = Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap();
    Var::from_tensor(&tensor).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[track_caller]
fn assert_near(one: &Tensor, other: &Tensor, what: &str) {
    assert_eq!(one.dims(), other.dims(), "{what}");
    let (one, other) = (numbers(one), numbers(other));
    let most = other.iter().fold(1.0f32, |most, x| most.max(x.abs()));
    for (index, (x, y)) in one.iter().zip(&other).enumerate() {
        assert!((x - y).abs() <= 2e-5 * most, "{what}, {index}: {x} and {y}");
    }
}

/// Both forms of a step give the same, forwards and backwards.
#[track_caller]
fn check(
    inputs: &[&Var],
    fused: impl Fn(&[&Var]) -> Result<Tensor>,
    composed: impl Fn(&[&Var]) -> Result<Tensor>,
) {
    let (one, other) = (fused(inputs).unwrap(), composed(inputs).unwrap());
    assert_near(&one, &other, "the result");
    let weights = random(99, one.dims());
    let gradients = |result: &Tensor| {
        let loss = (result * weights.as_tensor()).unwrap().sum_all().unwrap();
        loss.backward().unwrap()
    };
    let (one, other) = (gradients(&one), gradients(&other));
    for (index, input) in inputs.iter().enumerate() {
        let (one, other) = (one.get(input).unwrap(), other.get(input).unwrap());
        assert_near(one, other, &format!("the gradient of input {index}"));
    }
}

#[test]
fn products_with_adapters_agree() {
    let bias: Vec<f32> = (0..50).map(|x| x as f32 / 50.0).collect();
    for (parts, bias) in [(vec![50], None), (vec![24, 8, 18], Some(bias))] {
        let weight = random(1, &[50, 40]).as_detached_tensor();
        let frozen = Frozen::new(weight, bias, parts.clone());
        let input = random(2, &[21, 40]);
        let down = random(3, &[parts.len() * 4, 40]);
        let up = random(4, &[4, 50]);
        fn beside<'a>(inputs: &'a [&Var]) -> LowRank<'a> {
            LowRank {
                down: inputs[1],
                up: inputs[2],
                scale: 2.0,
            }
        }
        check(
            &[&input, &down, &up],
            |inputs| frozen.apply_with(inputs[0], beside(inputs)),
            |inputs| frozen.composed_with(inputs[0], beside(inputs)),
        );
        check(
            &[&input],
            |inputs| frozen.apply(inputs[0]),
            |inputs| frozen.composed(inputs[0]),
        );
    }
}

#[test]
fn trained_products_agree() {
    let inputs = [random(1, &[9, 40]), random(2, &[30, 40]), random(3, &[30])];
    check(
        &inputs.each_ref(),
        |i| trained(i[0], i[1], i[2]),
        |i| i[0].matmul(&i[1].t()?)?.broadcast_add(i[2]),
    );
}

#[test]
fn norms_agree() {
    let input = random(1, &[9, 40]);
    let norm = RmsNorm {
        weight: numbers(&random(2, &[40])),
        epsilon: 1e-5,
    };
    check(&[&input], |i| norm.apply(i[0]), |i| norm.composed(i[0]));
    let inputs = [input, random(3, &[40]), random(4, &[40])];
    let norm = LayerNorm { epsilon: 1e-5 };
    check(
        &inputs.each_ref(),
        |i| norm.apply(i[0], i[1], i[2]),
        |i| norm.composed(i[0], i[1], i[2]),
    );
}

#[test]
fn gates_agree() {
    let input = Var::from_tensor(&(random(1, &[9, 40]).as_tensor() * 4.0).unwrap()).unwrap();
    for gate in [Gate::Silu, Gate::Gelu] {
        check(
            &[&input],
            |i| gated(i[0], gate),
            |i| gated_composed(i[0], gate),
        );
    }
    check(&[&input], |i| gelu(i[0]), |i| i[0].gelu_erf());
}

#[test]
fn attentions_agree() {
    let (tokens, head) = (29, 16);
    let branches = vec![7..8, 8..19, 19..29];
    let angles = |pairs: usize| {
        let angle = |index: usize| (index as f32 * 0.37).sin_cos();
        (0..tokens * pairs).map(angle).collect()
    };
    for (pairing, pairs) in [
        (Pairing::Neighbours, 8),
        (Pairing::Halves, 8),
        (Pairing::Halves, 6),
    ] {
        for (cap, window) in [
            (None, None),
            (Some(2.0), None),
            (None, Some(5)),
            (None, Some(9)),
        ] {
            for (order, shared) in [(Order::Causal, 7), (Order::Both, 0)] {
                let branches = match shared {
                    0 => vec![0..8, 8..19, 19..29],
                    _ => branches.clone(),
                };
                let attention = Attention {
                    query_heads: 4,
                    key_heads: 2,
                    sizes: Sizes {
                        tokens,
                        head,
                        scale: 0.9,
                        cap,
                        window: window.filter(|_| order == Order::Causal),
                    },
                    sight: Arc::new(Sight {
                        shared,
                        branches,
                        order,
                    }),
                    turn: Some(Arc::new(Turn {
                        pairing,
                        angles: angles(pairs),
                    })),
                };
                let input = random(5, &[tokens, 8 * head]);
                check(
                    &[&input],
                    |i| attention.apply(i[0]),
                    |i| attention.composed(i[0]),
                );
            }
        }
    }
}

#[test]
fn losses_agree() {
    let logits = random(1, &[3, 9]);
    let choice = |row: usize, columns: &[usize], smoothing: f32| Choice {
        row,
        columns: columns.to_vec(),
        weight: 0.5,
        smoothing,
    };
    let choices = vec![
        choice(0, &[3, 1, 2], 0.0),
        choice(2, &[8, 0], 0.1),
        choice(2, &[1, 4, 5, 6], 0.2),
    ];
    check(
        &[&logits],
        |i| choices_loss(i[0], choices.clone()),
        |i| loss::composed(i[0], &choices),
    );
    let even = Tensor::zeros((2, 4), candle_core::DType::F32, &Device::Cpu).unwrap();
    let loss = cross_entropy(&even, &[0, 3], 0.1).unwrap();
    assert!((loss.to_scalar::<f32>().unwrap() - 4f32.ln()).abs() < 1e-6);
}

#[test]
fn what_is_left_out_depends_on_the_seed_alone() {
    let input = Tensor::ones((40, 50), candle_core::DType::F32, &Device::Cpu).unwrap();
    let left = |seed| numbers(&Dropout::new(0.1, seed).apply(&input).unwrap());
    assert_eq!(left(1), left(1));
    assert_ne!(left(1), left(2));
    let out = left(1).iter().filter(|&&x| x == 0.0).count();
    assert!((120..280).contains(&out), "{out} of 2000");
}

#[test]
fn losses_over_the_vocabulary_agree_in_parts_and_whole() {
    let weight = random(1, &[300, 16]).as_detached_tensor();
    let states = random(2, &[ROWS + 7, 16]);
    for cap in [None, Some(0.8)] {
        let vocabulary = || Vocabulary {
            head: Frozen::new(weight.clone(), None, Vec::new()),
            cap,
            right: (0..ROWS as u32 + 7).map(|row| row * 4 % 300).collect(),
        };
        check(
            &[&states],
            |i| vocabulary().loss(i[0]),
            |i| vocabulary().composed(i[0]),
        );
    }
}

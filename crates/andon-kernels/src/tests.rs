use half::f16;
use proptest::prelude::*;

use crate::Kernels;
use crate::activation::{Activations, GROUP, Input, Precision, Transform};
use crate::attention::{Queries, View};
use crate::isa::Isa;
use crate::kv::{BLOCK, Fresh, Heads, Layer, Place};
use crate::matmul::Output;
use crate::matrix::{Group4, Group8, Matrix};
use crate::norm::{LayerNorm, RmsNorm};

/// Numbers that look random, from -1 to 1.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// All forms, with one thread and with three; the first is the plain one.
fn all() -> Vec<Kernels> {
    let mut forms = Isa::supported();
    forms.reverse();
    let kernels = |isa| [Kernels::new(isa, 1), Kernels::new(isa, 3)];
    forms.into_iter().flat_map(kernels).collect()
}

/// Every form gives the bits of the plain one, and those are what `expected` says.
fn check(compute: impl Fn(&Kernels) -> Vec<f32>, expected: &[f64], tolerance: f64) {
    let all = all();
    let plain = compute(&all[0]);
    assert_eq!(plain.len(), expected.len());
    for (at, (&x, &y)) in plain.iter().zip(expected).enumerate() {
        let error = (f64::from(x) - y).abs();
        assert!(
            error <= tolerance * y.abs().max(1.0),
            "{at}: {x} is not {y}"
        );
    }
    for kernels in &all[1..] {
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(
            bits(&compute(kernels)),
            bits(&plain),
            "{} on {} threads",
            kernels.isa(),
            kernels.threads()
        );
    }
}

fn rows(values: &[f32], columns: usize) -> Input<'_> {
    Input {
        rows: values,
        tokens: values.len() / columns,
        stride: columns,
        columns,
    }
}

fn int8(seed: u64, rows: usize, columns: usize) -> Matrix {
    let values = noise(seed, rows * columns);
    Matrix::int8(rows, columns, |row, group| {
        let row = &values[row * columns..][..columns];
        Group8::quantise(&row[group * GROUP..columns.min((group + 1) * GROUP)])
    })
}

fn int4(seed: u64, rows: usize, columns: usize) -> Matrix {
    let values = noise(seed, rows * columns.next_multiple_of(GROUP));
    Matrix::int4(rows, columns, |row, group| {
        let at = (row * columns.div_ceil(GROUP) + group) * GROUP;
        let mut codes = [0; GROUP];
        for (code, x) in codes.iter_mut().zip(&values[at..]) {
            *code = ((x + 1.0) * 7.9) as u8;
        }
        Group4 {
            scale: f16::from_f32(values[at] * 0.1),
            minimum: f16::from_f32(values[at + 1] * 0.2),
            codes,
        }
    })
}

/// The product of the numbers that matrix and activations stand for.
fn product(matrix: &Matrix, input: &[f32]) -> Vec<f64> {
    let mut weights = vec![0.0; matrix.columns()];
    let mut out = Vec::new();
    for input in input.chunks(matrix.columns()) {
        let quantised: Vec<f64> = input
            .chunks(GROUP)
            .flat_map(|group| {
                let largest = group.iter().fold(0.0f32, |most, x| most.max(x.abs()));
                let scale = largest * (1.0 / 127.0);
                let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
                let code = move |x: &f32| f64::from((x * inverse).round_ties_even());
                group.iter().map(move |x| code(x) * f64::from(scale))
            })
            .collect();
        for row in 0..matrix.rows() {
            matrix.row(row, &mut weights);
            let products = weights.iter().zip(&quantised);
            out.push(products.map(|(&w, x)| f64::from(w) * x).sum());
        }
    }
    out
}

/// What heads of `size` numbers are kept as: codes times the scale of their group.
fn in_8_bits(heads: &[f32], size: usize) -> Vec<f64> {
    let groups = heads.chunks(size).flat_map(|head| head.chunks(GROUP));
    let kept = groups.flat_map(|group| {
        let largest = group.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        let scale = f16::from_f32(largest * (1.0 / 127.0)).to_f32();
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let code = move |x: &f32| (x * inverse).clamp(-127.0, 127.0).round_ties_even();
        group
            .iter()
            .map(move |x| f64::from(code(x)) * f64::from(scale))
    });
    kept.collect()
}

fn multiply(kernels: &Kernels, matrix: &Matrix, input: &[f32], precision: Precision) -> Vec<f32> {
    let mut activations = Activations::default();
    let input = rows(input, matrix.columns());
    activations.fill(kernels, input, Transform::None, precision);
    let mut out = vec![0.0; activations.tokens() * matrix.rows()];
    kernels.matmul(
        matrix,
        &activations,
        Output::Replace,
        &mut out,
        matrix.rows(),
    );
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn products_agree(
        seed in 1u64..1000, tokens in 1usize..15, outputs in 1usize..100, inputs in 1usize..200,
    ) {
        let input = noise(seed, tokens * inputs);
        for matrix in [int8(seed + 1, outputs, inputs), int4(seed + 2, outputs, inputs)] {
            let expected = product(&matrix, &input);
            check(|kernels| multiply(kernels, &matrix, &input, Precision::Single), &expected, 1e-5);
            let mut exact = Vec::new();
            let mut weights = vec![0.0; inputs];
            for input in input.chunks(inputs) {
                for row in 0..outputs {
                    matrix.row(row, &mut weights);
                    let products = weights.iter().zip(input);
                    exact.push(products.map(|(&w, &x)| f64::from(w) * f64::from(x)).sum());
                }
            }
            let double = |kernels: &Kernels| multiply(kernels, &matrix, &input, Precision::Double);
            check(double, &exact, 1e-3);
        }
    }

    #[test]
    fn a_token_alone_has_the_bits_it_has_in_a_batch(seed in 1u64..1000, tokens in 2usize..70) {
        let (outputs, inputs) = (70, 96);
        let input = noise(seed, tokens * inputs);
        let matrices = [int8(seed + 1, outputs, inputs), int4(seed + 2, outputs, inputs)];
        for (matrix, precision) in matrices.iter().zip([Precision::Double, Precision::Single]) {
            for kernels in all() {
                let batch = multiply(&kernels, matrix, &input, precision);
                for token in 0..tokens {
                    let alone =
                        multiply(&kernels, matrix, &input[token * inputs..][..inputs], precision);
                    prop_assert_eq!(&alone, &batch[token * outputs..][..outputs]);
                }
            }
        }
    }

    #[test]
    fn attention_agrees(
        seed in 1u64..1000,
        tokens in 1usize..60,
        group in 1usize..4,
        window in prop_oneof![Just(usize::MAX), 1usize..40],
        cap in prop_oneof![Just(None), Just(Some(2.0f32))],
    ) {
        let heads = Heads { queries: 2 * group, keys: 2, size: 48 };
        let (q, kv) = (heads.queries * heads.size, heads.keys * heads.size);
        let queries = noise(seed, tokens * q);
        let keys = noise(seed + 1, tokens * kv);
        let values = noise(seed + 2, tokens * kv);
        let first = seed as usize % tokens;
        // Blocks out of order, as a busy cache has them.
        let blocks: Vec<u32> = (0..tokens.div_ceil(BLOCK) as u32).rev().collect();
        let mut layer = Layer::new(heads, blocks.len());
        let fresh: Vec<f32> = keys
            .chunks(kv)
            .zip(values.chunks(kv))
            .flat_map(|(keys, values)| [keys, values].concat())
            .collect();
        let places: Vec<Place> = (0..tokens)
            .map(|token| Place { token, block: blocks[token / BLOCK], slot: token % BLOCK })
            .collect();
        let writer = Kernels::new(Isa::scalar(), 3);
        writer.store(&mut layer, Fresh { rows: &fresh, stride: 2 * kv }, &places);
        let view = |visible: usize| {
            let from = visible.saturating_sub(window);
            View { blocks: &blocks, from, visible }
        };
        let views: Vec<View<'_>> = (first + 1..=tokens).map(view).collect();
        let (keys, values) = (in_8_bits(&keys, heads.size), in_8_bits(&values, heads.size));
        let mut expected = Vec::new();
        for token in first..tokens {
            for head in 0..heads.queries {
                let query = &queries[token * q + head * heads.size..][..heads.size];
                let part = |from: &[f64], seen: usize| -> Vec<f64> {
                    let at = seen * kv + head / group * heads.size;
                    from[at..at + heads.size].to_vec()
                };
                let from = (token + 1).saturating_sub(window);
                let weights: Vec<f64> = (from..=token)
                    .map(|seen| {
                        let key = part(&keys, seen);
                        let dot: f64 = query.iter().zip(key).map(|(&x, y)| f64::from(x) * y).sum();
                        let cap = cap.map_or(1e9, f64::from);
                        ((dot * 0.125 / cap).tanh() * cap).exp()
                    })
                    .collect();
                let total: f64 = weights.iter().sum();
                for number in 0..heads.size {
                    let mean: f64 = (from..=token)
                        .map(|seen| weights[seen - from] * part(&values, seen)[number])
                        .sum();
                    expected.push(mean / total);
                }
            }
        }
        let compute = |kernels: &Kernels| {
            let mut out = vec![0.0; views.len() * q];
            let queries = Queries { rows: &queries[first * q..], stride: q, scale: 0.125, cap };
            kernels.attention(&layer, queries, &views, &mut out);
            out
        };
        check(compute, &expected, 1e-4);
    }
}

/// Forms may take long rows in parts.
#[test]
fn products_of_long_rows_agree() {
    let (outputs, inputs) = (40, 35 * GROUP - 9);
    for tokens in [1, 2, 3, 13] {
        let input = noise(tokens as u64, tokens * inputs);
        for matrix in [int8(11, outputs, inputs), int4(12, outputs, inputs)] {
            let expected = product(&matrix, &input);
            let compute = |kernels: &Kernels| multiply(kernels, &matrix, &input, Precision::Single);
            check(compute, &expected, 1e-4);
        }
    }
}

/// The floats that a transform quantises, to half a step of the codes.
fn check_transform(transform: Transform<'_>, input: &[f32], columns: usize, expected: &[f64]) {
    let identity = Matrix::int8(columns, columns, |row, group| {
        let mut codes = [0; GROUP];
        if row / GROUP == group {
            codes[row % GROUP] = 1;
        }
        Group8 {
            scale: f16::ONE,
            codes,
        }
    });
    let width = match transform {
        Transform::SwiGlu | Transform::GeGlu => 2 * columns,
        _ => columns,
    };
    let compute = |kernels: &Kernels| {
        let mut activations = Activations::default();
        let input = Input {
            rows: input,
            tokens: input.len() / width,
            stride: width,
            columns,
        };
        activations.fill(kernels, input, transform, Precision::Single);
        let mut out = vec![0.0; activations.tokens() * columns];
        kernels.matmul(&identity, &activations, Output::Replace, &mut out, columns);
        out
    };
    let largest = expected.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    check(compute, expected, largest.max(1.0) / 250.0);
}

#[test]
fn transforms_agree() {
    let columns = 72;
    let input: Vec<f32> = noise(3, 5 * columns).iter().map(|x| x * 4.0).collect();
    let wide = |x: &f32| f64::from(*x);
    let weight = noise(4, columns);

    let plain: Vec<f64> = input.iter().map(wide).collect();
    check_transform(Transform::None, &input, columns, &plain);

    let norm = Transform::RmsNorm {
        weight: &weight,
        epsilon: 1e-5,
    };
    let normed: Vec<f64> = input
        .chunks(columns)
        .flat_map(|row| {
            let mean = row.iter().map(|x| wide(x).powi(2)).sum::<f64>() / columns as f64;
            let factor = 1.0 / (mean + 1e-5).sqrt();
            let pairs = row.iter().zip(&weight);
            pairs
                .map(move |(x, w)| wide(x) * factor * wide(w))
                .collect::<Vec<_>>()
        })
        .collect();
    check_transform(norm, &input, columns, &normed);

    let gated: Vec<f64> = input[..4 * columns]
        .chunks(2 * columns)
        .flat_map(|row| {
            let (gate, up) = row.split_at(columns);
            let silu = |x: f64| x / (1.0 + (-x).exp());
            gate.iter()
                .zip(up)
                .map(move |(g, u)| silu(wide(g)) * wide(u))
                .collect::<Vec<_>>()
        })
        .collect();
    check_transform(Transform::SwiGlu, &input[..4 * columns], columns, &gated);

    let gated: Vec<f64> = input[..4 * columns]
        .chunks(2 * columns)
        .flat_map(|row| {
            let (gate, up) = row.split_at(columns);
            let inner = |x: f64| (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            let gelu = move |x: f64| 0.5 * x * (1.0 + inner(x).tanh());
            gate.iter()
                .zip(up)
                .map(move |(g, u)| gelu(wide(g)) * wide(u))
                .collect::<Vec<_>>()
        })
        .collect();
    check_transform(Transform::GeGlu, &input[..4 * columns], columns, &gated);

    // The error function by its Taylor series, good to |x| = 3 in doubles.
    let erf = |x: f64| {
        let mut term = x;
        let mut sum = x;
        for n in 1..60 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    };
    let gelu: Vec<f64> = plain
        .iter()
        .map(|x| 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)))
        .collect();
    check_transform(Transform::Gelu, &input, columns, &gelu);
}

#[test]
fn an_added_rms_norm_agrees() {
    for columns in [16, 40, 384] {
        let (rows, states) = (noise(5, 9 * columns), noise(8, 9 * columns));
        let weight = noise(6, columns);
        let expected: Vec<f64> = rows
            .chunks(columns)
            .zip(states.chunks(columns))
            .flat_map(|(row, state)| {
                let squares = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
                let factor = 1.0 / (squares / columns as f64 + 1e-6).sqrt();
                let places = row.iter().zip(&weight).zip(state);
                places
                    .map(|((&x, &w), &s)| f64::from(x) * factor * f64::from(w) + f64::from(s))
                    .collect::<Vec<_>>()
            })
            .collect();
        let compute = |kernels: &Kernels| {
            let norm = RmsNorm {
                weight: &weight,
                epsilon: 1e-6,
            };
            let mut states = states.clone();
            kernels.add_rms_norm(&rows, norm, &mut states);
            states
        };
        check(compute, &expected, 1e-5);
    }
}

#[test]
fn soft_caps_agree() {
    let numbers: Vec<f32> = noise(9, 9001).iter().map(|x| x * x * x * 300.0).collect();
    let capped = |x: &f32| (f64::from(*x) / 30.0).tanh() * 30.0;
    let expected: Vec<f64> = numbers.iter().map(capped).collect();
    let compute = |kernels: &Kernels| {
        let mut numbers = numbers.clone();
        kernels.soft_cap(&mut numbers, 30.0);
        numbers
    };
    check(compute, &expected, 1e-5);
}

#[test]
fn layer_norm_agrees() {
    for columns in [16, 40, 384] {
        let input = noise(5, 9 * columns);
        let (weight, bias) = (noise(6, columns), noise(7, columns));
        let expected: Vec<f64> = input
            .chunks(columns)
            .flat_map(|row| {
                let count = columns as f64;
                let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
                let squares = row.iter().map(|&x| (f64::from(x) - mean).powi(2));
                let deviation = (squares.sum::<f64>() / count + 1e-12).sqrt();
                let places = row.iter().zip(weight.iter().zip(&bias));
                places
                    .map(|(&x, (&w, &b))| {
                        (f64::from(x) - mean) / deviation * f64::from(w) + f64::from(b)
                    })
                    .collect::<Vec<_>>()
            })
            .collect();
        let compute = |kernels: &Kernels| {
            let mut rows = input.clone();
            let norm = LayerNorm {
                weight: &weight,
                bias: &bias,
                epsilon: 1e-12,
            };
            kernels.layer_norm(&mut rows, norm);
            rows
        };
        check(compute, &expected, 1e-5);
    }
}

#[test]
fn numbers_that_are_none_pass_without_a_panic() {
    let matrix = int4(9, 40, 64);
    for odd in [f32::NAN, f32::INFINITY, f32::MAX, 1e-42] {
        let mut input = noise(10, 2 * 64);
        input[7] = odd;
        for kernels in all() {
            for precision in [Precision::Single, Precision::Double] {
                assert_eq!(multiply(&kernels, &matrix, &input, precision).len(), 80);
            }
        }
    }
}

#[test]
fn log_sum_exp_agrees() {
    let logits: Vec<f32> = noise(8, 5003).iter().map(|x| x * 30.0).collect();
    let expected = logits.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
    for kernels in all() {
        let value = kernels.log_sum_exp(&logits);
        assert!((value - expected).abs() < 1e-6, "{value} is not {expected}");
    }
}

#[test]
fn a_panic_in_a_chunk_reaches_the_caller_and_the_pool_goes_on() {
    let kernels = Kernels::new(Isa::scalar(), 3);
    for round in 0..5 {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            kernels
                .pool
                .for_each(64, &|chunk| assert_ne!(chunk, 40, "poisoned"));
        }));
        assert!(outcome.is_err(), "round {round}");
        let sum = std::sync::atomic::AtomicUsize::new(0);
        kernels.pool.for_each(1000, &|chunk| {
            sum.fetch_add(chunk, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 499_500);
    }
}

#[test]
fn callers_from_many_threads_all_get_their_work_done() {
    let kernels = Kernels::new(Isa::scalar(), 2);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let sum = std::sync::atomic::AtomicUsize::new(0);
                    kernels.pool.for_each(20, &|chunk| {
                        sum.fetch_add(chunk, std::sync::atomic::Ordering::Relaxed);
                    });
                    assert_eq!(sum.into_inner(), 190);
                }
            });
        }
    });
}

#[test]
fn gathered_rows_give_the_products_that_they_give_at_their_places() {
    let matrix = int8(1, 70, 64);
    let input = noise(2, 5 * 64);
    for kernels in all() {
        for precision in [Precision::Single, Precision::Double] {
            let mut activations = Activations::default();
            let input = rows(&input, 64);
            activations.fill(&kernels, input, Transform::None, precision);
            let multiply = |activations: &Activations| {
                let mut out = vec![0.0; activations.tokens() * 70];
                kernels.matmul(&matrix, activations, Output::Replace, &mut out, 70);
                out
            };
            let whole = multiply(&activations);
            let mut gathered = Activations::default();
            for tokens in [&[3, 0, 3][..], &[4], &[]] {
                gathered.gather(&activations, tokens);
                let expected = tokens.iter().flat_map(|token| &whole[token * 70..][..70]);
                assert_eq!(multiply(&gathered), expected.copied().collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn the_fastest_form_comes_first_and_the_plain_one_last() {
    let forms = Isa::supported();
    assert_eq!(forms[0], Isa::detect());
    assert_eq!(forms.last(), Some(&Isa::scalar()));
    // `scripts/test-arm` knows what an emulated processor must get.
    if let Ok(name) = std::env::var("ANDON_TEST_FORM") {
        assert_eq!(forms[0].name(), name);
    }
}

#[test]
fn every_form_measures_its_limits() {
    for isa in Isa::supported() {
        let limits = Kernels::new(isa, 2).limits();
        for speed in [limits.gigaops, limits.gigabytes] {
            assert!(speed.thread > 0.0 && speed.thread.is_finite(), "{speed:?}");
            assert!(speed.all > 0.0 && speed.all.is_finite(), "{speed:?}");
        }
    }
}

#[test]
fn a_worker_that_is_set_aside_delays_its_job_and_none_after_it() {
    let kernels = Kernels::new(Isa::scalar(), 2);
    let caller = std::thread::current().id();
    let is_slow = std::sync::atomic::AtomicBool::new(true);
    // Until a worker has taken part, which it may be too late for, and was slow.
    while is_slow.load(std::sync::atomic::Ordering::SeqCst) {
        kernels.pool.for_each(64, &|_| {
            let is_worker = std::thread::current().id() != caller;
            if is_worker && is_slow.swap(false, std::sync::atomic::Ordering::SeqCst) {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            std::thread::sleep(std::time::Duration::from_micros(20));
        });
    }
    kernels.pool.for_each(64, &|_| {
        assert_eq!(std::thread::current().id(), caller, "works alone now");
    });
}

#[test]
fn no_tokens_are_no_work() {
    for kernels in all() {
        let matrix = Matrix::int8(40, 64, |_, _| Group8::quantise(&[1.0; GROUP]));
        let mut activations = Activations::default();
        activations.fill(&kernels, rows(&[], 64), Transform::None, Precision::Single);
        kernels.matmul(&matrix, &activations, Output::Replace, &mut [], 40);
    }
}

//! What the machine can do at most, measured, and how close a product comes.
//!
//! Each measurement takes a fraction of a second and gives the best of several
//! runs: on a busy machine it says less than the machine can do.

use std::hint::black_box;
use std::time::{Duration, Instant};

use half::f16;

use crate::Kernels;
use crate::activation::{Activations, GROUP, Input, Precision, Transform};
use crate::isa::{Form, Isa, dispatch};
use crate::lanes::{LANES, Lanes};
use crate::matmul::{Output, row_stride};
use crate::matrix::{Group4, Group8, Matrix};

#[cfg(target_arch = "aarch64")]
mod arm;
#[cfg(target_arch = "x86_64")]
mod x86;

/// Rounds of a loop of multiply-adds: about a tenth of a millisecond.
const ROUNDS: usize = 20_000;
/// Bytes that are read: more than the caches of most processors hold.
const READ_BYTES: usize = 128 << 20;
/// Tokens of a product like those of a long prompt.
const TOKENS: usize = 128;
/// Rows and columns of a matrix like those of a model of a billion weights.
const SHAPE: (usize, usize) = (2048, 2048);

/// A speed of one thread, and that of all together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Of one thread.
    pub thread: f64,
    /// Of all threads of the kernels.
    pub all: f64,
}

/// What bounds every product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Billions of integer operations a second, in the form of the kernels, with
    /// weights of 8 bits; a multiplication and an addition are two.
    pub gigaops: Speed,
    /// The same with weights of 4 bits, where AVX2 needs fewer instructions.
    pub gigaops_4_bits: Speed,
    /// Billions of bytes a second that are read from memory.
    pub gigabytes: Speed,
}

/// What products reach on all threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Product {
    /// Billions of operations a second with 128 tokens and weights of 8 bits: bounded
    /// by arithmetic.
    pub gigaops: f64,
    /// The same with weights of 4 bits.
    pub gigaops_4_bits: f64,
    /// Billions of bytes of weights a second with one token: bounded by memory.
    pub gigabytes: f64,
}

impl Kernels {
    /// Measures the limits of the machine.
    pub fn limits(&self) -> Limits {
        Limits {
            gigaops: self.measure_arithmetic(multiply_add),
            gigaops_4_bits: self.measure_arithmetic(multiply_add_4_bits),
            gigabytes: self.measure_reading(),
        }
    }

    fn measure_arithmetic(&self, multiply_add: fn(Isa, usize)) -> Speed {
        let isa = self.isa;
        let operations = operations_per_round(isa) as f64 * ROUNDS as f64;
        let chunks = 8 * self.threads();
        let thread = best(30, || multiply_add(isa, ROUNDS));
        let all = best(30, || {
            self.pool.for_each(chunks, &|_| multiply_add(isa, ROUNDS));
        });
        Speed {
            thread: billions(operations, thread),
            all: billions(operations * chunks as f64, all),
        }
    }

    fn measure_reading(&self) -> Speed {
        let numbers = vec![1.0f32; READ_BYTES / size_of::<f32>()];
        let parts: Vec<&[f32]> = numbers.chunks(1 << 18).collect();
        let read = |part: usize| {
            // SAFETY: nothing is asked but the instructions.
            black_box(unsafe { sum(self.isa, parts[part]) });
        };
        let thread = best(3, || (0..parts.len()).for_each(read));
        let all = best(3, || self.pool.for_each(parts.len(), &read));
        Speed {
            thread: billions(READ_BYTES as f64, thread),
            all: billions(READ_BYTES as f64, all),
        }
    }

    /// Measures products of matrices.
    pub fn typical_product(&self) -> Product {
        let (rows, columns) = SHAPE;
        let weights = |rows| {
            Matrix::int8(rows, columns, |row, _| Group8 {
                scale: f16::ONE,
                codes: [(row % 251) as u8 as i8; GROUP],
            })
        };
        let small = weights(rows);
        let large = weights(READ_BYTES / columns);
        let small_4_bits = Matrix::int4(rows, columns, |row, _| Group4 {
            scale: f16::ONE,
            minimum: f16::ZERO,
            codes: [(row % 16) as u8; GROUP],
        });
        let measure = |matrix: &Matrix, tokens: usize, runs| {
            let numbers: Vec<f32> = (0..tokens * columns).map(|at| (at % 101) as f32).collect();
            let mut activations = Activations::default();
            let input = Input::of(&numbers, columns, columns);
            activations.fill(self, input, Transform::None, Precision::Single);
            let stride = row_stride(matrix.rows());
            let mut out = vec![0.0; tokens * stride];
            best(runs, || {
                self.matmul(matrix, &activations, Output::Replace, &mut out, stride);
            })
        };
        let operations = 2.0 * (rows * columns * TOKENS) as f64;
        Product {
            gigaops: billions(operations, measure(&small, TOKENS, 20)),
            gigaops_4_bits: billions(operations, measure(&small_4_bits, TOKENS, 20)),
            gigabytes: billions(large.packed().len() as f64, measure(&large, 1, 5)),
        }
    }
}

/// The shortest of some runs, after one that does not count.
fn best(runs: usize, mut work: impl FnMut()) -> Duration {
    work();
    let run = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..runs).map(run).min().unwrap_or_default()
}

/// `count` things in `time`, as billions a second.
fn billions(count: f64, time: Duration) -> f64 {
    count / time.as_secs_f64().max(1e-9) / 1e9
}

/// Operations of a round of [`multiply_add`].
fn operations_per_round(isa: Isa) -> usize {
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        Form::Avx512 => x86::CHAINS * 128,
        #[cfg(target_arch = "x86_64")]
        Form::AvxVnni | Form::Avx2 => x86::CHAINS * 64,
        #[cfg(target_arch = "aarch64")]
        Form::I8mm => arm::CHAINS * 64,
        #[cfg(target_arch = "aarch64")]
        Form::Dotprod | Form::Neon => arm::CHAINS * 32,
        Form::Scalar => 2 * LANES,
    }
}

/// Multiplies and adds integers in registers, as products of this form do.
fn multiply_add(isa: Isa, rounds: usize) {
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` exists only where its instructions do.
        Form::Avx512 => unsafe { x86::avx512(rounds) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Form::AvxVnni => unsafe { x86::avx_vnni(rounds) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Form::Avx2 => unsafe { x86::avx2(rounds) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        Form::I8mm => unsafe { arm::i8mm(rounds) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        Form::Dotprod => unsafe { arm::dotprod(rounds) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        Form::Neon => unsafe { arm::neon(rounds) },
        Form::Scalar => {
            let mut sums = [0i32; LANES];
            let factor = black_box(3);
            for _ in 0..rounds {
                for sum in &mut sums {
                    *sum = sum.wrapping_mul(factor).wrapping_add(factor);
                }
            }
            black_box(sums);
        }
    }
}

/// The same with weights from 0 to 15.
fn multiply_add_4_bits(isa: Isa, rounds: usize) {
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` exists only where its instructions do.
        Form::Avx2 => unsafe { x86::avx2_4_bits(rounds) },
        _ => multiply_add(isa, rounds),
    }
}

dispatch!(fn sum(numbers: &[f32]) -> f32 = sum_lanes);

/// Numbers that are asked for ahead, a page of memory.
const AHEAD: usize = 1024;

#[inline(always)]
unsafe fn sum_lanes<L: Lanes>(numbers: &[f32]) -> f32 {
    // SAFETY: chunks of four times sixteen numbers; a prefetch may name any place.
    unsafe {
        let mut sums = [L::splat(0.0); 4];
        for chunk in numbers.chunks_exact(4 * LANES) {
            for (part, sum) in sums.iter_mut().enumerate() {
                let from = chunk.as_ptr().add(part * LANES);
                #[cfg(target_arch = "x86_64")]
                x86::prefetch(from.wrapping_add(AHEAD));
                #[cfg(target_arch = "aarch64")]
                crate::arm::prefetch(from.wrapping_add(AHEAD).cast());
                *sum = sum.add(L::load(from));
            }
        }
        sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum()
    }
}

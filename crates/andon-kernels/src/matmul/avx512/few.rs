//! One or two tokens: the weights come from memory and are used once, so that
//! nothing is gained by unpacking them.

use std::arch::x86_64::*;

use super::super::Job;
use super::{broadcast, halves, load, put};
use crate::activation::{BIAS, GROUP, Group};
use crate::matrix::{Format, PANEL};

/// How far ahead weights are asked for, in groups of a panel.
const AHEAD: usize = 6;

/// # Safety
/// As [`super::run`]; the job has one row or two.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c,fma")]
pub(super) unsafe fn run(job: &Job<'_>) {
    // SAFETY: the caller's contract is passed on.
    unsafe {
        match (job.format, job.rows) {
            (Format::Int8, [one]) => int8(job, &[one]),
            (Format::Int4, [one]) => int4(job, &[one]),
            (Format::Int8, [one, two]) => int8(job, &[one, two]),
            (Format::Int4, [one, two]) => int4(job, &[one, two]),
            _ => unreachable!("one row or two"),
        }
    }
}

/// Asks for the group that is read `AHEAD` groups after `group`, in this panel
/// or in the next.
#[inline]
#[target_feature(enable = "avx512f")]
fn ask_ahead(job: &Job<'_>, group: usize) {
    let size = job.format.group_bytes();
    let at = (group + AHEAD) * size;
    let bytes = match at.checked_sub(job.panel.len()) {
        None => job.panel.get(at..at + size),
        Some(at) => job.next.get(at..at + size),
    };
    for line in bytes.unwrap_or(&[]).chunks(64) {
        _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
    }
}

/// # Safety
/// The panel is of 8 bits and every row has as many groups as it.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c,fma")]
unsafe fn int8<const T: usize>(job: &Job<'_>, rows: &[&[Group]; T]) {
    let size = Format::Int8.group_bytes();
    let mut totals = [[_mm512_setzero_ps(); 2]; T];
    for group in 0..job.panel.len() / size {
        ask_ahead(job, group);
        // SAFETY: the contract's sizes.
        unsafe {
            let bytes = job.panel.as_ptr().add(group * size);
            let tokens: [&Group; T] = std::array::from_fn(|t| rows[t].get_unchecked(group));
            // The codes of the weights are 128 too large.
            let mut sums: [[__m512i; 2]; T] =
                std::array::from_fn(|t| [_mm512_set1_epi32(tokens[t].biased_start); 2]);
            for quad in 0..GROUP / 4 {
                let low = load(bytes.add(quad * 128));
                let high = load(bytes.add(quad * 128 + 64));
                for t in 0..T {
                    let four = broadcast(tokens[t].codes.as_ptr().add(quad * 4));
                    sums[t][0] = _mm512_dpbusd_epi32(sums[t][0], low, four);
                    sums[t][1] = _mm512_dpbusd_epi32(sums[t][1], high, four);
                }
            }
            let scales = bytes.add(Format::Int8.code_bytes());
            for half in 0..2 {
                let scales = halves(scales.add(half * 32));
                add_sums(&sums, half, scales, &tokens, &mut totals);
            }
        }
    }
    // SAFETY: rows of the job.
    unsafe { put_all(job, &totals) };
}

/// # Safety
/// The panel is of 4 bits and every row has as many groups as it.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c,fma")]
unsafe fn int4<const T: usize>(job: &Job<'_>, rows: &[&[Group]; T]) {
    let size = Format::Int4.group_bytes();
    let mut totals = [[_mm512_setzero_ps(); 2]; T];
    let nibble = _mm512_set1_epi8(0x0f);
    for group in 0..job.panel.len() / size {
        ask_ahead(job, group);
        // SAFETY: the contract's sizes.
        unsafe {
            let bytes = job.panel.as_ptr().add(group * size);
            let tokens: [&Group; T] = std::array::from_fn(|t| rows[t].get_unchecked(group));
            // Two chains for each half: a sum of one token waits for itself otherwise.
            let mut first = [[_mm512_castps_si512(_mm512_set1_ps(BIAS)); 2]; T];
            let mut second = [[_mm512_setzero_si512(); 2]; T];
            for quad in 0..GROUP / 8 {
                for half in 0..2 {
                    let pair = load(bytes.add(quad * 128 + half * 64));
                    let low = _mm512_and_si512(pair, nibble);
                    let high = _mm512_and_si512(_mm512_srli_epi16::<4>(pair), nibble);
                    for t in 0..T {
                        let at = tokens[t].codes.as_ptr().add(quad * 4);
                        first[t][half] = _mm512_dpbusd_epi32(first[t][half], low, broadcast(at));
                        second[t][half] =
                            _mm512_dpbusd_epi32(second[t][half], high, broadcast(at.add(16)));
                    }
                }
            }
            let sums = std::array::from_fn(|t| {
                std::array::from_fn(|half| _mm512_add_epi32(first[t][half], second[t][half]))
            });
            let scales = bytes.add(Format::Int4.code_bytes());
            for half in 0..2 {
                let minima = halves(scales.add(2 * PANEL + half * 32));
                let scales = halves(scales.add(half * 32));
                add_sums(&sums, half, scales, &tokens, &mut totals);
                for t in 0..T {
                    let offset = _mm512_set1_ps(tokens[t].offset);
                    totals[t][half] = _mm512_fmadd_ps(minima, offset, totals[t][half]);
                }
            }
        }
    }
    // SAFETY: rows of the job.
    unsafe { put_all(job, &totals) };
}

/// Adds the sums of one group, times its scales, to the totals of half the rows.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_sums<const T: usize>(
    sums: &[[__m512i; 2]; T],
    half: usize,
    scales: __m512,
    tokens: &[&Group; T],
    totals: &mut [[__m512; 2]; T],
) {
    let biases = _mm512_mul_ps(scales, _mm512_set1_ps(BIAS));
    for t in 0..T {
        let sum = _mm512_castsi512_ps(sums[t][half]);
        let sum = _mm512_fmsub_ps(sum, scales, biases);
        let scale = _mm512_set1_ps(tokens[t].scale);
        totals[t][half] = _mm512_fmadd_ps(sum, scale, totals[t][half]);
    }
}

/// # Safety
/// The job has `T` rows.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn put_all<const T: usize>(job: &Job<'_>, totals: &[[__m512; 2]; T]) {
    for (row, totals) in totals.iter().enumerate() {
        let mut products = [0.0; PANEL];
        // SAFETY: 32 floats; the job's places are its own.
        unsafe {
            _mm512_storeu_ps(products.as_mut_ptr(), totals[0]);
            _mm512_storeu_ps(products.as_mut_ptr().add(16), totals[1]);
            put(job.place(row), &products);
        }
    }
}

//! The form for AVX-512 VNNI: `vpdpbusd` takes four columns of sixteen rows.

use std::arch::x86_64::*;
use std::cell::RefCell;

use super::{Job, Place};
use crate::activation::{BIAS, GROUP, Group};
use crate::matrix::{Format, PANEL};

mod few;

/// Tokens of a tile: 7 × 32 rows need 14 integer and 14 float accumulators, and
/// leave registers for two of weights and one of activations.
const TILE: usize = 7;
/// From this many tokens on a panel is unpacked once for all of them.
const UNPACK_FROM: usize = 3;

/// What the 32 rows of a panel multiply the sums of one group with: scales, what
/// these make of [`BIAS`] (exactly), and, for 4 bits, minima.
#[derive(Clone)]
#[repr(C, align(64))]
struct Steps {
    scales: [f32; PANEL],
    biases: [f32; PANEL],
    minima: [f32; PANEL],
}

impl Steps {
    const ZERO: Self = Self {
        scales: [0.0; PANEL],
        biases: [0.0; PANEL],
        minima: [0.0; PANEL],
    };
}

/// The codes of one group of a panel, a byte each, in the order of 8-bit panels.
#[derive(Clone)]
#[repr(C, align(64))]
struct Codes([u8; PANEL * GROUP]);

/// A panel as tiles want it.
struct Unpacked {
    /// The groups' codes, where the panel has 4 bits.
    codes: Vec<Codes>,
    steps: Vec<Steps>,
}

thread_local! {
    /// Memory for the panel that a thread unpacks: kept, because a fresh piece
    /// for every panel costs as much as some tokens.
    static UNPACKED: RefCell<Unpacked> = const {
        RefCell::new(Unpacked { codes: Vec::new(), steps: Vec::new() })
    };
}

/// # Safety
/// The processor has the instructions; rows have as many groups as the matrix.
pub(super) unsafe fn run(job: &Job<'_>) {
    // SAFETY: the caller's contract is passed on.
    unsafe {
        if job.rows.len() < UNPACK_FROM {
            few::run(job);
        } else {
            UNPACKED.with_borrow_mut(|unpacked| run_tiles(job, unpacked));
        }
    }
}

/// # Safety
/// As [`run`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c,fma")]
unsafe fn run_tiles(job: &Job<'_>, unpacked: &mut Unpacked) {
    let size = job.format.group_bytes();
    let groups = job.panel.len() / size;
    unpacked.steps.resize(groups, Steps::ZERO);
    for (steps, bytes) in unpacked.steps.iter_mut().zip(job.panel.chunks_exact(size)) {
        // SAFETY: a chunk is the bytes of a group.
        unsafe { unpack_steps(job.format, bytes, steps) };
    }
    if job.format == Format::Int4 {
        unpacked.codes.resize(groups, Codes([0; PANEL * GROUP]));
        for (codes, bytes) in unpacked.codes.iter_mut().zip(job.panel.chunks_exact(size)) {
            // SAFETY: a chunk is the bytes of a group of 4 bits.
            unsafe { unpack_codes(bytes, codes) };
        }
    }
    let panel = match job.format {
        Format::Int8 => Panel {
            codes: job.panel.as_ptr(),
            size,
            steps: &unpacked.steps,
        },
        Format::Int4 => Panel {
            codes: unpacked.codes.as_ptr().cast(),
            size: size_of::<Codes>(),
            steps: &unpacked.steps,
        },
    };
    let mut products = [[0.0; PANEL]; TILE];
    let mut rest = job.rows;
    while !rest.is_empty() {
        // Tiles as even as may be: one of a token takes as long as one of three.
        let (rows, after) = rest.split_at(rest.len().div_ceil(rest.len().div_ceil(TILE)));
        let first = job.rows.len() - rest.len();
        rest = after;
        // The next panel comes closer with every tile of this one.
        let share = |rows: usize| job.next.len() / 64 * rows / job.rows.len() * 64;
        let ahead = &job.next[share(first)..share(first + rows.len())];
        macro_rules! tile {
            ($tokens:literal) => {{
                let rows: &[&[Group]; $tokens] =
                    rows.first_chunk().expect("a tile of this many tokens");
                // SAFETY: codes and steps are those of the panel's groups, and
                // every row has as many groups.
                unsafe {
                    match job.format {
                        Format::Int8 => {
                            multiply::<$tokens, false>(panel, rows, ahead, &mut products);
                        }
                        Format::Int4 => {
                            multiply::<$tokens, true>(panel, rows, ahead, &mut products);
                        }
                    }
                }
            }};
        }
        match rows.len() {
            1 => tile!(1),
            2 => tile!(2),
            3 => tile!(3),
            4 => tile!(4),
            5 => tile!(5),
            6 => tile!(6),
            _ => tile!(7),
        }
        for (row, products) in products.iter().take(rows.len()).enumerate() {
            // SAFETY: the row is one of the job's, and so is its place.
            unsafe { put(job.place(first + row), products) };
        }
    }
}

/// The groups of a panel, as tiles read them.
#[derive(Clone, Copy)]
struct Panel<'a> {
    /// The codes of the first group, a byte each.
    codes: *const u8,
    /// From the codes of a group to those of the next.
    size: usize,
    steps: &'a [Steps],
}

/// Computes the products of `T` tokens.
///
/// A function of its own, whose variables all fit the registers: inlined, its loop
/// keeps totals in memory.
///
/// # Safety
/// The panel has as many groups of codes as steps, and so has every row.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c,fma")]
unsafe fn multiply<const T: usize, const HAS_MINIMA: bool>(
    panel: Panel<'_>,
    rows: &[&[Group]; T],
    ahead: &[u8],
    products: &mut [[f32; PANEL]; TILE],
) {
    let groups = panel.steps.len();
    // Spread evenly: many at once fill the buffers that loads need too.
    let lines = (ahead.len() / 64).div_ceil(groups.max(1));
    let mut totals = [[_mm512_setzero_ps(); 2]; T];
    for group in 0..groups {
        for line in 0..lines {
            let line = ahead.as_ptr().wrapping_add((group * lines + line) * 64);
            // To the second level: the first holds what the tiles share.
            _mm_prefetch::<_MM_HINT_T1>(line.cast());
        }
        // SAFETY: the contract's sizes.
        unsafe {
            let codes = panel.codes.add(group * panel.size);
            let steps = panel.steps.get_unchecked(group);
            let tokens: [&Group; T] = std::array::from_fn(|t| rows[t].get_unchecked(group));
            let mut sums: [[__m512i; 2]; T] = std::array::from_fn(|t| {
                let start = match HAS_MINIMA {
                    true => BIAS.to_bits() as i32,
                    // The codes of the weights are 128 too large.
                    false => tokens[t].biased_start,
                };
                [_mm512_set1_epi32(start); 2]
            });
            for quad in 0..GROUP / 4 {
                let low = load(codes.add(quad * 128));
                let high = load(codes.add(quad * 128 + 64));
                for t in 0..T {
                    let four = broadcast(tokens[t].codes.as_ptr().add(quad * 4));
                    sums[t][0] = _mm512_dpbusd_epi32(sums[t][0], low, four);
                    sums[t][1] = _mm512_dpbusd_epi32(sums[t][1], high, four);
                }
            }
            for half in 0..2 {
                let scales = _mm512_load_ps(steps.scales.as_ptr().add(half * 16));
                let biases = _mm512_load_ps(steps.biases.as_ptr().add(half * 16));
                for t in 0..T {
                    let sum = _mm512_castsi512_ps(sums[t][half]);
                    let sum = _mm512_fmsub_ps(sum, scales, biases);
                    let scale = _mm512_set1_ps(tokens[t].scale);
                    totals[t][half] = _mm512_fmadd_ps(sum, scale, totals[t][half]);
                }
                if HAS_MINIMA {
                    let minima = _mm512_load_ps(steps.minima.as_ptr().add(half * 16));
                    for t in 0..T {
                        let offset = _mm512_set1_ps(tokens[t].offset);
                        totals[t][half] = _mm512_fmadd_ps(minima, offset, totals[t][half]);
                    }
                }
            }
        }
    }
    for t in 0..T {
        // SAFETY: 32 floats.
        unsafe {
            _mm512_storeu_ps(products[t].as_mut_ptr(), totals[t][0]);
            _mm512_storeu_ps(products[t].as_mut_ptr().add(16), totals[t][1]);
        }
    }
}

/// Writes the products of one token, with what is to be added to them.
///
/// # Safety
/// The place is valid, and nobody else's.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn put(place: Place<'_>, products: &[f32; PANEL]) {
    for half in 0..2 {
        let count = place.count.saturating_sub(half * 16).min(16);
        let lanes = (0xffff_u32 >> (16 - count)) as __mmask16;
        // SAFETY: `count` places by contract, as many addends; the others are masked.
        unsafe {
            let to = place.to.wrapping_add(half * 16);
            let mut values = _mm512_loadu_ps(products.as_ptr().add(half * 16));
            if place.adds {
                values = _mm512_add_ps(_mm512_maskz_loadu_ps(lanes, to), values);
            }
            if let Some(bias) = place.bias {
                let bias = _mm512_maskz_loadu_ps(lanes, bias.as_ptr().wrapping_add(half * 16));
                values = _mm512_add_ps(values, bias);
            }
            _mm512_mask_storeu_ps(to, lanes, values);
        }
    }
}

/// Four activations, repeated for every row.
///
/// # Safety
/// There are four bytes at `codes`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn broadcast(codes: *const i8) -> __m512i {
    // SAFETY: four bytes by contract.
    _mm512_set1_epi32(unsafe { codes.cast::<i32>().read_unaligned() })
}

/// Sixteen halves as floats.
///
/// # Safety
/// There are 32 bytes at `bytes`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn halves(bytes: *const u8) -> __m512 {
    // SAFETY: 32 bytes by contract.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(bytes.cast()) })
}

/// # Safety
/// There are 64 bytes at `bytes`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(bytes: *const u8) -> __m512i {
    // SAFETY: 64 bytes by contract.
    unsafe { _mm512_loadu_si512(bytes.cast()) }
}

/// # Safety
/// `bytes` are a group of `format`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn unpack_steps(format: Format, bytes: &[u8], steps: &mut Steps) {
    // SAFETY: the contract's sizes.
    unsafe {
        let from = bytes.as_ptr().add(format.code_bytes());
        for half in 0..2 {
            let scales = halves(from.add(half * 32));
            let biases = _mm512_mul_ps(scales, _mm512_set1_ps(BIAS));
            _mm512_store_ps(steps.scales.as_mut_ptr().add(half * 16), scales);
            _mm512_store_ps(steps.biases.as_mut_ptr().add(half * 16), biases);
            if format == Format::Int4 {
                let minima = halves(from.add(2 * PANEL + half * 32));
                _mm512_store_ps(steps.minima.as_mut_ptr().add(half * 16), minima);
            }
        }
    }
}

/// Gives every code of a group its byte, in the order of 8-bit panels.
///
/// # Safety
/// `bytes` are a group of 4 bits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn unpack_codes(bytes: &[u8], codes: &mut Codes) {
    let nibble = _mm512_set1_epi8(0x0f);
    // SAFETY: the contract's sizes.
    unsafe {
        let to = codes.0.as_mut_ptr();
        for at in (0..Format::Int4.code_bytes()).step_by(64) {
            let pair = load(bytes.as_ptr().add(at));
            let low = _mm512_and_si512(pair, nibble);
            let high = _mm512_and_si512(_mm512_srli_epi16::<4>(pair), nibble);
            _mm512_store_si512(to.add(at).cast(), low);
            _mm512_store_si512(to.add(at + Format::Int4.code_bytes()).cast(), high);
        }
    }
}

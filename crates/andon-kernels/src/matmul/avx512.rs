//! The form for AVX-512 VNNI: `vpdpbusd` takes four columns of sixteen rows.

use std::arch::x86_64::*;
use std::cell::RefCell;

use super::Job;
use crate::activation::{BIAS, GROUP, Group};
use crate::matrix::{Format, PANEL};

/// Tokens of a tile: 6 × 32 rows need 12 integer and 12 float accumulators.
const TILE: usize = 6;
/// How far ahead weights are asked for, in groups of a panel.
const AHEAD: usize = 6;
/// From this many tokens on a panel of 4 bits is unpacked once for all.
const UNPACK_FROM: usize = 3;

/// A group of a panel of 4 bits with a byte for each code and floats for
/// scales, biases and minima.
#[derive(Clone)]
#[repr(C, align(64))]
struct UnpackedGroup {
    codes: [u8; PANEL * GROUP],
    scales: [f32; PANEL],
    biases: [f32; PANEL],
    minima: [f32; PANEL],
}

impl UnpackedGroup {
    const EMPTY: Self = Self {
        codes: [0; PANEL * GROUP],
        scales: [0.0; PANEL],
        biases: [0.0; PANEL],
        minima: [0.0; PANEL],
    };
}

thread_local! {
    /// Memory for the panel that a thread unpacks: kept, because a fresh piece
    /// for every panel costs as much as some tokens.
    static UNPACKED: RefCell<Vec<UnpackedGroup>> = const { RefCell::new(Vec::new()) };
}

/// # Safety
/// The processor has the instructions; rows have as many groups as the matrix.
pub(super) unsafe fn run(job: &Job<'_>, emit: impl FnMut(usize, &[f32; PANEL])) {
    // SAFETY: the caller's contract is passed on.
    UNPACKED.with_borrow_mut(|unpacked| unsafe { run_in(job, unpacked, emit) });
}

/// # Safety
/// As [`run`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c,fma")]
unsafe fn run_in(
    job: &Job<'_>,
    unpacked: &mut Vec<UnpackedGroup>,
    mut emit: impl FnMut(usize, &[f32; PANEL]),
) {
    let (panel, format) = (job.panel, job.format);
    let size = format.group_bytes();
    let groups = panel.len() / size;
    let stream = Stream {
        panel,
        next: job.next,
    };
    let unpacks = format == Format::Int4 && job.rows.len() >= UNPACK_FROM;
    if unpacks {
        unpacked.resize(groups, UnpackedGroup::EMPTY);
        for (group, bytes) in unpacked.iter_mut().zip(panel.chunks_exact(size)) {
            // SAFETY: a chunk is the bytes of a group of 4 bits.
            unsafe { unpack(bytes, group) };
        }
    }
    let mut rest = job.rows;
    while !rest.is_empty() {
        // Tiles as even as may be: one of a token takes as long as one of three.
        let (rows, after) = rest.split_at(rest.len().div_ceil(rest.len().div_ceil(TILE)));
        let first = job.rows.len() - rest.len();
        rest = after;
        if !rest.is_empty() || first > 0 {
            // The next panel comes closer with every tile of this one.
            let share = |rows: usize| job.next.len() * rows / job.rows.len();
            // To the second level: the first holds what the tiles share.
            for line in job.next[share(first)..share(first + rows.len())].chunks(64) {
                _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast());
            }
        }
        let mut products = [[0.0; PANEL]; TILE];
        macro_rules! tile {
            ($tokens:literal) => {{
                let rows: &[&[Group]; $tokens] =
                    rows.first_chunk().expect("a tile of this many tokens");
                // SAFETY: the panel has `groups` groups, and so has every row.
                unsafe {
                    match format {
                        Format::Int8 => int8(stream, groups, rows, &mut products),
                        Format::Int4 if unpacks => {
                            int4_unpacked(unpacked, rows, &mut products);
                        }
                        Format::Int4 => int4(stream, groups, rows, &mut products),
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
            _ => tile!(6),
        }
        for (token, products) in products.iter().take(rows.len()).enumerate() {
            emit(first + token, products);
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
unsafe fn codes(bytes: *const u8) -> __m512i {
    // SAFETY: 64 bytes by contract.
    unsafe { _mm512_loadu_si512(bytes.cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store<const T: usize>(totals: &[[__m512; 2]; T], products: &mut [[f32; PANEL]; TILE]) {
    for (totals, products) in totals.iter().zip(products) {
        // SAFETY: 32 floats.
        unsafe {
            _mm512_storeu_ps(products.as_mut_ptr(), totals[0]);
            _mm512_storeu_ps(products.as_mut_ptr().add(16), totals[1]);
        }
    }
}

/// # Safety
/// The panel has `groups` groups of 8 bits, every row as many.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c,fma")]
unsafe fn int8<const T: usize>(
    stream: Stream<'_>,
    groups: usize,
    rows: &[&[Group]; T],
    products: &mut [[f32; PANEL]; TILE],
) {
    let mut totals = [[_mm512_setzero_ps(); 2]; T];
    for group in 0..groups {
        // SAFETY: the contract's sizes.
        unsafe {
            let bytes = stream
                .panel
                .as_ptr()
                .add(group * Format::Int8.group_bytes());
            if T <= 2 {
                stream.ask_ahead(group, Format::Int8.group_bytes());
            }
            let tokens: [&Group; T] = std::array::from_fn(|t| rows[t].get_unchecked(group));
            // The codes of the weights are 128 too large.
            let mut sums: [[__m512i; 2]; T] =
                std::array::from_fn(|t| [_mm512_set1_epi32(tokens[t].biased_start); 2]);
            for quad in 0..GROUP / 4 {
                let low = codes(bytes.add(quad * 128));
                let high = codes(bytes.add(quad * 128 + 64));
                for t in 0..T {
                    let four = broadcast(tokens[t].codes.as_ptr().add(quad * 4));
                    sums[t][0] = _mm512_dpbusd_epi32(sums[t][0], low, four);
                    sums[t][1] = _mm512_dpbusd_epi32(sums[t][1], high, four);
                }
            }
            let scales = bytes.add(Format::Int8.code_bytes());
            let scales = [halves(scales), halves(scales.add(32))];
            let bias = _mm512_set1_ps(BIAS);
            let biases = [
                _mm512_mul_ps(scales[0], bias),
                _mm512_mul_ps(scales[1], bias),
            ];
            for t in 0..T {
                let scale = _mm512_set1_ps(tokens[t].scale);
                for half in 0..2 {
                    let sum = _mm512_castsi512_ps(sums[t][half]);
                    let sum = _mm512_fmsub_ps(sum, scales[half], biases[half]);
                    totals[t][half] = _mm512_fmadd_ps(sum, scale, totals[t][half]);
                }
            }
        }
    }
    store(&totals, products);
}

/// Scales and minima of a panel's rows in one group of 4 bits, and what the
/// scales make of [`BIAS`], which is exact.
struct Steps {
    scales: [__m512; 2],
    biases: [__m512; 2],
    minima: [__m512; 2],
}

/// Adds the sums of one group of 4-bit weights to the totals.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c,fma")]
fn add_group<const T: usize>(
    steps: &Steps,
    tokens: &[&Group; T],
    sums: &[[__m512i; 2]; T],
    totals: &mut [[__m512; 2]; T],
) {
    for t in 0..T {
        let scale = _mm512_set1_ps(tokens[t].scale);
        let offset = _mm512_set1_ps(tokens[t].offset);
        for half in 0..2 {
            let sum = _mm512_castsi512_ps(sums[t][half]);
            let sum = _mm512_fmsub_ps(sum, steps.scales[half], steps.biases[half]);
            let total = _mm512_fmadd_ps(sum, scale, totals[t][half]);
            totals[t][half] = _mm512_fmadd_ps(steps.minima[half], offset, total);
        }
    }
}

/// Asks for weights that are wanted soon.
#[inline]
#[target_feature(enable = "avx512f")]
fn prefetch(bytes: &[u8]) {
    for line in bytes.chunks(64) {
        _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
    }
}

/// A panel, and the one that this thread is likely to take next.
#[derive(Clone, Copy)]
struct Stream<'a> {
    panel: &'a [u8],
    next: &'a [u8],
}

impl Stream<'_> {
    /// Asks for the group that is read `AHEAD` groups after `group`, in this panel
    /// or in the next.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn ask_ahead(self, group: usize, size: usize) {
        let at = (group + AHEAD) * size;
        let bytes = match at.checked_sub(self.panel.len()) {
            None => self.panel.get(at..at + size),
            Some(at) => self.next.get(at..at + size),
        };
        prefetch(bytes.unwrap_or(&[]));
    }
}

/// # Safety
/// The panel has `groups` groups of 4 bits, every row as many.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c,fma")]
unsafe fn int4<const T: usize>(
    stream: Stream<'_>,
    groups: usize,
    rows: &[&[Group]; T],
    products: &mut [[f32; PANEL]; TILE],
) {
    let mut totals = [[_mm512_setzero_ps(); 2]; T];
    let nibble = _mm512_set1_epi8(0x0f);
    for group in 0..groups {
        // SAFETY: the contract's sizes.
        unsafe {
            let bytes = stream
                .panel
                .as_ptr()
                .add(group * Format::Int4.group_bytes());
            stream.ask_ahead(group, Format::Int4.group_bytes());
            let tokens: [&Group; T] = std::array::from_fn(|t| rows[t].get_unchecked(group));
            // Two chains for each half: a sum of one token waits for itself otherwise.
            let mut first = [[_mm512_castps_si512(_mm512_set1_ps(BIAS)); 2]; T];
            let mut second = [[_mm512_setzero_si512(); 2]; T];
            for quad in 0..GROUP / 8 {
                for half in 0..2 {
                    let pair = codes(bytes.add(quad * 128 + half * 64));
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
                [
                    _mm512_add_epi32(first[t][0], second[t][0]),
                    _mm512_add_epi32(first[t][1], second[t][1]),
                ]
            });
            add_group(&steps(bytes), &tokens, &sums, &mut totals);
        }
    }
    store(&totals, products);
}

/// Scales and minima of a group as it is packed.
///
/// # Safety
/// There is a group of 4 bits at `bytes`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn steps(bytes: *const u8) -> Steps {
    // SAFETY: the contract's sizes.
    unsafe {
        let scales = bytes.add(Format::Int4.code_bytes());
        let minima = scales.add(2 * PANEL);
        let scales = [halves(scales), halves(scales.add(32))];
        let bias = _mm512_set1_ps(BIAS);
        Steps {
            scales,
            biases: [
                _mm512_mul_ps(scales[0], bias),
                _mm512_mul_ps(scales[1], bias),
            ],
            minima: [halves(minima), halves(minima.add(32))],
        }
    }
}

/// # Safety
/// Every row has as many groups as `groups`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c,fma")]
unsafe fn int4_unpacked<const T: usize>(
    groups: &[UnpackedGroup],
    rows: &[&[Group]; T],
    products: &mut [[f32; PANEL]; TILE],
) {
    let mut totals = [[_mm512_setzero_ps(); 2]; T];
    for (index, group) in groups.iter().enumerate() {
        // SAFETY: the contract's sizes.
        unsafe {
            let tokens: [&Group; T] = std::array::from_fn(|t| rows[t].get_unchecked(index));
            let mut sums = [[_mm512_castps_si512(_mm512_set1_ps(BIAS)); 2]; T];
            for quad in 0..GROUP / 4 {
                let low = codes(group.codes.as_ptr().add(quad * 128));
                let high = codes(group.codes.as_ptr().add(quad * 128 + 64));
                for t in 0..T {
                    let four = broadcast(tokens[t].codes.as_ptr().add(quad * 4));
                    sums[t][0] = _mm512_dpbusd_epi32(sums[t][0], low, four);
                    sums[t][1] = _mm512_dpbusd_epi32(sums[t][1], high, four);
                }
            }
            let load = |from: &[f32; PANEL]| {
                let from = from.as_ptr();
                [_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(16))]
            };
            let steps = Steps {
                scales: load(&group.scales),
                biases: load(&group.biases),
                minima: load(&group.minima),
            };
            add_group(&steps, &tokens, &sums, &mut totals);
        }
    }
    store(&totals, products);
}

/// Gives every code of a group its byte, in the order of 8-bit panels.
///
/// # Safety
/// `bytes` are a group of 4 bits.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c,fma")]
unsafe fn unpack(bytes: &[u8], group: &mut UnpackedGroup) {
    let nibble = _mm512_set1_epi8(0x0f);
    // SAFETY: the contract's sizes.
    unsafe {
        let to = group.codes.as_mut_ptr();
        for at in (0..Format::Int4.code_bytes()).step_by(64) {
            let pair = codes(bytes.as_ptr().add(at));
            let low = _mm512_and_si512(pair, nibble);
            let high = _mm512_and_si512(_mm512_srli_epi16::<4>(pair), nibble);
            _mm512_storeu_si512(to.add(at).cast(), low);
            _mm512_storeu_si512(to.add(at + Format::Int4.code_bytes()).cast(), high);
        }
        let steps = steps(bytes.as_ptr());
        for half in 0..2 {
            _mm512_storeu_ps(group.scales.as_mut_ptr().add(half * 16), steps.scales[half]);
            _mm512_storeu_ps(group.biases.as_mut_ptr().add(half * 16), steps.biases[half]);
            _mm512_storeu_ps(group.minima.as_mut_ptr().add(half * 16), steps.minima[half]);
        }
    }
}

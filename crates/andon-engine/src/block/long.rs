//! Blocks of 256 numbers, whose scales are quantised themselves.

use andon_kernels::activation::GROUP;
use andon_kernels::matrix::Group4;
use half::f16;

use super::half;

/// Numbers in a block.
const LONG: usize = 256;

/// The block that a group is of, and which of its groups it is.
fn block(row: &[u8], group: usize, bytes: usize) -> (&[u8], usize) {
    let groups = LONG / GROUP;
    (&row[group / groups * bytes..][..bytes], group % groups)
}

/// The scale and minimum of a group of Q4_K and Q5_K: six bits each, the eight
/// pairs packed into twelve bytes, times one float for all scales and one for all
/// minima.
fn scale_and_minimum(block: &[u8], group: usize) -> (f32, f32) {
    let packed = &block[4..16];
    let (scale, minimum) = match group {
        0..4 => (packed[group] & 63, packed[group + 4] & 63),
        _ => (
            packed[group + 4] & 15 | packed[group - 4] >> 6 << 4,
            packed[group + 4] >> 4 | packed[group] >> 6 << 4,
        ),
    };
    (
        half(block, 0).to_f32() * f32::from(scale),
        -half(block, 2).to_f32() * f32::from(minimum),
    )
}

/// The lower or upper halves of the 32 bytes that a group shares with its neighbour.
fn nibbles(packed: &[u8], group: usize) -> [u8; GROUP] {
    let bytes = &packed[group / 2 * GROUP..][..GROUP];
    std::array::from_fn(|at| bytes[at] >> (group % 2 * 4) & 15)
}

/// A group of Q4_K, scale and minimum rounded to halves.
pub(super) fn q4(row: &[u8], group: usize) -> Group4 {
    let (block, group) = block(row, group, 144);
    let (scale, minimum) = scale_and_minimum(block, group);
    Group4 {
        scale: f16::from_f32(scale),
        minimum: f16::from_f32(minimum),
        codes: nibbles(&block[16..], group),
    }
}

/// A group of Q5_K.
pub(super) fn q5(row: &[u8], group: usize) -> [f32; GROUP] {
    let (block, group) = block(row, group, 176);
    let (scale, minimum) = scale_and_minimum(block, group);
    let codes = nibbles(&block[48..], group);
    std::array::from_fn(|at| {
        let code = codes[at] | (block[16 + at] >> group & 1) << 4;
        scale * f32::from(code) + minimum
    })
}

/// A group of Q6_K: two scales, one for each half.
pub(super) fn q6(row: &[u8], group: usize) -> [f32; GROUP] {
    let (block, group) = block(row, group, 210);
    // Four groups share 64 bytes with their lower bits and 32 with their upper.
    let (side, part) = (group / 4, group % 4);
    let low = &block[side * 64 + part % 2 * GROUP..][..GROUP];
    let high = &block[128 + side * GROUP..][..GROUP];
    let scale = half(block, 208).to_f32();
    std::array::from_fn(|at| {
        let code = low[at] >> (part / 2 * 4) & 15 | (high[at] >> (part * 2) & 3) << 4;
        let step = f32::from(block[192 + 2 * group + at / 16] as i8);
        scale * step * (f32::from(code) - 32.0)
    })
}

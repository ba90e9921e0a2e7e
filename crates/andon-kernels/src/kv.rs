//! Keys and values of the tokens seen, in blocks of sixteen.

use half::f16;
use half::slice::HalfBitsSliceExt;

use crate::Kernels;
use crate::activation::GROUP;
use crate::isa::dispatch;
use crate::lanes::{LANES, Lanes};
use crate::share::Rows;

/// Tokens of a block.
pub const BLOCK: usize = LANES;

/// The shape of attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Heads of the queries.
    pub queries: usize,
    /// Heads of keys and values; each serves `queries / keys` of the queries'.
    pub keys: usize,
    /// Numbers in a head, a multiple of 16.
    pub size: usize,
}

/// Where a token's keys and values go; there may be several places for one token.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The token, as a number within the batch.
    pub token: usize,
    /// The block.
    pub block: u32,
    /// Its slot in the block.
    pub slot: usize,
}

/// Keys and values of the tokens of a batch, the heads one after the other, the
/// keys of all heads before the values.
#[derive(Clone, Copy, Debug)]
pub struct Fresh<'a> {
    /// The buffer, from the first token's keys on.
    pub rows: &'a [f32],
    /// From a token's keys to those of the next.
    pub stride: usize,
}

impl Kernels {
    /// Writes the keys and values of tokens to their places, in 8 bits with a scale
    /// for every 32 numbers of a head.
    ///
    /// # Panics
    /// If there is no such place or the rows are too short.
    pub fn store(&self, layer: &mut Layer, fresh: Fresh<'_>, places: &[Place]) {
        let Heads { keys, size, .. } = layer.heads;
        let width = keys * size;
        let groups = layer.heads.groups();
        let to_keys = Part::new(&mut layer.keys, size, groups);
        let to_values = Part::new(&mut layer.values, size, groups);
        let write = |chunk: usize| {
            let head = chunk / 2;
            let mut row = vec![0; size];
            let mut scales = vec![f16::ZERO; groups];
            for place in places {
                assert!(place.slot < BLOCK, "slot {} of {BLOCK}", place.slot);
                let fresh = &fresh.rows[place.token * fresh.stride..][..2 * width];
                let region = place.block as usize * keys + head;
                let (numbers, part) = match chunk.is_multiple_of(2) {
                    true => (&fresh[head * size..][..size], &to_keys),
                    false => (&fresh[width + head * size..][..size], &to_values),
                };
                // SAFETY: whole lanes, with room for their codes and scales; this
                // chunk alone writes the keys, or the values, of this head.
                let (codes, to_scales) = unsafe {
                    quantise(self.isa, numbers, &mut row, &mut scales);
                    (part.codes.row(region), part.scales.row(region))
                };
                if chunk.is_multiple_of(2) {
                    let places = codes.iter_mut().skip(place.slot).step_by(BLOCK);
                    places.zip(&row).for_each(|(to, &code)| *to = code);
                } else {
                    codes[place.slot * size..][..size].copy_from_slice(&row);
                }
                let places = to_scales.iter_mut().skip(place.slot).step_by(BLOCK);
                let bits = scales.iter().map(|scale| scale.to_bits());
                places.zip(bits).for_each(|(to, scale)| *to = scale);
            }
        };
        // Few tokens are not worth a second thread.
        match places.len() {
            0..8 => (0..2 * keys).for_each(write),
            _ => self.pool.for_each(2 * keys, &write),
        }
    }
}

dispatch!(fn quantise(row: &[f32], codes: &mut [i8], scales: &mut [f16]) = quantise_lanes);

/// # Safety
/// `row` is whole lanes; there is a code for every number and a scale for every group.
#[inline(always)]
unsafe fn quantise_lanes<L: Lanes>(row: &[f32], codes: &mut [i8], scales: &mut [f16]) {
    let groups = row.chunks(GROUP).zip(codes.chunks_mut(GROUP));
    for ((row, codes), to) in groups.zip(scales) {
        // SAFETY: a group is sixteen numbers, or twice as many.
        unsafe {
            let low = L::load(row.as_ptr());
            let high = match row.len() > LANES {
                true => L::load(row.as_ptr().add(LANES)),
                false => L::splat(0.0),
            };
            let largest = low.abs().max(high.abs()).maximum();
            // The codes are those that fit the scale as it is kept.
            let scale = f16::from_f32(largest * (1.0 / 127.0));
            let kept = scale.to_f32();
            let inverse = L::splat(if kept > 0.0 { 1.0 / kept } else { 0.0 });
            // No closures: what they call is not compiled for the lanes' instructions.
            let (least, most) = (L::splat(-127.0), L::splat(127.0));
            let low = low.mul(inverse).max(least).min(most);
            let high = high.mul(inverse).max(least).min(most);
            if codes.len() == GROUP {
                L::store_bytes(low, high, codes.as_mut_ptr());
            } else {
                let mut bytes = [0; GROUP];
                L::store_bytes(low, high, bytes.as_mut_ptr());
                codes.copy_from_slice(&bytes[..codes.len()]);
            }
            *to = scale;
        }
    }
}

/// Keys and values of one layer, in 8 bits with a scale for every 32 numbers of a
/// head, in numbered blocks that sequences share or own. In a block the keys of a
/// head lie with the sixteen tokens side by side, and so do all scales, so that one
/// load gives a number of all sixteen.
#[derive(Debug)]
pub struct Layer {
    heads: Heads,
    /// Codes are `[block][head][number][token]`.
    keys: Quantised,
    /// Codes are `[block][head][token][number]`.
    values: Quantised,
}

/// Keys or values.
#[derive(Debug)]
struct Quantised {
    codes: Vec<i8>,
    /// `[block][head][group][token]`, the bits of halves: memory of plain zeros is
    /// not taken from the system before it is used.
    scales: Vec<u16>,
}

/// Keys or values of one head in a block: codes, and the scales of each group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region<'a> {
    pub(crate) codes: &'a [i8],
    pub(crate) scales: &'a [f16],
}

/// Keys or values as several threads write them, a region by one thread at a time.
struct Part<'a> {
    codes: Rows<'a, i8>,
    scales: Rows<'a, u16>,
}

impl<'a> Part<'a> {
    fn new(quantised: &'a mut Quantised, size: usize, groups: usize) -> Self {
        Self {
            codes: Rows::new(&mut quantised.codes, size * BLOCK),
            scales: Rows::new(&mut quantised.scales, groups * BLOCK),
        }
    }
}

impl Heads {
    /// Bytes that the keys and values of a token take.
    pub fn token_bytes(self) -> usize {
        2 * self.keys * (self.size + self.groups() * size_of::<f16>())
    }

    /// Groups of a head's numbers that share a scale; the last may have sixteen.
    fn groups(self) -> usize {
        self.size.div_ceil(GROUP)
    }
}

impl Quantised {
    fn new(heads: Heads, blocks: usize) -> Self {
        let heads_in_all = blocks * heads.keys;
        Self {
            codes: vec![0; heads_in_all * heads.size * BLOCK],
            scales: vec![0; heads_in_all * heads.groups() * BLOCK],
        }
    }

    /// What a block holds.
    fn block(&self, heads: Heads, block: u32) -> (&[i8], &[u16]) {
        let codes = heads.keys * heads.size * BLOCK;
        let scales = heads.keys * heads.groups() * BLOCK;
        let block = block as usize;
        (
            &self.codes[block * codes..][..codes],
            &self.scales[block * scales..][..scales],
        )
    }

    fn block_mut(&mut self, heads: Heads, block: u32) -> (&mut [i8], &mut [u16]) {
        let codes = heads.keys * heads.size * BLOCK;
        let scales = heads.keys * heads.groups() * BLOCK;
        let block = block as usize;
        (
            &mut self.codes[block * codes..][..codes],
            &mut self.scales[block * scales..][..scales],
        )
    }

    fn copy_block(&mut self, heads: Heads, from: u32, to: u32) {
        let codes = heads.keys * heads.size * BLOCK;
        let scales = heads.keys * heads.groups() * BLOCK;
        let (from, to) = (from as usize, to as usize);
        let all = from * codes..(from + 1) * codes;
        self.codes.copy_within(all, to * codes);
        let all = from * scales..(from + 1) * scales;
        self.scales.copy_within(all, to * scales);
    }

    fn region(&self, heads: Heads, block: u32, head: usize) -> Region<'_> {
        let index = block as usize * heads.keys + head;
        let (codes, scales) = (heads.size * BLOCK, heads.groups() * BLOCK);
        Region {
            codes: &self.codes[index * codes..][..codes],
            scales: self.scales[index * scales..][..scales].reinterpret_cast(),
        }
    }
}

impl Layer {
    /// Room for `blocks` blocks, all zero.
    ///
    /// # Panics
    /// If the size of a head is no multiple of 16.
    pub fn new(heads: Heads, blocks: usize) -> Self {
        assert!(heads.size.is_multiple_of(LANES), "heads in whole vectors");
        Self {
            heads,
            keys: Quantised::new(heads, blocks),
            values: Quantised::new(heads, blocks),
        }
    }

    /// Copies a block over another.
    pub fn copy_block(&mut self, from: u32, to: u32) {
        self.keys.copy_block(self.heads, from, to);
        self.values.copy_block(self.heads, from, to);
    }

    /// Bytes that a block takes, keys and values together.
    pub fn block_bytes(&self) -> usize {
        self.heads.token_bytes() * BLOCK
    }

    /// Appends what a block holds to `content`.
    pub fn read_block(&self, block: u32, content: &mut Vec<u8>) {
        for part in [&self.keys, &self.values] {
            let (codes, scales) = part.block(self.heads, block);
            content.extend(codes.iter().map(|code| code.to_le_bytes()[0]));
            content.extend(scales.iter().flat_map(|scale| scale.to_le_bytes()));
        }
    }

    /// Puts back what [`Layer::read_block`] gave.
    ///
    /// # Panics
    /// If `content` has another length than a block.
    pub fn write_block(&mut self, block: u32, content: &[u8]) {
        assert_eq!(content.len(), self.block_bytes(), "the content of a block");
        let (keys, values) = content.split_at(content.len() / 2);
        for (part, content) in [(&mut self.keys, keys), (&mut self.values, values)] {
            let (codes, scales) = part.block_mut(self.heads, block);
            let (code_bytes, scale_bytes) = content.split_at(codes.len());
            for (to, &byte) in codes.iter_mut().zip(code_bytes) {
                *to = i8::from_le_bytes([byte]);
            }
            for (to, bytes) in scales.iter_mut().zip(scale_bytes.chunks_exact(2)) {
                *to = u16::from_le_bytes([bytes[0], bytes[1]]);
            }
        }
    }

    pub(crate) fn heads(&self) -> Heads {
        self.heads
    }

    pub(crate) fn keys(&self, block: u32, head: usize) -> Region<'_> {
        self.keys.region(self.heads, block, head)
    }

    pub(crate) fn values(&self, block: u32, head: usize) -> Region<'_> {
        self.values.region(self.heads, block, head)
    }
}

//! Keys and values of the tokens seen, in blocks of sixteen.

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};

use crate::Kernels;
use crate::lanes::LANES;
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

/// Where a token's keys and values go.
#[derive(Clone, Copy, Debug)]
pub struct Place {
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
    /// Writes the keys and values of every token to its place, rounded to halves.
    ///
    /// # Panics
    /// If there is no such place or the rows are too short.
    pub fn store(&self, layer: &mut Layer, fresh: Fresh<'_>, places: &[Place]) {
        let Heads { keys, size, .. } = layer.heads;
        let region = size * BLOCK;
        let width = keys * size;
        let to_keys = Rows::new(&mut layer.keys, region);
        let to_values = Rows::new(&mut layer.values, region);
        let write = |chunk: usize| {
            let head = chunk / 2;
            let mut halves = vec![f16::ZERO; size];
            for (token, place) in places.iter().enumerate() {
                assert!(place.slot < BLOCK, "slot {} of {BLOCK}", place.slot);
                let row = &fresh.rows[token * fresh.stride..][..2 * width];
                let region = place.block as usize * keys + head;
                if chunk.is_multiple_of(2) {
                    halves.convert_from_f32_slice(&row[head * size..][..size]);
                    // SAFETY: this chunk alone writes the keys of this head.
                    let to = unsafe { to_keys.row(region) };
                    for (to, key) in to.iter_mut().skip(place.slot).step_by(BLOCK).zip(&halves) {
                        *to = key.to_bits();
                    }
                } else {
                    halves.convert_from_f32_slice(&row[width + head * size..][..size]);
                    // SAFETY: this chunk alone writes the values of this head.
                    let to = unsafe { to_values.row(region) };
                    to[place.slot * size..][..size].copy_from_slice(halves.reinterpret_cast());
                }
            }
        };
        // Few tokens are not worth a second thread.
        match places.len() {
            0..8 => (0..2 * keys).for_each(write),
            _ => self.pool.for_each(2 * keys, &write),
        }
    }
}

/// Keys and values of one layer, as halves, in numbered blocks that sequences
/// share or own. In a block the keys of a head lie with the sixteen tokens side
/// by side, so that one load gives a number of all sixteen.
#[derive(Debug)]
pub struct Layer {
    heads: Heads,
    /// `[block][head][number][token]`, the bits of halves: memory of plain
    /// zeros is not taken from the system before it is used.
    keys: Vec<u16>,
    /// `[block][head][token][number]`, the bits of halves.
    values: Vec<u16>,
}

impl Layer {
    /// Room for `blocks` blocks, all zero.
    ///
    /// # Panics
    /// If the size of a head is no multiple of 16.
    pub fn new(heads: Heads, blocks: usize) -> Self {
        assert!(heads.size.is_multiple_of(LANES), "heads in whole vectors");
        let length = blocks * heads.keys * heads.size * BLOCK;
        Self {
            heads,
            keys: vec![0; length],
            values: vec![0; length],
        }
    }

    /// Copies a block over another.
    pub fn copy_block(&mut self, from: u32, to: u32) {
        let length = self.heads.keys * self.heads.size * BLOCK;
        let (from, to) = (from as usize * length, to as usize * length);
        self.keys.copy_within(from..from + length, to);
        self.values.copy_within(from..from + length, to);
    }

    /// Numbers that a block holds, keys and values together.
    pub fn block_length(&self) -> usize {
        2 * self.heads.keys * self.heads.size * BLOCK
    }

    /// Appends what a block holds to `content`.
    pub fn read_block(&self, block: u32, content: &mut Vec<u16>) {
        let half = self.block_length() / 2;
        let from = block as usize * half;
        content.extend_from_slice(&self.keys[from..from + half]);
        content.extend_from_slice(&self.values[from..from + half]);
    }

    /// Puts back what [`Layer::read_block`] gave.
    ///
    /// # Panics
    /// If `content` has another length than a block.
    pub fn write_block(&mut self, block: u32, content: &[u16]) {
        assert_eq!(content.len(), self.block_length(), "the content of a block");
        let (keys, values) = content.split_at(content.len() / 2);
        let from = block as usize * keys.len();
        self.keys[from..from + keys.len()].copy_from_slice(keys);
        self.values[from..from + values.len()].copy_from_slice(values);
    }

    pub(crate) fn heads(&self) -> Heads {
        self.heads
    }

    pub(crate) fn keys(&self, block: u32, head: usize) -> &[f16] {
        self.keys[self.start(block, head)..][..self.heads.size * BLOCK].reinterpret_cast()
    }

    pub(crate) fn values(&self, block: u32, head: usize) -> &[f16] {
        self.values[self.start(block, head)..][..self.heads.size * BLOCK].reinterpret_cast()
    }

    fn start(&self, block: u32, head: usize) -> usize {
        (block as usize * self.heads.keys + head) * self.heads.size * BLOCK
    }
}

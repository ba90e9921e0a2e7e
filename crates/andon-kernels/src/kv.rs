//! Keys and values of the tokens seen, in blocks of sixteen.

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};

use crate::lanes::LANES;

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

    /// Writes keys and values of one token, the heads one after the other.
    ///
    /// # Panics
    /// If there is no such block or slot.
    pub fn store(&mut self, block: u32, slot: usize, keys: &[f32], values: &[f32]) {
        assert!(slot < BLOCK, "slot {slot} of {BLOCK}");
        let size = self.heads.size;
        let mut halves = vec![f16::ZERO; size];
        for head in 0..self.heads.keys {
            let start = self.start(block, head);
            halves.convert_from_f32_slice(&keys[head * size..][..size]);
            let to = &mut self.keys[start..][..size * BLOCK];
            for (to, key) in to.iter_mut().skip(slot).step_by(BLOCK).zip(&halves) {
                *to = key.to_bits();
            }
            halves.convert_from_f32_slice(&values[head * size..][..size]);
            let to = &mut self.values[start + slot * size..][..size];
            to.copy_from_slice(halves.reinterpret_cast());
        }
    }

    /// Copies a block over another.
    pub fn copy_block(&mut self, from: u32, to: u32) {
        let length = self.heads.keys * self.heads.size * BLOCK;
        let (from, to) = (from as usize * length, to as usize * length);
        self.keys.copy_within(from..from + length, to);
        self.values.copy_within(from..from + length, to);
    }

    /// Bytes that a block takes in one layer.
    pub fn block_bytes(heads: Heads) -> usize {
        2 * heads.keys * heads.size * BLOCK * size_of::<f16>()
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

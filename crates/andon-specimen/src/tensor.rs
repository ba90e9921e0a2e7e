//! A tensor, in memory or yet to be made.

use std::io::{self, Write};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::kind::Kind;

/// Numbers that are made and written at once.
const PIECE: usize = 1 << 20;

/// A tensor as the header lists it, and its bytes.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// As in the file: the length of a row first.
    pub shape: Vec<u64>,
    /// The number of its kind.
    pub kind: u32,
    /// Its numbers.
    pub bytes: Vec<u8>,
    /// Where the header says that it is, if not where it is.
    pub claimed: Option<u64>,
}

/// What numbers a tensor has.
#[derive(Clone, Debug)]
pub(crate) enum Numbers {
    /// Random ones, from `-spread` to `spread`.
    Random { spread: f32 },
    /// Random ones around one: a norm.
    NearOne { spread: f32 },
    /// These.
    Exactly(Vec<f32>),
}

/// A tensor that can be made.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) shape: Vec<u64>,
    pub(crate) kind: Kind,
    pub(crate) numbers: Numbers,
    /// The seed of its own numbers.
    pub(crate) seed: u64,
}

impl Plan {
    /// Bytes that it takes.
    pub(crate) fn size(&self) -> u64 {
        self.count() / self.kind.block() as u64 * self.kind.block_bytes() as u64
    }

    fn count(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Makes and writes the numbers, a piece after the other.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        match &self.numbers {
            Numbers::Random { spread } => {
                let mut left = self.count() as usize;
                while left > 0 {
                    let count = left.min(PIECE);
                    out.write_all(&self.kind.random(&mut random, count, *spread))?;
                    left -= count;
                }
                Ok(())
            }
            Numbers::NearOne { spread } => (0..self.count()).try_for_each(|_| {
                let x: f32 = 1.0 + spread * random.random_range(-1.0..1.0);
                out.write_all(&x.to_le_bytes())
            }),
            Numbers::Exactly(numbers) => numbers
                .iter()
                .try_for_each(|x| out.write_all(&x.to_le_bytes())),
        }
    }

    /// The tensor in memory.
    pub(crate) fn tensor(&self) -> Tensor {
        let mut bytes = Vec::with_capacity(self.size() as usize);
        self.write(&mut bytes)
            .expect("memory takes what is written");
        Tensor {
            name: self.name.clone(),
            shape: self.shape.clone(),
            kind: self.kind as u32,
            bytes,
            claimed: None,
        }
    }
}

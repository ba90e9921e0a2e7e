//! Low-rank adapters (Hu et al. 2021): what a model says, changed by some
//! megabytes beside its weights.
//!
//! To the product of a matrix an adapter adds `scale * alpha / rank * B A x`. Many
//! may be loaded, and a step computes slots of different ones together; what they
//! have in common with slots of none is the model's own product. Start at [`Adapter`];
//! [`layout`] says where in a model an adapter's matrices belong, [`pair`] what
//! is read of them, [`company`] computes.

use std::path::Path;
use std::sync::Arc;

use andon_kernels::activation::GROUP;
use andon_kernels::matrix::{Group8, Matrix};
use andon_task::digest::Digest;

use crate::error::LoadError;

mod company;
mod gguf;
mod layout;
mod pair;
mod peft;

pub(crate) use company::{Company, Rows, Scratch};
pub(crate) use layout::{Layout, Site};
use pair::Pair;

/// The files of a PEFT folder.
const WEIGHTS: &str = "adapter_model.safetensors";
const CONFIG: &str = "adapter_config.json";

/// An adapter, packed for one model and never changed.
pub struct Adapter {
    digest: Digest,
    /// What is added in each layer, by [`Site`].
    layers: Vec<[Option<Addition>; Site::COUNT]>,
}

/// What an adapter adds to the products of one site.
struct Addition {
    /// The first matrices, one below the other.
    down: Matrix,
    parts: Vec<Part>,
}

/// The second matrix of a pair.
struct Part {
    up: Matrix,
    /// The first of its inputs among the products of `down`.
    input: usize,
    /// The first of its outputs among those of the site.
    output: usize,
    /// What its inputs are multiplied by.
    factor: f32,
}

impl std::fmt::Debug for Adapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Adapter({})", self.digest.short())
    }
}

/// The bytes of an adapter's files.
#[derive(Clone, Copy, Debug)]
pub enum Files<'a> {
    /// A GGUF file.
    Gguf(&'a [u8]),
    /// What PEFT writes.
    Peft {
        /// `adapter_model.safetensors`.
        weights: &'a [u8],
        /// `adapter_config.json`.
        config: &'a [u8],
    },
}

impl Adapter {
    /// Reads a GGUF file, or a folder as PEFT writes it.
    pub(crate) fn load(path: &Path, layout: &Layout) -> Result<Self, LoadError> {
        match path.is_dir() {
            true => {
                let weights = std::fs::read(path.join(WEIGHTS))?;
                let config = std::fs::read(path.join(CONFIG))?;
                let (weights, config) = (&weights, &config);
                Self::read(Files::Peft { weights, config }, layout)
            }
            false => Self::read(Files::Gguf(&std::fs::read(path)?), layout),
        }
    }

    /// Reads and packs an adapter that fits a model.
    pub(crate) fn read(files: Files<'_>, layout: &Layout) -> Result<Self, LoadError> {
        let (digest, pairs) = match files {
            Files::Gguf(file) => (Digest::of(file), gguf::pairs(file, layout)?),
            Files::Peft { weights, config } => (
                Digest::of_parts([weights, config]),
                peft::pairs(weights, config, layout)?,
            ),
        };
        Ok(Self::pack(digest, pairs, layout))
    }

    fn pack(digest: Digest, pairs: Vec<Pair>, layout: &Layout) -> Self {
        let mut sites: Vec<[Vec<Pair>; Site::COUNT]> = Vec::new();
        sites.resize_with(layout.layers, Default::default);
        for pair in pairs {
            sites[pair.place.layer][pair.place.site as usize].push(pair);
        }
        let layers = sites.into_iter().map(|sites| sites.map(Addition::pack));
        Self {
            digest,
            layers: layers.collect(),
        }
    }
}

impl Addition {
    fn pack(mut pairs: Vec<Pair>) -> Option<Self> {
        // The order of the file means nothing.
        pairs.sort_by_key(|pair| pair.place.first);
        let columns = pairs.first()?.place.columns;
        let mut down = Vec::new();
        let mut parts = Vec::with_capacity(pairs.len());
        for mut pair in pairs {
            let (input, rank) = (down.len() / columns, pair.rank);
            // Scales are halves, which very small and very large numbers would leave.
            let factor = pair.factor * into_range(&mut pair.down) * into_range(&mut pair.up);
            down.append(&mut pair.down);
            parts.push(Part {
                up: pack(&pair.up, rank),
                input,
                output: pair.place.first,
                factor,
            });
        }
        Some(Self {
            down: pack(&down, columns),
            parts,
        })
    }
}

/// Divides numbers by a power of two, so that the largest is below two; the divisor.
fn into_range(numbers: &mut [f32]) -> f32 {
    let largest = numbers.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    if largest == 0.0 {
        return 1.0;
    }
    // Its exponent alone.
    let divisor = f32::from_bits(largest.to_bits() & 0x7f80_0000).max(f32::MIN_POSITIVE);
    numbers.iter_mut().for_each(|x| *x /= divisor);
    divisor
}

fn pack(numbers: &[f32], columns: usize) -> Matrix {
    Matrix::int8(numbers.len() / columns, columns, |row, group| {
        let row = &numbers[row * columns..][..columns];
        Group8::quantise(&row[group * GROUP..columns.min((group + 1) * GROUP)])
    })
}

/// An adapter at a scale: what a request is answered with.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The adapter.
    pub(crate) adapter: Arc<Adapter>,
    /// What it adds is multiplied by this.
    pub(crate) scale: f32,
}

/// What shaped keys and values beside the tokens: no adapter, or one at a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variant(Option<(Digest, u32)>);

impl Variant {
    /// The model without an adapter.
    pub const ALONE: Self = Self(None);

    /// That of an adapter at a scale.
    pub(crate) fn new(adapter: Digest, scale: f32) -> Self {
        Self(Some((adapter, scale.to_bits())))
    }

    /// That of a request.
    pub(crate) fn of(applied: Option<&Applied>) -> Self {
        applied.map_or(Self::ALONE, |applied| {
            Self::new(applied.adapter.digest, applied.scale)
        })
    }

    /// Bytes that are its own: none for the model alone.
    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.map_or_else(Vec::new, |(digest, scale)| {
            [digest.as_bytes().as_slice(), &scale.to_le_bytes()].concat()
        })
    }
}

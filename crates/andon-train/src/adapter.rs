//! The matrices of an adapter while they are trained, and as a file.

use andon_task::digest::Digest;
use andon_task::weights::DecoderShape;
use candle_core::{Device, Result, Tensor, Var};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::adam::Parameter;
use crate::gguf::{File, Value};
use crate::op::LowRank;

/// Adapters lose this share of themselves, times the learning rate, at each step.
const DECAY: f64 = 0.01;

/// Products of a layer that are computed from one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// Queries, keys and values.
    Qkv,
    /// The output of the attention.
    Output,
    /// Gate and up.
    GateUp,
    /// Down.
    Down,
}

impl Site {
    pub(crate) const COUNT: usize = 4;
    const ALL: [Self; Self::COUNT] = [Self::Qkv, Self::Output, Self::GateUp, Self::Down];

    /// What files call its parts, and how many rows each has.
    pub(crate) fn parts(self, shape: &DecoderShape) -> Vec<(&'static str, usize)> {
        let (queries, keys) = (shape.query_width(), shape.key_width());
        let inner = shape.feed_forward;
        match (self, shape.is_fused) {
            (Self::Qkv, true) => vec![("attn_qkv", queries + 2 * keys)],
            (Self::Qkv, false) => vec![("attn_q", queries), ("attn_k", keys), ("attn_v", keys)],
            (Self::Output, _) => vec![("attn_output", shape.width)],
            (Self::GateUp, true) => vec![("ffn_up", 2 * inner)],
            (Self::GateUp, false) => vec![("ffn_gate", inner), ("ffn_up", inner)],
            (Self::Down, _) => vec![("ffn_down", shape.width)],
        }
    }

    fn columns(self, shape: &DecoderShape) -> usize {
        match self {
            Self::Qkv | Self::GateUp => shape.width,
            Self::Output => shape.query_width(),
            Self::Down => shape.feed_forward,
        }
    }
}

/// Matrices beside all products of a model.
pub(crate) struct Adapter {
    /// `[layer][site]`.
    sites: Vec<[(Var, Var); Site::COUNT]>,
    rank: usize,
    alpha: f32,
}

impl Adapter {
    /// An adapter that changes nothing yet: the first matrices are random, the second
    /// ones zero.
    pub(crate) fn new(
        shape: &DecoderShape,
        (rank, alpha): (usize, f32),
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut pair = |site: Site| {
            let columns = site.columns(shape);
            let parts = site.parts(shape);
            let rows: usize = parts.iter().map(|part| part.1).sum();
            let spread = 1.0 / (columns as f32).sqrt();
            let count = parts.len() * rank * columns;
            let numbers: Vec<f32> = (0..count)
                .map(|_| spread * (random.next_u32() as f32 / (1u64 << 31) as f32 - 1.0))
                .collect();
            let down = Tensor::from_vec(numbers, (parts.len() * rank, columns), device)?;
            let up = Tensor::zeros((rank, rows), candle_core::DType::F32, device)?;
            Ok::<_, candle_core::Error>((Var::from_tensor(&down)?, Var::from_tensor(&up)?))
        };
        let layers = (0..shape.layers).map(|_| {
            let [a, b, c, d] = Site::ALL.map(&mut pair);
            Ok([a?, b?, c?, d?])
        });
        Ok(Self {
            sites: layers.collect::<Result<_>>()?,
            rank,
            alpha,
        })
    }

    /// The matrices beside one product.
    pub(crate) fn at(&self, layer: usize, site: Site) -> LowRank<'_> {
        let (down, up) = &self.sites[layer][site as usize];
        LowRank {
            down,
            up,
            scale: self.alpha / self.rank as f32,
        }
    }

    /// All that is trained.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        let pairs = self.sites.iter().flatten();
        pairs
            .flat_map(|(down, up)| [down, up])
            .map(|values| Parameter {
                values: values.clone(),
                rate: 1.0,
                decay: DECAY,
            })
            .collect()
    }

    /// A GGUF file as llama.cpp's converter writes it.
    pub(crate) fn file(&self, shape: &DecoderShape, base: Digest) -> Result<Vec<u8>> {
        let mut file = File::default();
        file.set("general.type", Value::Text("adapter".into()));
        file.set(
            "general.architecture",
            Value::Text(shape.architecture.clone()),
        );
        let name = format!("adapter of the model {}", base.short());
        file.set("general.name", Value::Text(name));
        file.set("adapter.type", Value::Text("lora".into()));
        file.set("adapter.lora.alpha", Value::Float(self.alpha));
        let rank = self.rank;
        for (layer, sites) in self.sites.iter().enumerate() {
            for (site, (down, up)) in Site::ALL.into_iter().zip(sites) {
                let columns = site.columns(shape);
                let down = down.flatten_all()?.to_vec1::<f32>()?;
                // The file has a row of `rank` numbers for each of the model's.
                let up = up.t()?.flatten_all()?.to_vec1::<f32>()?;
                let mut first = 0;
                for (part, (name, rows)) in site.parts(shape).into_iter().enumerate() {
                    let name = |half: char| format!("blk.{layer}.{name}.weight.lora_{half}");
                    let down = &down[part * rank * columns..][..rank * columns];
                    file.add(name('a'), [columns, rank], down);
                    file.add(name('b'), [rank, rows], &up[first * rank..][..rows * rank]);
                    first += rows;
                }
            }
        }
        Ok(file.bytes())
    }
}

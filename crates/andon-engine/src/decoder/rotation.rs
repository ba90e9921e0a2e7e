//! Rotary positions: how far a token's queries and keys are turned.

use andon_kernels::rope::Pairing;

use crate::error::{LoadError, damaged, unsupported};
use crate::gguf::Gguf;
use crate::source::Source;

/// The rotary positions of a model (Su et al. 2021).
#[derive(Clone, Debug)]
pub(super) struct Rotation {
    /// How far each pair of a head turns a token, in radians.
    pub(super) frequencies: Vec<f64>,
    /// What the turned queries and keys are multiplied by.
    pub(super) length: f64,
    pub(super) pairing: Pairing,
}

/// What a rotation depends on beside the keys of its own.
pub(super) struct Heads {
    pub(super) size: usize,
    pub(super) pairing: Pairing,
    /// Tokens that a sequence may have here.
    pub(super) context: usize,
    /// Tokens that the model was made for.
    pub(super) trained: usize,
}

impl Rotation {
    pub(super) fn read(
        gguf: &Gguf<'_>,
        source: &Source<'_, '_>,
        architecture: &str,
        heads: &Heads,
    ) -> Result<Self, LoadError> {
        let key = |part: &str| format!("{architecture}.rope.{part}");
        let rotated = gguf.size_or(&key("dimension_count"), heads.size)?;
        if rotated > heads.size || rotated % 2 != 0 {
            return Err(damaged!(
                "{rotated} of {} numbers of a head are rotated",
                heads.size
            ));
        }
        let base = gguf.positive_or(&key("freq_base"), 10_000.0)?;
        let slower = slowdown(gguf, architecture)?;
        let mut frequencies: Vec<f64> = (0..rotated / 2)
            .map(|pair| base.powf(-2.0 * pair as f64 / rotated as f64) / slower)
            .collect();
        let mut length = 1.0;
        let mut slow_down = |name: &str| {
            let factors = source.vector(name, rotated / 2)?;
            if let Some(factor) = factors.iter().find(|x| !(x.is_finite() && **x > 0.0)) {
                return Err(damaged!("'{name}' has the factor {factor}"));
            }
            let pairs = frequencies.iter_mut().zip(factors);
            pairs.for_each(|(frequency, factor)| *frequency /= f64::from(factor));
            Ok(())
        };
        if source.has("rope_freqs") {
            slow_down("rope_freqs")?;
        }
        if source.has("rope_factors_long") || source.has("rope_factors_short") {
            // LongRoPE (Ding et al. 2024): the same model has factors for texts
            // that fit what it was first trained with, and for those that do not.
            // Keys are kept turned, so all texts of a node are turned alike.
            let original = gguf.size_or(&key("scaling.original_context_length"), heads.trained)?;
            let (used, other) = match heads.context > original {
                true => ("rope_factors_long", "rope_factors_short"),
                false => ("rope_factors_short", "rope_factors_long"),
            };
            slow_down(used)?;
            if source.has(other) {
                source.vector(other, rotated / 2)?;
            }
            let times = heads.trained as f64 / original as f64;
            let usual = match times > 1.0 {
                true => (1.0 + times.ln() / (original as f64).ln()).sqrt(),
                false => 1.0,
            };
            length = gguf.positive_or(&key("scaling.attn_factor"), usual)?;
        }
        Ok(Self {
            frequencies,
            length,
            pairing: heads.pairing,
        })
    }
}

/// By how much all pairs turn more slowly than they once did.
fn slowdown(gguf: &Gguf<'_>, architecture: &str) -> Result<f64, LoadError> {
    let key = |part: &str| format!("{architecture}.rope.{part}");
    let kind = key("scaling.type");
    let kind = match gguf.get(&kind) {
        None => "linear",
        Some(_) => gguf.text(&kind)?,
    };
    match kind {
        "linear" => {
            let older = gguf.positive_or(&key("scale_linear"), 1.0)?;
            gguf.positive_or(&key("scaling.factor"), older)
        }
        "none" | "longrope" => Ok(1.0),
        other => Err(unsupported!(
            "rotary positions scaled by '{other}'; this version knows 'linear' and 'longrope'"
        )),
    }
}

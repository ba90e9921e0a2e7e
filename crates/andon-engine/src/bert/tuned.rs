//! Encoders whose layers were tuned: a file of these layers beside the encoder that they
//! came from.
//!
//! The file is a safetensors file that names the encoder by its digest, and ends with its
//! own SHA-256.

use std::sync::Arc;

use andon_task::digest::Digest;
use safetensors::SafeTensors;

use super::safetensors::{Linear, pack};
use super::{Bert, Layer, Norm};
use crate::block;
use crate::error::{LoadError, damaged, foreign};

/// Where the file names the encoder that it is for.
const BASE: &str = "andon.base";

impl Bert {
    /// The encoder with the layers of a file, which must be for the encoder of this
    /// digest. What comes before the layers is shared.
    pub(crate) fn tuned(&self, base: Digest, file: &[u8]) -> Result<Self, LoadError> {
        let (body, seal) = file
            .split_last_chunk::<32>()
            .ok_or_else(|| damaged!("the tuned encoder has only {} bytes", file.len()))?;
        if Digest::of(body).as_bytes() != seal {
            return Err(damaged!("the tuned encoder is not as it was written"));
        }
        let header = |error| damaged!("the safetensors header: {error}");
        let (_, metadata) = SafeTensors::read_metadata(body).map_err(header)?;
        let named = metadata.metadata().as_ref().and_then(|map| map.get(BASE));
        match named {
            Some(named) if *named == base.to_string() => {}
            Some(named) => {
                return Err(foreign!(
                    "it was tuned from the encoder {named}, and this one is {base}"
                ));
            }
            None => {
                return Err(damaged!(
                    "the tuned encoder names no encoder that it is for"
                ));
            }
        }
        let tensors = SafeTensors::deserialize(body).map_err(header)?;
        let floats = |name: String, shape: &[usize]| {
            let tensor = tensors.tensor(&name);
            let tensor = tensor.map_err(|_| damaged!("the tensor '{name}' is missing"))?;
            if tensor.shape() != shape {
                return Err(damaged!(
                    "the tensor '{name}' has the shape {:?}, not {shape:?}",
                    tensor.shape()
                ));
            }
            let numbers = block::view_floats(&name, &tensor)?;
            match numbers.iter().find(|number| !number.is_finite()) {
                Some(number) => Err(damaged!("the tensor '{name}' holds a {number}")),
                None => Ok(numbers),
            }
        };
        let (width, inner) = (self.shape.width, self.shape.inner);
        let read = |(index, layer): (usize, &Layer)| {
            let linear = |part: &str, rows: usize, columns: usize| {
                let name = format!("layer.{index}.{part}");
                let linear = Linear {
                    weight: floats(format!("{name}.weight"), &[rows, columns])?,
                    bias: floats(format!("{name}.bias"), &[rows])?,
                };
                Ok::<_, LoadError>(pack(&[linear], columns))
            };
            let norm = |part: &str, norm: &Norm| {
                let name = format!("layer.{index}.{part}");
                Ok::<_, LoadError>(Norm {
                    weight: floats(format!("{name}.weight"), &[width])?,
                    bias: floats(format!("{name}.bias"), &[width])?,
                    epsilon: norm.epsilon,
                })
            };
            Ok(Layer {
                qkv: vec![linear("qkv", 3 * width, width)?],
                attention_output: linear("output", width, width)?,
                attention_norm: norm("attention_norm", &layer.attention_norm)?,
                up: linear("up", inner, width)?,
                down: linear("down", width, inner)?,
                output_norm: norm("output_norm", &layer.output_norm)?,
            })
        };
        let layers = self.layers.iter().enumerate().map(read);
        Ok(Self {
            shape: self.shape.clone(),
            pooling: self.pooling,
            words: Arc::clone(&self.words),
            positions: Arc::clone(&self.positions),
            norm: self.norm.clone(),
            layers: layers.collect::<Result<_, LoadError>>()?,
        })
    }
}

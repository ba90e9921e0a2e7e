//! Adapters as Hugging Face's PEFT writes them: `adapter_model.safetensors` and
//! `adapter_config.json`.

use std::collections::HashSet;

use safetensors::SafeTensors;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::layout::{Layout, Place};
use super::pair::{Found, Half, Pair, Pairing};
use crate::block;
use crate::error::{LoadError, damaged, unsupported};

/// What `adapter_config.json` says of the numbers.
#[derive(Deserialize)]
struct Config {
    peft_type: String,
    r: u32,
    lora_alpha: f32,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    target_modules: Option<Value>,
    /// Ranks of some modules, which their tensors show as well.
    #[serde(default)]
    rank_pattern: Option<Map<String, Value>>,
    /// All else.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What changes the numbers in a way that is not computed here, unless it is
/// absent, null, false, empty or the word beside it.
const STRANGE: [(&str, &str); 14] = [
    ("use_dora", ""),
    ("use_qalora", ""),
    ("bias", "none"),
    ("lora_bias", ""),
    ("fan_in_fan_out", ""),
    ("modules_to_save", ""),
    ("alpha_pattern", ""),
    ("trainable_token_indices", ""),
    ("layer_replication", ""),
    ("target_parameters", ""),
    ("alora_invocation_tokens", ""),
    ("invocation_string", ""),
    ("arrow_config", ""),
    ("megatron_config", ""),
];

/// Beginnings that leave the weights of the model as they are; others train an
/// adapter for changed ones.
const BEGINNINGS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

impl Config {
    fn parse(json: &[u8]) -> Result<Self, LoadError> {
        let config: Self = serde_json::from_slice(json)
            .map_err(|error| damaged!("adapter_config.json: {error}"))?;
        if config.peft_type != "LORA" {
            return Err(unsupported!(
                "an adapter of the type '{}'; this version runs 'LORA'",
                config.peft_type
            ));
        }
        for (key, usual) in STRANGE {
            let is_usual = match config.rest.get(key) {
                None | Some(Value::Null | Value::Bool(false)) => true,
                Some(Value::Array(values)) => values.is_empty(),
                Some(Value::Object(values)) => values.is_empty(),
                Some(Value::String(text)) => text.is_empty() || text == usual,
                Some(_) => false,
            };
            if !is_usual {
                return Err(unsupported!(
                    "an adapter with '{key}': {}",
                    config.rest[key]
                ));
            }
        }
        match config.rest.get("init_lora_weights") {
            Some(Value::String(beginning)) if !BEGINNINGS.contains(&beginning.as_str()) => Err(
                unsupported!("an adapter that began as '{beginning}', for weights changed by it"),
            ),
            _ => Ok(config),
        }
    }

    fn factor(&self, rank: usize) -> f32 {
        match self.use_rslora {
            true => self.lora_alpha / (rank as f32).sqrt(),
            false => self.lora_alpha / rank as f32,
        }
    }

    /// Makes sure that the tensors are those that the config speaks of.
    fn check(&self, modules: &HashSet<String>, pairs: &[Pair]) -> Result<(), LoadError> {
        if let Some(Value::Array(targets)) = &self.target_modules {
            for target in targets.iter().filter_map(Value::as_str) {
                let is_meant =
                    |module: &String| module == target || module.ends_with(&format!(".{target}"));
                if !modules.iter().any(is_meant) {
                    return Err(damaged!(
                        "adapter_config.json names the module '{target}', of which there are no tensors"
                    ));
                }
            }
        }
        let has_own_ranks = self
            .rank_pattern
            .as_ref()
            .is_some_and(|map| !map.is_empty());
        match pairs.iter().find(|pair| pair.rank != self.r as usize) {
            Some(pair) if !has_own_ranks => Err(damaged!(
                "adapter_config.json says a rank of {}, but a matrix has {}",
                self.r,
                pair.rank
            )),
            _ => Ok(()),
        }
    }
}

/// All matrices of the two files.
pub(super) fn pairs(weights: &[u8], json: &[u8], layout: &Layout) -> Result<Vec<Pair>, LoadError> {
    let config = Config::parse(json)?;
    let tensors = SafeTensors::deserialize(weights)
        .map_err(|error| damaged!("the safetensors header: {error}"))?;
    let mut pairing = Pairing::default();
    let mut modules = HashSet::new();
    // In one order, so that files are refused for one reason.
    let mut views = tensors.tensors();
    views.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    for (name, tensor) in &views {
        let unknown = || unsupported!("the adapter's tensor '{name}'");
        let (path, half) = match name.rsplit_once(".lora_") {
            Some((path, "A.weight")) => (path, Half::Down),
            Some((path, "B.weight")) => (path, Half::Up),
            _ => return Err(unknown()),
        };
        let rest = path.strip_prefix("base_model.model.model.layers.");
        let (layer, module) = rest.and_then(|r| r.split_once('.')).ok_or_else(unknown)?;
        let target = Layout::module_target(module).ok_or_else(unknown)?;
        let place = layout.place(path, layer, target)?;
        let &[rows, columns] = tensor.shape() else {
            return Err(damaged!(
                "the adapter's tensor '{name}' has the shape {:?}",
                tensor.shape()
            ));
        };
        let found = Found {
            rows,
            columns,
            numbers: block::view_floats(name, tensor)?,
        };
        let mut take = |found| pairing.take(path, half, place, found);
        match (half, place.interleaved) {
            (Half::Up, Some(heads)) if rows == place.rows => {
                take(interleave(found, place, heads))?;
            }
            _ => take(found)?,
        }
        modules.insert(module.to_owned());
    }
    let pairs = pairing.finish(|rank| config.factor(rank))?;
    config.check(&modules, &pairs)?;
    Ok(pairs)
}

/// The same rows with the two halves of every head interleaved, as the model has
/// its own.
fn interleave(found: Found, place: Place, heads: usize) -> Found {
    let (columns, size) = (found.columns, place.rows / heads);
    let rows = (0..place.rows).flat_map(|row| {
        let (head, within) = (row / size, row % size);
        let from = head * size + within % 2 * (size / 2) + within / 2;
        found.numbers[from * columns..][..columns].iter().copied()
    });
    Found {
        numbers: rows.collect(),
        ..found
    }
}

//! A model that can be made from few words.

use std::io::{self, Write};

use crate::family::Family;
use crate::file::{ALIGNMENT, Entry, File, Value, header};
use crate::kind::Kind;
use crate::shape::Shape;
use crate::tensor::{Numbers, Plan};

/// Which matrices are kept how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mix {
    /// These kinds in turn, beginning with the embedding.
    InTurn(Vec<Kind>),
    /// As the mix `Q4_K_M` has it: Q4_K, but Q6_K for the embedding, the output
    /// and, in half of the layers, values and down.
    Q4KM,
}

impl Mix {
    /// The kinds that may occur.
    fn kinds(&self) -> &[Kind] {
        match self {
            Self::InTurn(kinds) => kinds,
            Self::Q4KM => &[Kind::Q4K, Kind::Q6K],
        }
    }
}

/// A model of random weights.
#[derive(Clone, Debug)]
pub struct Specimen {
    /// Its family.
    pub family: Family,
    /// Its sizes.
    pub shape: Shape,
    /// How its matrices are kept; norms, biases and factors are floats.
    pub mix: Mix,
    /// Whether it has an output matrix of its own: otherwise the embedding serves.
    pub has_output: bool,
    /// What its numbers are drawn from.
    pub seed: u64,
}

impl Specimen {
    /// The smallest model of a family that can be kept so.
    pub fn tiny(family: Family, mix: Mix) -> Self {
        let mut shape = match mix.kinds().iter().all(|kind| kind.block() <= 32) {
            true => Shape::TINY,
            false => Shape::TINY_256,
        };
        if family == Family::Gemma2 {
            // Its heads are wider than the state divided among them.
            shape.head *= 2;
        }
        Self {
            family,
            shape,
            mix,
            has_output: false,
            seed: 1,
        }
    }

    /// The first matrix whose rows are no whole blocks of its kind: its name, the
    /// length of its rows and its kind. Such a specimen cannot be made.
    pub fn misfit(&self) -> Option<(String, u64, Kind)> {
        let plans = self.plans(self.vocabulary(&self.metadata()));
        let misfit = plans
            .into_iter()
            .find(|plan| !plan.shape[0].is_multiple_of(plan.kind.block() as u64));
        misfit.map(|plan| (plan.name, plan.shape[0], plan.kind))
    }

    /// The whole file in memory.
    pub fn file(&self) -> File {
        let metadata = self.metadata();
        let plans = self.plans(self.vocabulary(&metadata));
        File {
            metadata,
            tensors: plans.iter().map(Plan::tensor).collect(),
        }
    }

    /// Writes the file, piece by piece: the same bytes as [`Specimen::file`] gives.
    ///
    /// # Errors
    /// If `out` takes no more.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let metadata = self.metadata();
        let plans = self.plans(self.vocabulary(&metadata));
        let entries = plans.iter().map(|plan| Entry {
            name: &plan.name,
            shape: &plan.shape,
            kind: plan.kind as u32,
            size: plan.size(),
            claimed: None,
        });
        out.write_all(&header(&metadata, entries))?;
        for plan in &plans {
            plan.write(out)?;
            let size = plan.size() as usize;
            let padding = size.next_multiple_of(ALIGNMENT) - size;
            out.write_all(&[0; ALIGNMENT][..padding])?;
        }
        Ok(())
    }

    fn metadata(&self) -> Vec<(String, Value)> {
        self.family.metadata(&self.shape)
    }

    fn vocabulary(&self, metadata: &[(String, Value)]) -> usize {
        let tokens = metadata.iter().find_map(|(_, value)| match value {
            Value::Texts(tokens) => Some(tokens.len()),
            _ => None,
        });
        tokens.expect("the tokens are the first list of texts")
    }

    fn plans(&self, vocabulary: usize) -> Vec<Plan> {
        let shape = &self.shape;
        let (width, inner) = (shape.width, shape.inner);
        let (queries, keys) = (shape.query_width(), shape.key_width());
        let family = self.family;
        let mut plans = Plans {
            specimen: self,
            plans: Vec::new(),
            matrices: 0,
        };
        plans.matrix("token_embd", vocabulary, width);
        for layer in 0..shape.layers {
            let name = |part: &str| format!("blk.{layer}.{part}");
            plans.norm(&name("attn_norm"), width);
            if family == Family::Phi3 {
                plans.matrix(&name("attn_qkv"), queries + 2 * keys, width);
            } else {
                for (part, rows) in [("attn_q", queries), ("attn_k", keys), ("attn_v", keys)] {
                    plans.matrix(&name(part), rows, width);
                    if family == Family::Qwen2 {
                        let spread = Numbers::Random { spread: 0.5 };
                        plans.floats(&format!("{}.bias", name(part)), rows, spread);
                    }
                }
            }
            plans.matrix(&name("attn_output"), width, queries);
            if family == Family::Gemma2 {
                plans.norm(&name("post_attention_norm"), width);
            }
            plans.norm(&name("ffn_norm"), width);
            if family == Family::Phi3 {
                plans.matrix(&name("ffn_up"), 2 * inner, width);
            } else {
                plans.matrix(&name("ffn_gate"), inner, width);
                plans.matrix(&name("ffn_up"), inner, width);
            }
            plans.matrix(&name("ffn_down"), width, inner);
            if family == Family::Gemma2 {
                plans.norm(&name("post_ffw_norm"), width);
            }
        }
        plans.norm("output_norm", width);
        if self.has_output {
            plans.matrix("output", vocabulary, width);
        }
        plans.angles();
        plans.plans
    }
}

/// The tensors of a specimen, while they are listed.
struct Plans<'a> {
    specimen: &'a Specimen,
    plans: Vec<Plan>,
    /// How many matrices were listed.
    matrices: usize,
}

impl Plans<'_> {
    fn matrix(&mut self, name: &str, rows: usize, columns: usize) {
        let kind = match &self.specimen.mix {
            Mix::InTurn(kinds) => kinds[self.matrices % kinds.len()],
            Mix::Q4KM => self.q4_k_m(name),
        };
        self.matrices += 1;
        // Products that keep the size of their inputs; of the embedding, logits
        // as different from each other as those of real models.
        let spread = match (name, self.specimen.family) {
            // Scaled up on its way in, it would drown what the layers add.
            ("token_embd", Family::Gemma2) => 4.0,
            ("token_embd" | "output", _) => 4.0,
            _ => 1.7,
        };
        let numbers = Numbers::Random {
            spread: spread / (columns as f32).sqrt(),
        };
        self.push(&format!("{name}.weight"), kind, &[columns, rows], numbers);
    }

    fn q4_k_m(&self, name: &str) -> Kind {
        let layer: Option<usize> = name.split('.').nth(1).and_then(|layer| layer.parse().ok());
        let is_finer = match layer {
            None => true,
            Some(layer) => {
                layer % 2 == 0 && (name.ends_with("attn_v") || name.ends_with("ffn_down"))
            }
        };
        if is_finer { Kind::Q6K } else { Kind::Q4K }
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.floats(
            &format!("{name}.weight"),
            width,
            Numbers::NearOne { spread: 0.2 },
        );
    }

    fn floats(&mut self, name: &str, length: usize, numbers: Numbers) {
        self.push(name, Kind::F32, &[length], numbers);
    }

    /// The factors by which rotary angles are slowed down for long contexts.
    fn angles(&mut self) {
        let shape = &self.specimen.shape;
        let pairs = shape.head / 2;
        match self.specimen.family {
            Family::Llama if shape.has_scaled_angles => {
                let factors = (0..pairs).map(|pair| llama3_factor(shape, pair)).collect();
                self.floats("rope_freqs.weight", pairs, Numbers::Exactly(factors));
            }
            Family::Phi3 => {
                for (name, most) in [("long", 8.0), ("short", 1.3f32)] {
                    let factor = |pair: usize| most.powf(pair as f32 / pairs as f32);
                    let factors = Numbers::Exactly((0..pairs).map(factor).collect());
                    self.floats(&format!("rope_factors_{name}.weight"), pairs, factors);
                }
            }
            Family::Llama | Family::Qwen2 | Family::Gemma2 => {}
        }
    }

    fn push(&mut self, name: &str, kind: Kind, shape: &[usize], numbers: Numbers) {
        // Each tensor has numbers of its own, whatever others there are.
        let seed = self.specimen.seed << 32 | self.plans.len() as u64;
        self.plans.push(Plan {
            name: name.to_owned(),
            shape: shape.iter().map(|&length| length as u64).collect(),
            kind,
            numbers,
            seed,
        });
    }
}

/// How much slower a pair turns in Llama 3.2 (Grattafiori et al. 2024): pairs that
/// turn round within the original context as before, the slowest 32 times.
fn llama3_factor(shape: &Shape, pair: usize) -> f32 {
    let (slowest, low, high) = (32.0, 1.0, 4.0);
    let original = 8192.min(shape.context / 4) as f32;
    let frequency = shape.rope_base.powf(-2.0 * pair as f32 / shape.head as f32);
    let turns = original * frequency / std::f32::consts::TAU;
    let share = ((turns - low) / (high - low)).clamp(0.0, 1.0);
    1.0 / ((1.0 - share) / slowest + share)
}

//! Where in a model the matrices of an adapter belong.

use crate::error::{LoadError, foreign, unsupported};

/// What a model is to its adapters.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// The architecture, as files name it.
    pub(crate) architecture: &'static str,
    pub(crate) layers: usize,
    /// Numbers in a token's state.
    pub(crate) width: usize,
    /// Numbers of a token's queries, and the heads among which they are divided.
    pub(crate) queries: (usize, usize),
    /// The same of its keys, and of its values.
    pub(crate) keys: (usize, usize),
    pub(crate) feed_forward: usize,
    /// Whether queries, keys and values are one matrix, and gate and up.
    pub(crate) is_fused: bool,
    /// Whether files for this model have the two halves of each head of queries
    /// and keys interleaved, other than Hugging Face's.
    pub(crate) is_interleaved: bool,
}

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
    pub(super) const COUNT: usize = 4;
}

/// The part of a layer that a matrix of a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Query,
    Key,
    Value,
    Qkv,
    Output,
    Gate,
    Up,
    GateUp,
    Down,
}

/// A matrix within a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) layer: usize,
    pub(super) site: Site,
    /// The first of its outputs among those of the site.
    pub(super) first: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Its heads, if files for this model have their halves interleaved.
    pub(super) interleaved: Option<usize>,
}

impl Layout {
    /// The target that a part of a GGUF file's tensor names means in this model.
    pub(super) fn gguf_target(&self, part: &str) -> Option<Target> {
        Some(match part {
            "attn_q" => Target::Query,
            "attn_k" => Target::Key,
            "attn_v" => Target::Value,
            "attn_qkv" => Target::Qkv,
            "attn_output" => Target::Output,
            "ffn_gate" => Target::Gate,
            "ffn_up" if self.is_fused => Target::GateUp,
            "ffn_up" => Target::Up,
            "ffn_down" => Target::Down,
            _ => return None,
        })
    }

    /// The target that a module's name in Hugging Face's models means.
    pub(super) fn module_target(module: &str) -> Option<Target> {
        Some(match module {
            "self_attn.q_proj" => Target::Query,
            "self_attn.k_proj" => Target::Key,
            "self_attn.v_proj" => Target::Value,
            "self_attn.qkv_proj" => Target::Qkv,
            "self_attn.o_proj" => Target::Output,
            "mlp.gate_proj" => Target::Gate,
            "mlp.up_proj" => Target::Up,
            "mlp.gate_up_proj" => Target::GateUp,
            "mlp.down_proj" => Target::Down,
            _ => return None,
        })
    }

    /// Where a tensor of an adapter belongs; `name` is for the error.
    pub(super) fn place(
        &self,
        name: &str,
        layer: &str,
        target: Target,
    ) -> Result<Place, LoadError> {
        let layer = match layer.parse::<usize>() {
            Ok(layer) if layer < self.layers => layer,
            Ok(_) => {
                return Err(foreign!(
                    "'{name}' is for a layer that the model has not: it has {}",
                    self.layers
                ));
            }
            Err(_) => return Err(unsupported!("the adapter's tensor '{name}'")),
        };
        let (queries, keys) = (self.queries.0, self.keys.0);
        let (width, inner) = (self.width, self.feed_forward);
        // Whether the target is one half of what some models have as one matrix.
        let (site, first, rows, is_fused) = match target {
            Target::Query => (Site::Qkv, 0, queries, Some(false)),
            Target::Key => (Site::Qkv, queries, keys, Some(false)),
            Target::Value => (Site::Qkv, queries + keys, keys, Some(false)),
            Target::Qkv => (Site::Qkv, 0, queries + 2 * keys, Some(true)),
            Target::Output => (Site::Output, 0, width, None),
            Target::Gate => (Site::GateUp, 0, inner, Some(false)),
            Target::Up => (Site::GateUp, inner, inner, Some(false)),
            Target::GateUp => (Site::GateUp, 0, 2 * inner, Some(true)),
            Target::Down => (Site::Down, 0, width, None),
        };
        if is_fused.is_some_and(|is_fused| is_fused != self.is_fused) {
            return Err(foreign!(
                "'{name}' is for a matrix that models of the architecture '{}' have not",
                self.architecture
            ));
        }
        let columns = match site {
            Site::Qkv | Site::GateUp => width,
            Site::Output => queries,
            Site::Down => inner,
        };
        let heads = match target {
            Target::Query => Some(self.queries.1),
            Target::Key => Some(self.keys.1),
            _ => None,
        };
        Ok(Place {
            layer,
            site,
            first,
            rows,
            columns,
            interleaved: heads.filter(|_| self.is_interleaved),
        })
    }
}

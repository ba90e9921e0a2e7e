//! Low-rank adapters of random weights, in both of the usual formats.

use crate::family::Family;
use crate::file::{File, Value};
use crate::kind::Kind;
use crate::specimen::Specimen;
use crate::tensor::{Numbers, Plan, Tensor};

/// A low-rank adapter (Hu et al. 2021) for every matrix of a model's layers.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// The model that it is made for.
    pub of: Specimen,
    /// Numbers between its two matrices.
    pub rank: usize,
    /// Its strength: products are multiplied by `alpha / rank`.
    pub alpha: f32,
    /// What its numbers are drawn from.
    pub seed: u64,
}

/// An adapter as Hugging Face's PEFT writes it.
#[derive(Clone, Debug)]
pub struct Peft {
    /// `adapter_model.safetensors`.
    pub weights: Vec<u8>,
    /// `adapter_config.json`.
    pub config: String,
}

impl Adapter {
    /// As a GGUF file.
    pub fn file(&self) -> File {
        let text = |text: &str| Value::Text(text.into());
        let metadata = vec![
            ("general.type".into(), text("adapter")),
            ("general.architecture".into(), text(self.of.family.name())),
            ("adapter.type".into(), text("lora")),
            ("adapter.lora.alpha".into(), Value::F32(self.alpha)),
        ];
        let model = self.of.file();
        let matrices = model
            .tensors
            .iter()
            .filter(|tensor| tensor.name.starts_with("blk.") && tensor.shape.len() == 2);
        let tensors = matrices.flat_map(|tensor| {
            let (columns, rows) = (tensor.shape[0], tensor.shape[1]);
            // What is added is about half as large as what it is added to.
            let rank = self.rank as u64;
            let down = (columns, rank, 1.7 / (columns as f32).sqrt());
            let up = (rank, rows, 0.9 * (self.rank as f32).sqrt() / self.alpha);
            [("lora_a", down), ("lora_b", up)].map(|(part, (columns, rows, spread))| {
                (
                    format!("{}.{part}", tensor.name),
                    vec![columns, rows],
                    spread,
                )
            })
        });
        let tensors = tensors
            .enumerate()
            .map(|(index, (name, shape, spread))| {
                let plan = Plan {
                    name,
                    shape,
                    kind: Kind::F32,
                    numbers: Numbers::Random { spread },
                    seed: self.seed << 32 | index as u64,
                };
                plan.tensor()
            })
            .collect();
        File { metadata, tensors }
    }

    /// The same numbers, as PEFT writes them.
    pub fn peft(&self) -> Peft {
        let tensors: Vec<Tensor> = self.file().tensors;
        let mut modules: Vec<&str> = tensors.iter().map(|tensor| self.module(tensor).1).collect();
        modules.sort_unstable();
        modules.dedup();
        let names: Vec<&str> = modules
            .iter()
            .map(|module| module.split('.').next_back().expect("a name has an end"))
            .collect();
        let config = format!(
            r#"{{"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": {}, "lora_alpha": {:?}, "bias": "none", "use_rslora": false, "use_dora": false, "fan_in_fan_out": false, "modules_to_save": null, "target_modules": {names:?}}}"#,
            self.rank, self.alpha
        );
        let (mut entries, mut data) = (Vec::new(), Vec::new());
        for tensor in &tensors {
            let (layer, module) = self.module(tensor);
            let part = match tensor.name.ends_with("lora_a") {
                true => "lora_A",
                false => "lora_B",
            };
            let from = data.len();
            match (part, self.turned_heads(tensor)) {
                ("lora_B", Some(heads)) => data.extend(turn(tensor, heads)),
                _ => data.extend(&tensor.bytes),
            }
            entries.push(format!(
                r#""base_model.model.model.layers.{layer}.{module}.{part}.weight":{{"dtype":"F32","shape":[{},{}],"data_offsets":[{from},{}]}}"#,
                tensor.shape[1],
                tensor.shape[0],
                data.len()
            ));
        }
        let header = format!("{{{}}}", entries.join(","));
        let mut weights = (header.len() as u64).to_le_bytes().to_vec();
        weights.extend(header.bytes());
        weights.extend(data);
        Peft { weights, config }
    }

    /// The layer of a tensor and the name of its module in Hugging Face's models.
    fn module<'a>(&self, tensor: &'a Tensor) -> (&'a str, &'static str) {
        let mut parts = tensor.name.split('.').skip(1);
        let layer = parts.next().expect("the number of a layer");
        let module = match parts.next() {
            Some("attn_q") => "self_attn.q_proj",
            Some("attn_k") => "self_attn.k_proj",
            Some("attn_v") => "self_attn.v_proj",
            Some("attn_qkv") => "self_attn.qkv_proj",
            Some("attn_output") => "self_attn.o_proj",
            Some("ffn_gate") => "mlp.gate_proj",
            Some("ffn_up") if self.of.family == Family::Phi3 => "mlp.gate_up_proj",
            Some("ffn_up") => "mlp.up_proj",
            Some("ffn_down") => "mlp.down_proj",
            other => panic!("no module for {other:?}"),
        };
        (layer, module)
    }

    /// The heads of queries or keys, where a GGUF file has the two halves of each
    /// interleaved.
    fn turned_heads(&self, tensor: &Tensor) -> Option<usize> {
        let is_of = |part: &str| tensor.name.contains(part);
        match self.of.family {
            Family::Llama if is_of("attn_q.") => Some(self.of.shape.queries),
            Family::Llama if is_of("attn_k.") => Some(self.of.shape.keys),
            _ => None,
        }
    }
}

/// The rows of a matrix with the halves of every head one after the other.
fn turn(tensor: &Tensor, heads: usize) -> Vec<u8> {
    let (columns, rows) = (tensor.shape[0] as usize, tensor.shape[1] as usize);
    let size = rows / heads;
    let row_bytes = columns * size_of::<f32>();
    let rows = (0..rows).flat_map(|row| {
        let (head, within) = (row / size, row % size);
        let (half, pair) = (within / (size / 2), within % (size / 2));
        let from = head * size + 2 * pair + half;
        &tensor.bytes[from * row_bytes..][..row_bytes]
    });
    rows.copied().collect()
}

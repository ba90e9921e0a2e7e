//! What the families have that others have not.

use crate::file::Value;
use crate::shape::Shape;
use crate::vocabulary;

/// A family of language models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the families' own")]
pub enum Family {
    Llama,
    Qwen2,
    Gemma2,
    Phi3,
}

/// Added to the mean square in norms.
const EPSILON: f32 = 1e-5;

const CHAT_ML: &str = "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
const CHAT_GEMMA: &str = "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n{{ message['content'] }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}";
const CHAT_PHI: &str = "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}";

impl Family {
    /// All families.
    pub const ALL: [Self; 4] = [Self::Llama, Self::Qwen2, Self::Gemma2, Self::Phi3];

    /// The name of the architecture in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Gemma2 => "gemma2",
            Self::Phi3 => "phi3",
        }
    }

    /// Everything that the file says of such a model.
    pub(crate) fn metadata(self, shape: &Shape) -> Vec<(String, Value)> {
        let size = |n: usize| Value::U32(n as u32);
        let mut entries = vec![
            (
                "general.architecture".into(),
                Value::Text(self.name().into()),
            ),
            ("general.alignment".into(), size(32)),
            ("general.quantization_version".into(), size(2)),
        ];
        let mut own = vec![
            ("block_count", size(shape.layers)),
            ("context_length", size(shape.context)),
            ("embedding_length", size(shape.width)),
            ("feed_forward_length", size(shape.inner)),
            ("attention.head_count", size(shape.queries)),
            ("attention.head_count_kv", size(shape.keys)),
            ("attention.layer_norm_rms_epsilon", Value::F32(EPSILON)),
            ("rope.freq_base", Value::F32(shape.rope_base)),
            ("rope.dimension_count", size(shape.head)),
        ];
        match self {
            Self::Llama => {
                if shape.query_width() != shape.width {
                    own.push(("attention.key_length", size(shape.head)));
                    own.push(("attention.value_length", size(shape.head)));
                }
            }
            Self::Qwen2 => {}
            Self::Gemma2 => own.extend([
                ("attention.key_length", size(shape.head)),
                ("attention.value_length", size(shape.head)),
                ("attention.sliding_window", size(self.window(shape))),
                ("attn_logit_softcapping", Value::F32(Self::caps(shape).0)),
                ("final_logit_softcapping", Value::F32(Self::caps(shape).1)),
            ]),
            Self::Phi3 => {
                let (context, original) = (shape.context as f32, shape.context / 4);
                let factor = 1.0 + (context / original as f32).ln() / (original as f32).ln();
                own.extend([
                    ("rope.scaling.original_context_length", size(original)),
                    ("rope.scaling.attn_factor", Value::F32(factor.sqrt())),
                ]);
            }
        }
        let own = own.into_iter();
        entries.extend(own.map(|(key, value)| (format!("{}.{key}", self.name()), value)));
        entries.extend(self.vocabulary(shape.vocabulary));
        entries
    }

    /// Tokens that the layers with a window see.
    fn window(self, shape: &Shape) -> usize {
        4096.min(shape.context / 15)
    }

    /// What products of queries and keys and what logits are softly kept below. Those
    /// of small models are smaller, so that tests see the caps.
    fn caps(shape: &Shape) -> (f32, f32) {
        if shape.width < 512 {
            (0.7, 6.0)
        } else {
            (50.0, 30.0)
        }
    }

    fn vocabulary(self, size: usize) -> Vec<(String, Value)> {
        // The texts of the control tokens, then who begins and who ends a text.
        let (mut entries, begin, end, adds_begin, template) = match self {
            Self::Llama | Self::Qwen2 => {
                let controls = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
                let entries = vocabulary::byte_level(&controls, size);
                (entries, 1, 2, false, CHAT_ML)
            }
            Self::Gemma2 => {
                let controls = [
                    "<pad>",
                    "<eos>",
                    "<bos>",
                    "<unk>",
                    "<start_of_turn>",
                    "<end_of_turn>",
                ];
                let mut entries = vocabulary::sentence_piece(&controls, size);
                entries.extend([
                    ("tokenizer.ggml.unknown_token_id".into(), Value::U32(3)),
                    ("tokenizer.ggml.padding_token_id".into(), Value::U32(0)),
                    ("tokenizer.ggml.eot_token_id".into(), Value::U32(5)),
                    ("tokenizer.ggml.add_space_prefix".into(), Value::Bool(false)),
                ]);
                (entries, 2, 1, true, CHAT_GEMMA)
            }
            Self::Phi3 => {
                let controls = [
                    "<unk>",
                    "<s>",
                    "</s>",
                    "<|endoftext|>",
                    "<|assistant|>",
                    "<|system|>",
                    "<|end|>",
                    "<|user|>",
                ];
                let mut entries = vocabulary::sentence_piece(&controls, size);
                entries.extend([
                    ("tokenizer.ggml.unknown_token_id".into(), Value::U32(0)),
                    ("tokenizer.ggml.add_space_prefix".into(), Value::Bool(true)),
                ]);
                (entries, 1, 6, false, CHAT_PHI)
            }
        };
        entries.extend([
            ("tokenizer.ggml.bos_token_id".into(), Value::U32(begin)),
            ("tokenizer.ggml.eos_token_id".into(), Value::U32(end)),
            (
                "tokenizer.ggml.add_bos_token".into(),
                Value::Bool(adds_begin),
            ),
            (
                "tokenizer.chat_template".into(),
                Value::Text(template.into()),
            ),
        ]);
        entries
    }
}

//! Small models of random weights, in the file formats of real ones.

use half::{bf16, f16};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) const WIDTH: usize = 64;
pub(crate) const INNER: usize = 96;
pub(crate) const LAYERS: usize = 2;
pub(crate) const QUERIES: usize = 4;
pub(crate) const KEYS: usize = 2;
pub(crate) const HEAD: usize = 16;
pub(crate) const EPSILON: f32 = 1e-5;

const TEMPLATE: &str = "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
const MERGES: [&str; 24] = [
    "Ġ t", "h e", "Ġt he", "i n", "e r", "o n", "a n", "Ġ a", "a t", "e n", "i t", "o r", "i s",
    "a l", "Ġ o", "l e", "Ġ w", "a r", "Ġ m", "u m", "p um", "in g", "Ġ le", "Ġle a",
];
const CONTROLS: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

/// How numbers are kept, under the number of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q8_0 = 8,
    Bf16 = 30,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::F32,
        Self::F16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q8_0,
        Self::Bf16,
    ];

    fn encode(self, values: &[f32]) -> Vec<u8> {
        let half = |x: f32| f16::from_f32(x).to_le_bytes();
        let in_blocks = |block: fn(&[f32]) -> Vec<u8>| values.chunks(32).flat_map(block).collect();
        match self {
            Self::F32 => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::F16 => values.iter().flat_map(|&x| half(x)).collect(),
            Self::Bf16 => values
                .iter()
                .flat_map(|&x| bf16::from_f32(x).to_le_bytes())
                .collect(),
            Self::Q8_0 => in_blocks(|block| {
                let scale = f16::from_f32(largest(block) / 127.0);
                let code = |x: &f32| (x / scale.to_f32()).round() as i8 as u8;
                let codes = block.iter().map(code);
                scale.to_le_bytes().into_iter().chain(codes).collect()
            }),
            Self::Q4_0 => in_blocks(|block| {
                let scale = f16::from_f32(largest(block) / 7.0);
                let code = |x: f32| (x / scale.to_f32() + 8.0).round().clamp(0.0, 15.0) as u8;
                let codes = (0..16).map(|at| code(block[at]) | code(block[at + 16]) << 4);
                scale.to_le_bytes().into_iter().chain(codes).collect()
            }),
            Self::Q4_1 => in_blocks(|block| {
                let low = block.iter().copied().fold(f32::INFINITY, f32::min);
                let high = block.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let (scale, low) = (f16::from_f32((high - low) / 15.0), f16::from_f32(low));
                let code = |x: f32| {
                    let steps = (x - low.to_f32()) / scale.to_f32();
                    steps.round().clamp(0.0, 15.0) as u8
                };
                let codes = (0..16).map(|at| code(block[at]) | code(block[at + 16]) << 4);
                let scales = [scale.to_le_bytes(), low.to_le_bytes()].concat();
                scales.into_iter().chain(codes).collect()
            }),
        }
    }

    /// The numbers that the bytes stand for, as the format defines them.
    fn decode(self, bytes: &[u8]) -> Vec<f64> {
        let half = |at: &[u8]| f64::from(f16::from_le_bytes([at[0], at[1]]));
        let nibbles = |codes: &[u8]| -> Vec<f64> {
            let low = codes.iter().map(|byte| f64::from(byte & 15));
            low.chain(codes.iter().map(|byte| f64::from(byte >> 4)))
                .collect()
        };
        match self {
            Self::F32 => bytes
                .chunks(4)
                .map(|x| f64::from(f32::from_le_bytes([x[0], x[1], x[2], x[3]])))
                .collect(),
            Self::F16 => bytes.chunks(2).map(half).collect(),
            Self::Bf16 => bytes
                .chunks(2)
                .map(|x| f64::from(bf16::from_le_bytes([x[0], x[1]])))
                .collect(),
            Self::Q8_0 => bytes
                .chunks(34)
                .flat_map(|x| x[2..].iter().map(move |&c| half(x) * f64::from(c as i8)))
                .collect(),
            Self::Q4_0 => bytes
                .chunks(18)
                .flat_map(|x| {
                    nibbles(&x[2..])
                        .into_iter()
                        .map(move |c| half(x) * (c - 8.0))
                })
                .collect(),
            Self::Q4_1 => bytes
                .chunks(20)
                .flat_map(|x| {
                    let codes = nibbles(&x[4..]).into_iter();
                    codes.map(move |code| half(x) * code + half(&x[2..]))
                })
                .collect(),
        }
    }
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most: f32, x| most.max(x.abs()))
}

/// A value of the metadata.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    U32(u32),
    U64(u64),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    Integers(Vec<i32>),
    Floats(Vec<f32>),
}

/// A tensor as the header lists it, and its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    /// As in the file: the length of a row first.
    pub(crate) shape: Vec<u64>,
    pub(crate) kind: u32,
    pub(crate) bytes: Vec<u8>,
    /// Where the header says that it is, if not where it is.
    pub(crate) claimed: Option<u64>,
}

/// A GGUF file before it is written.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) metadata: Vec<(String, Value)>,
    pub(crate) tensors: Vec<Tensor>,
}

impl File {
    /// A model whose tensors are kept in `kinds` in turn, beginning with the
    /// embedding; norms are floats, as in every real file.
    pub(crate) fn new(seed: u64, kinds: &[Kind], has_output: bool) -> Self {
        let vocabulary = vocabulary();
        let mut weights = Weights {
            random: ChaCha8Rng::seed_from_u64(seed),
            kinds: kinds.to_vec(),
            tensors: Vec::new(),
        };
        weights.matrix("token_embd", vocabulary.len(), WIDTH);
        for layer in 0..LAYERS {
            let name = |part: &str| format!("blk.{layer}.{part}");
            weights.norm(&name("attn_norm"));
            weights.matrix(&name("attn_q"), QUERIES * HEAD, WIDTH);
            weights.matrix(&name("attn_k"), KEYS * HEAD, WIDTH);
            weights.matrix(&name("attn_v"), KEYS * HEAD, WIDTH);
            weights.matrix(&name("attn_output"), WIDTH, QUERIES * HEAD);
            weights.norm(&name("ffn_norm"));
            weights.matrix(&name("ffn_gate"), INNER, WIDTH);
            weights.matrix(&name("ffn_up"), INNER, WIDTH);
            weights.matrix(&name("ffn_down"), WIDTH, INNER);
        }
        weights.norm("output_norm");
        if has_output {
            weights.matrix("output", vocabulary.len(), WIDTH);
        }
        Self {
            metadata: metadata(vocabulary),
            tensors: weights.tensors,
        }
    }

    /// Sets a value of the metadata.
    pub(crate) fn set(&mut self, key: &str, value: Value) {
        let entry = self.metadata.iter_mut().find(|(name, _)| name == key);
        entry.expect("the key is there").1 = value;
    }

    /// The list of texts under a key.
    pub(crate) fn texts(&mut self, key: &str) -> &mut Vec<String> {
        let entry = self.metadata.iter_mut().find(|(name, _)| name == key);
        match entry.map(|(_, value)| value) {
            Some(Value::Texts(texts)) => texts,
            other => panic!("'{key}' is {other:?}"),
        }
    }

    pub(crate) fn tensor(&mut self, name: &str) -> &mut Tensor {
        let tensor = self.tensors.iter_mut().find(|tensor| tensor.name == name);
        tensor.expect("the tensor is there")
    }

    /// The numbers of a tensor.
    pub(crate) fn numbers(&self, name: &str) -> Option<Vec<f64>> {
        let name = format!("{name}.weight");
        let tensor = self.tensors.iter().find(|tensor| tensor.name == name)?;
        let kind = Kind::ALL.into_iter().find(|&k| k as u32 == tensor.kind)?;
        Some(kind.decode(&tensor.bytes))
    }

    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF\x03\0\0\0".to_vec();
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            put_text(&mut out, key);
            put_value(&mut out, value);
        }
        let mut data: Vec<u8> = Vec::new();
        for tensor in &self.tensors {
            put_text(&mut out, &tensor.name);
            out.extend((tensor.shape.len() as u32).to_le_bytes());
            for length in &tensor.shape {
                out.extend(length.to_le_bytes());
            }
            out.extend(tensor.kind.to_le_bytes());
            let offset = tensor.claimed.unwrap_or(data.len() as u64);
            out.extend(offset.to_le_bytes());
            data.extend(&tensor.bytes);
            data.resize(data.len().next_multiple_of(32), 0);
        }
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(data);
        out
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    let kind = |out: &mut Vec<u8>, number: u32| out.extend(number.to_le_bytes());
    match value {
        Value::U32(n) => {
            kind(out, 4);
            out.extend(n.to_le_bytes());
        }
        Value::U64(n) => {
            kind(out, 10);
            out.extend(n.to_le_bytes());
        }
        Value::F32(x) => {
            kind(out, 6);
            out.extend(x.to_le_bytes());
        }
        Value::Bool(flag) => {
            kind(out, 7);
            out.push(u8::from(*flag));
        }
        Value::Text(text) => {
            kind(out, 8);
            put_text(out, text);
        }
        Value::Texts(texts) => {
            kind(out, 9);
            kind(out, 8);
            out.extend((texts.len() as u64).to_le_bytes());
            texts.iter().for_each(|text| put_text(out, text));
        }
        Value::Integers(numbers) => {
            kind(out, 9);
            kind(out, 5);
            out.extend((numbers.len() as u64).to_le_bytes());
            numbers.iter().for_each(|n| out.extend(n.to_le_bytes()));
        }
        Value::Floats(numbers) => {
            kind(out, 9);
            kind(out, 6);
            out.extend((numbers.len() as u64).to_le_bytes());
            numbers.iter().for_each(|n| out.extend(n.to_le_bytes()));
        }
    }
}

/// The control tokens, every byte, and the merges.
fn vocabulary() -> Vec<String> {
    let mut tokens: Vec<String> = CONTROLS.map(str::to_owned).to_vec();
    let is_printable = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut next = 256;
    for byte in 0..256 {
        let stand_in = if is_printable(byte) {
            byte
        } else {
            next += 1;
            next - 1
        };
        tokens.extend(char::from_u32(stand_in).map(String::from));
    }
    tokens.extend(MERGES.map(|merge| merge.replace(' ', "")));
    tokens
}

fn metadata(vocabulary: Vec<String>) -> Vec<(String, Value)> {
    let kinds = (0..vocabulary.len()).map(|id| if id < CONTROLS.len() { 3 } else { 1 });
    let kinds = Value::Integers(kinds.collect());
    let size = |n: usize| Value::U32(n as u32);
    let text = |text: &str| Value::Text(text.into());
    [
        ("general.architecture", text("llama")),
        ("general.alignment", size(32)),
        ("llama.block_count", size(LAYERS)),
        ("llama.context_length", size(128)),
        ("llama.embedding_length", size(WIDTH)),
        ("llama.feed_forward_length", size(INNER)),
        ("llama.attention.head_count", size(QUERIES)),
        ("llama.attention.head_count_kv", size(KEYS)),
        (
            "llama.attention.layer_norm_rms_epsilon",
            Value::F32(EPSILON),
        ),
        ("llama.rope.freq_base", Value::F32(10_000.0)),
        ("llama.rope.dimension_count", size(HEAD)),
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("smollm")),
        ("tokenizer.ggml.tokens", Value::Texts(vocabulary)),
        ("tokenizer.ggml.token_type", kinds),
        (
            "tokenizer.ggml.merges",
            Value::Texts(MERGES.map(str::to_owned).to_vec()),
        ),
        ("tokenizer.ggml.bos_token_id", size(1)),
        ("tokenizer.ggml.eos_token_id", size(2)),
        ("tokenizer.ggml.add_bos_token", Value::Bool(false)),
        ("tokenizer.chat_template", text(TEMPLATE)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .to_vec()
}

struct Weights {
    random: ChaCha8Rng,
    kinds: Vec<Kind>,
    tensors: Vec<Tensor>,
}

impl Weights {
    fn matrix(&mut self, name: &str, rows: usize, columns: usize) {
        let kind = self.kinds[0];
        self.kinds.rotate_left(1);
        // An embedding as large as a norm makes it, products that keep the size.
        let spread = if name == "token_embd" {
            1.0
        } else {
            1.7 / (columns as f32).sqrt()
        };
        self.push(name, kind, &[columns, rows], 0.0, spread);
    }

    fn norm(&mut self, name: &str) {
        self.push(name, Kind::F32, &[WIDTH], 1.0, 0.2);
    }

    fn push(&mut self, name: &str, kind: Kind, shape: &[usize], mean: f32, spread: f32) {
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| mean + spread * self.random.random_range(-1.0..1.0))
            .collect();
        self.tensors.push(Tensor {
            name: format!("{name}.weight"),
            shape: shape.iter().map(|&length| length as u64).collect(),
            kind: kind as u32,
            bytes: kind.encode(&values),
            claimed: None,
        });
    }
}

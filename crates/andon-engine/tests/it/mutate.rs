//! Ways to spoil a model file.

use andon_specimen::{File, Value};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// Damages bytes as disks, networks and fuzzers do.
pub(crate) fn damage(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    for _ in 0..random.random_range(1..=3) {
        // Half of it in the header, which is the smaller part.
        let end = match random.random_bool(0.5) {
            true => bytes.len().min(9_000),
            false => bytes.len(),
        };
        if end < 16 {
            return;
        }
        let at = random.random_range(0..end - 8);
        match random.random_range(0..7) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.random(),
            2 => {
                let extremes = [0, 1, u32::MAX, i32::MAX as u32, 1 << 24, random.random()];
                let value = extremes.choose(random).expect("some").to_le_bytes();
                bytes[at..at + 4].copy_from_slice(&value);
            }
            3 => {
                let extremes = [0, u64::MAX, i64::MAX as u64, 1 << 32, 1 << 40, 7];
                let value = extremes.choose(random).expect("some").to_le_bytes();
                bytes[at..at + 8].copy_from_slice(&value);
            }
            4 => bytes.truncate(at),
            5 => {
                let length = random.random_range(1..=64).min(bytes.len() - at);
                let copy = bytes[at..at + length].to_vec();
                let to = random.random_range(0..bytes.len());
                bytes.splice(to..to, copy);
            }
            _ => {
                let length = random.random_range(1..=64).min(bytes.len() - at);
                bytes.drain(at..at + length);
            }
        }
    }
}

/// Changes what a file says, as somebody would who knows the format.
pub(crate) fn change(file: &mut File, random: &mut ChaCha8Rng) {
    const SIZES: [&str; 14] = [
        "*.block_count",
        "*.context_length",
        "*.embedding_length",
        "*.feed_forward_length",
        "*.attention.head_count",
        "*.attention.head_count_kv",
        "*.attention.key_length",
        "*.attention.sliding_window",
        "*.rope.dimension_count",
        "*.rope.scaling.original_context_length",
        "*.expert_count",
        "general.alignment",
        "tokenizer.ggml.bos_token_id",
        "tokenizer.ggml.eos_token_id",
    ];
    let family = match file
        .metadata
        .iter()
        .find(|(key, _)| key == "general.architecture")
    {
        Some((_, Value::Text(name))) => name.clone(),
        other => panic!("the architecture is {other:?}"),
    };
    let named = |key: &str| key.replace('*', &family);
    let any = |length: usize, random: &mut ChaCha8Rng| random.random_range(0..length);
    let entry = any(file.metadata.len(), random);
    match random.random_range(0..14) {
        0 | 1 => {
            let key = SIZES.choose(random).expect("some");
            let small = random.random_range(0..64);
            let values = [0, 1, 3, 16, 512, 1 << 12, 1 << 20, 1 << 24, u64::MAX, small];
            file.set(
                &named(key),
                Value::U64(*values.choose(random).expect("some")),
            );
        }
        2 => file.set(&named("*.context_length"), Value::U32(1 << 24)),
        3 => {
            let wrong = [
                Value::U32(7),
                Value::F32(f32::NAN),
                Value::Bool(true),
                Value::Text("{{ 1 / 0 }}".into()),
                Value::Texts(vec![String::new(), "a b".into()]),
                Value::Integers(vec![-1, 3, 3]),
            ];
            file.metadata[entry].1 = wrong.choose(random).expect("some").clone();
        }
        4 => drop(file.metadata.remove(entry)),
        5 => {
            let key = [
                "*.rope.freq_base",
                "*.rope.scaling.factor",
                "*.rope.scaling.attn_factor",
                "*.attn_logit_softcapping",
                "*.final_logit_softcapping",
                "*.attention.layer_norm_rms_epsilon",
            ];
            let value = [0.0, -1.0, 1e-38, 1e38, f32::INFINITY, f32::NAN, 1e-5];
            let value = Value::F32(*value.choose(random).expect("some"));
            file.set(&named(key.choose(random).expect("some")), value);
        }
        6 => {
            let tokens = file.texts("tokenizer.ggml.tokens");
            let (from, to) = (any(tokens.len(), random), any(tokens.len(), random));
            let texts = [
                tokens[from].clone(),
                String::new(),
                "e r".into(),
                "\0".into(),
            ];
            tokens[to] = texts.choose(random).expect("some").clone();
        }
        7 if file.has("tokenizer.ggml.merges") => {
            let merges = file.texts("tokenizer.ggml.merges");
            let (from, to) = (any(merges.len(), random), any(merges.len(), random));
            let same = merges[from].clone();
            let texts = [
                same.as_str(),
                "",
                " ",
                "a",
                "q z",
                "e  r",
                "\u{0} \u{0}",
                "é ñ",
            ];
            merges[to] = (*texts.choose(random).expect("some")).to_owned();
        }
        8 => {
            let bomb =
                "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}";
            let deep = "(".repeat(20_000);
            let templates = [
                "{% for m in messages %}",
                "{{ messages[7].content.x.y }}",
                "{{ raise_exception('no') }}",
                "{{ 'x' * 99999999999 }}",
                "{{ messages | indent(9999999999) }}",
                "{{ messages | tojson(indent=9999999999) }}",
                "{{ messages | tojson(9999999999) }}",
                "{{ '%9999999999s' % 'x' }}",
                "{{ '%9999999999s' | format('x') }}",
                "{{ '{:9999999999}'.format(1) }}",
                "{{ range(9999999999) }}",
                "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
                "{% include 'chat' %}",
                "{% extends 'chat' %}",
                "{{ '%s' % messages }}",
                "",
                bomb,
                &format!("{{{{ {deep} }}}}"),
                &"{% if 1 %}".repeat(20_000),
            ];
            let template = *templates.choose(random).expect("some");
            file.set("tokenizer.chat_template", Value::Text(template.into()));
        }
        _ => change_tensors(file, random),
    }
}

/// Changes the tensors of a file, as somebody would who knows the format.
pub(crate) fn change_tensors(file: &mut File, random: &mut ChaCha8Rng) {
    let tensor = random.random_range(0..file.tensors.len());
    match random.random_range(0..5) {
        0 => {
            let lengths = [0, 1, 31, 32, 64, 65, 1 << 20, 1 << 40, u64::MAX];
            let shape = &mut file.tensors[tensor].shape;
            let at = random.random_range(0..shape.len());
            match random.random_range(0..4) {
                0 => shape.reverse(),
                1 => shape.push(*lengths.choose(random).expect("some")),
                2 => drop(shape.pop()),
                _ => shape[at] = *lengths.choose(random).expect("some"),
            }
        }
        1 => {
            let offsets = [0, 1, 32, 64, 1 << 20, 1 << 40, u64::MAX, u64::MAX - 31];
            file.tensors[tensor].claimed = offsets.choose(random).copied();
        }
        2 => {
            // Numbers that are none, or too large to be multiplied.
            let bytes = &mut file.tensors[tensor].bytes;
            let pattern: &[u8] = [
                &[0xff, 0xff, 0xff, 0x7f][..],
                &[0x00, 0x00, 0x80, 0x7f],
                &[0x00, 0x7c],
                &[0xff],
                &[0x00],
                &[0xff, 0x7b],
            ]
            .choose(random)
            .expect("some");
            let from = random.random_range(0..bytes.len());
            let length = random.random_range(1..=bytes.len() - from);
            let all = bytes[from..from + length].iter_mut();
            all.zip(pattern.iter().cycle()).for_each(|(to, x)| *to = *x);
        }
        3 => {
            let kinds = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 20, 30, 10, 99, u32::MAX];
            file.tensors[tensor].kind = *kinds.choose(random).expect("some");
        }
        _ => {
            let other = random.random_range(0..file.tensors.len());
            match random.random_range(0..4) {
                0 => drop(file.tensors.remove(tensor)),
                1 => file.tensors.push(file.tensors[tensor].clone()),
                2 => file.tensors.swap(tensor, other),
                _ => file.tensors[tensor].name = file.tensors[other].name.clone(),
            }
        }
    }
}

/// Puts another number or another word in the place of one.
pub(crate) fn renumber(json: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    let text = String::from_utf8(json.clone()).expect("JSON is text");
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let parts: Vec<(usize, &str)> = text
        .match_indices(|c: char| is_part(c))
        .map(|(at, _)| at)
        .filter(|&at| at == 0 || !text[..at].ends_with(is_part))
        .map(|at| (at, text[at..].split(|c| !is_part(c)).next().unwrap_or("")))
        .collect();
    let (at, part) = *parts.choose(random).expect("JSON holds something");
    let others = [
        "0",
        "1",
        "-1",
        "3",
        "16",
        "64",
        "70",
        "4294967295",
        "1e300",
        "null",
        "true",
    ];
    let other = match random.random_bool(0.2) {
        true => parts.choose(random).expect("some").1,
        false => others.choose(random).expect("some"),
    };
    *json = [&text[..at], other, &text[at + part.len()..]]
        .concat()
        .into_bytes();
}

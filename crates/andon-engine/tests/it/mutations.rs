//! Damaged and hostile model files: an error or a working model, never a panic.
//!
//! The mutated files are tried in a process of their own, which may take little
//! memory: what a file claims must not be allocated unless the file holds it.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Arc;

use andon_engine::{Encoder, EncoderParts, LanguageModel};
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_specimen::{self as specimen, Family, File, Kind, Spelling, Value};
use andon_task::engine::{
    Embed, EngineError, Generate, GenerateRequest, Message, Prompt, Role, Score, ScoreRequest,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::mutate::{change, damage, renumber};
use crate::specimens::{FLAT, family, llama, long_blocks};
use crate::tiny_encoder::Files;

/// Names the process in which the mutations are tried.
const CONFINED: &str = "ANDON_TEST_CONFINED";
/// Its address space, in kilobytes: a hundred times what the small models take.
const MEMORY_KB: &str = "1500000";

/// Runs `body` in a process of its own with little memory.
pub(crate) fn confined(test: &str, body: impl FnOnce()) {
    if std::env::var_os(CONFINED).is_some() {
        return body();
    }
    let script = format!("ulimit -v {MEMORY_KB} && exec \"$0\" \"$@\"");
    let program = std::env::current_exe().expect("this test");
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(program)
        .args([test, "--exact", "--nocapture"])
        .env(CONFINED, "1")
        .env("MALLOC_ARENA_MAX", "2")
        .output()
        .expect("a process");
    let said = String::from_utf8_lossy(&output.stderr);
    let end: String = said
        .chars()
        .rev()
        .take(4000)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    assert!(output.status.success(), "{}: {end}", output.status);
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[test]
fn ten_thousand_mutations_of_a_language_model() {
    confined(
        "mutations::ten_thousand_mutations_of_a_language_model",
        || {
            let kernels = Arc::new(Kernels::new(Isa::detect(), 1));
            let bases = [
                llama(1, &FLAT, true),
                llama(2, &[Kind::Q4_1, Kind::Q8_0, Kind::F16], false),
                long_blocks(),
                family(Family::Qwen2),
                family(Family::Gemma2),
                family(Family::Phi3),
                family(Family::Llama),
            ];
            let mut loaded = 0;
            for seed in 0..10_000 {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                let mut file = bases[seed as usize % bases.len()].clone();
                if seed % 2 == 0 {
                    change(&mut file, &mut random);
                }
                let mut bytes = file.bytes();
                if seed % 2 == 1 {
                    damage(&mut bytes, &mut random);
                }
                let tried = catch_unwind(AssertUnwindSafe(|| use_model(&bytes, &kernels)));
                match tried {
                    Ok(Ok(is_loaded)) => loaded += u32::from(is_loaded),
                    Ok(Err(error)) => panic!("seed {seed}: {error}"),
                    Err(_) => panic!("seed {seed}: a panic"),
                }
            }
            // The mutations reach what lies behind the checks of the header.
            assert!((2_000..8_000).contains(&loaded), "{loaded} loaded");
        },
    );
}

/// Loads and uses a model; whether it could be loaded. The error is a failure of
/// the engine that no file may cause.
fn use_model(bytes: &[u8], kernels: &Arc<Kernels>) -> Result<bool, EngineError> {
    let Ok(model) = LanguageModel::from_bytes("tiny", bytes, Arc::clone(kernels)) else {
        return Ok(false);
    };
    let text = Prompt::Text("the pump is <leaking>\n\u{7}é 12".into());
    let chat = Prompt::chat(vec![Message::new(
        Role::User,
        "oil on the floor <|im_end|>",
    )]);
    for prompt in [text, chat] {
        let request = GenerateRequest {
            max_tokens: Some(2),
            ..GenerateRequest::new(prompt.clone())
        };
        let generated = model.generate(&request, &mut |_| ControlFlow::Continue(()));
        sound(generated.map(|_| ()))?;
        let labels = ["leak", "no failure"].map(str::to_owned).to_vec();
        let scored = model.score(&ScoreRequest::new(prompt, labels));
        sound(scored.map(|scores| assert!(scores.shares.iter().all(|p| *p <= 1.001))))?;
    }
    Ok(true)
}

/// Passes on what only a panic in the engine gives.
pub(crate) fn sound(outcome: Result<(), EngineError>) -> Result<(), EngineError> {
    match outcome {
        Err(EngineError::Failed(reason)) if !reason.contains("no numbers") => {
            Err(EngineError::Failed(reason))
        }
        _ => Ok(()),
    }
}

#[test]
fn a_thousand_mutations_of_an_encoder() {
    confined("mutations::a_thousand_mutations_of_an_encoder", || {
        let kernels = Arc::new(Kernels::new(Isa::detect(), 1));
        let base = Files::new(1);
        assert_eq!(use_encoder(&base, &kernels), Ok(true));
        let mut loaded = 0;
        for seed in 0..1_000 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut files = base.clone();
            match seed % 4 {
                0 => damage(&mut files.weights, &mut random),
                1 => damage(&mut files.tokenizer, &mut random),
                2 => renumber(&mut files.tokenizer, &mut random),
                _ => renumber(&mut files.config, &mut random),
            }
            match catch_unwind(AssertUnwindSafe(|| use_encoder(&files, &kernels))) {
                Ok(Ok(is_loaded)) => loaded += u32::from(is_loaded),
                Ok(Err(error)) => panic!("seed {seed}: {error}"),
                Err(_) => panic!("seed {seed}: a panic"),
            }
        }
        assert!((100..900).contains(&loaded), "{loaded} loaded");
    });
}

#[test]
fn a_thousand_mutations_of_an_encoder_in_one_file() {
    let test = "mutations::a_thousand_mutations_of_an_encoder_in_one_file";
    confined(test, || {
        let kernels = Arc::new(Kernels::new(Isa::detect(), 1));
        let bases = [Spelling::WordPiece, Spelling::Unigram].map(|spelling| {
            let (kind, seed) = (Kind::Q4_0, 1);
            let encoder = specimen::Encoder {
                spelling,
                kind,
                seed,
            };
            encoder.file().bytes()
        });
        let mut loaded = 0;
        for seed in 0..1_000 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut file = bases[seed as usize % bases.len()].clone();
            damage(&mut file, &mut random);
            let tried = catch_unwind(AssertUnwindSafe(|| {
                let encoder = Encoder::from_gguf("tiny", &file, Arc::clone(&kernels));
                encoder.map_or(Ok(false), |encoder| embed(&encoder))
            }));
            match tried {
                Ok(Ok(is_loaded)) => loaded += u32::from(is_loaded),
                Ok(Err(error)) => panic!("seed {seed}: {error}"),
                Err(_) => panic!("seed {seed}: a panic"),
            }
        }
        assert!((100..900).contains(&loaded), "{loaded} loaded");
    });
}

/// Loads and uses an encoder; whether it could be loaded.
fn use_encoder(files: &Files, kernels: &Arc<Kernels>) -> Result<bool, String> {
    let parts = EncoderParts {
        weights: &files.weights,
        tokenizer: &files.tokenizer,
        config: &files.config,
        pooling: None,
    };
    let Ok(encoder) = Encoder::from_parts("tiny", parts, Arc::clone(kernels)) else {
        return Ok(false);
    };
    embed(&encoder)
}

/// Uses an encoder. A vector that is given is one.
fn embed(encoder: &Encoder) -> Result<bool, String> {
    let texts = ["the pump is leaking oil.", "", "\u{7}é [SEP] 12"];
    match encoder.embed(&texts) {
        Ok(vectors) => {
            for vector in vectors {
                let length: f32 = vector.iter().map(|x| x * x).sum();
                if (length - 1.0).abs() > 1e-3 {
                    return Err(format!("a vector of length {length}"));
                }
            }
        }
        Err(EngineError::Failed(reason)) if !reason.contains("no numbers") => return Err(reason),
        Err(_) => {}
    }
    Ok(true)
}

/// Why a changed file is refused.
#[track_caller]
fn refused(change: impl FnOnce(&mut File), expected: &str) {
    let mut file = llama(1, &FLAT, true);
    change(&mut file);
    let kernels = Arc::new(Kernels::new(Isa::detect(), 1));
    let error = LanguageModel::from_bytes("tiny", &file.bytes(), kernels)
        .err()
        .expect("it is refused")
        .to_string();
    assert!(error.contains(expected), "'{expected}' is not in: {error}");
}

#[test]
fn what_is_wrong_is_named() {
    let set = |key: &'static str, value: Value| move |file: &mut File| file.set(key, value);
    refused(
        |file| file.texts("tokenizer.ggml.tokens")[9] = "a".into(),
        "the token 'a' stands twice",
    );
    refused(
        |file| file.texts("tokenizer.ggml.merges")[3] = "q z".into(),
        "the merge 'q z' is not of the vocabulary",
    );
    refused(
        set("llama.block_count", Value::U32(1 << 30)),
        "'llama.block_count' is 1073741824, more than 512",
    );
    refused(
        set("llama.block_count", Value::U32(3)),
        "the tensor 'blk.2.attn_norm.weight' is missing",
    );
    refused(
        set("llama.context_length", Value::Text("long".into())),
        "'llama.context_length'",
    );
    refused(
        set("tokenizer.chat_template", Value::U32(1)),
        "'tokenizer.chat_template'",
    );
    refused(
        set("tokenizer.chat_template", Value::Text("{% if %}".into())),
        "the chat template",
    );
    refused(
        set("tokenizer.ggml.pre", Value::U32(1)),
        "'tokenizer.ggml.pre'",
    );
    refused(
        |file| file.tensor("output_norm.weight").claimed = Some(1 << 40),
        "'output_norm.weight' reaches beyond the end of the file",
    );
    refused(
        |file| file.tensor("output_norm.weight").claimed = Some(0),
        "overlaps another",
    );
    refused(
        |file| file.tensor("output.weight").shape.reverse(),
        "the tensor 'output.weight'",
    );
    refused(
        |file| file.tensor("output.weight").kind = 10,
        "tensor type 10",
    );
}

#[test]
fn megabytes_are_refused_before_their_tokens_are_counted() {
    let kernels = Arc::new(Kernels::new(Isa::detect(), 1));
    let file = llama(1, &FLAT, true).bytes();
    let model = LanguageModel::from_bytes("tiny", &file, Arc::clone(&kernels));
    let text = " ".repeat(10 << 20);
    let files = Files::new(1);
    let parts = EncoderParts {
        weights: &files.weights,
        tokenizer: &files.tokenizer,
        config: &files.config,
        pooling: None,
    };
    let encoder = Encoder::from_parts("tiny", parts, kernels).expect("it loads");
    let refused = [
        encoder.embed(&[&text]).err(),
        model.expect("it loads").tokenize(&Prompt::Text(text)).err(),
    ];
    for error in refused {
        assert!(
            matches!(
                error,
                Some(EngineError::TooLong {
                    bytes: 10_485_760,
                    ..
                })
            ),
            "{error:?}"
        );
    }
}

#[test]
fn a_request_for_more_tokens_than_there_are_numbers_is_refused() {
    let kernels = Arc::new(Kernels::new(Isa::detect(), 1));
    let file = llama(1, &FLAT, true).bytes();
    let model = LanguageModel::from_bytes("tiny", &file, kernels).expect("it loads");
    let request = GenerateRequest {
        max_tokens: Some(usize::MAX),
        ..GenerateRequest::new(Prompt::Text("oil".into()))
    };
    let outcome = model.generate(&request, &mut |_| ControlFlow::Continue(()));
    assert!(
        matches!(outcome, Err(EngineError::DoesNotFit { .. })),
        "{outcome:?}"
    );
}

#[test]
fn a_long_context_of_a_small_model_takes_little() {
    confined(
        "mutations::a_long_context_of_a_small_model_takes_little",
        || {
            let mut file = llama(1, &FLAT, true);
            file.set("llama.context_length", Value::U32(1 << 24));
            let kernels = Arc::new(Kernels::new(Isa::detect(), 1));
            assert_eq!(use_model(&file.bytes(), &kernels).ok(), Some(true));
        },
    );
}

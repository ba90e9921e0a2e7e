//! Adapters: as llama.cpp computes them, each for itself whatever the company, and
//! only where they fit.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use andon_engine::adapter::Files;
use andon_engine::{LanguageModel, LoadError, Options};
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_specimen::{Family, File, Kind, Mix, Peft, Specimen, Value};
use andon_task::engine::{
    Adapter, EngineError, Generate, GenerateRequest, Generation, Prompt, Score, ScoreRequest,
    Scores,
};
use serde::Deserialize;

use crate::families::{Case, compare_all};

/// What `scripts/reference/adapters.py` prints.
#[derive(Deserialize)]
struct Reference {
    cases: Vec<AdapterCase>,
}

#[derive(Deserialize)]
struct AdapterCase {
    #[serde(flatten)]
    case: Case,
    rank: usize,
    seed: u64,
    scale: f32,
}

fn specimen(family: Family) -> Specimen {
    Specimen::tiny(family, Mix::InTurn(vec![Kind::Q8_0]))
}

fn specimen_adapter(of: Specimen, rank: usize, seed: u64) -> andon_specimen::Adapter {
    let alpha = 2.0 * rank as f32;
    andon_specimen::Adapter {
        of,
        rank,
        alpha,
        seed,
    }
}

fn load(file: &File, kernels: Kernels) -> LanguageModel {
    let model = LanguageModel::from_bytes("tiny", &file.bytes(), Arc::new(kernels));
    model.expect("the model loads")
}

fn fast() -> Kernels {
    Kernels::new(Isa::detect(), 1)
}

fn at(name: &str, scale: f32) -> Adapter {
    Adapter {
        name: name.into(),
        scale,
    }
}

fn peft(files: &Peft) -> Files<'_> {
    Files::Peft {
        weights: &files.weights,
        config: files.config.as_bytes(),
    }
}

#[test]
fn logits_agree_with_llama_cpp_and_are_the_same_bits_from_both_formats() {
    let reference: Reference = serde_json::from_str(include_str!("reference/adapters.json"))
        .expect("the reference is JSON");
    for AdapterCase {
        case,
        rank,
        seed,
        scale,
    } in reference.cases
    {
        let adapter = specimen_adapter(case.specimen(), rank, seed);
        let load = |isa: Isa, threads: usize| {
            let model = load(&case.file(), Kernels::new(isa, threads));
            let file = adapter.file().bytes();
            let added = model.add_adapter_from("gguf", Files::Gguf(&file));
            added.expect("the file fits");
            let added = model.add_adapter_from("peft", peft(&adapter.peft()));
            added.expect("the files fit");
            model
        };
        let evaluate = |model: &LanguageModel, adapter: Option<&Adapter>| {
            let logits = model.evaluate_with(case.tokens(), adapter);
            let mut logits = logits.expect("the text is evaluated");
            logits.split_off(case.tokens().len() - case.compared())
        };
        let model = load(Isa::detect(), 1);
        let gguf = evaluate(&model, Some(&at("gguf", scale)));
        let (divergence, agreement) = compare_all(&case, &gguf);
        let (without, _) = compare_all(&case, &evaluate(&model, None));
        println!("{case}: KL {divergence:.5}, top-1 {agreement:.3}; without it {without:.3}");
        assert!(divergence <= 0.012, "{case}: KL {divergence}");
        assert!(without > 0.1, "{case}: KL {without} without the adapter");
        assert_eq!(evaluate(&model, Some(&at("peft", scale))), gguf, "{case}");
        for isa in Isa::supported() {
            let other = evaluate(&load(isa, 2), Some(&at("gguf", scale)));
            assert_eq!(other, gguf, "{case} on {isa}");
        }
    }
}

/// A model with two adapters.
fn pair(options: Options) -> LanguageModel {
    let of = specimen(Family::Llama);
    let file = std::env::temp_dir().join(format!("andon-adapted-{}.gguf", std::process::id()));
    std::fs::write(&file, of.file().bytes()).expect("written");
    let model = LanguageModel::load_with("tiny", &file, Arc::new(fast()), options);
    let model = model.expect("the model loads");
    for (name, rank, seed) in [("a", 8, 1), ("b", 36, 2)] {
        let file = specimen_adapter(of.clone(), rank, seed).file().bytes();
        let added = model.add_adapter_from(name, Files::Gguf(&file));
        added.expect("the adapter fits");
    }
    model
}

fn variants() -> [Option<Adapter>; 4] {
    [
        None,
        Some(at("a", 1.0)),
        Some(at("b", 1.0)),
        Some(at("a", 0.5)),
    ]
}

fn prompt() -> Prompt {
    Prompt::Text("the pump on line four is leaking oil again. ".repeat(3))
}

fn labels(adapter: Option<&Adapter>) -> ScoreRequest {
    let labels = ["leak", "no failure", "leaking seal"].map(str::to_owned);
    ScoreRequest {
        adapter: adapter.cloned(),
        ..ScoreRequest::new(prompt(), labels.to_vec())
    }
}

fn bits(scores: &Scores) -> Vec<u64> {
    scores.shares.iter().map(|share| share.to_bits()).collect()
}

/// Everything that a request gives: what is generated with its probabilities, and
/// the shares of labels.
fn answers(model: &LanguageModel, adapter: Option<&Adapter>) -> (Generation, Vec<u64>) {
    let request = GenerateRequest {
        max_tokens: Some(12),
        alternatives: Some(3),
        adapter: adapter.cloned(),
        ..GenerateRequest::new(prompt())
    };
    let generation = model.generate(&request, &mut |_| ControlFlow::Continue(()));
    let scores = model.score(&labels(adapter)).expect("labels are scored");
    (generation.expect("text is generated"), bits(&scores))
}

/// The same but for what it cost.
fn same(one: &(Generation, Vec<u64>), other: &(Generation, Vec<u64>)) -> bool {
    let (a, b) = (&one.0, &other.0);
    (&a.text, &a.drawn, a.finish, &one.1) == (&b.text, &b.drawn, b.finish, &other.1)
}

#[test]
fn company_and_cache_change_no_bit_and_are_never_mixed() {
    let alone: Vec<_> = variants()
        .iter()
        .map(|adapter| answers(&pair(Options::default()), adapter.as_ref()))
        .collect();
    for (at, one) in alone.iter().enumerate() {
        for other in &alone[..at] {
            assert_ne!(one.0.drawn, other.0.drawn, "the adapters show");
            assert_ne!(one.1, other.1, "the adapters show");
        }
    }
    let model = pair(Options::default());
    assert_eq!(model.adapters(), ["a", "b"]);
    // One after the other: none finds what another has left behind.
    for (adapter, expected) in variants().iter().zip(&alone) {
        let cold = answers(&model, adapter.as_ref());
        assert_eq!(cold.0.usage.cached_tokens, 0, "{adapter:?}");
        assert!(same(&cold, expected), "{adapter:?}");
    }
    for (adapter, expected) in variants().iter().zip(&alone) {
        let cached = answers(&model, adapter.as_ref());
        let usage = cached.0.usage;
        assert_eq!(usage.cached_tokens, usage.prompt_tokens - 1, "{adapter:?}");
        assert!(same(&cached, expected), "{adapter:?} from the cache");
    }
    // Together, on a model that knows nothing yet: in one step, then as they come.
    let model = pair(Options::default());
    let requests = variants().map(|adapter| labels(adapter.as_ref()));
    let scores = model.score_all(&requests).expect("labels are scored");
    for (scores, expected) in scores.iter().zip(&alone) {
        assert_eq!(bits(scores), expected.1);
    }
    let model = pair(Options::default());
    std::thread::scope(|scope| {
        for (adapter, expected) in variants().into_iter().zip(&alone) {
            for _ in 0..3 {
                let (model, adapter) = (&model, adapter.clone());
                scope.spawn(move || {
                    let answers = answers(model, adapter.as_ref());
                    assert!(same(&answers, expected), "{adapter:?} in company");
                });
            }
        }
    });
}

#[test]
fn beginnings_are_pinned_and_saved_for_one_adapter_at_one_scale() {
    let folder = std::env::temp_dir().join(format!("andon-pinned-{}", std::process::id()));
    let options = || Options {
        prefixes: Some(folder.clone()),
        ..Options::default()
    };
    let files = |folder: &PathBuf| std::fs::read_dir(folder).map_or(0, Iterator::count);
    let alone: Vec<_> = variants()
        .iter()
        .map(|adapter| answers(&pair(Options::default()), adapter.as_ref()))
        .collect();
    for (at, adapter) in variants().iter().enumerate() {
        // Beside the files of those before.
        for life in ["computed", "restored"] {
            let model = pair(options());
            let pinned = model.pin_with(&[prompt()], adapter.as_ref());
            let pinned = pinned.expect("the prompt is kept");
            assert_eq!(files(&folder), at + 1, "{adapter:?} {life}");
            let given = answers(&model, adapter.as_ref());
            assert_eq!(
                given.0.usage.cached_tokens,
                pinned - 1,
                "{adapter:?} {life}"
            );
            assert!(same(&given, &alone[at]), "{adapter:?} {life}");
            let other = (at + 1) % alone.len();
            let given = answers(&model, variants()[other].as_ref());
            assert_eq!(given.0.usage.cached_tokens, 0, "{adapter:?} {life}");
            assert!(same(&given, &alone[other]), "{adapter:?} {life}");
        }
    }
    std::fs::remove_dir_all(folder).expect("removed");
}

#[test]
fn an_adapter_that_is_not_there_is_named() {
    let model = pair(Options::default());
    let request = ScoreRequest {
        adapter: Some(at("c", 1.0)),
        ..ScoreRequest::new(prompt(), vec!["leak".into()])
    };
    let error = model.score(&request).expect_err("there is none");
    assert!(matches!(&error, EngineError::UnknownAdapter { .. }));
    assert!(error.to_string().contains("no adapter 'c'"), "{error}");
    let request = GenerateRequest {
        adapter: Some(at("a", f32::NAN)),
        ..GenerateRequest::new(prompt())
    };
    let outcome = model.generate(&request, &mut |_| ControlFlow::Continue(()));
    let error = outcome.expect_err("no number").to_string();
    assert!(error.contains("'a' is NaN"), "{error}");
    let taken = model.add_adapter_from("a", Files::Gguf(b"GGUF"));
    assert!(taken.is_err(), "it is damaged");
    let file = specimen_adapter(specimen(Family::Llama), 4, 9).file();
    let taken = model.add_adapter_from("a", Files::Gguf(&file.bytes()));
    let error = taken.expect_err("the name is taken").to_string();
    assert!(error.contains("an adapter 'a' already"), "{error}");
}

/// Why an adapter is refused by a small Llama.
#[track_caller]
fn refused(adapter: Files<'_>, expected: &str) {
    let model = load(&specimen(Family::Llama).file(), fast());
    let refusal = model.add_adapter_from("a", adapter).err();
    let error = refusal.expect("it is refused").to_string();
    assert!(error.contains(expected), "'{expected}' is not in: {error}");
    assert!(model.adapters().is_empty());
}

#[test]
fn what_does_not_fit_is_named() {
    let llama = || specimen_adapter(specimen(Family::Llama), 8, 1);
    let changed = |change: &dyn Fn(&mut File), expected: &str| {
        let mut file = llama().file();
        change(&mut file);
        refused(Files::Gguf(&file.bytes()), expected);
    };
    let of = |specimen: Specimen, expected: &str| {
        let file = specimen_adapter(specimen, 8, 1).file();
        refused(Files::Gguf(&file.bytes()), expected);
    };
    of(
        specimen(Family::Qwen2),
        "another model: it is for the architecture 'qwen2', and the model is of 'llama'",
    );
    let mut wide = specimen(Family::Llama);
    wide.shape.width = 96;
    of(wide, "'blk.0.attn_k.weight' has 96 columns, not 64");
    let mut broad = specimen(Family::Llama);
    broad.shape.inner = 128;
    of(broad, "'blk.0.ffn_down.weight' has 128 columns, not 96");
    let mut deep = specimen(Family::Llama);
    deep.shape.layers = 3;
    of(deep, "for a layer that the model has not: it has 2");
    refused(
        Files::Gguf(&specimen(Family::Llama).file().bytes()),
        "a file of the type 'model' as an adapter",
    );

    let text = |text: &str| Value::Text(text.into());
    changed(
        &|file| file.set("adapter.type", text("control_vector")),
        "an adapter of the type 'control_vector'",
    );
    changed(
        &|file| file.set("adapter.alora.invocation_tokens", Value::Integers(vec![1])),
        "'adapter.alora.invocation_tokens'",
    );
    changed(
        &|file| file.set("adapter.lora.alpha", Value::F32(f32::NAN)),
        "'adapter.lora.alpha'",
    );
    let name = "blk.0.attn_q.weight.lora_a";
    for other in [
        "token_embd.weight.lora_a",
        "output.weight.lora_a",
        "blk.0.attn_norm.weight",
        "blk.0.attn_q.bias.lora_a",
        "blk.0.attn_qk.weight.lora_a",
    ] {
        let expected = format!("the adapter's tensor '{other}'");
        changed(&|file| file.tensor(name).name = other.into(), &expected);
    }
    changed(
        &|file| file.tensors.retain(|tensor| tensor.name != name),
        "only one of the two matrices of 'blk.0.attn_q.weight'",
    );
    changed(&|file| file.tensors.clear(), "holds no matrices");
    changed(
        &|file| {
            let tensor = file.tensor(name);
            tensor.shape[1] = 4;
            tensor.bytes.truncate(4 * 64 * 4);
        },
        "4 rows and 8 columns",
    );
    changed(
        &|file| file.tensor(name).bytes[..4].copy_from_slice(&f32::INFINITY.to_le_bytes()),
        "holds a inf",
    );
    let fused = specimen_adapter(specimen(Family::Phi3), 8, 1).peft();
    refused(
        peft(&fused),
        "a matrix that models of the architecture 'llama' have not",
    );
}

#[test]
fn what_peft_trains_otherwise_is_named() {
    let files = specimen_adapter(specimen(Family::Llama), 8, 1).peft();
    let changed = |from: &str, to: &str, expected: &str| {
        assert!(files.config.contains(from), "{from}");
        let config = files.config.replace(from, to);
        let weights = &files.weights;
        let config = config.as_bytes();
        refused(Files::Peft { weights, config }, expected);
    };
    changed("\"LORA\"", "\"IA3\"", "of the type 'IA3'");
    changed("\"use_dora\": false", "\"use_dora\": true", "'use_dora'");
    changed("\"bias\": \"none\"", "\"bias\": \"all\"", "'bias': \"all\"");
    changed(
        "\"modules_to_save\": null",
        "\"modules_to_save\": [\"lm_head\"]",
        "'modules_to_save': [\"lm_head\"]",
    );
    changed(
        "\"modules_to_save\": null",
        "\"init_lora_weights\": \"pissa\"",
        "began as 'pissa'",
    );
    changed(
        "\"r\": 8",
        "\"r\": 16",
        "says a rank of 16, but a matrix has 8",
    );
    changed(
        "\"q_proj\"",
        "\"q_proj\", \"embed_tokens\"",
        "names the module 'embed_tokens', of which there are no tensors",
    );
    let renamed = |from: &str, to: &str, expected: &str| {
        // Names of one length leave the header as it is.
        assert_eq!(from.len(), to.len());
        let at = files
            .weights
            .windows(from.len())
            .position(|w| w == from.as_bytes());
        let at = at.expect("the name is there");
        let mut weights = files.weights.clone();
        weights[at..at + from.len()].copy_from_slice(to.as_bytes());
        let config = files.config.as_bytes();
        let weights = &weights;
        refused(Files::Peft { weights, config }, expected);
    };
    renamed("lora_A.weight", "lora_M.weight", "lora_M.weight'");
    renamed("self_attn.q_proj", "self_attn.x_proj", "self_attn.x_proj");
    renamed("layers.0.", "layers.7.", "a layer that the model has not");
    let weights = &files.weights[..files.weights.len() / 2];
    let config = files.config.as_bytes();
    refused(Files::Peft { weights, config }, "the safetensors header");
}

#[test]
fn the_square_root_of_the_rank_is_another_strength() {
    let adapter = specimen_adapter(specimen(Family::Llama), 16, 1);
    let mut files = adapter.peft();
    let model = load(&adapter.of.file(), fast());
    model
        .add_adapter_from("plain", peft(&files))
        .expect("it fits");
    let from = "\"use_rslora\": false";
    files.config = files.config.replace(from, "\"use_rslora\": true");
    model
        .add_adapter_from("root", peft(&files))
        .expect("it fits");
    let tokens: Vec<u32> = (5..40).collect();
    let evaluate = |adapter: Adapter| {
        let logits = model.evaluate_with(&tokens, Some(&adapter));
        logits.expect("the text is evaluated")
    };
    // alpha / sqrt 16 is four times alpha / 16.
    assert_eq!(evaluate(at("root", 0.25)), evaluate(at("plain", 1.0)));
    assert_ne!(evaluate(at("root", 1.0)), evaluate(at("plain", 1.0)));
}

#[test]
fn a_file_and_a_folder_are_read_from_disk() {
    let adapter = specimen_adapter(specimen(Family::Llama), 8, 1);
    let folder = std::env::temp_dir().join(format!("andon-adapter-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("made");
    let model = load(&adapter.of.file(), fast());
    let missing = model.add_adapter("folder", &folder);
    assert!(matches!(missing, Err(LoadError::Io(_))), "{missing:?}");
    let file = folder.join("adapter.gguf");
    let files = adapter.peft();
    std::fs::write(&file, adapter.file().bytes()).expect("written");
    std::fs::write(folder.join("adapter_model.safetensors"), files.weights).expect("written");
    std::fs::write(folder.join("adapter_config.json"), files.config).expect("written");
    model.add_adapter("file", &file).expect("it fits");
    model.add_adapter("folder", &folder).expect("it fits");
    assert_eq!(model.adapters(), ["file", "folder"]);
    // What was loaded stays, whatever becomes of the files.
    std::fs::remove_dir_all(&folder).expect("removed");
    let shares = ["file", "folder"].map(|name| {
        let scores = model.score(&labels(Some(&at(name, 1.0))));
        bits(&scores.expect("labels are scored"))
    });
    assert_eq!(shares[0], shares[1]);
}

//! llama.cpp beside Andon's own engine, on small models of random weights.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use andon_engine::LanguageModel;
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_llama::Options;
use andon_specimen::{Family, Kind, Mix, Specimen};
use andon_task::engine::{
    Adapter, EngineError, Generate, GenerateRequest, Generation, Grammar, Identity, Message, Piece,
    Prompt, Role, Score, ScoreRequest, Terms,
};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Both {
    _folder: TempDir,
    own: LanguageModel,
    llama: LanguageModel,
}

fn file(family: Family) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.gguf");
    let specimen = Specimen::tiny(family, Mix::InTurn(vec![Kind::Q8_0]));
    std::fs::write(&path, specimen.file().bytes()).expect("writable");
    (folder, path)
}

fn kernels() -> Arc<Kernels> {
    Arc::new(Kernels::new(Isa::detect(), 2))
}

fn both(family: Family) -> Both {
    let (folder, path) = file(family);
    let options = Options {
        cache_tokens: 2048,
        threads: 2,
        gpu_layers: Some(0),
    };
    Both {
        own: LanguageModel::load("own", &path, kernels()).expect("the own engine loads it"),
        llama: andon_llama::load("llama", &path, kernels(), options).expect("llama.cpp loads it"),
        _folder: folder,
    }
}

fn shares(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = logits
        .iter()
        .map(|x| f64::from(x - largest).exp())
        .collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

fn divergence(p: &[f64], q: &[f64]) -> f64 {
    let terms = p.iter().zip(q).filter(|(p, _)| **p > 0.0);
    terms.map(|(p, q)| p * (p / q.max(1e-300)).ln()).sum()
}

fn chat(text: &str) -> Prompt {
    Prompt::chat(vec![Message::new(Role::User, text)])
}

fn generate(model: &LanguageModel, request: &GenerateRequest) -> Result<Generation, EngineError> {
    model.generate(request, &mut |_: Piece<'_>| ControlFlow::Continue(()))
}

#[test]
fn logits_agree_with_those_of_the_own_engine() {
    for family in Family::ALL {
        let both = both(family);
        let tokens = both
            .own
            .tokenize(&Prompt::Text("pump 4 leaks at the seal ".repeat(8)));
        let tokens = tokens.expect("tokens");
        let own = both.own.evaluate(&tokens).expect("logits");
        let llama = both.llama.evaluate(&tokens).expect("logits");
        assert_eq!(own.len(), llama.len());
        let sum: f64 = (own.iter().zip(&llama))
            .map(|(own, llama)| divergence(&shares(llama), &shares(own)))
            .sum();
        let mean = sum / own.len() as f64;
        assert!(mean <= 0.012, "{family:?}: {mean}");
    }
}

#[test]
fn labels_are_weighed_as_by_the_own_engine() {
    let both = both(Family::Llama);
    let labels = [
        "leak",
        "leaking seal",
        "leaking flange",
        "noise",
        "no fault",
    ];
    let labels: Vec<String> = labels.map(str::to_owned).to_vec();
    for note in ["oil below the pump", "oil below the pump, again", "squeals"] {
        let request = ScoreRequest::new(chat(note), labels.clone());
        let own = both.own.score(&request).expect("shares");
        let first = both.llama.score(&request).expect("shares");
        let again = both.llama.score(&request).expect("shares");
        assert!((first.shares.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        for ((own, first), again) in own.shares.iter().zip(&first.shares).zip(&again.shares) {
            assert!((own - first).abs() < 0.05, "{own} {first}");
            assert!((first - again).abs() < 0.005, "{first} {again}");
        }
        assert!(again.usage.cached_tokens > 0, "{:?}", again.usage);
    }
}

#[test]
fn many_texts_are_held_to_their_schemas_at_once() {
    let both = both(Family::Qwen2);
    let schema = json!({
        "type": "object",
        "properties": {"code": {"enum": ["leak", "noise"]}, "urgent": {"type": "boolean"}},
        "required": ["code", "urgent"],
        "additionalProperties": false
    });
    std::thread::scope(|scope| {
        for number in 0..24 {
            let (llama, schema) = (&both.llama, schema.clone());
            scope.spawn(move || {
                let request = GenerateRequest {
                    max_tokens: Some(64),
                    grammar: Some(Grammar::Json(schema)),
                    ..GenerateRequest::new(chat(&format!("note {number}")))
                };
                let text = generate(llama, &request).expect("an answer").text;
                let object: Value = serde_json::from_str(&text).expect("JSON");
                assert!(object["urgent"].is_boolean(), "{text}");
                assert!(["leak", "noise"].contains(&object["code"].as_str().expect("a text")));
            });
        }
    });
    // Weighing labels goes on between the batches of texts.
    let labels = vec!["yes".to_owned(), "no".to_owned()];
    both.llama
        .score(&ScoreRequest::new(chat("urgent?"), labels))
        .expect("shares");
}

#[test]
fn a_text_ends_where_it_is_told_to() {
    let both = both(Family::Llama);
    let request = |most| GenerateRequest {
        max_tokens: Some(most),
        ..GenerateRequest::new(Prompt::Text("the pump".to_owned()))
    };
    let generation = generate(&both.llama, &request(5)).expect("a text");
    assert!(generation.usage.completion_tokens <= 5);
    // Who leaves ends it.
    let mut pieces = 0;
    let left = both.llama.generate(&request(500), &mut |_| {
        pieces += 1;
        ControlFlow::Break(())
    });
    assert!(matches!(left, Err(EngineError::Cancelled)) && pieces == 1);
    let terms = Terms {
        deadline: Some(std::time::Instant::now()),
        ..Terms::default()
    };
    let late = generate(
        &both.llama,
        &GenerateRequest {
            terms,
            ..request(500)
        },
    );
    assert!(matches!(late, Err(EngineError::DeadlinePassed)), "{late:?}");
    // What does not fit is refused with both counts.
    let Identity { context_tokens, .. } = Generate::identity(&both.llama);
    let error = generate(&both.llama, &request(context_tokens + 1)).expect_err("refused");
    assert!(matches!(error, EngineError::DoesNotFit { .. }), "{error}");
    generate(&both.llama, &request(5)).expect("it goes on");
}

#[test]
fn what_all_requests_begin_with_is_computed_once() {
    let both = both(Family::Llama);
    let prompt = |note: &str| chat(&format!("{} {note}", "A long instruction. ".repeat(40)));
    let pinned = both.llama.pin(&[prompt("a"), prompt("Z")]).expect("pinned");
    assert!(pinned > 100, "{pinned}");
    let labels = vec!["yes".to_owned(), "no".to_owned()];
    let scores = both.llama.score(&ScoreRequest::new(prompt("oil"), labels));
    assert!(scores.expect("shares").usage.cached_tokens >= pinned);
}

#[test]
fn what_it_cannot_do_is_said() {
    let both = both(Family::Llama);
    let request = GenerateRequest {
        adapter: Some(Adapter {
            name: "line-4".to_owned(),
            scale: 1.0,
        }),
        ..GenerateRequest::new(chat("a note"))
    };
    let error = generate(&both.llama, &request).expect_err("refused");
    assert!(
        matches!(error, EngineError::UnknownAdapter { .. }),
        "{error}"
    );
    assert!(both.llama.hold_adapter(b"anything").is_err());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cut.gguf");
    let (_whole, whole) = file(Family::Llama);
    let bytes = std::fs::read(whole).expect("a file");
    for length in [0, 100, bytes.len() / 2, bytes.len() - 100] {
        std::fs::write(&path, &bytes[..length]).expect("writable");
        let loaded = andon_llama::load("cut", &path, kernels(), Options::default());
        assert!(loaded.is_err(), "{length}");
    }
}

//! What training computes is what the serving engine computes.

use std::path::PathBuf;
use std::sync::Arc;

use andon_engine::{Encoder as Engine, EncoderFiles};
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_specimen::{Encoder as Specimen, Kind, Spelling};
use andon_task::engine::Embed;

use super::*;

/// The cosine of the vectors that are served and computed here, for some texts
/// together.
#[track_caller]
fn check(engine: &Engine, texts: &[&str], least: f32) {
    let encoder = Encoder::new(engine, 2, &Device::Cpu).unwrap();
    let tokens: Vec<Vec<u32>> = texts.iter().map(|t| engine.tokenize(t).unwrap()).collect();
    let tokens: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
    let vectors = encoder.vectors(&tokens, Dropout::new(0.0, 0)).unwrap();
    let vectors = vectors.to_vec2::<f32>().unwrap();
    for (served, vector) in engine.embed(texts).unwrap().iter().zip(&vectors) {
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        let cosine = served.iter().zip(vector).map(|(x, y)| x * y).sum::<f32>() / length;
        eprintln!("cosine {cosine}");
        assert!(cosine > least, "{cosine}");
    }
}

#[test]
fn encoders_compute_what_is_served() {
    for spelling in [Spelling::WordPiece, Spelling::Unigram] {
        let specimen = Specimen {
            spelling,
            kind: Kind::F32,
            seed: 3,
        };
        let kernels = Arc::new(Kernels::new(Isa::detect(), 1));
        let file = specimen.file().bytes();
        let engine = Engine::from_gguf("tiny", &file, kernels).unwrap();
        check(&engine, &["a cat", "the dog is here", "a"], 0.99);
    }
}

#[test]
fn the_default_encoder_computes_what_is_served() {
    let home = std::env::var_os("ANDON_HOME").map(PathBuf::from);
    let folder = home.map(|home| home.join("models/minilm-l6"));
    let Some(folder) = folder.filter(|folder| folder.exists()) else {
        eprintln!("skipped: the_default_encoder_computes_what_is_served needs minilm:l6");
        return;
    };
    let kernels = Arc::new(Kernels::new(Isa::detect(), 2));
    let engine = Engine::load("minilm:l6", &EncoderFiles::within(&folder), kernels).unwrap();
    check(
        &engine,
        &["the pump leaks oil", "door does not close", "fire"],
        0.999,
    );
}

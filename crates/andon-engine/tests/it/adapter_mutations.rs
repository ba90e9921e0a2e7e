//! Damaged and hostile adapters: refused, or a working adapter, never a panic, and
//! never a change for those who do not ask for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use andon_engine::LanguageModel;
use andon_engine::adapter::Files;
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_specimen::{Family, File, Kind, Mix, Specimen};
use andon_task::engine::{Adapter, EngineError, Prompt, Score, ScoreRequest};
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::mutate::{change_tensors, damage, renumber};
use crate::mutations::{confined, sound};

/// A model and the files of an adapter for it.
struct Base {
    model: LanguageModel,
    gguf: File,
    weights: Vec<u8>,
    config: Vec<u8>,
    shares: Vec<f64>,
}

impl Base {
    fn new(family: Family) -> Self {
        let of = Specimen::tiny(family, Mix::InTurn(vec![Kind::Q8_0]));
        let kernels = Arc::new(Kernels::new(Isa::detect(), 1));
        let model = LanguageModel::from_bytes("tiny", &of.file().bytes(), kernels);
        let adapter = andon_specimen::Adapter {
            of,
            rank: 8,
            alpha: 16.0,
            seed: 1,
        };
        let peft = adapter.peft();
        let model = model.expect("the model loads");
        Self {
            gguf: adapter.file(),
            weights: peft.weights,
            config: peft.config.into_bytes(),
            shares: score(&model, None).expect("labels are scored"),
            model,
        }
    }

    /// Loads and uses what is left of the files; whether they could be loaded.
    fn try_with(&self, seed: u64) -> Result<bool, EngineError> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut gguf, mut weights) = (self.gguf.clone(), self.weights.clone());
        let mut config = self.config.clone();
        let kind = seed % 5;
        match kind {
            0 => change_tensors(&mut gguf, &mut random),
            2 => damage(&mut weights, &mut random),
            3 => renumber(&mut config, &mut random),
            4 => damage(&mut config, &mut random),
            _ => {}
        }
        let mut file = gguf.bytes();
        if kind == 1 {
            damage(&mut file, &mut random);
        }
        let files = match kind {
            0 | 1 => Files::Gguf(&file),
            _ => Files::Peft {
                weights: &weights,
                config: &config,
            },
        };
        let name = seed.to_string();
        if self.model.add_adapter_from(&name, files).is_err() {
            return Ok(false);
        }
        let scale = *[1.0, -3.0, 0.0, 1e-30, 1e30]
            .choose(&mut random)
            .expect("some");
        let adapter = Adapter { name, scale };
        sound(score(&self.model, Some(adapter)).map(|_| ()))?;
        assert_eq!(score(&self.model, None)?, self.shares);
        Ok(true)
    }
}

fn score(model: &LanguageModel, adapter: Option<Adapter>) -> Result<Vec<f64>, EngineError> {
    let labels = ["leak", "no failure"].map(str::to_owned).to_vec();
    let request = ScoreRequest {
        adapter,
        ..ScoreRequest::new(Prompt::Text("the pump is leaking".into()), labels)
    };
    model.score(&request).map(|scores| scores.shares)
}

#[test]
fn four_thousand_mutations_of_adapters() {
    confined(
        "adapter_mutations::four_thousand_mutations_of_adapters",
        || {
            let bases = [Family::Llama, Family::Phi3].map(Base::new);
            let mut loaded = 0;
            for seed in 0..4_000 {
                let base = &bases[usize::from(seed % 2 == 1)];
                match catch_unwind(AssertUnwindSafe(|| base.try_with(seed))) {
                    Ok(Ok(is_loaded)) => loaded += u32::from(is_loaded),
                    Ok(Err(error)) => panic!("seed {seed}: {error}"),
                    Err(_) => panic!("seed {seed}: a panic"),
                }
            }
            // The mutations reach what lies behind the checks.
            assert!((400..3_200).contains(&loaded), "{loaded} loaded");
        },
    );
}

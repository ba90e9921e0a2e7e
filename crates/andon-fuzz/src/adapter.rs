//! Adapters of both forms, loaded into a small model and answered with.

use std::sync::{Arc, Mutex, PoisonError};

use andon_engine::LanguageModel;
use andon_engine::adapter::Files;
use andon_kernels::Kernels;
use andon_specimen::{Adapter, Family, Kind, Mix, Specimen};
use andon_task::engine::{self, Generate, Prompt, Score, ScoreRequest};

/// The name under which an adapter is loaded.
const NAME: &str = "any";

/// A model that has loaded nothing yet, and what it says.
struct Base {
    model: LanguageModel,
    shares: Vec<f64>,
}

static BASE: Mutex<Option<Base>> = Mutex::new(None);

/// Of two ranks, in both forms.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let seeds = [(4, 1), (8, 2)].map(|(rank, seed)| {
        let adapter = Adapter {
            of: specimen(),
            rank,
            alpha: 2.0 * rank as f32,
            seed,
        };
        let peft = adapter.peft();
        let length = u16::try_from(peft.config.len()).expect("settings are short");
        let settings = [&length.to_le_bytes(), peft.config.as_bytes()].concat();
        [
            [&[0], adapter.file().bytes().as_slice()].concat(),
            [&[1], settings.as_slice(), &peft.weights].concat(),
        ]
    });
    seeds.concat()
}

fn specimen() -> Specimen {
    Specimen::tiny(Family::Llama, Mix::InTurn(vec![Kind::Q8_0]))
}

/// Loads an adapter and answers with it; who does not ask for it gets what they got
/// before.
pub(crate) fn read(bytes: &[u8], kernels: Arc<Kernels>) -> bool {
    let Some(files) = files(bytes) else {
        return false;
    };
    // Whoever panicked with it has taken the model out.
    let mut base = BASE.lock().unwrap_or_else(PoisonError::into_inner);
    let Base { model, shares } = base.take().unwrap_or_else(|| Base::new(kernels));
    if model.add_adapter_from(NAME, files).is_err() {
        *base = Some(Base { model, shares });
        return false;
    }
    let adapter = engine::Adapter {
        name: NAME.to_owned(),
        scale: 1.0,
    };
    // Numbers beyond all bounds give an error.
    drop(score(&model, Some(adapter)));
    assert_eq!(
        Generate::statistics(&model).failures,
        0,
        "a panic in a step"
    );
    let unchanged = score(&model, None).expect("labels are scored");
    assert_eq!(unchanged, shares, "the model alone says something else");
    true
}

fn files(bytes: &[u8]) -> Option<Files<'_>> {
    let (form, rest) = bytes.split_first()?;
    if *form == 0 {
        return Some(Files::Gguf(rest));
    }
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (config, weights) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    Some(Files::Peft { weights, config })
}

impl Base {
    fn new(kernels: Arc<Kernels>) -> Self {
        let model = LanguageModel::from_bytes("tiny", &specimen().file().bytes(), kernels);
        let model = model.expect("a specimen is sound");
        let shares = score(&model, None).expect("labels are scored");
        Self { model, shares }
    }
}

fn score(
    model: &LanguageModel,
    adapter: Option<engine::Adapter>,
) -> Result<Vec<f64>, engine::EngineError> {
    let labels = ["leak", "no failure"].map(str::to_owned).to_vec();
    let request = ScoreRequest {
        adapter,
        ..ScoreRequest::new(Prompt::Text("the pump is leaking".into()), labels)
    };
    model.score(&request).map(|scores| scores.shares)
}

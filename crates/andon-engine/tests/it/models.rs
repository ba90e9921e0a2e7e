//! The default models, loaded once.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use andon_engine::{Encoder, EncoderFiles, LanguageModel};
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;

/// Where `andon model pull` puts models.
pub(crate) fn folder(model: &str) -> PathBuf {
    let home = std::env::var_os("ANDON_HOME").map_or_else(
        || {
            let data = std::env::var_os("XDG_DATA_HOME").map_or_else(
                || {
                    PathBuf::from(std::env::var_os("HOME").expect("HOME is set"))
                        .join(".local/share")
                },
                PathBuf::from,
            );
            data.join("andon")
        },
        PathBuf::from,
    );
    let folder = home.join("models").join(model);
    assert!(
        folder.exists(),
        "{} is missing: `make test` fetches it",
        folder.display()
    );
    folder
}

pub(crate) fn smollm2_path() -> PathBuf {
    folder("smollm2-135m").join("SmolLM2-135M-Instruct.Q4_1.gguf")
}

pub(crate) fn load_smollm2(kernels: Kernels) -> LanguageModel {
    LanguageModel::load("smollm2:135m", &smollm2_path(), Arc::new(kernels))
        .expect("the model loads")
}

pub(crate) fn load_minilm(kernels: Kernels) -> Encoder {
    let files = EncoderFiles::within(&folder("minilm-l6"));
    Encoder::load("minilm:l6", &files, Arc::new(kernels)).expect("the encoder loads")
}

/// The language model on two threads.
pub(crate) static SMOLLM2: LazyLock<LanguageModel> =
    LazyLock::new(|| load_smollm2(Kernels::new(Isa::detect(), 2)));

/// The encoder on two threads.
pub(crate) static MINILM: LazyLock<Encoder> =
    LazyLock::new(|| load_minilm(Kernels::new(Isa::detect(), 2)));

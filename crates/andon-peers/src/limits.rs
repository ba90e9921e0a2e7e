//! What the machine can do at most, and which part of it is used.

use andon_engine::gguf::Gguf;
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use anyhow::Context;
use serde::Serialize;

use crate::row::Subject;
use crate::row::engine::PREFILL_TOKENS;

/// What the machine can do at most.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Limits {
    /// Billions of integer operations a second with weights of 8 bits; a multiplication
    /// and an addition are two.
    pub(crate) gigaops: f64,
    /// The same with weights of 4 bits.
    pub(crate) gigaops_4_bits: f64,
    /// Billions of bytes that are read from memory a second.
    pub(crate) gigabytes: f64,
}

/// Which part of the machine's limits Andon uses with a model.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Share {
    model: String,
    /// Multiply-adds of a token of a prompt.
    multiply_adds_per_token: f64,
    /// Bytes of weights, as the file has them, that a token of an answer needs.
    bytes_per_token: f64,
    /// Of the peak of integers, with weights of the file's width, in prefill.
    pub(crate) prefill: f64,
    /// Of the bandwidth of reading, in decode.
    pub(crate) decode: f64,
}

impl Limits {
    /// Measures the machine, in some seconds.
    pub(crate) fn measure(threads: usize) -> Self {
        let limits = Kernels::new(Isa::detect(), threads).limits();
        Self {
            gigaops: limits.gigaops.all,
            gigaops_4_bits: limits.gigaops_4_bits.all,
            gigabytes: limits.gigabytes.all,
        }
    }
}

impl Share {
    /// From a model's parameters and bytes, and its tokens a second in prefill and
    /// decode.
    pub(crate) fn new(
        limits: &Limits,
        subject: &Subject,
        (parameters, bytes): (u64, u64),
        (prefill, decode): (f64, f64),
    ) -> anyhow::Result<Self> {
        let work = Work::of(subject, parameters, bytes)?;
        let gigaops = match bytes > parameters {
            true => limits.gigaops,
            false => limits.gigaops_4_bits,
        };
        Ok(Self {
            model: subject.name.clone(),
            multiply_adds_per_token: work.multiply_adds,
            bytes_per_token: work.bytes,
            prefill: 2.0 * work.multiply_adds * prefill / (gigaops * 1e9),
            decode: work.bytes * decode / (limits.gigabytes * 1e9),
        })
    }

    /// The share as a line for people.
    pub(crate) fn line(&self) -> String {
        format!(
            "{}: prefill {:.0} % of the integer peak (≥ 50 %), decode {:.0} % of the read bandwidth (≥ 70 %)",
            self.model,
            100.0 * self.prefill,
            100.0 * self.decode
        )
    }
}

/// What a token costs.
struct Work {
    multiply_adds: f64,
    bytes: f64,
}

impl Work {
    /// The rows of the embeddings are looked up; the head is multiplied once for a
    /// prompt and once for each token of an answer, even if it is the same matrix.
    fn of(subject: &Subject, parameters: u64, bytes: u64) -> anyhow::Result<Self> {
        let file = std::fs::read(&subject.gguf)
            .with_context(|| format!("cannot read '{}'", subject.gguf.display()))?;
        let gguf = Gguf::parse(&file)?;
        let architecture = gguf.text("general.architecture")?;
        let width = gguf.size(&format!("{architecture}.embedding_length"))?;
        let vocabulary = gguf.list("tokenizer.ggml.tokens")?.len();
        let embedding = (width * vocabulary) as f64;
        let matrices = if gguf.has_tensor("output.weight") {
            2.0
        } else {
            1.0
        };
        let layers = parameters as f64 - matrices * embedding;
        // Of two such matrices, one is only looked up.
        let looked_up = (matrices - 1.0) * embedding / parameters as f64;
        Ok(Self {
            multiply_adds: layers + embedding / PREFILL_TOKENS as f64,
            bytes: bytes as f64 * (1.0 - looked_up),
        })
    }
}

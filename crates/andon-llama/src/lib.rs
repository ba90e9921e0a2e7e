//! Language models computed by llama.cpp: for GPUs, and for model families that Andon's
//! own engine does not run.
//!
//! Everything about text stays with [`LanguageModel`]: tokens, chat templates, grammars,
//! the drawing of tokens, the trie of labels. llama.cpp is given tokens and gives logits.
//! `native` is the only unsafe code: one model with one context, which one thread owns.
//! `drive` is that thread. Answers may differ in the last bits with what else is in a
//! batch: that is llama.cpp's arithmetic.
//!
//! Start at [`load`].

mod board;
mod drive;
mod native;
mod sequence;

use std::path::Path;
use std::sync::Arc;

use andon_engine::gguf::Gguf;
use andon_engine::{LanguageModel, LoadError};
use andon_kernels::Kernels;

use drive::Driver;
use native::Native;

/// What a model may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Tokens that all requests together hold, at most; a longer context is cut to this,
    /// and the model's identity says so.
    pub cache_tokens: usize,
    /// Threads of the processor.
    pub threads: usize,
    /// Layers that a GPU computes, if there is one; `None`: all.
    pub gpu_layers: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_tokens: 16_384,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            gpu_layers: None,
        }
    }
}

/// Loads a GGUF file under the name that it is to be known by.
///
/// llama.cpp opens the file by its path, once its header was read here: a header that
/// makes no sense would end the process there.
///
/// # Errors
/// If the file cannot be read, is damaged, changes while it is read, or is not supported.
pub fn load(
    name: &str,
    path: &Path,
    kernels: Arc<Kernels>,
    options: Options,
) -> Result<LanguageModel, LoadError> {
    let before = std::fs::metadata(path)?;
    let file = std::fs::read(path)?;
    check_header(&Gguf::parse(&file)?)?;
    let native = Native::load(path, options)?;
    let after = std::fs::metadata(path)?;
    if (before.len(), before.modified()?) != (after.len(), after.modified()?) {
        return Err(LoadError::Damaged(
            "it changed while it was read".to_owned(),
        ));
    }
    let context = native.context_tokens();
    let driver = Driver::start(native, kernels)?;
    LanguageModel::driven(name, &file, context, Box::new(driver))
}

/// What llama.cpp believes of a header, and should not.
fn check_header(gguf: &Gguf<'_>) -> Result<(), LoadError> {
    let architecture = gguf.text("general.architecture")?;
    let key = format!("{architecture}.block_count");
    let blocks = gguf.size(&key)?;
    let tensors = gguf.tensor_names().count();
    if blocks == 0 || blocks > tensors {
        return Err(LoadError::Damaged(format!(
            "it has {tensors} tensors and says that there are {blocks} layers"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

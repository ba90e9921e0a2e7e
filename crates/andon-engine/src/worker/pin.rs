//! Beginnings that are kept for good: out of the cache, and back into it.

use andon_kernels::kv;
use andon_task::engine::EngineError;

use super::job::Restore;
use crate::cache::{Blocks, Held};

/// The content of blocks, layer after layer.
pub(super) fn content(held: &Held, cache: &[kv::Layer]) -> Vec<u8> {
    let mut content = Vec::new();
    for layer in cache {
        for &block in held.numbers() {
            layer.read_block(block, &mut content);
        }
    }
    content
}

/// Puts content back into blocks of its own, from where it is found like any other.
pub(super) fn restore(
    work: &Restore,
    mut held: Held,
    blocks: &mut Blocks,
    cache: &mut [kv::Layer],
) -> Result<Held, EngineError> {
    let count = work.tokens.len().div_ceil(kv::BLOCK);
    let length: usize = cache.iter().map(kv::Layer::block_bytes).sum();
    if work.content.len() != count * length {
        return Err(EngineError::Invalid(
            "the content of the blocks has another size than the model's".into(),
        ));
    }
    if !blocks.grow(&mut held, work.tokens.len()) {
        return Err(EngineError::Invalid(
            "the KV cache has no room for the beginning: use fewer or shorter ones".into(),
        ));
    }
    let mut rest = work.content.as_slice();
    for layer in cache {
        for &block in held.numbers() {
            let (content, after) = rest.split_at(layer.block_bytes());
            layer.write_block(block, content);
            rest = after;
        }
    }
    Ok(blocks.pin(held, &work.tokens))
}

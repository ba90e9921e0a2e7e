//! Which blocks of keys and values belong to whom, and which prefixes they hold.
//!
//! This is bookkeeping alone: it hands out block numbers and never touches the
//! blocks. A full block whose tokens are known is kept for others after its
//! owner has gone, under everything that shaped its content: the tokens in it
//! and all before it (the model is the cache's own). Blocks that nobody holds
//! are given up by least recent use, the end of a sequence before its beginning.

use std::collections::{BTreeMap, HashMap};

use andon_kernels::kv::BLOCK;

/// Blocks by number: held, kept or free.
#[derive(Debug)]
pub struct Blocks {
    blocks: Vec<Block>,
    free: Vec<u32>,
    prefixes: HashMap<Key, u32>,
    /// Kept blocks that nobody holds, by the time of their release.
    idle: BTreeMap<u64, u32>,
    clock: u64,
    contents: u64,
}

#[derive(Debug, Default)]
struct Block {
    holders: usize,
    /// Its key in `prefixes`, and the number of its content.
    kept: Option<(Key, u64)>,
    released: u64,
}

/// What a full block holds: its own tokens, behind the content with this
/// number. Numbers are never used twice, so that a key stands for one text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    before: u64,
    tokens: [u32; BLOCK],
}

/// The blocks of one sequence. It must be given back with [`Blocks::release`].
#[derive(Debug, Default)]
pub struct Held {
    blocks: Vec<u32>,
    /// Blocks at the beginning that are under their key.
    known: usize,
    /// The number of the content of the last known block.
    content: u64,
    /// A fork is short-lived and like no other: its blocks are not kept.
    is_fork: bool,
}

impl Held {
    /// The block numbers, in order.
    pub fn numbers(&self) -> &[u32] {
        &self.blocks
    }
}

impl Blocks {
    /// Bookkeeping of `count` blocks, all free.
    pub fn new(count: usize) -> Self {
        Self {
            blocks: (0..count).map(|_| Block::default()).collect(),
            free: (0..count as u32).rev().collect(),
            prefixes: HashMap::new(),
            idle: BTreeMap::new(),
            clock: 0,
            contents: 0,
        }
    }

    /// Blocks that could be handed out now.
    pub fn available(&self) -> usize {
        self.free.len() + self.idle.len()
    }

    /// How many blocks there are.
    pub fn count(&self) -> usize {
        self.blocks.len()
    }

    /// Takes hold of the longest known prefix of `tokens`, in whole blocks,
    /// leaving at least the last token to be computed.
    pub fn match_prefix(&mut self, tokens: &[u32]) -> Held {
        let most = tokens.len().saturating_sub(1) / BLOCK;
        self.hold_prefix(&tokens[..most * BLOCK])
    }

    /// Takes hold of the longest known prefix of `tokens`, in whole blocks.
    pub fn hold_prefix(&mut self, tokens: &[u32]) -> Held {
        let mut held = Held::default();
        for tokens in tokens.chunks_exact(BLOCK) {
            let key = Key {
                before: held.content,
                tokens: tokens.try_into().expect("a chunk of a block's length"),
            };
            let Some(&block) = self.prefixes.get(&key) else {
                break;
            };
            self.hold(block);
            let kept = self.blocks[block as usize].kept.as_ref();
            held.content = kept.expect("a block under a key is kept").1;
            held.blocks.push(block);
            held.known += 1;
        }
        held
    }

    /// How many of the first blocks of `tokens` are known.
    pub fn known(&self, tokens: &[u32]) -> usize {
        let mut before = 0;
        let blocks = tokens.chunks_exact(BLOCK).map_while(|tokens| {
            let key = Key {
                before,
                tokens: tokens.try_into().expect("a chunk of a block's length"),
            };
            let kept = self.blocks[*self.prefixes.get(&key)? as usize]
                .kept
                .as_ref();
            before = kept.expect("a block under a key is kept").1;
            Some(())
        });
        blocks.count()
    }

    /// Gives `held` blocks for `tokens` tokens in all; false, and nothing
    /// changed, if there are too few.
    pub fn grow(&mut self, held: &mut Held, tokens: usize) -> bool {
        let wanted = tokens.div_ceil(BLOCK).saturating_sub(held.blocks.len());
        if wanted > self.available() {
            return false;
        }
        for _ in 0..wanted {
            let block = self.take();
            held.blocks.push(block);
        }
        true
    }

    /// Notes that the keys and values of the first `computed` of `tokens` are
    /// there: full blocks can be shared from now on.
    pub fn note(&mut self, held: &mut Held, tokens: &[u32], computed: usize) {
        while !held.is_fork && (held.known + 1) * BLOCK <= computed {
            let from = held.known * BLOCK;
            let key = Key {
                before: held.content,
                tokens: tokens[from..from + BLOCK]
                    .try_into()
                    .expect("a slice of a block's length"),
            };
            // Another sequence may have computed the same: its block stays the
            // shared one, and what follows here is found behind it.
            let number = match self.prefixes.get(&key) {
                Some(&block) => {
                    let kept = self.blocks[block as usize].kept.as_ref();
                    kept.expect("a block under a key is kept").1
                }
                None => {
                    self.contents += 1;
                    let block = held.blocks[held.known];
                    self.prefixes.insert(key.clone(), block);
                    self.blocks[block as usize].kept = Some((key, self.contents));
                    self.contents
                }
            };
            held.content = number;
            held.known += 1;
        }
    }

    /// A second sequence that begins with the first `tokens` tokens of `held`:
    /// whole blocks are shared. If the last is not whole it gets a block of its
    /// own, and the numbers of the block to copy and of its copy are returned.
    /// `None` if there is no block left.
    pub fn fork(&mut self, held: &Held, tokens: usize) -> Option<(Held, Option<(u32, u32)>)> {
        let shared = tokens / BLOCK;
        let is_whole = tokens.is_multiple_of(BLOCK);
        if !is_whole && self.available() == 0 {
            return None;
        }
        let mut fork = Held {
            is_fork: true,
            ..Held::default()
        };
        for &block in &held.blocks[..shared] {
            self.hold(block);
            fork.blocks.push(block);
        }
        if is_whole {
            return Some((fork, None));
        }
        let copy = self.take();
        fork.blocks.push(copy);
        Some((fork, Some((held.blocks[shared], copy))))
    }

    /// Gives all blocks of a sequence back.
    pub fn release(&mut self, held: Held) {
        for block in held.blocks.into_iter().rev() {
            let state = &mut self.blocks[block as usize];
            state.holders -= 1;
            if state.holders > 0 {
                continue;
            }
            if state.kept.is_some() {
                self.clock += 1;
                state.released = self.clock;
                self.idle.insert(self.clock, block);
            } else {
                self.free.push(block);
            }
        }
    }

    fn hold(&mut self, block: u32) {
        let state = &mut self.blocks[block as usize];
        if state.holders == 0 {
            self.idle.remove(&state.released);
        }
        state.holders += 1;
    }

    /// A free block, or the kept one that was released first.
    fn take(&mut self) -> u32 {
        let block = self.free.pop().unwrap_or_else(|| {
            let (_, block) = self.idle.pop_first().expect("availability was checked");
            let kept = self.blocks[block as usize].kept.take();
            self.prefixes
                .remove(&kept.expect("an idle block is kept").0);
            block
        });
        self.blocks[block as usize].holders = 1;
        block
    }
}

#[cfg(test)]
mod tests;

//! Which blocks of keys and values belong to whom, and which prefixes they hold.
//!
//! This is bookkeeping alone: it hands out block numbers and never touches the
//! blocks. They form a tree over tokens: a block is kept for others after its owner
//! has gone, under everything that shaped its content: the tokens in it and all
//! before it, and the adapter that they were computed with (the model is the cache's
//! own). A full block is shared as it is. Of a
//! block that begins with the right tokens and goes on with others, or ends early,
//! the beginning is copied. Blocks that nobody holds are given up by least recent
//! use, the end of a sequence before its beginning.

use std::collections::{BTreeMap, HashMap};

use andon_kernels::kv::BLOCK;

use crate::adapter::Variant;

/// Roots of adapters that are remembered without blocks behind them.
const MOST_BARE_ROOTS: usize = 64;

/// Blocks by number: held, kept or free.
#[derive(Debug)]
pub struct Blocks {
    blocks: Vec<Block>,
    free: Vec<u32>,
    /// Full blocks that are kept.
    prefixes: HashMap<Key, u32>,
    /// All blocks that are kept behind the content with this number.
    behind: HashMap<u64, Vec<u32>>,
    /// Kept blocks that nobody holds, by the time of their release.
    idle: BTreeMap<u64, u32>,
    clock: u64,
    contents: u64,
    /// The number before every text that is computed with an adapter; that of the
    /// model alone is 0.
    roots: HashMap<Variant, u64>,
}

#[derive(Debug, Default)]
struct Block {
    holders: usize,
    kept: Option<Kept>,
    released: u64,
}

/// A block that others may find.
#[derive(Clone, Debug)]
struct Kept {
    /// The number of the content before it.
    before: u64,
    /// Its tokens, as far as they are known.
    tokens: Vec<u32>,
    /// The number of its content.
    content: u64,
}

/// The beginning of a text, as far as the cache has it.
#[derive(Debug, Default)]
pub struct Found {
    /// Its blocks.
    pub held: Held,
    /// Tokens whose keys and values are there, once the copy is made.
    pub tokens: usize,
    /// A block that is to be copied over another before anything else is done.
    pub copy: Option<(u32, u32)>,
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
    /// The number before its first block.
    root: u64,
    /// The number of the content of the last known block.
    content: u64,
    /// A fork is short-lived and like no other: its blocks are not kept.
    is_fork: bool,
}

impl Held {
    /// No blocks yet, behind a root.
    fn behind(root: u64) -> Self {
        Self {
            root,
            content: root,
            ..Self::default()
        }
    }

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
            behind: HashMap::new(),
            idle: BTreeMap::new(),
            clock: 0,
            contents: 0,
            roots: HashMap::new(),
        }
    }

    /// A sequence without blocks that is computed by a variant of the model.
    pub fn begin(&mut self, variant: Variant) -> Held {
        if variant == Variant::ALONE {
            return Held::default();
        }
        if let Some(&root) = self.roots.get(&variant) {
            return Held::behind(root);
        }
        if self.roots.len() >= MOST_BARE_ROOTS {
            // Numbers are never used twice: who is still behind a root that goes
            // is found by nobody, and wrong for nobody.
            self.roots.retain(|_, root| self.behind.contains_key(root));
        }
        self.contents += 1;
        self.roots.insert(variant, self.contents);
        Held::behind(self.contents)
    }

    /// Blocks that could be handed out now.
    pub fn available(&self) -> usize {
        self.free.len() + self.idle.len()
    }

    /// How many blocks there are.
    pub fn count(&self) -> usize {
        self.blocks.len()
    }

    /// Takes hold of the longest known prefix of `tokens`, as a variant of the model
    /// computed it, leaving at least the last token to be computed.
    pub fn match_prefix(&mut self, variant: Variant, tokens: &[u32]) -> Found {
        let tokens = &tokens[..tokens.len().saturating_sub(1)];
        let begun = self.begin(variant);
        let mut held = self.hold_prefix(begun.root, tokens);
        let whole = held.blocks.len() * BLOCK;
        let Some((from, common)) = self.most_alike(held.content, &tokens[whole..]) else {
            return Found {
                held,
                tokens: whole,
                copy: None,
            };
        };
        // What is about to be copied must not be given up for its copy.
        self.hold(from);
        let copy = (self.available() > 0).then(|| self.take());
        self.let_go(from);
        held.blocks.extend(copy);
        Found {
            held,
            tokens: whole + copy.map_or(0, |_| common),
            copy: copy.map(|to| (from, to)),
        }
    }

    /// The kept block behind a content that begins with the most of `tokens`, and
    /// how many these are.
    fn most_alike(&self, before: u64, tokens: &[u32]) -> Option<(u32, usize)> {
        let common = |block: u32| {
            let kept = self.blocks[block as usize].kept.as_ref();
            let kept = &kept.expect("a block behind a content is kept").tokens;
            let pairs = kept.iter().zip(tokens);
            pairs.take_while(|(a, b)| a == b).count()
        };
        let behind = self.behind.get(&before)?.iter();
        let (block, common) = behind
            .map(|&block| (block, common(block)))
            .max_by_key(|&(_, common)| common)?;
        (common > 0).then_some((block, common))
    }

    /// Takes hold of the longest known prefix of `tokens` behind a root, in whole
    /// blocks.
    fn hold_prefix(&mut self, root: u64, tokens: &[u32]) -> Held {
        let mut held = Held::behind(root);
        for tokens in tokens.chunks_exact(BLOCK) {
            let key = Key {
                before: held.content,
                tokens: tokens.try_into().expect("a chunk of a block's length"),
            };
            let Some(&block) = self.prefixes.get(&key) else {
                break;
            };
            self.hold(block);
            held.content = self.content(block);
            held.blocks.push(block);
            held.known += 1;
        }
        held
    }

    /// How many of the first blocks of `tokens` are known, as a variant of the model
    /// computed them.
    pub fn known(&self, variant: Variant, tokens: &[u32]) -> usize {
        let root = match variant {
            Variant::ALONE => Some(0),
            _ => self.roots.get(&variant).copied(),
        };
        let Some(mut before) = root else {
            return 0;
        };
        let blocks = tokens.chunks_exact(BLOCK).map_while(|tokens| {
            let key = Key {
                before,
                tokens: tokens.try_into().expect("a chunk of a block's length"),
            };
            before = self.content(*self.prefixes.get(&key)?);
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
                Some(&block) => self.content(block),
                None => {
                    let block = held.blocks[held.known];
                    self.prefixes.insert(key, block);
                    self.keep(block, held.content, &tokens[from..from + BLOCK])
                }
            };
            held.content = number;
            held.known += 1;
        }
    }

    /// Lets others find a block behind a content; the number of its own content.
    fn keep(&mut self, block: u32, before: u64, tokens: &[u32]) -> u64 {
        self.contents += 1;
        self.behind.entry(before).or_default().push(block);
        self.blocks[block as usize].kept = Some(Kept {
            before,
            tokens: tokens.to_vec(),
            content: self.contents,
        });
        self.contents
    }

    /// The number of the content of a block under a key.
    fn content(&self, block: u32) -> u64 {
        let kept = self.blocks[block as usize].kept.as_ref();
        kept.expect("a block under a key is kept").content
    }

    /// Gives all blocks of a sequence back, of which the first `computed` of
    /// `tokens` are computed: what they fill of the last block is kept as well.
    pub fn retire(&mut self, mut held: Held, tokens: &[u32], computed: usize) {
        self.note(&mut held, tokens, computed);
        let rest = &tokens[(held.known * BLOCK).min(computed)..computed];
        if let Some(&block) = held.blocks.get(held.known)
            && !held.is_fork
            && !self.has(held.content, rest)
        {
            self.keep(block, held.content, rest);
        }
        self.release(held);
    }

    /// Whether a kept block behind a content begins with all of `tokens`.
    fn has(&self, before: u64, tokens: &[u32]) -> bool {
        let found = self.most_alike(before, tokens);
        tokens.is_empty() || found.is_some_and(|(_, common)| common == tokens.len())
    }

    /// Gives the blocks of a computed text back and takes hold of those under which
    /// it is found, to its last token.
    pub fn pin(&mut self, held: Held, tokens: &[u32]) -> Held {
        let root = held.root;
        self.retire(held, tokens, tokens.len());
        let mut found = self.hold_prefix(root, tokens);
        let rest = &tokens[found.blocks.len() * BLOCK..];
        if let Some((block, _)) = self.most_alike(found.content, rest) {
            self.hold(block);
            found.blocks.push(block);
        }
        found
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
            self.let_go(block);
        }
    }

    fn let_go(&mut self, block: u32) {
        let state = &mut self.blocks[block as usize];
        state.holders -= 1;
        if state.holders > 0 {
            return;
        }
        if state.kept.is_some() {
            self.clock += 1;
            state.released = self.clock;
            self.idle.insert(self.clock, block);
        } else {
            self.free.push(block);
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
            self.forget(block);
            block
        });
        self.blocks[block as usize].holders = 1;
        block
    }

    /// Nobody finds a block any more.
    fn forget(&mut self, block: u32) {
        let kept = self.blocks[block as usize].kept.take();
        let Kept { before, tokens, .. } = kept.expect("an idle block is kept");
        if let Some(behind) = self.behind.get_mut(&before) {
            behind.retain(|&other| other != block);
            if behind.is_empty() {
                self.behind.remove(&before);
            }
        }
        if let Ok(tokens) = tokens.try_into() {
            self.prefixes.remove(&Key { before, tokens });
        }
    }
}

#[cfg(test)]
mod tests;

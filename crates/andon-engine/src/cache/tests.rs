use andon_kernels::kv::BLOCK;
use andon_task::digest::Digest;
use proptest::prelude::*;

use super::{Blocks, Found, Held};
use crate::adapter::Variant;

fn hold(blocks: &mut Blocks, tokens: &[u32]) -> (Held, usize) {
    let Found {
        mut held,
        tokens: cached,
        ..
    } = blocks.match_prefix(Variant::ALONE, tokens);
    assert!(blocks.grow(&mut held, tokens.len()));
    blocks.note(&mut held, tokens, tokens.len());
    (held, cached)
}

fn text(first: u32, length: usize) -> Vec<u32> {
    (first..).take(length).collect()
}

#[test]
fn a_prefix_is_found_while_it_is_held_and_after() {
    let mut blocks = Blocks::new(16);
    let tokens = text(0, 40);
    let (first, cached) = hold(&mut blocks, &tokens);
    assert_eq!(cached, 0);
    let (second, cached) = hold(&mut blocks, &tokens);
    assert_eq!(cached, 32);
    assert_eq!(second.numbers()[..2], first.numbers()[..2]);
    blocks.release(first);
    blocks.release(second);
    assert_eq!(blocks.available(), 16);
    assert_eq!(hold(&mut blocks, &tokens).1, 32);
}

#[test]
fn the_last_token_is_always_left_to_compute() {
    let mut blocks = Blocks::new(16);
    let tokens = text(0, 2 * BLOCK);
    let (held, _) = hold(&mut blocks, &tokens);
    blocks.release(held);
    assert_eq!(hold(&mut blocks, &tokens).1, 2 * BLOCK - 1);
}

#[test]
fn the_same_tokens_behind_other_tokens_are_another_content() {
    let mut blocks = Blocks::new(16);
    let common = text(100, BLOCK);
    let first = [text(0, BLOCK), common.clone(), text(7, 1)].concat();
    let second = [text(50, BLOCK), common, text(7, 1)].concat();
    let (held, _) = hold(&mut blocks, &first);
    blocks.release(held);
    assert_eq!(hold(&mut blocks, &second).1, 0);
}

#[test]
fn a_sequence_that_does_not_fit_takes_nothing() {
    let mut blocks = Blocks::new(2);
    let mut held = Held::default();
    assert!(!blocks.grow(&mut held, 3 * BLOCK));
    assert_eq!(blocks.available(), 2);
    assert!(blocks.grow(&mut held, 2 * BLOCK));
    assert_eq!(blocks.available(), 0);
}

#[test]
fn forks_share_whole_blocks_and_copy_the_rest() {
    let mut blocks = Blocks::new(8);
    let tokens = text(0, 20);
    let (held, _) = hold(&mut blocks, &tokens);
    let (fork, copy) = blocks.fork(&held, 20).expect("blocks are left");
    assert_eq!(fork.numbers()[0], held.numbers()[0]);
    assert_eq!(copy, Some((held.numbers()[1], fork.numbers()[1])));
    assert_ne!(fork.numbers()[1], held.numbers()[1]);
    let (whole, copy) = blocks.fork(&held, BLOCK).expect("no block is needed");
    assert_eq!((whole.numbers(), copy), (&held.numbers()[..1], None));
    for held in [held, fork, whole] {
        blocks.release(held);
    }
    assert_eq!(blocks.available(), 8);
}

#[test]
fn of_a_block_that_goes_on_differently_the_beginning_is_copied() {
    let mut blocks = Blocks::new(16);
    let tokens = text(0, 40);
    let (held, _) = hold(&mut blocks, &tokens);
    let last = held.numbers()[2];
    blocks.retire(held, &tokens, tokens.len());
    // Five of the eight tokens of the last block are the same.
    let other = [&tokens[..37], &text(500, 20)].concat();
    let found = blocks.match_prefix(Variant::ALONE, &other);
    assert_eq!(found.tokens, 37);
    let (from, to) = found.copy.expect("a copy");
    assert_eq!((from, to), (last, found.held.numbers()[2]));
    assert_ne!(from, to);
    blocks.release(found.held);
    // Nothing of the first block is the same.
    let found = blocks.match_prefix(Variant::ALONE, &text(7, 20));
    assert_eq!((found.tokens, found.copy), (0, None));
}

#[test]
fn what_is_pinned_is_found_to_its_last_token_whatever_else_comes() {
    let mut blocks = Blocks::new(6);
    let tokens = text(0, 40);
    let (held, _) = hold(&mut blocks, &tokens);
    let pinned = blocks.pin(held, &tokens);
    assert_eq!(pinned.numbers().len(), 3);
    assert_eq!(blocks.available(), 3);
    for start in 1..20 {
        let other = text(start * 1000, 40);
        let (held, cached) = hold(&mut blocks, &other);
        assert_eq!(cached, 0);
        blocks.retire(held, &other, other.len());
        let found = blocks.match_prefix(Variant::ALONE, &[&tokens[..], &[9, 9]].concat());
        assert_eq!(found.tokens, 40);
        blocks.release(found.held);
    }
}

proptest! {
    /// Whatever comes and goes: no block is lost or held by two texts, and a
    /// prefix that is found has the tokens that were asked for.
    #[test]
    fn blocks_hold_what_their_owners_put_there(
        steps in prop::collection::vec((0u32..4, 1usize..70, prop::bool::ANY), 1..60),
    ) {
        let mut blocks = Blocks::new(12);
        let mut content = vec![Vec::new(); 12];
        let mut live: Vec<(Held, Vec<u32>)> = Vec::new();
        for (start, length, releases) in steps {
            if releases && !live.is_empty() {
                let (held, tokens) = live.remove(length % live.len());
                blocks.retire(held, &tokens, tokens.len());
                continue;
            }
            // Texts that part ways in the middle of a block.
            let mut tokens = text(0, length);
            if let Some(token) = tokens.get_mut(20 * start as usize + 3) {
                *token = 1000 + start;
            }
            let Found { mut held, tokens: known, copy } = blocks.match_prefix(Variant::ALONE, &tokens);
            prop_assert!(known < tokens.len().max(1));
            if let Some((from, to)) = copy {
                content[to as usize] = content[from as usize].clone();
            }
            for (at, &block) in held.numbers().iter().enumerate() {
                let end = known.min((at + 1) * BLOCK);
                prop_assert_eq!(&content[block as usize][..end], &tokens[..end]);
            }
            let known = known / BLOCK;
            if !blocks.grow(&mut held, tokens.len()) {
                blocks.release(held);
                continue;
            }
            for (at, &block) in held.numbers().iter().enumerate().skip(known) {
                let is_shared = live.iter().any(|(other, _)| other.numbers().contains(&block));
                prop_assert!(!is_shared, "block {} is handed out twice", block);
                content[block as usize] = tokens[..tokens.len().min((at + 1) * BLOCK)].to_vec();
            }
            blocks.note(&mut held, &tokens, tokens.len());
            live.push((held, tokens));
        }
        for (held, _) in live {
            blocks.release(held);
        }
        prop_assert_eq!(blocks.available(), 12);
    }
}

#[test]
fn what_one_variant_computed_no_other_finds() {
    let mut blocks = Blocks::new(64);
    let tokens = text(0, 3 * BLOCK + 5);
    let variants: Vec<Variant> = [None, Some((1, 1.0)), Some((2, 1.0)), Some((1, 0.5))]
        .map(variant)
        .to_vec();
    for (at, &variant) in variants.iter().enumerate() {
        assert_eq!(blocks.known(variant, &tokens), 0);
        let found = blocks.match_prefix(variant, &tokens);
        assert_eq!((found.tokens, found.copy), (0, None), "{variant:?}");
        let mut held = found.held;
        assert!(blocks.grow(&mut held, tokens.len()));
        blocks.retire(held, &tokens, tokens.len());
        for (other, &known) in variants.iter().enumerate() {
            let expected = if other <= at { 3 } else { 0 };
            assert_eq!(blocks.known(known, &tokens), expected, "{known:?}");
        }
    }
    // Each finds its own, in blocks that no other has.
    let mut all = Vec::new();
    for &variant in &variants {
        let found = blocks.match_prefix(variant, &tokens);
        assert_eq!(found.tokens, tokens.len() - 1);
        all.extend(found.held.numbers()[..3].to_vec());
        blocks.release(found.held);
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 12);
}

#[test]
fn what_is_pinned_for_a_variant_is_found_by_it_alone() {
    let mut blocks = Blocks::new(16);
    let tokens = text(0, BLOCK + 3);
    let mut held = blocks.begin(variant(Some((1, 1.0))));
    assert!(blocks.grow(&mut held, tokens.len()));
    let pinned = blocks.pin(held, &tokens);
    assert_eq!(pinned.numbers().len(), 2);
    assert_eq!(blocks.known(variant(Some((1, 1.0))), &tokens), 1);
    assert_eq!(blocks.known(Variant::ALONE, &tokens), 0);
}

#[test]
fn scales_that_were_asked_for_once_are_not_remembered_for_ever() {
    let mut blocks = Blocks::new(16);
    let kept = variant(Some((1, 1.0)));
    let tokens = text(0, 2 * BLOCK);
    let mut held = blocks.begin(kept);
    assert!(blocks.grow(&mut held, tokens.len()));
    blocks.retire(held, &tokens, tokens.len());
    for scale in 0..10_000 {
        let held = blocks.begin(variant(Some((2, scale as f32))));
        blocks.release(held);
    }
    assert!(blocks.roots.len() <= super::MOST_BARE_ROOTS + 1);
    assert_eq!(blocks.known(kept, &tokens), 2);
}

/// The model alone, or with one of some adapters at a scale.
fn variant(adapter: Option<(u8, f32)>) -> Variant {
    adapter.map_or(Variant::ALONE, |(adapter, scale)| {
        Variant::new(Digest::of(&[adapter]), scale)
    })
}

use andon_kernels::kv::BLOCK;
use proptest::prelude::*;

use super::{Blocks, Held};

fn hold(blocks: &mut Blocks, tokens: &[u32]) -> (Held, usize) {
    let mut held = blocks.match_prefix(tokens);
    let cached = held.numbers().len() * BLOCK;
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
    assert_eq!(hold(&mut blocks, &tokens).1, BLOCK);
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

proptest! {
    /// Whatever comes and goes: no block is lost or held by two texts, and a
    /// prefix that is found has the tokens that were asked for.
    #[test]
    fn blocks_hold_what_their_owners_put_there(
        steps in prop::collection::vec((0u32..4, 1usize..70, prop::bool::ANY), 1..60),
    ) {
        let mut blocks = Blocks::new(12);
        let mut content = vec![Vec::new(); 12];
        let mut live: Vec<Held> = Vec::new();
        for (start, length, releases) in steps {
            if releases && !live.is_empty() {
                let held = live.remove(length % live.len());
                blocks.release(held);
                continue;
            }
            let tokens = text(start * 1000, length);
            let mut held = blocks.match_prefix(&tokens);
            for (at, &block) in held.numbers().iter().enumerate() {
                prop_assert_eq!(&content[block as usize], &tokens[..(at + 1) * BLOCK]);
            }
            let known = held.numbers().len();
            if !blocks.grow(&mut held, tokens.len()) {
                blocks.release(held);
                continue;
            }
            for (at, &block) in held.numbers().iter().enumerate().skip(known) {
                let is_shared = live.iter().any(|other| other.numbers().contains(&block));
                prop_assert!(!is_shared, "block {} is handed out twice", block);
                content[block as usize] = tokens[..tokens.len().min((at + 1) * BLOCK)].to_vec();
            }
            blocks.note(&mut held, &tokens, tokens.len());
            live.push(held);
        }
        for held in live {
            blocks.release(held);
        }
        prop_assert_eq!(blocks.available(), 12);
    }
}

//! Every target with some thousands of spoilt seeds, the same in every run.

use std::process::Command;

use andon_fuzz::{Target, spoil};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Inputs for each target, where somebody wants another number.
const ROUNDS: &str = "ANDON_FUZZ_ROUNDS";
/// Names the process in which the targets are tried.
const CONFINED: &str = "ANDON_TEST_CONFINED";
/// Its address space, in kilobytes: what a file claims must not be allocated unless
/// the file holds it.
const MEMORY_KB: &str = "1500000";

/// Tries a target in a process of its own with little memory; `rounds` are some
/// seconds.
fn check(test: &str, target: Target, rounds: u64) {
    if std::env::var_os(CONFINED).is_some() {
        return try_all(target, rounds);
    }
    let script = format!("ulimit -v {MEMORY_KB} && exec \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().expect("this test"))
        .args([test, "--exact", "--nocapture"])
        .env(CONFINED, "1")
        .env("MALLOC_ARENA_MAX", "2")
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("a process");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

fn try_all(target: Target, rounds: u64) {
    let rounds = std::env::var(ROUNDS).map_or(rounds, |rounds| rounds.parse().expect("a number"));
    let seeds = target.seeds();
    for (number, seed) in seeds.iter().enumerate() {
        assert!(target.read(seed), "seed {number} of {}", target.name());
    }
    let mut accepted = 0;
    for round in 0..rounds {
        let mut random = ChaCha8Rng::seed_from_u64(round);
        let mut bytes = seeds[round as usize % seeds.len()].clone();
        spoil(&mut bytes, &mut random);
        let is_accepted = std::panic::catch_unwind(|| target.read(&bytes));
        let is_accepted =
            is_accepted.unwrap_or_else(|_| panic!("round {round} of {}: a panic", target.name()));
        accepted += u64::from(is_accepted);
    }
    // They reach what lies behind the first checks, and are spoilt all the same.
    let share = accepted as f64 / rounds as f64;
    assert!((0.02..0.98).contains(&share), "{share} were accepted");
}

#[test]
fn gguf() {
    check("gguf", Target::Gguf, 20_000);
}

#[test]
fn tokenizer() {
    check("tokenizer", Target::Tokenizer, 4_000);
}

#[test]
fn model() {
    check("model", Target::Model, 2_000);
}

#[test]
fn encoder() {
    check("encoder", Target::Encoder, 1_000);
}

#[test]
fn adapter() {
    check("adapter", Target::Adapter, 2_000);
}

#[test]
fn grammar() {
    check("grammar", Target::Grammar, 2_000);
}

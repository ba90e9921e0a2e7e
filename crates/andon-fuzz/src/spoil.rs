//! Ways to spoil bytes without knowing what they mean.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// Numbers at the edges of what readers expect.
const EXTREMES: [u64; 9] = [
    0,
    1,
    7,
    1 << 24,
    i32::MAX as u64,
    u32::MAX as u64,
    1 << 40,
    i64::MAX as u64,
    u64::MAX,
];

/// Spoils `bytes` at a few places, as disks, networks and attackers do; half of the
/// time near the beginning, where files keep what they claim.
pub fn spoil(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    for _ in 0..random.random_range(1..=4) {
        if bytes.is_empty() {
            return;
        }
        let end = match random.random_bool(0.5) {
            true => bytes.len().min(4_096),
            false => bytes.len(),
        };
        let at = random.random_range(0..end);
        let length = random.random_range(1..=48).min(bytes.len() - at);
        match random.random_range(0..8) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.random(),
            2 | 3 => {
                let number = EXTREMES.choose(random).expect("some").to_le_bytes();
                let width = *[1, 2, 4, 8].choose(random).expect("some");
                let width = length.min(width);
                bytes[at..at + width].copy_from_slice(&number[..width]);
            }
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(at..at + length)),
            6 => {
                let copy = bytes[at..at + length].to_vec();
                let to = random.random_range(0..=bytes.len());
                bytes.splice(to..to, copy);
            }
            _ => {
                let from = random.random_range(0..=bytes.len() - length);
                bytes.copy_within(from..from + length, at);
            }
        }
    }
}

//! Numbers that stand for words and their combinations. Part of the format of readers:
//! another function makes other readers.

/// Mixes all bits (the finaliser of SplitMix64).
pub(super) fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The number of two numbers in order.
pub(super) fn pair(first: u64, second: u64) -> u64 {
    mix(first
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(second))
}

/// The number of a text.
pub(super) fn text(text: &str) -> u64 {
    // FNV-1a, mixed.
    let folded = text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(folded)
}

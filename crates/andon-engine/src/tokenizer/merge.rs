//! Merging neighbours, best first: what all byte-pair encodings share.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A stretch of a text, and the token with that text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Where it begins.
    pub(super) start: usize,
    /// Its bytes.
    pub(super) length: usize,
    /// Its token, if it has one.
    pub(super) token: Option<u32>,
}

/// What two neighbours may become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Merge {
    /// The lowest goes first, and of equals the leftmost.
    pub(super) rank: u32,
    /// The token of both together.
    pub(super) token: u32,
}

/// Merges neighbours for as long as `merge` names two that go together. Takes
/// time in proportion to n log n.
pub(super) fn merge_all(pieces: &mut Vec<Piece>, merge: impl Fn(Piece, Piece) -> Option<Merge>) {
    let count = pieces.len();
    // The neighbours that are left: `count` stands for none.
    let mut after: Vec<usize> = (1..=count).collect();
    let mut before: Vec<usize> = (0..count)
        .map(|at| at.checked_sub(1).unwrap_or(count))
        .collect();
    let mut queue = BinaryHeap::new();
    let candidate = |pieces: &[Piece], left: usize, right: usize| {
        let (a, b) = (*pieces.get(left)?, *pieces.get(right)?);
        let Merge { rank, token } = merge(a, b)?;
        Some(Reverse((rank, left, a.length + b.length, token)))
    };
    queue.extend((1..count).filter_map(|right| candidate(pieces, right - 1, right)));
    while let Some(Reverse((_, left, length, token))) = queue.pop() {
        let right = after[left];
        // One of the two was merged with another since.
        if pieces[left].length == 0
            || right == count
            || pieces[left].length + pieces[right].length != length
        {
            continue;
        }
        pieces[left].length = length;
        pieces[left].token = Some(token);
        pieces[right].length = 0;
        after[left] = after[right];
        if let Some(next) = before.get_mut(after[right]) {
            *next = left;
        }
        queue.extend(candidate(pieces, before[left], left));
        queue.extend(candidate(pieces, left, after[left]));
    }
    pieces.retain(|piece| piece.length > 0);
}

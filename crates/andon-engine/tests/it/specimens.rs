//! Small models of random weights.

use andon_specimen::{Family, File, Kind, Mix, Shape, Specimen};

/// The kinds whose blocks are no longer than a group.
pub(crate) const FLAT: [Kind; 9] = [
    Kind::F32,
    Kind::F16,
    Kind::Q4_0,
    Kind::Q4_1,
    Kind::Q5_0,
    Kind::Q5_1,
    Kind::Q8_0,
    Kind::Iq4Nl,
    Kind::Bf16,
];

/// A Llama whose matrices are kept in `kinds` in turn, beginning with the
/// embedding.
pub(crate) fn llama(seed: u64, kinds: &[Kind], has_output: bool) -> File {
    specimen(seed, kinds, has_output).file()
}

/// As [`llama`], with its sizes.
pub(crate) fn specimen(seed: u64, kinds: &[Kind], has_output: bool) -> Specimen {
    let tiny = Specimen::tiny(Family::Llama, Mix::InTurn(kinds.to_vec()));
    Specimen {
        has_output,
        seed,
        shape: Shape {
            has_scaled_angles: false,
            ..tiny.shape
        },
        ..tiny
    }
}

/// The smallest model of a family, in 8 bits.
pub(crate) fn family(family: Family) -> File {
    Specimen::tiny(family, Mix::InTurn(vec![Kind::Q8_0])).file()
}

/// One small layer in kinds of long blocks.
pub(crate) fn long_blocks() -> File {
    let tiny = specimen(3, &[Kind::Q4K, Kind::Q6K, Kind::Q5K], false);
    let shape = Shape {
        layers: 1,
        inner: 256,
        queries: 16,
        head: 16,
        ..tiny.shape
    };
    Specimen { shape, ..tiny }.file()
}

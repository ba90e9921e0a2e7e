//! Loops over floats that candle has no fused form of, for the processor.
//!
//! Each is written once, plainly, so that the compiler can turn it into the widest
//! instructions that the processor has: `pulp` compiles what it is given for each of
//! them and chooses when it runs. Sums have one order, whatever the number of threads.

pub(crate) mod attention;
mod lanes;
pub(crate) mod low_rank;
pub(crate) mod math;
pub(crate) mod rows;

pub(crate) use lanes::{LANES, dot};

/// Calls `work` with the widest instructions of this processor.
#[inline]
pub(crate) fn widest<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

//! Matrix products, attention, norms and quantisation for CPUs.
//!
//! This crate knows tensors, not models, and is the only one with `unsafe`
//! code. Every kernel has a plain scalar form and faster ones for the
//! instructions of some processors; which one runs is chosen when a
//! [`Kernels`] is made. All forms give the same bits, whatever the number of
//! threads and however many tokens are computed together.
//!
//! Start at [`Kernels`]; [`matrix`] has the layout of weights, [`matmul`] the
//! product that takes nearly all of the time.

pub mod activation;
pub mod attention;
mod cap;
pub mod isa;
pub mod kv;
mod lanes;
pub mod limits;
pub mod matmul;
pub mod matrix;
pub mod norm;
pub mod pool;
pub mod rope;
mod share;
pub mod softmax;

use isa::Isa;
use pool::Pool;

/// A set of kernels and the threads that they use.
pub struct Kernels {
    pub(crate) isa: Isa,
    pub(crate) pool: Pool,
}

impl Kernels {
    /// The kernels of `isa` on `threads` threads, the caller's included.
    pub fn new(isa: Isa, threads: usize) -> Self {
        Self {
            isa,
            pool: Pool::new(threads.max(1)),
        }
    }

    /// Which form of the kernels runs.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Threads that work on a job, the caller included.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }
}

#[cfg(test)]
mod tests;

//! How fast this machine is, and how much of that a product of a model uses.

use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_kernels::limits::{Limits, Product, Speed as Limit};
use serde::Serialize;

/// What was measured, on as many threads as a node uses.
#[derive(Debug, Serialize)]
pub(super) struct Speed {
    threads: usize,
    arithmetic: Share,
    arithmetic_4_bits: Share,
    reading: Share,
}

/// A limit of the machine and what products make of it.
#[derive(Debug, Serialize)]
struct Share {
    unit: &'static str,
    one_thread: f64,
    all_threads: f64,
    /// What a product reaches of `all_threads`.
    share: f64,
}

impl Speed {
    /// Measures for about a second.
    pub(super) fn measure() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let kernels = Kernels::new(Isa::detect(), threads);
        let limits: Limits = kernels.limits();
        let product: Product = kernels.typical_product();
        let share = |unit, limit: Limit, reached: f64| Share {
            unit,
            one_thread: limit.thread,
            all_threads: limit.all,
            share: reached / limit.all,
        };
        let operations = "billion integer operations a second";
        Self {
            threads: kernels.threads(),
            arithmetic: share(operations, limits.gigaops, product.gigaops),
            arithmetic_4_bits: share(operations, limits.gigaops_4_bits, product.gigaops_4_bits),
            reading: share(
                "GB of memory read a second",
                limits.gigabytes,
                product.gigabytes,
            ),
        }
    }

    /// Three facts, name and value.
    pub(super) fn facts(&self) -> [(&'static str, String); 3] {
        let value = |share: &Share, tokens| {
            format!(
                "{:.0} {} on {} threads ({:.0} on one); a product of {tokens} uses {:.0} %",
                share.all_threads,
                share.unit,
                self.threads,
                share.one_thread,
                100.0 * share.share
            )
        };
        [
            ("int8", value(&self.arithmetic, "128 tokens")),
            ("int4", value(&self.arithmetic_4_bits, "128 tokens")),
            ("reading", value(&self.reading, "one token")),
        ]
    }
}

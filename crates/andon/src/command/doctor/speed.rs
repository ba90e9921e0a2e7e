//! How fast this machine is, and how much of that a product of a model uses.

use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_kernels::limits::{Limits, Product};
use serde::Serialize;

/// What was measured, on as many threads as a node uses.
#[derive(Debug, Serialize)]
pub(super) struct Speed {
    threads: usize,
    arithmetic: Share,
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
        let Limits { gigaops, gigabytes } = kernels.limits();
        let Product {
            gigaops: prefill,
            gigabytes: decode,
        } = kernels.typical_product();
        Self {
            threads: kernels.threads(),
            arithmetic: Share {
                unit: "billion integer operations a second",
                one_thread: gigaops.thread,
                all_threads: gigaops.all,
                share: prefill / gigaops.all,
            },
            reading: Share {
                unit: "GB of memory read a second",
                one_thread: gigabytes.thread,
                all_threads: gigabytes.all,
                share: decode / gigabytes.all,
            },
        }
    }

    /// Two facts, name and value.
    pub(super) fn facts(&self) -> [(&'static str, String); 2] {
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
            ("arithmetic", value(&self.arithmetic, "128 tokens")),
            ("reading", value(&self.reading, "one token")),
        ]
    }
}

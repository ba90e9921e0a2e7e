//! What the machine is, as far as it shapes the numbers.

use std::fs;

use andon_kernels::isa::Isa;
use serde::Serialize;

/// The machine's facts.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// The processor's name.
    pub(crate) processor: String,
    /// Threads that both sides use.
    pub(crate) threads: usize,
    /// Which form of Andon's kernels runs.
    pub(crate) kernels: &'static str,
    /// Memory in MB.
    pub(crate) memory_mb: f64,
    /// The system.
    pub(crate) system: String,
    /// Processes that wanted to run in the last minute before the comparison.
    pub(crate) load_before: Option<f64>,
}

impl Machine {
    /// Reads the facts; what the system does not tell is left unknown.
    pub(crate) fn read(threads: usize) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let unknown = || "unknown".to_owned();
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let kilobytes = memory.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(unknown),
            threads,
            kernels: Isa::detect().name(),
            memory_mb: kilobytes.unwrap_or(0.0) * 1024.0 / 1e6,
            system: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
            load_before: read("/proc/loadavg")
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok()),
        }
    }

    /// For people.
    pub(crate) fn line(&self) -> String {
        format!(
            "{}, {} threads, kernels {}, {:.1} GB, {}, load before {}",
            self.processor,
            self.threads,
            self.kernels,
            self.memory_mb / 1000.0,
            self.system,
            self.load_before
                .map_or_else(|| "unknown".to_owned(), |load| format!("{load:.2}"))
        )
    }
}

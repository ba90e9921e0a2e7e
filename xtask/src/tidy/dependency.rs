//! Which crate may use which: the table of ARCHITECTURE.md.

use anyhow::Context;
use toml::Table;

/// A crate and the crates of the workspace that it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("andon-task", &[]),
    ("andon-kernels", &[]),
    ("andon-engine", &["andon-kernels", "andon-task"]),
    ("andon-remote", &["andon-task"]),
    (
        "andon-llama",
        &["andon-engine", "andon-kernels", "andon-task"],
    ),
    ("andon-policy", &["andon-task"]),
    ("andon-store", &["andon-task"]),
    ("andon-runtime", &["andon-task", "andon-store"]),
    (
        "andon-learn",
        &["andon-task", "andon-store", "andon-runtime"],
    ),
    (
        "andon-server",
        &["andon-task", "andon-store", "andon-runtime", "andon-learn"],
    ),
    ("andon-train", &["andon-task"]),
    (
        "andon",
        &[
            "andon-task",
            "andon-kernels",
            "andon-engine",
            "andon-llama",
            "andon-policy",
            "andon-remote",
            "andon-store",
            "andon-runtime",
            "andon-learn",
            "andon-server",
            "andon-train",
        ],
    ),
    ("andon-specimen", &[]),
    (
        "andon-fuzz",
        &[
            "andon-task",
            "andon-kernels",
            "andon-engine",
            "andon-specimen",
        ],
    ),
    ("xtask", &["andon-specimen"]),
    (
        "andon-peers",
        &["andon-task", "andon-kernels", "andon-engine"],
    ),
];

/// What the tests of every crate may use, and nothing that is shipped.
const FOR_TESTS: &str = "andon-specimen";

/// What the tests of a crate may use beside that: training is held to what the engine
/// serves.
const TESTS_MAY_USE: &[(&str, &[&str])] = &[
    ("andon-train", &["andon-engine", "andon-kernels"]),
    // The way out of a plant is tested whole, down to the bytes that arrive.
    ("andon-runtime", &["andon-policy", "andon-remote"]),
];

/// What links SQL in, for the store alone.
const SQL_LIBRARIES: &[&str] = &["rusqlite", "sqlx", "diesel", "libsqlite3-sys"];

/// The faults in the manifest of crate `name`.
pub(super) fn faults(name: &str, manifest: &str) -> anyhow::Result<Vec<String>> {
    let manifest: Table = toml::from_str(manifest)
        .with_context(|| format!("the manifest of '{name}' is not TOML"))?;
    let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
        return Ok(vec![format!(
            "crates/{name}: not in the table of crates: add it to ARCHITECTURE.md and xtask/src/tidy/dependency.rs"
        )]);
    };
    let mut faults = Vec::new();
    for (dependency, kind) in dependencies(&manifest) {
        let is_ours = MAY_USE.iter().any(|(known, _)| *known == dependency)
            || dependency.starts_with("andon");
        let is_allowed = dependency == name
            || allowed.contains(&dependency.as_str())
            || (kind == "dev-dependencies" && tests_may_use(name, &dependency));
        if is_ours && !is_allowed {
            faults.push(format!("{name}: may not use '{dependency}'"));
        }
        if SQL_LIBRARIES.contains(&dependency.as_str()) && name != super::SQL_CRATE {
            faults.push(format!(
                "{name}: may not use '{dependency}': SQL is in {} alone",
                super::SQL_CRATE
            ));
        }
    }
    Ok(faults)
}

fn tests_may_use(name: &str, dependency: &str) -> bool {
    let mut more = TESTS_MAY_USE.iter().filter(|(known, _)| *known == name);
    dependency == FOR_TESTS || more.any(|(_, allowed)| allowed.contains(&dependency))
}

/// The packages that a manifest names, for whatever platform, each with the table
/// that says what for.
fn dependencies(manifest: &Table) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let platforms = manifest.get("target").and_then(|target| target.as_table());
    let platforms = platforms.into_iter().flat_map(|table| table.values());
    let tables = platforms
        .filter_map(|table| table.as_table())
        .chain([manifest]);
    for table in tables {
        for kind in kinds {
            let named = table.get(kind).and_then(|table| table.as_table());
            for (name, settings) in named.into_iter().flatten() {
                let renamed = settings.get("package").and_then(|package| package.as_str());
                found.push((renamed.unwrap_or(name).to_owned(), kind));
            }
        }
    }
    found
}

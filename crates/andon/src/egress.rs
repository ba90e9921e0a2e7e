//! The way out of a plant: its upstreams with their keys, its policy, the site's key.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use andon_policy::CedarPolicy;
use andon_remote::{Key, Trust};
use andon_runtime::{Egress, EgressParts, Rules};
use andon_store::Store;
use andon_task::plant::Plant;
use andon_task::redact::{Redactor, SiteKey};
use andon_task::upstream::{Settings as Declared, Upstream};
use anyhow::{Context, bail};

use crate::clock;
use crate::remote::refuse_within;
use crate::settings::Settings;

/// The way out of a plant; `None` where it has neither upstreams nor policies.
pub(crate) fn open(
    settings: &Settings,
    plant: &Plant,
    store: Store,
) -> anyhow::Result<Option<Egress>> {
    let declared = &plant.settings.upstreams;
    let has_policy = plant.policies.keys().any(|path| path.ends_with(".cedar"));
    if declared.is_empty() && !has_policy {
        return Ok(None);
    }
    let upstreams = declared.iter().map(|declared| {
        let upstream = upstream(declared, settings.plant.as_deref());
        upstream.with_context(|| format!("cannot use the upstream '{}'", declared.name))
    });
    let upstreams = upstreams.collect::<anyhow::Result<Vec<_>>>()?;
    let key = site_key(&settings.state)?;
    Ok(Some(Egress::new(EgressParts {
        upstreams,
        rules: Rules {
            policy: Arc::new(CedarPolicy::new(plant)),
            digest: plant.policy,
        },
        redactor: Redactor::new(key, &plant.gazetteer).context("cannot redact")?,
        queue_bytes: plant.settings.queue.max_bytes,
        store,
        clock: Box::new(clock::now),
    })))
}

fn upstream(declared: &Declared, plant: Option<&Path>) -> anyhow::Result<Arc<dyn Upstream>> {
    let key = match (&declared.key_env, &declared.key_file) {
        (Some(name), _) => Some(std::env::var(name).with_context(|| {
            format!("key_env names the variable '{name}', which is not set: set it to the key")
        })?),
        (None, Some(file)) => Some(secret(Path::new(file), plant)?),
        (None, None) => None,
    };
    let key = key.map(|key| Key::new(&key)).transpose()?;
    let read = |file: &String| {
        std::fs::read(file).with_context(|| format!("cannot read the certificate '{file}'"))
    };
    let client = match (&declared.client_cert_file, &declared.client_key_file) {
        (Some(certificate), Some(key)) => Some((
            read(certificate)?,
            secret(Path::new(key), plant)?.into_bytes(),
        )),
        _ => None,
    };
    let trust = Trust {
        authorities: declared.ca_file.as_ref().map(read).transpose()?,
        client,
    };
    Ok(Arc::new(andon_remote::Upstream::new(
        declared.clone(),
        key,
        &trust,
    )?))
}

/// What a file keeps secret.
fn secret(file: &Path, plant: Option<&Path>) -> anyhow::Result<String> {
    refuse_within(file, plant)?;
    refuse_open(file)?;
    std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the key '{}'", file.display()))
}

/// What everybody on the machine can read is no secret.
#[cfg(unix)]
fn refuse_open(file: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = file
        .metadata()
        .with_context(|| format!("cannot read the key '{}'", file.display()))?;
    if metadata.permissions().mode() & 0o004 != 0 {
        bail!(
            "the key '{0}' can be read by everybody on this machine: `chmod 600 '{0}'`",
            file.display()
        );
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_open(_: &Path) -> anyhow::Result<()> {
    Ok(())
}

/// The secret from which a site's placeholders are made; drawn when it is first needed.
fn site_key(state: &Path) -> anyhow::Result<SiteKey> {
    let path = state.join("site.key");
    let cannot = || format!("cannot keep the site's key in '{}'", path.display());
    if !path.exists() {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
        // Whole or not at all, and the first of two processes wins.
        let mut file = tempfile::NamedTempFile::new_in(state).with_context(cannot)?;
        file.write_all(&bytes).with_context(cannot)?;
        file.as_file().sync_all().with_context(cannot)?;
        match file.persist_noclobber(&path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.error).with_context(cannot),
        }
    }
    read_key(&path)
}

fn read_key(path: &PathBuf) -> anyhow::Result<SiteKey> {
    let bytes = std::fs::read(path)
        .with_context(|| format!("cannot read the site's key '{}'", path.display()))?;
    match bytes.try_into() {
        Ok(bytes) => Ok(SiteKey::new(bytes)),
        Err(_) => bail!(
            "the site's key '{}' does not have 32 bytes: restore it from a backup",
            path.display()
        ),
    }
}

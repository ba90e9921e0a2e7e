//! Deletes what was trained long ago and is superseded.

use andon_runtime::HeadFiles;
use andon_store::{Forgotten, Kind, Store};
use anyhow::Context;

use crate::progress::line;
use crate::settings::Settings;
use crate::{asking, clock, node};

/// Candidates of a task that are kept beside what serves it, and how many rollbacks stay
/// possible.
const KEPT: usize = 5;

/// Forgets the candidates of a task that neither serve nor are likely to be wanted again, and
/// deletes their files.
pub(crate) fn prune(
    settings: &Settings,
    store: &Store,
    task: &str,
    by: Option<&str>,
) -> anyhow::Result<()> {
    let forgotten = store
        .forget_candidates(task, KEPT, clock::now(), by)
        .with_context(|| format!("cannot forget old candidates of '{task}'"))?;
    if forgotten.is_empty() {
        return Ok(());
    }
    for one in &forgotten {
        // The candidate is forgotten: what is left of it only takes room.
        if let Err(error) = delete(settings, one) {
            let digest = one.digest.short();
            line(&format!(
                "{task}: the files of {} {digest} stay: {error}",
                one.kind
            ));
        }
    }
    let count = forgotten.len();
    line(&format!(
        "{task}: {count} old candidates were deleted; the newest {KEPT} stay, and what serves"
    ));
    Ok(())
}

fn delete(settings: &Settings, one: &Forgotten) -> std::io::Result<()> {
    let (state, digest) = (&settings.state, one.digest);
    let heads = || HeadFiles::new(node::heads_folder(state));
    match one.kind {
        Kind::Head | Kind::TunedEncoder => heads().forget(digest),
        Kind::Normaliser => heads().forget_normaliser(digest),
        Kind::Adapter => node::adapters(state).forget(digest),
        Kind::Ranker => asking::rankers(state).forget(digest),
        Kind::Reader => node::readers(state).forget(digest),
    }
}

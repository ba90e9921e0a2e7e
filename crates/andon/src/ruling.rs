//! Looks whether the files of a plant's policy have changed while a node is up. What stands
//! in them decides once it was seen twice, so that a file that is being written does not;
//! what cannot be read closes the way.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use andon_policy::CedarPolicy;
use andon_runtime::{Node, Rules};
use andon_task::digest::Digest;
use andon_task::plant::Files;
use anyhow::Context;

use crate::plant;
use crate::settings::Settings;

/// How often it is looked.
const PERIOD: Duration = Duration::from_secs(2);

/// Looks for as long as the node is there. The demo plant's policy cannot change.
pub(crate) fn watch(settings: &Settings, node: &Arc<Node>) -> anyhow::Result<()> {
    let Some(directory) = settings.plant.clone().filter(|_| node.egress().is_some()) else {
        return Ok(());
    };
    let mut watch = Watch {
        taken: known(&plant::policy_files(&directory)),
        seen: None,
        directory,
    };
    let node = Arc::downgrade(node);
    thread::Builder::new()
        .name("policy".to_owned())
        .spawn(move || watch.last_as_long_as(&node))
        .context("no thread to look for changes of the policy")?;
    Ok(())
}

struct Watch {
    directory: PathBuf,
    /// What decides.
    taken: Digest,
    /// What was seen last, where it is something else.
    seen: Option<Digest>,
}

impl Watch {
    fn last_as_long_as(&mut self, node: &Weak<Node>) {
        loop {
            thread::sleep(PERIOD);
            let Some(node) = node.upgrade() else { return };
            self.look(&node);
        }
    }

    fn look(&mut self, node: &Node) {
        let files = plant::policy_files(&self.directory);
        let seen = known(&files);
        if seen == self.taken {
            self.seen = None;
        } else if self.seen != Some(seen) {
            self.seen = Some(seen);
        } else {
            let rules = rules(node, &self.directory, files);
            let closed = rules.policy.closed().map(str::to_owned);
            match node.rule_by(rules) {
                Ok(()) => {
                    self.taken = seen;
                    self.seen = None;
                    match closed {
                        None => tracing::info!("the policy has changed, and decides from now on"),
                        Some(reason) => {
                            tracing::warn!(reason, "the policy has changed: nothing leaves");
                        }
                    }
                }
                // It is tried again at the next look.
                Err(error) => tracing::error!(%error, "a change of the policy cannot be noted"),
            }
        }
    }
}

/// What the files say, or that they cannot be read, as a digest.
fn known(files: &anyhow::Result<Files>) -> Digest {
    match files {
        Ok(files) => Digest::of_parts(
            files
                .iter()
                .flat_map(|(path, bytes)| [path.as_bytes(), bytes.as_slice()]),
        ),
        Err(error) => Digest::of(format!("unreadable: {error:#}").as_bytes()),
    }
}

fn rules(node: &Node, directory: &Path, files: anyhow::Result<Files>) -> Rules {
    let mut plant = node.plant().clone();
    let read = files.and_then(|files| Ok(plant.rule_by(&files)?));
    match read.with_context(|| format!("cannot read the policy in '{}'", directory.display())) {
        Ok(()) => Rules {
            policy: Arc::new(CedarPolicy::new(&plant)),
            digest: plant.policy,
        },
        Err(error) => Rules {
            policy: Arc::new(CedarPolicy::closed_because(format!("{error:#}"))),
            digest: None,
        },
    }
}

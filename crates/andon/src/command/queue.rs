//! `andon queue`

use std::process::ExitCode;

use andon_server::{PlaceView, QueueView};
use andon_store::{Page, PlaceState, QueueFilter};
use anyhow::Context;

use crate::cli::QueueList;
use crate::node;
use crate::output::table;
use crate::settings::Settings;

/// Lists what waits for an upstream's link, what came of it, and dead letters.
pub(super) fn list(settings: &Settings, typed: &QueueList) -> anyhow::Result<ExitCode> {
    let store = node::store(&settings.state)?;
    let state = typed.state.as_deref().map(|word| {
        PlaceState::named(word).with_context(|| {
            format!("'{word}' is no state: give queued, in_flight, settled or expired")
        })
    });
    let filter = QueueFilter {
        state: state.transpose()?,
    };
    let page = Page {
        before: None,
        limit: typed.n,
    };
    let places = store
        .queue(&filter, page)
        .context("cannot read the queue")?;
    let counts = store.queue_counts().context("cannot read the queue")?;
    settings
        .output
        .print(&QueueView::new(places, counts), human)?;
    Ok(ExitCode::SUCCESS)
}

fn human(queue: &QueueView) -> String {
    let row = |place: &PlaceView| {
        [
            place.id.to_string(),
            place.task.clone(),
            place.record.to_string(),
            place.state.to_owned(),
            place.attempts.to_string(),
            place.expires_at.clone(),
            place.reason.clone().unwrap_or_default(),
        ]
    };
    let counts = format!(
        "{} queued, {} in flight, {} settled, {} expired",
        queue.queued, queue.in_flight, queue.settled, queue.expired
    );
    if queue.places.is_empty() {
        return counts;
    }
    let rows = table(
        ["PLACE", "TASK", "RECORD", "STATE", "SENT", "UNTIL", "WHY"],
        queue.places.iter().map(row).collect(),
    );
    format!("{rows}\n{counts}")
}

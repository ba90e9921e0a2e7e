//! `andon queue`

use std::process::ExitCode;

use andon_server::{PlaceView, QueueView};
use andon_store::{Page, PlaceState, QueueFilter};
use anyhow::Context;
use serde_json::json;

use crate::cli::{QueueList, QueueRetry};
use crate::node::{self, Needs};
use crate::output::table;
use crate::plant;
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

/// Lets a dead letter wait once more.
pub(super) fn retry(settings: &Settings, typed: &QueueRetry) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let store = node::store(&settings.state)?;
    let place = store
        .place(typed.place)
        .context("cannot read the queue")?
        .with_context(|| {
            format!(
                "there is no place {} in the queue: `andon queue list` shows them",
                typed.place
            )
        })?;
    let task = super::task(&plant, &place.new.task)?.name.clone();
    let node = node::open(settings, plant, Needs::Tasks(&[&task]))?;
    let place = node.retry_queued(typed.place, typed.who.name())?;
    settings.output.print(&json!({ "place": place }), |_| {
        format!("it waits at place {place}; a node that is up sends it")
    })?;
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

//! Sends what waits for an upstream's link, for as long as the node is up.

use std::sync::Arc;
use std::time::Duration;

use andon_runtime::Node;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// How often it is looked whether the link is back.
const PERIOD: Duration = Duration::from_secs(1);

/// Sends what waits, one after another. What was in flight when a node ended goes first
/// through one more sending under its old key.
pub(crate) async fn drain(node: Arc<Node>) {
    let recovering = Arc::clone(&node);
    match spawn_blocking(move || recovering.recover_queue()).await {
        Ok(Ok(0)) => {}
        Ok(Ok(count)) => tracing::info!(count, "what was in flight is sent again"),
        Ok(Err(error)) => tracing::warn!(%error, "the queue cannot be read"),
        Err(failure) => tracing::error!(%failure, "reading the queue failed"),
    }
    loop {
        let node = Arc::clone(&node);
        match spawn_blocking(move || node.drain_queue()).await {
            Ok(Ok(drained)) if drained.settled + drained.expired > 0 => {
                let (settled, expired) = (drained.settled, drained.expired);
                tracing::info!(settled, expired, "the queue was worked off");
            }
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the queue is not worked off"),
            Err(failure) => tracing::error!(%failure, "working the queue off failed"),
        }
        sleep(PERIOD).await;
    }
}

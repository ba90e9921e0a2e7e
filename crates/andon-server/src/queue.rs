//! Sends what waits for an upstream's link, for as long as the node is up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use andon_runtime::Node;
use andon_task::run::Timestamp;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// How often it is looked whether the link is back.
const PERIOD: Duration = Duration::from_secs(1);

/// A clock that goes so much faster or slower than time was set.
const SET: Duration = Duration::from_secs(120);

/// By how many milliseconds the clock was set between two looks at it.
fn set_by(before: Timestamp, now: Timestamp, meanwhile: Duration) -> Option<i64> {
    let meanwhile = i64::try_from(meanwhile.as_millis()).ok()?;
    let by = now.0.checked_sub(before.0)?.checked_sub(meanwhile)?;
    (u128::from(by.unsigned_abs()) > SET.as_millis()).then_some(by)
}

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
    let mut last = (node.now(), Instant::now());
    loop {
        let seen = (node.now(), Instant::now());
        let by = set_by(last.0, seen.0, seen.1 - last.1);
        last = seen;
        let node = Arc::clone(&node);
        let work = move || {
            // What waits is to wait as long as it was to, whatever the clock says.
            if let Some(by_ms) = by {
                tracing::warn!(by_ms, "the clock was set: what waits keeps its time");
                node.shift_queue(by_ms)?;
            }
            node.drain_queue()
        };
        match spawn_blocking(work).await {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_told_from_one_that_goes() {
        const DAY: i64 = 86_400_000;
        let check = |now, meanwhile, expected| {
            let by = set_by(
                Timestamp(DAY),
                Timestamp(now),
                Duration::from_millis(meanwhile),
            );
            assert_eq!(by, expected);
        };
        check(DAY + 1_000, 1_000, None);
        // A slow step, a clock that is corrected a little.
        check(DAY + 600_000, 600_000, None);
        check(DAY - 30_000, 1_000, None);
        check(2 * DAY + 1_000, 1_000, Some(DAY));
        check(1_000, 1_000, Some(-DAY));
        check(i64::MIN, 1_000, None);
    }
}

//! The time of this machine, passed in where it is needed.

use std::time::{SystemTime, UNIX_EPOCH};

use andon_task::run::Timestamp;

/// Now. A clock set before 1970 shows 1970.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let milliseconds = since.map_or(0, |since| since.as_millis());
    Timestamp(i64::try_from(milliseconds).unwrap_or(i64::MAX))
}

//! Points in time as they are typed: an age or a date.

use std::time::Duration;

use andon_task::run::Timestamp;

/// Since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long ago.
    Ago(Duration),
    /// The beginning of a day.
    Day(Timestamp),
}

impl Since {
    /// The point in time, `now` being now.
    pub(crate) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(age) => {
                let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
                Timestamp(now.0.saturating_sub(age))
            }
            Self::Day(day) => day,
        }
    }
}

/// An age, or a date.
pub(crate) fn parse(typed: &str) -> Result<Since, String> {
    match Timestamp::of_date(typed) {
        Some(day) => Ok(Since::Day(day)),
        None => age(typed)
            .map(Since::Ago)
            .map_err(|_| "give an age such as 30d or 12h, or a date such as 2026-01-31".to_owned()),
    }
}

/// An age: a whole number of hours, days or weeks.
pub(crate) fn age(typed: &str) -> Result<Duration, String> {
    let wrong = || "give an age such as 12h, 90d or 4w".to_owned();
    let unit = typed.chars().last().ok_or_else(wrong)?;
    let hours = match unit {
        'h' => 1,
        'd' => 24,
        'w' => 7 * 24,
        _ => return Err(wrong()),
    };
    let count: u64 = typed[..typed.len() - 1].parse().map_err(|_| wrong())?;
    let seconds = count.checked_mul(hours * 3600);
    // A century is an age; what is more is a slip.
    let seconds = seconds.filter(|seconds| (1..=3_153_600_000).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use andon_task::run::Timestamp;

    use super::{age, parse};

    #[test]
    fn ages_and_dates() {
        let at = |typed| parse(typed).map(|since| since.at(Timestamp(90_000_000)).0);
        assert_eq!(at("1d"), Ok(3_600_000));
        assert_eq!(at("2h"), Ok(82_800_000));
        assert_eq!(at("1970-01-02"), Ok(86_400_000));
        for wrong in [
            "",
            "d",
            "0d",
            "1.5h",
            "-1d",
            "3 weeks",
            "1é",
            "99999999999999999999d",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}

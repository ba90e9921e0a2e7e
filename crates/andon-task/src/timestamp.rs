//! Points in time as people and machines write them: RFC 3339, in UTC.

use std::fmt;

use crate::run::Timestamp;

const DAY_MS: i64 = 86_400_000;

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds, as `2026-01-31T06:00:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0.div_euclid(DAY_MS));
        let ms = self.0.rem_euclid(DAY_MS);
        let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
        let (second, ms) = (ms / 1000 % 60, ms % 1000);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"
        )
    }
}

impl Timestamp {
    /// The beginning of its day in UTC.
    pub fn day_began(self) -> Self {
        Self(self.0.div_euclid(DAY_MS) * DAY_MS)
    }

    /// The beginning of its calendar month in UTC.
    pub fn month_began(self) -> Self {
        let days = self.0.div_euclid(DAY_MS);
        let (_, _, day) = civil(days);
        Self((days + 1 - day) * DAY_MS)
    }

    /// The beginning of a day in UTC, written as `2026-01-31`.
    pub fn of_date(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let mut part = |digits: usize| {
            let part = parts.next()?;
            let fits = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<i64>().ok().filter(|_| fits)
        };
        let (year, month, day) = (part(4)?, part(2)?, part(2)?);
        // Where the month begins at the earliest, but for a few days.
        let guess = (year - 1970) * 365 + (year - 1969) / 4 - (year - 1901) / 100
            + (year - 1601) / 400
            + (month - 1) * 30;
        let days = (guess - 3..guess + 40).find(|&days| civil(days) == (year, month, day))?;
        Some(Self(days * DAY_MS))
    }
}

/// The date of a day counted from 1970-01-01, in the proleptic Gregorian
/// calendar; H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn rfc_3339() {
        let check = |ms, expected| assert_eq!(Timestamp(ms).to_string(), expected);
        check(0, "1970-01-01T00:00:00.000Z");
        check(-1, "1969-12-31T23:59:59.999Z");
        check(951_827_696_789, "2000-02-29T12:34:56.789Z");
        check(1_767_225_600_000, "2026-01-01T00:00:00.000Z");
        check(4_107_542_399_999, "2100-02-28T23:59:59.999Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn days_and_months_begin() {
        let check = |at: &str, ms: i64, month: &str| {
            let day = Timestamp::of_date(at).expect("a date");
            let at = Timestamp(day.0 + ms);
            assert_eq!(at.day_began(), day);
            assert_eq!(&at.month_began().to_string()[..10], month);
        };
        check("2026-01-31", 86_399_999, "2026-01-01");
        check("2026-02-01", 0, "2026-02-01");
        check("2028-02-29", 1, "2028-02-01");
        check("1969-12-31", 5, "1969-12-01");
    }

    #[test]
    fn dates_are_read_back() {
        for days in (-719_000..100_000)
            .step_by(13)
            .chain([0, 11_016, 47_540, 47_541])
        {
            let at = Timestamp(days * 86_400_000);
            let shown = at.to_string();
            assert_eq!(Timestamp::of_date(&shown[..10]), Some(at), "{shown}");
        }
        for wrong in [
            "2026-02-29",
            "2026-13-01",
            "2026-1-1",
            "x",
            "",
            "2026-01-01T00",
        ] {
            assert_eq!(Timestamp::of_date(wrong), None, "{wrong}");
        }
    }
}

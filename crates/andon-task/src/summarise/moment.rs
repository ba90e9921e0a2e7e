//! Points in time as records write them.

/// Seconds since 1970-01-01T00:00:00, of `2019-01-07 00:00:00`, `2019-01-07T00:00:00Z`,
/// `2019-01-07 00:00` or `2019-01-07`, with or without fractions and an offset. Times
/// without an offset are taken as they stand: those of one period have one zone.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let (date, time) = match text.find(['T', ' ', 't']) {
        Some(at) => (&text[..at], text[at + 1..].trim()),
        None => (text, ""),
    };
    let mut parts = date.splitn(3, '-');
    let mut next = |digits: usize| {
        let part = parts.next().filter(|part| part.len() == digits)?;
        part.parse::<u16>().ok().map(i64::from)
    };
    let (year, month, day) = (next(4)?, next(2)?, next(2)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = days(year, month, day) as f64 * 86_400.0;
    match time {
        "" => Some(days),
        time => Some(days + clock(time)?),
    }
}

/// The seconds of `06:04`, `06:04:00.5`, `06:04:00Z` or `06:04:00+02:00`.
fn clock(time: &str) -> Option<f64> {
    let (time, offset) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => (&time[..at], offset(&time[at..])?),
        None => (time, 0.0),
    };
    let mut parts = time.trim().split(':');
    let hour: f64 = parts.next()?.parse().ok()?;
    let minute: f64 = parts.next()?.parse().ok()?;
    let second: f64 = parts.next().unwrap_or("0").parse().ok()?;
    let is_sound = (0.0..24.0).contains(&hour)
        && (0.0..60.0).contains(&minute)
        && (0.0..61.0).contains(&second)
        && parts.next().is_none();
    is_sound.then_some(hour * 3600.0 + minute * 60.0 + second - offset)
}

fn offset(text: &str) -> Option<f64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0.0);
    }
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let (hours, minutes) = match digits.len() {
        2 => (digits.as_str(), "0"),
        4 => digits.split_at(2),
        _ => return None,
    };
    let number = |text: &str| text.parse::<f64>().ok();
    Some(sign * (number(hours)? * 3600.0 + number(minutes)? * 60.0))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar; H. Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms".
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

//! Periods of time as files write them: `250ms`, `8s`, `30m`, `8h`, `7d`.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Error, Visitor};

const UNITS: &[(&str, f64)] = &[
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3_600.0),
    ("d", 86_400.0),
];

/// No period of a file is longer: ten years.
const LONGEST_SECONDS: f64 = 10.0 * 366.0 * 86_400.0;

/// Reads a period; `None` where it is none.
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let (_, seconds) = UNITS.iter().find(|(known, _)| *known == unit.trim())?;
    let seconds = number.parse::<f64>().ok()? * seconds;
    (seconds <= LONGEST_SECONDS).then(|| Duration::from_secs_f64(seconds))
}

/// Reads a period in a file: a text, or a number of seconds.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    struct Read;

    impl Visitor<'_> for Read {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a period such as \"250ms\", \"8s\", \"30m\" or \"8h\"")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
            parse(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
        }

        fn visit_f64<E: Error>(self, seconds: f64) -> Result<Duration, E> {
            match (0.0..=LONGEST_SECONDS).contains(&seconds) {
                true => Ok(Duration::from_secs_f64(seconds)),
                false => Err(E::invalid_value(
                    serde::de::Unexpected::Float(seconds),
                    &self,
                )),
            }
        }

        fn visit_i64<E: Error>(self, seconds: i64) -> Result<Duration, E> {
            self.visit_f64(seconds as f64)
        }
    }

    from.deserialize_any(Read)
}

/// The same where there may be none.
pub(crate) fn optional<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    deserialize(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_period_has_a_number_and_a_unit() {
        let check = |text: &str, milliseconds: Option<u128>| {
            let read = parse(text).map(|period| period.as_millis());
            assert_eq!(read, milliseconds, "{text}");
        };
        check("250ms", Some(250));
        check("1.5 s", Some(1_500));
        check("8h", Some(8 * 3_600_000));
        check("7d", Some(7 * 86_400_000));
        for wrong in ["", "8", "h", "8 weeks", "-1s", "1e99s", "99999999999d"] {
            check(wrong, None);
        }
    }
}

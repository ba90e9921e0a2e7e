//! Numbers of schemas: only those that are enforced to the last digit.

use serde_json::Value;

/// Whole numbers from here on are not all told apart.
const LARGEST: f64 = 9_007_199_254_740_992.0;
/// The most that is counted.
const MOST_COUNTED: u64 = u32::MAX as u64;

/// The number, if double precision holds it exactly.
pub(super) fn exact(value: &Value) -> Result<f64, String> {
    let number = value.as_f64().filter(|number| number.is_finite());
    match number {
        None => Err(format!("{value} is no number")),
        Some(number) if number.abs() >= LARGEST => {
            Err(format!("{value} is too large to be enforced exactly"))
        }
        Some(number) => Ok(number),
    }
}

/// A limit of numbers; zero without a sign.
pub(super) fn bound(value: &Value) -> Result<Value, String> {
    let number = exact(value)?;
    match number == 0.0 {
        true => Ok(Value::from(0)),
        false => Ok(value.clone()),
    }
}

/// A count, which may be written as `2.0`.
pub(super) fn count(value: &Value) -> Option<u64> {
    let whole = || value.as_f64().filter(|x| x.fract() == 0.0 && *x >= 0.0);
    let count = value.as_u64().or_else(|| whole().map(|x| x as u64))?;
    (count <= MOST_COUNTED).then_some(count)
}

/// The most places behind the point of a multiple; llguidance computes remainders in
/// 32 bits.
const MOST_PLACES: u32 = 8;

/// All that numbers have to be multiples of. Where two of them meet, llguidance
/// computes their least common multiple in 32 bits.
#[derive(Default)]
pub(super) struct Multiples {
    seen: Vec<(u32, u32)>,
}

impl Multiples {
    pub(super) fn add(&mut self, value: &Value) -> Result<(), String> {
        let too_fine = || format!("multiples of {value} cannot be enforced exactly");
        let (digits, places) = decimal(value).ok_or_else(too_fine)?;
        // As llguidance finds them, which rounding can lead astray.
        let mut scaled = exact(value)?;
        let mut found = 0;
        while scaled.fract() != 0.0 {
            scaled *= 10.0;
            found += 1;
        }
        if (scaled, found) != (f64::from(digits), places) || places > MOST_PLACES {
            return Err(too_fine());
        }
        self.seen.push((digits, places));
        let places = self
            .seen
            .iter()
            .map(|&(_, places)| places)
            .max()
            .unwrap_or(0);
        let mut common = 1_u32;
        for &(digits, own) in &self.seen {
            let scaled = 10_u32
                .checked_pow(places - own)
                .and_then(|factor| factor.checked_mul(digits));
            let product = scaled.and_then(|scaled| {
                scaled.checked_mul(scaled)?;
                Some(common.checked_mul(scaled)? / divisor(common, scaled))
            });
            common = product.ok_or_else(too_fine)?;
        }
        Ok(())
    }
}

fn divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { divisor(b, a % b) }
}

/// The digits of a positive number and how many of them stand behind the point.
fn decimal(value: &Value) -> Option<(u32, u32)> {
    let number = value.as_f64().filter(|number| *number > 0.0)?;
    let text = number.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits = format!("{whole}{fraction}").parse().ok()?;
    Some((digits, fraction.len() as u32))
}

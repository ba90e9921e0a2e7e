//! An object that a language model wrote, with how probable it found each value.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;

use crate::engine::Drawn;

/// An object that a language model wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The object; it satisfies the schema that it was held to.
    pub value: Value,
    /// For each value, by its path, the logarithm of the probability of its own tokens.
    likelihood: BTreeMap<String, f64>,
}

impl Written {
    /// Reads what was written, and its tokens where they were told. `None` where the text is
    /// no whole JSON value.
    pub fn of(text: &str, drawn: &[Drawn]) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let mut scan = Scan {
            text: text.as_bytes(),
            at: 0,
            found: Vec::new(),
        };
        scan.value(String::new())?;
        let told: Vec<u8> = drawn
            .iter()
            .flat_map(|drawn| drawn.token.bytes.iter().copied())
            .collect();
        // Tokens that are not those of the text say nothing of its values.
        let likelihood = match told.starts_with(text.as_bytes()) {
            false => BTreeMap::new(),
            true => {
                let of = |(path, place): (String, Range<usize>)| (path, likelihood(drawn, &place));
                scan.found.into_iter().map(of).collect()
            }
        };
        Some(Self { value, likelihood })
    }

    /// The logarithm of the probability of a value's tokens as they were written.
    pub fn likelihood(&self, path: &str) -> Option<f64> {
        self.likelihood.get(path).copied()
    }
}

/// The sum over the tokens that have a part of a place.
fn likelihood(drawn: &[Drawn], place: &Range<usize>) -> f64 {
    let mut at = 0;
    let mut sum = 0.0;
    for drawn in drawn {
        let end = at + drawn.token.bytes.len();
        if at < place.end && place.start < end {
            sum += drawn.token.log_probability;
        }
        at = end;
    }
    sum
}

/// Finds the places of values in a text that is known to be JSON.
struct Scan<'t> {
    text: &'t [u8],
    at: usize,
    found: Vec<(String, Range<usize>)>,
}

impl Scan<'_> {
    fn value(&mut self, path: String) -> Option<()> {
        match self.next()? {
            b'{' => self.items(b'}', |scan, _| {
                let name = scan.string()?;
                let name: String = serde_json::from_slice(&scan.text[name]).ok()?;
                scan.skip(b':')?;
                scan.value(match path.is_empty() {
                    true => name,
                    false => format!("{path}.{name}"),
                })
            }),
            b'[' => self.items(b']', |scan, index| scan.value(format!("{path}[{index}]"))),
            b'"' => {
                let place = self.string()?;
                // The quotes are of the grammar, not of the value.
                self.found.push((path, place.start + 1..place.end - 1));
                Some(())
            }
            _ => {
                let start = self.at;
                let ends = |byte: &u8| b",]}".contains(byte) || byte.is_ascii_whitespace();
                let length = self.text[start..].iter().position(ends);
                self.at = length.map_or(self.text.len(), |length| start + length);
                self.found.push((path, start..self.at));
                Some(())
            }
        }
    }

    /// What stands between a bracket and its other half, parted by commas.
    fn items(
        &mut self,
        end: u8,
        mut item: impl FnMut(&mut Self, usize) -> Option<()>,
    ) -> Option<()> {
        self.at += 1;
        let mut index = 0;
        while self.next()? != end {
            if index > 0 {
                self.skip(b',')?;
                self.next()?;
            }
            item(self, index)?;
            index += 1;
        }
        self.at += 1;
        Some(())
    }

    /// The place of a string with its quotes.
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        self.skip(b'"')?;
        loop {
            match *self.text.get(self.at)? {
                b'\\' => self.at += 2,
                b'"' => break,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(start..self.at)
    }

    /// The next byte that is no blank, where it stands.
    fn next(&mut self) -> Option<u8> {
        while self.text.get(self.at)?.is_ascii_whitespace() {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn skip(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then(|| self.at += 1)
    }
}

#[cfg(test)]
mod tests;

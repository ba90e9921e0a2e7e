//! The names of models: `family:size`, as `smollm2:135m`.

use std::fmt;
use std::str::FromStr;

use anyhow::bail;
use serde::{Deserialize, Serialize};

/// A model's name: lower-case letters, digits, `.`, `-` and `_`, with at most
/// one `:` inside. It is also the name of a folder, with `-` for `:`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ModelName(String);

const LONGEST: usize = 96;

impl ModelName {
    /// The folder of the model in the store.
    pub(crate) fn folder(&self) -> String {
        self.0.replace(':', "-")
    }

    /// A name made from a file's name without its ending.
    pub(crate) fn from_stem(stem: &str) -> anyhow::Result<Self> {
        let name: String = stem
            .chars()
            .map(|c| match c.to_ascii_lowercase() {
                c if fits(c) => c,
                _ => '-',
            })
            .collect();
        name.trim_matches(|c: char| !c.is_ascii_alphanumeric())
            .parse()
    }
}

fn fits(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_')
}

impl FromStr for ModelName {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        let parts: Vec<&str> = name.split(':').collect();
        let part_fits = |part: &&str| {
            part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && part.chars().all(fits)
        };
        if name.len() > LONGEST || parts.len() > 2 || !parts.iter().all(part_fits) {
            let shown: String = name.chars().take(LONGEST).collect();
            bail!(
                "'{shown}' is no model name: use lower-case letters, digits, '.', '-' and '_', with at most one ':', as in 'smollm2:135m'"
            );
        }
        Ok(Self(name.to_owned()))
    }
}

impl TryFrom<String> for ModelName {
    type Error = anyhow::Error;

    fn try_from(name: String) -> anyhow::Result<Self> {
        name.parse()
    }
}

impl From<ModelName> for String {
    fn from(name: ModelName) -> Self {
        name.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

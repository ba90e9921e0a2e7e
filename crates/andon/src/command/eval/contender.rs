//! Who is measured, as it is typed.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::model::ModelName;

/// The fewest digits that name a head or an adapter.
const FEWEST_DIGITS: usize = 8;

/// What may answer a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// What is promoted: a head or an adapter.
    Promoted,
    /// A head that was promoted once, by the beginning of its digest.
    Head(String),
    /// An adapter that was trained here, by the beginning of its digest.
    Adapter(String),
    /// What `andon learn` would make of the plant's examples.
    Learn,
    /// What `andon learn --tune` would make of them.
    Tune,
    /// A language model that scores the labels.
    Labels(Labels),
}

/// A language model that scores the labels, and what it is asked with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    /// Its name; `None` for the plant's.
    pub(crate) model: Option<ModelName>,
    /// An adapter of it.
    pub(crate) adapter: Option<PathBuf>,
    /// A file with instructions in the place of the task's.
    pub(crate) prompt: Option<PathBuf>,
}

impl FromStr for Contender {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let mut parts = typed.split('+');
        let name = parts.next().unwrap_or_default();
        let parts: Vec<&str> = parts.collect();
        let contender = match name {
            "head" => Self::Promoted,
            "learn" if parts == ["tune"] => return Ok(Self::Tune),
            "learn" => Self::Learn,
            "labels" => Self::Labels(Labels::default()),
            _ => match name.split_once(':') {
                Some(("head", digits)) => Self::Head(digest(digits)?),
                Some(("adapter", digits)) => Self::Adapter(digest(digits)?),
                _ => Self::Labels(Labels {
                    model: Some(name.parse().map_err(|error| {
                        format!(
                            "'{name}' is neither head, head:DIGEST, adapter:DIGEST, learn, learn+tune, labels nor a model's name: {error:#}"
                        )
                    })?),
                    ..Labels::default()
                }),
            },
        };
        if parts.is_empty() {
            return Ok(contender);
        }
        let Self::Labels(mut labels) = contender else {
            return Err(format!(
                "'{name}' has no adapters or prompts: a model's name or 'labels' may have them"
            ));
        };
        for part in parts {
            let (slot, path) = match part.split_once('=') {
                Some(("adapter", path)) => (&mut labels.adapter, path),
                Some(("prompt", path)) => (&mut labels.prompt, path),
                _ => {
                    return Err(format!(
                        "'+{part}' is not known: say +adapter=PATH or +prompt=FILE"
                    ));
                }
            };
            if path.is_empty() {
                return Err(format!("'{typed}' names no file after '+{part}'"));
            }
            if slot.replace(PathBuf::from(path)).is_some() {
                return Err(format!("'{typed}' names two files for one thing"));
            }
        }
        Ok(Self::Labels(labels))
    }
}

fn digest(digits: &str) -> Result<String, String> {
    let is_hexadecimal = digits.chars().all(|c| c.is_ascii_hexdigit());
    if !is_hexadecimal || !(FEWEST_DIGITS..=64).contains(&digits.len()) {
        return Err(format!(
            "'{digits}' is no digest of a head or an adapter: give {FEWEST_DIGITS} to 64 hexadecimal digits"
        ));
    }
    Ok(digits.to_ascii_lowercase())
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Promoted => f.write_str("head"),
            Self::Head(digits) => write!(f, "head:{digits}"),
            Self::Adapter(digits) => write!(f, "adapter:{digits}"),
            Self::Learn => f.write_str("learn"),
            Self::Tune => f.write_str("learn+tune"),
            Self::Labels(Labels {
                model,
                adapter,
                prompt,
            }) => {
                match model {
                    Some(model) => write!(f, "{model}")?,
                    None => f.write_str("labels")?,
                }
                for (name, path) in [("adapter", adapter), ("prompt", prompt)] {
                    if let Some(path) = path {
                        write!(f, "+{name}={}", path.display())?;
                    }
                }
                Ok(())
            }
        }
    }
}

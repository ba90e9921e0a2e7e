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
    /// A language model that scores the labels.
    Labels {
        /// Its name; `None` for the plant's.
        model: Option<ModelName>,
        /// An adapter of it.
        adapter: Option<PathBuf>,
    },
}

impl FromStr for Contender {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let (name, adapter) = match typed.split_once("+adapter=") {
            Some((_, "")) => return Err(format!("'{typed}' names no file of an adapter")),
            Some((name, path)) => (name, Some(PathBuf::from(path))),
            None => (typed, None),
        };
        let contender = match name {
            "head" => Self::Promoted,
            "learn" => Self::Learn,
            "labels" => Self::Labels {
                model: None,
                adapter: adapter.clone(),
            },
            _ => match name.split_once(':') {
                Some(("head", digits)) => Self::Head(digest(digits)?),
                Some(("adapter", digits)) => Self::Adapter(digest(digits)?),
                _ => Self::Labels {
                    model: Some(name.parse().map_err(|error| {
                        format!(
                            "'{name}' is neither head, head:DIGEST, adapter:DIGEST, learn, labels nor a model's name: {error:#}"
                        )
                    })?),
                    adapter: adapter.clone(),
                },
            },
        };
        match (&contender, adapter) {
            (Self::Labels { .. }, _) | (_, None) => Ok(contender),
            (_, Some(_)) => Err(format!(
                "'{name}' has no adapters: a model's name or 'labels' may have one"
            )),
        }
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
            Self::Labels { model, adapter } => {
                match model {
                    Some(model) => write!(f, "{model}")?,
                    None => f.write_str("labels")?,
                }
                match adapter {
                    Some(path) => write!(f, "+adapter={}", path.display()),
                    None => Ok(()),
                }
            }
        }
    }
}

//! Procedures: the plant's Markdown files with a small front matter.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A repair procedure, shown word for word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Procedure {
    /// The file under `procedures/`.
    pub file: String,
    /// The plant's own number for it; the file's name where it has none.
    pub id: String,
    /// The title.
    pub title: String,
    /// The revision, as the plant writes it.
    pub revision: Option<String>,
    /// The Markdown text after the front matter, unchanged.
    pub text: String,
}

impl Procedure {
    /// Reads a procedure. The front matter (`key: value` lines between two
    /// `---`) is optional; without a `title` the first heading is the title.
    pub fn parse(file: &str, markdown: &str) -> Self {
        let markdown = markdown.strip_prefix('\u{feff}').unwrap_or(markdown);
        let (matter, text) = split_front_matter(markdown);
        let heading = || {
            text.lines()
                .find_map(|line| line.strip_prefix("# "))
                .map(|title| title.trim().to_owned())
        };
        let value = |key: &str| matter.get(key).map(|&value| value.to_owned());
        Self {
            file: file.to_owned(),
            id: value("id").unwrap_or_else(|| file.to_owned()),
            title: value("title")
                .or_else(heading)
                .unwrap_or_else(|| file.to_owned()),
            revision: value("revision"),
            text: text.trim_start().to_owned(),
        }
    }
}

fn split_front_matter(markdown: &str) -> (BTreeMap<&str, &str>, &str) {
    let inside = markdown
        .strip_prefix("---\n")
        .or_else(|| markdown.strip_prefix("---\r\n"));
    let Some((matter, text)) = inside.and_then(|rest| rest.split_once("\n---")) else {
        return (BTreeMap::new(), markdown);
    };
    let pairs = matter
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect();
    (pairs, text.split_once('\n').map_or("", |(_, text)| text))
}

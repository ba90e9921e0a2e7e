//! Which columns of a table hold what: saved once in the plant, for every export of the
//! same system.

use serde::Deserialize;

/// `mappings/<name>.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The columns that make the text of a record, in order; those that are empty in a row
    /// are passed over.
    pub text: Vec<String>,
    /// The column with the id of the asset.
    pub asset: Option<String>,
    /// The columns that are kept with the record.
    #[serde(default)]
    pub meta: Vec<String>,
}

/// The columns that hold the text where nobody says which.
const USUAL: [&str; 7] = [
    "text",
    "input",
    "note",
    "description",
    "observation",
    "texto",
    "descripción",
];

/// What is wrong between a mapping and a table.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// The table has no such column.
    #[error("there is no column '{column}': the columns are {columns}")]
    NoColumn {
        /// What was looked for.
        column: String,
        /// What there is.
        columns: String,
    },
    /// No column is known to hold the text.
    #[error("none of the columns {columns} is known to hold the text: name it with `--text`")]
    NoText {
        /// What there is.
        columns: String,
    },
}

/// The places of a table's columns that make a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// Those of the text.
    pub text: Vec<usize>,
    /// That of the asset.
    pub asset: Option<usize>,
    /// Those that are kept with the record.
    pub meta: Vec<usize>,
}

impl Mapping {
    /// The places of its columns in a table with these. Without a column for the text, the
    /// only one is taken, or the first with a usual name.
    pub fn place(&self, columns: &[String]) -> Result<Columns, MappingError> {
        let all = || columns.join(", ");
        let find = |name: &String| {
            let same = |column: &String| column.trim().eq_ignore_ascii_case(name.trim());
            columns
                .iter()
                .position(same)
                .ok_or_else(|| MappingError::NoColumn {
                    column: name.clone(),
                    columns: all(),
                })
        };
        let text = match (self.text.is_empty(), columns) {
            (false, _) => self.text.iter().map(find).collect::<Result<_, _>>()?,
            (true, [_]) => vec![0],
            (true, _) => {
                let usual = USUAL.iter().find_map(|name| find(&(*name).into()).ok());
                vec![usual.ok_or_else(|| MappingError::NoText { columns: all() })?]
            }
        };
        Ok(Columns {
            text,
            asset: self.asset.as_ref().map(find).transpose()?,
            meta: self.meta.iter().map(find).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests;

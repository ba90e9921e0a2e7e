//! Values that are kept as JSON text.

use rusqlite::types::Type;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// The JSON text of `value`, proved to give it back: JSON has no NaN and no
/// infinity, and its reader has a limit of depth, so not every value survives.
pub(crate) fn encode<T>(what: &'static str, value: &T) -> Result<String, Error>
where
    T: Serialize + DeserializeOwned + PartialEq,
{
    serde_json::to_string(value)
        .ok()
        .filter(|text| serde_json::from_str::<T>(text).is_ok_and(|read| read == *value))
        .ok_or(Error::Unstorable(what))
}

/// The value in column `column` of a row.
pub(crate) fn decode<T: DeserializeOwned>(
    row: &rusqlite::Row<'_>,
    column: &str,
) -> rusqlite::Result<T> {
    let index = row.as_ref().column_index(column)?;
    let text = row.get_ref(index)?.as_str()?;
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error))
    })
}

/// The value in column `column` of a row; `None` where there is none.
pub(crate) fn decode_present<T: DeserializeOwned>(
    row: &rusqlite::Row<'_>,
    column: &str,
) -> rusqlite::Result<Option<T>> {
    let index = row.as_ref().column_index(column)?;
    match row.get_ref(index)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => decode(row, column).map(Some),
    }
}

/// The value that column `column` holds in its textual form.
pub(crate) fn parse<T>(row: &rusqlite::Row<'_>, column: &str) -> rusqlite::Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let index = row.as_ref().column_index(column)?;
    row.get_ref(index)?.as_str()?.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error))
    })
}

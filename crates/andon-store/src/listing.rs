//! Listings, newest first, a page at a time.

use rusqlite::types::Value;

/// A page of a listing, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Only what has a smaller id: the last id of the page before.
    pub before: Option<i64>,
    /// The most items to give.
    pub limit: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            before: None,
            limit: 100,
        }
    }
}

/// The conditions of a listing with their parameters.
#[derive(Default)]
pub(crate) struct Selection {
    conditions: Vec<&'static str>,
    parameters: Vec<Value>,
}

impl Selection {
    /// Keeps what fulfils `condition`.
    pub(crate) fn only(mut self, condition: &'static str) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Keeps what fulfils `condition` (with one `?`) for `value`, if there is one.
    pub(crate) fn only_for(
        mut self,
        condition: &'static str,
        value: Option<impl Into<Value>>,
    ) -> Self {
        if let Some(value) = value {
            self.conditions.push(condition);
            self.parameters.push(value.into());
        }
        self
    }

    /// The statement: `select` with these conditions, and the page.
    pub(crate) fn page(mut self, select: &str, page: Page) -> (String, Vec<Value>) {
        self = self.only_for("id < ?", page.before);
        let mut sql = select.to_owned();
        for (index, condition) in self.conditions.iter().enumerate() {
            sql.push_str(if index == 0 { " WHERE " } else { " AND " });
            sql.push_str(condition);
        }
        sql.push_str(" ORDER BY id DESC LIMIT ?");
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
        self.parameters.push(limit.into());
        (sql, self.parameters)
    }
}

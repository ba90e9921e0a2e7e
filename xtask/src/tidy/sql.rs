//! Whether a text is SQL.

/// Words that begin a statement, in capitals anywhere or in any case at the
/// start, and that no sentence for people begins with.
const STATEMENTS: &[&str] = &[
    "INSERT INTO ",
    "INSERT OR ",
    "CREATE TABLE ",
    "CREATE INDEX ",
    "CREATE UNIQUE INDEX ",
    "CREATE VIRTUAL TABLE ",
    "CREATE TRIGGER ",
    "ALTER TABLE ",
    "DROP TABLE ",
    "DELETE FROM ",
    "REPLACE INTO ",
    "PRAGMA ",
    "SELECT ",
    "SELECT\n",
    "UPDATE ",
];

/// Of these, words that sentences begin with too: only capitals count.
const ALSO_ENGLISH: &[&str] = &["SELECT ", "SELECT\n", "UPDATE "];

/// The statement in `text`, if there is one.
pub(super) fn keyword(text: &str) -> Option<&'static str> {
    let start = text.trim_start();
    STATEMENTS.iter().copied().find_map(|statement| {
        let in_capitals = text
            .match_indices(statement)
            .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
        let at_the_start = !ALSO_ENGLISH.contains(&statement)
            && start
                .get(..statement.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(statement));
        (in_capitals || at_the_start).then(|| statement.trim())
    })
}

//! A document on a terminal.

use andon_learn::report::{Cell, Content, Document, Section, Shown, Table};

use crate::output;

/// The document's sentences, and the tables of the sections that are shown
/// everywhere.
pub(super) fn show(document: &Document) -> String {
    let mut parts: Vec<String> = document.lead.clone();
    let warnings = document.warnings.iter();
    parts.extend(warnings.map(|warning| format!("! {warning}")));
    let sections = document.sections.iter();
    parts.extend(
        sections
            .clone()
            .filter(|section| section.shown == Shown::Everywhere)
            .map(section),
    );
    let others: Vec<String> = sections
        .filter(|section| section.shown == Shown::OnPage)
        .map(|section| section.heading.to_lowercase())
        .collect();
    parts.push(format!("`--report FILE.html` shows {}.", others.join(", ")));
    parts.join("\n\n")
}

fn section(section: &Section) -> String {
    let tables = section.content.iter().filter_map(|content| match content {
        Content::Table(table) => Some(grid(table)),
        Content::Plot { .. } | Content::Matrix(_) => None,
    });
    let mut parts = vec![section.heading.to_uppercase()];
    parts.extend(tables);
    parts.push(section.text.join("\n"));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn grid(table: &Table) -> String {
    let heading: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let rows = table.rows.iter();
    let text = |row: &Vec<Cell>| row.iter().map(|cell| cell.text.clone()).collect();
    output::grid(&heading, rows.map(text).collect())
}

//! The document as one page of HTML that needs nothing else: style and drawings
//! are in it, and it asks no network for anything.

use minijinja::{AutoEscape, Environment, context};

use super::Document;

const TEMPLATE: &str = include_str!("page.html");

/// The page of a document. Whatever stands in notes and labels is text there,
/// never markup.
///
/// # Errors
/// If the document cannot be rendered.
pub fn page(document: &Document) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.render_str(TEMPLATE, context! { document })
}

//! A document as search sees it: sections under their headings, and their sentences.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::markdown;
use super::term::fold;

/// How the lines of a document are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Markdown: headings are marked.
    Markdown,
    /// Plain text: headings are lines that look like one.
    Plain,
}

/// A manual or procedure, cut into sections.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its path in the plant, as `manuals/filler.md`.
    pub path: String,
    /// Its title: from the front matter, else the first heading, else the file's name.
    pub title: String,
    /// Its revision, as the plant writes it.
    pub revision: Option<String>,
    /// The text that all places refer to. Of Markdown and text files it is the file.
    pub text: String,
    /// The sections that have sentences, in order.
    pub sections: Vec<Section>,
}

/// What stands under one heading, as far as the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Its id: the document's path, `#`, and the slug of its heading. What stands before
    /// the first heading has the path alone.
    pub id: String,
    /// The headings that it stands under, the outermost first, its own last.
    pub headings: Vec<String>,
    /// Its sentences, in order. Steps, items of lists and rows of tables are sentences.
    pub sentences: Vec<Sentence>,
}

/// A sentence of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentence {
    /// Where it stands in the document's text, in bytes.
    pub place: Range<usize>,
    /// The page, where the document has pages; from 1.
    pub page: Option<u32>,
    /// Whether it begins a paragraph, an item or a row.
    pub opens: bool,
}

/// A place that an answer was taken from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    /// The document's path in the plant.
    pub document: String,
    /// The document's title.
    pub title: String,
    /// Its revision, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The section's id.
    pub section: String,
    /// The headings that it stands under, the outermost first.
    pub headings: Vec<String>,
    /// The page, where the document has pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// Where it begins in the document's text, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

impl Document {
    /// Reads a document from its text.
    pub fn parse(path: &str, text: String, form: Form) -> Self {
        markdown::parse(path, text, form)
    }

    /// The place of some sentences of a section.
    pub fn cite(&self, section: &Section, sentences: Range<usize>) -> Citation {
        let sentences = &section.sentences[sentences];
        Citation {
            document: self.path.clone(),
            title: self.title.clone(),
            revision: self.revision.clone(),
            section: section.id.clone(),
            headings: section.headings.clone(),
            page: sentences.first().and_then(|first| first.page),
            start: sentences.first().map_or(0, |first| first.place.start),
            end: sentences.last().map_or(0, |last| last.place.end),
        }
    }

    /// Sentences as they are quoted: word for word, with the breaks of lines as blanks
    /// and one line for each paragraph, item or row.
    pub fn quote(&self, sentences: &[Sentence]) -> String {
        let mut quote = String::new();
        for sentence in sentences {
            if !quote.is_empty() {
                quote.push(if sentence.opens { '\n' } else { ' ' });
            }
            let mut words = self.text[sentence.place.clone()].split_whitespace();
            quote.extend(words.next());
            for word in words {
                quote.push(' ');
                quote.push_str(word);
            }
        }
        quote
    }
}

impl Section {
    /// Its own heading; the document's title where it stands before the first.
    pub fn heading(&self) -> &str {
        self.headings.last().map_or("", String::as_str)
    }
}

/// A heading as a part of an id: lower case, words joined by hyphens.
pub fn slug(heading: &str) -> String {
    let mut slug = String::new();
    for c in heading.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if (c.is_whitespace() || c == '-' || c == '_') && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_matches('-').to_owned()
}

/// A name without all that people write differently: case, accents, punctuation.
pub(crate) fn plain(name: &str) -> String {
    fold(name).chars().filter(|c| c.is_alphanumeric()).collect()
}

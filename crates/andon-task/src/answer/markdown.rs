//! Reads the text of a document into sections. Markdown as plants write it: headings,
//! paragraphs, lists, tables; plain text and the text of PDF files with headings that are
//! recognised by their look. A form feed begins a page.

use std::collections::HashMap;

use super::document::{Document, Form, Section, Sentence, slug};
use super::sentence;

/// A heading in plain text is no longer, in characters.
const LONGEST_HEADING: usize = 90;

/// Reads a document.
pub(crate) fn parse(path: &str, text: String, form: Form) -> Document {
    let mut reader = Reader {
        path,
        text: &text,
        form,
        sections: Vec::new(),
        open: Vec::new(),
        slugs: HashMap::new(),
        block: None,
        page: text.contains('\u{c}').then_some(1),
    };
    let front = reader.front_matter();
    reader.read(front.end);
    let sections = reader.sections;
    let first_heading = sections.iter().find_map(|section| section.headings.first());
    let name = path.rsplit('/').next().unwrap_or(path);
    let title = front
        .title
        .or_else(|| first_heading.cloned())
        .unwrap_or_else(|| name.to_owned());
    let mut sections: Vec<Section> = sections
        .into_iter()
        .filter(|section| !section.sentences.is_empty())
        .collect();
    for section in &mut sections {
        if section.headings.first() != Some(&title) {
            section.headings.insert(0, title.clone());
        }
    }
    Document {
        path: path.to_owned(),
        title,
        revision: front.revision,
        sections,
        text,
    }
}

#[derive(Default)]
struct Front {
    end: usize,
    title: Option<String>,
    revision: Option<String>,
}

/// Lines that belong together, not yet cut into sentences.
struct Block {
    start: usize,
    end: usize,
    page: Option<u32>,
}

struct Reader<'a> {
    path: &'a str,
    text: &'a str,
    form: Form,
    sections: Vec<Section>,
    /// The headings that are open, with their levels.
    open: Vec<(usize, String)>,
    slugs: HashMap<String, usize>,
    block: Option<Block>,
    page: Option<u32>,
}

impl<'a> Reader<'a> {
    fn front_matter(&self) -> Front {
        let mut front = Front::default();
        let bom = if self.text.starts_with('\u{feff}') {
            3
        } else {
            0
        };
        let text = &self.text[bom..];
        front.end = bom;
        let Some(matter) = text
            .strip_prefix("---\n")
            .or_else(|| text.strip_prefix("---\r\n"))
        else {
            return front;
        };
        let Some(length) = matter.find("\n---") else {
            return front;
        };
        for line in matter[..length].lines() {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim().trim_matches('"').to_owned();
            match key.trim().to_lowercase().as_str() {
                "title" => front.title = Some(value),
                "revision" | "rev" | "version" => front.revision = Some(value),
                _ => {}
            }
        }
        let rest = &matter[length + 1..];
        let skipped = rest.find('\n').map_or(rest.len(), |at| at + 1);
        front.end = self.text.len() - rest.len() + skipped;
        front
    }

    fn read(&mut self, from: usize) {
        let mut at = from;
        let mut previous: Option<(usize, &'a str)> = None;
        let mut fenced = false;
        for raw in self.text[from..].split_inclusive('\n') {
            let mut start = at;
            at += raw.len();
            let mut line = raw;
            while let Some(feed) = line.find('\u{c}') {
                let before = &line[..feed];
                self.line(start, before, &mut previous, &mut fenced);
                self.page = self.page.map(|page| page + 1);
                start += feed + 1;
                line = &line[feed + 1..];
            }
            self.line(start, line, &mut previous, &mut fenced);
        }
        self.close();
    }

    fn line(
        &mut self,
        start: usize,
        line: &'a str,
        previous: &mut Option<(usize, &'a str)>,
        fenced: &mut bool,
    ) {
        let trimmed = line.trim();
        if trimmed.is_empty() {
            self.close();
            *previous = None;
            return;
        }
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            self.close();
            *fenced = !*fenced;
            return;
        }
        let start = start + (line.len() - line.trim_start().len());
        let end = start + trimmed.len();
        if is_page_number(trimmed) {
            return;
        }
        if !*fenced {
            if let Some((level, heading)) = self.heading(trimmed, previous.is_none()) {
                self.close();
                self.begin(level, heading);
                *previous = None;
                return;
            }
            // A line of '=' or '-' below a single line makes that a heading.
            if let Some((above, heading)) = previous.take()
                && self.form == Form::Markdown
                && is_underline(trimmed)
                && self
                    .block
                    .as_ref()
                    .is_some_and(|block| block.start == above)
            {
                self.block = None;
                let level = if trimmed.starts_with('=') { 1 } else { 2 };
                self.begin(level, heading.to_owned());
                return;
            }
            if is_rule(trimmed) {
                self.close();
                return;
            }
        }
        let (skipped, is_item) = item(trimmed);
        let is_row = trimmed.starts_with('|');
        if is_item || is_row || *fenced {
            self.close();
        }
        *previous = (!is_item && !is_row).then_some((start, trimmed));
        match &mut self.block {
            Some(block) => block.end = end,
            None => {
                self.block = Some(Block {
                    start: start + skipped,
                    end,
                    page: self.page,
                });
            }
        }
        if is_row {
            self.close();
        }
    }

    /// The level and text of a line that is a heading.
    fn heading(&self, line: &str, after_gap: bool) -> Option<(usize, String)> {
        let hashes = line.bytes().take_while(|&b| b == b'#').count();
        if (1..=6).contains(&hashes) && line[hashes..].starts_with([' ', '\t']) {
            let heading = line[hashes..].trim().trim_end_matches('#').trim();
            return (!heading.is_empty()).then(|| (hashes, unmarked(heading)));
        }
        if self.form == Form::Markdown {
            return None;
        }
        let characters = line.chars().count();
        if characters > LONGEST_HEADING || line.ends_with(['.', ',', ';', ':', '!', '?']) {
            return None;
        }
        let has_letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).count() >= 3;
        let (number, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let digits = number.trim_end_matches('.');
        let levels = digits.split('.').count();
        let numbered = digits
            .split('.')
            .all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()));
        let rest = rest.trim();
        let begins_high = rest.chars().next().is_some_and(char::is_uppercase);
        // '3. Close the valve' is a step, '3.2 Closing' and '3 Closing' are headings.
        if numbered && (levels > 1 || !number.ends_with('.')) && begins_high && has_letters(rest) {
            return (after_gap || levels > 1).then(|| (levels, line.to_owned()));
        }
        let capitals = has_letters(line) && !line.chars().any(char::is_lowercase);
        (after_gap && capitals && characters >= 5).then(|| (1, line.to_owned()))
    }

    fn begin(&mut self, level: usize, heading: String) {
        self.open.retain(|&(open, _)| open < level);
        let base = slug(&heading);
        self.open.push((level, heading));
        let count = self.slugs.entry(base.clone()).or_default();
        let id = match *count {
            0 => format!("{}#{base}", self.path),
            again => format!("{}#{base}-{again}", self.path),
        };
        *count += 1;
        self.sections.push(Section {
            id,
            headings: self
                .open
                .iter()
                .map(|(_, heading)| heading.clone())
                .collect(),
            sentences: Vec::new(),
        });
    }

    /// Ends the paragraph, item or row that is open.
    fn close(&mut self) {
        let Some(block) = self.block.take() else {
            return;
        };
        if self.sections.is_empty() {
            self.sections.push(Section {
                id: self.path.to_owned(),
                headings: Vec::new(),
                sentences: Vec::new(),
            });
        }
        let section = self.sections.last_mut().expect("one was made above");
        let text = &self.text[block.start..block.end];
        let mut opens = true;
        for place in cut(text) {
            section.sentences.push(Sentence {
                place: block.start + place.start..block.start + place.end,
                page: block.page,
                opens,
            });
            opens = false;
        }
    }
}

/// The sentences of a block: a row of a table is one, its outer bars left out.
fn cut(text: &str) -> Vec<std::ops::Range<usize>> {
    if !text.starts_with('|') {
        return sentence::split(text);
    }
    let inner = text.trim_matches(|c: char| c == '|' || c.is_whitespace());
    let is_line = inner
        .chars()
        .all(|c| matches!(c, '-' | ':' | '|') || c.is_whitespace());
    if is_line {
        return Vec::new();
    }
    let start = text.find(inner).unwrap_or(0);
    std::iter::once(start..start + inner.len()).collect()
}

/// How many bytes mark an item of a list, and whether the line is one. The number of a
/// step is part of what it says.
fn item(line: &str) -> (usize, bool) {
    for bullet in ["- ", "* ", "+ ", "• ", "– ", "● "] {
        if let Some(rest) = line.strip_prefix(bullet) {
            return (line.len() - rest.trim_start().len(), true);
        }
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let marked = line[digits..].starts_with(". ") || line[digits..].starts_with(") ");
    (0, (1..=3).contains(&digits) && marked)
}

fn is_underline(line: &str) -> bool {
    line.len() >= 2 && (line.bytes().all(|b| b == b'=') || line.bytes().all(|b| b == b'-'))
}

fn is_rule(line: &str) -> bool {
    line.len() >= 3
        && ['-', '*', '_', '=']
            .iter()
            .any(|&rule| line.chars().all(|c| c == rule))
}

/// The number of a page at its head or foot: '- 12 -'.
fn is_page_number(line: &str) -> bool {
    let inner = line.trim_matches(|c: char| matches!(c, '-' | '–' | '—') || c.is_whitespace());
    line.starts_with(['-', '–', '—'])
        && line.len() > inner.len() + 2
        && (1..=5).contains(&inner.len())
        && inner.bytes().all(|b| b.is_ascii_digit())
}

/// A heading without marks of emphasis.
fn unmarked(heading: &str) -> String {
    heading.replace("**", "").replace('`', "")
}

#[cfg(test)]
mod tests;

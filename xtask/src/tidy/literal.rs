//! The string literals of a Rust file.

/// A string literal as it is written, without its quotes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Literal<'a> {
    /// The line on which it begins, from 1.
    pub(super) line: usize,
    /// What stands between the quotes, with its escapes.
    pub(super) text: &'a str,
}

/// All string literals of `source`, which is Rust that compiles: plain, byte, C
/// and raw ones, but no comments and no characters.
pub(super) fn strings(source: &str) -> Vec<Literal<'_>> {
    let bytes = source.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &source[at..];
        at += match bytes[at] {
            b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => block_comment(rest),
            b'\'' => character(rest),
            b'"' => {
                let length = plain(&rest[1..]);
                push(&mut found, source, at + 1, length);
                length + 2
            }
            b'r' => match raw(rest) {
                Some((hashes, length)) => {
                    push(&mut found, source, at + hashes + 2, length);
                    length + 2 * hashes + 3
                }
                None => word(rest),
            },
            // A byte or C string: its quote, or its `r`, comes next.
            b'b' | b'c' if rest[1..].starts_with(['"', '\'']) || raw(&rest[1..]).is_some() => 1,
            first if first.is_ascii_alphabetic() || first == b'_' => word(rest),
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
    }
    found
}

fn push<'a>(found: &mut Vec<Literal<'a>>, source: &'a str, start: usize, length: usize) {
    let line = source[..start].matches('\n').count() + 1;
    let text = &source[start..(start + length).min(source.len())];
    found.push(Literal { line, text });
}

fn word(rest: &str) -> usize {
    rest.find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len())
        .max(1)
}

/// The length of a block comment; they nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        match here {
            [b'/', b'*', ..] => depth += 1,
            [b'*', b'/', ..] => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The length of a character, or of the quote of a lifetime.
fn character(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => {
            characters.next();
            rest[3..].find('\'').map_or(rest.len(), |end| 3 + end + 1)
        }
        Some(_) => match characters.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
        None => 1,
    }
}

/// The length of a plain string up to its closing quote.
fn plain(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at,
            _ => {}
        }
    }
    rest.len()
}

/// The number of `#` of a raw string and the length of its text, if it is one.
fn raw(rest: &str) -> Option<(usize, usize)> {
    let after = rest.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let text = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some((hashes, text.find(&end).unwrap_or(text.len())))
}

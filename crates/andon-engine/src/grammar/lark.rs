//! What a grammar in llguidance's form of Lark may not ask for.

use std::iter::Peekable;
use std::str::Chars;

/// What brings in another grammar or changes how this one is obeyed, as it stands
/// without blanks, and how it is called.
const REFUSED: [(&str, &str); 7] = [
    ("%json", "'%json' (ask for the schema itself)"),
    ("%lark", "'%lark'"),
    ("%llguidance", "'%llguidance'"),
    ("<", "tokens by name or number ('<…>')"),
    ("@", "other grammars ('@…')"),
    ("temperature=", "a temperature of its own"),
    ("stop=", "'stop' (texts that are not part of the answer)"),
];

/// Refuses what would let a text hold control tokens, follow other rules than the
/// grammar's own, or be drawn otherwise than the request says.
///
/// # Errors
/// What is refused, and on which line.
pub(super) fn check(grammar: &str) -> Result<(), String> {
    for (at, line) in (1..).zip(without_texts(grammar).split('\n')) {
        let bare: String = line.split_whitespace().collect();
        if let Some((_, what)) = REFUSED.iter().find(|(word, _)| bare.contains(word)) {
            return Err(format!("line {at}: {what} is not supported in a grammar"));
        }
    }
    Ok(())
}

/// The grammar without its strings, expressions and remarks; lines stay lines.
fn without_texts(grammar: &str) -> String {
    let mut bare = String::new();
    let mut rest = grammar.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '#' => while rest.next_if(|&c| c != '\n').is_some() {},
            '/' if rest.peek() == Some(&'/') => while rest.next_if(|&c| c != '\n').is_some() {},
            '"' | '/' => bare.extend(skip(&mut rest, character)),
            other => bare.push(other),
        }
    }
    bare
}

/// Skips to behind `end`; returns the line ends between.
fn skip(rest: &mut Peekable<Chars<'_>>, end: char) -> Vec<char> {
    let mut lines = Vec::new();
    while let Some(character) = rest.next() {
        match character {
            '\\' => lines.extend(rest.next_if_eq(&'\n').or_else(|| {
                rest.next();
                None
            })),
            '\n' => lines.push('\n'),
            other if other == end => break,
            _ => {}
        }
    }
    lines
}

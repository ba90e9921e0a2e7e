//! The words of a question to a table.

use std::collections::BTreeSet;

use super::super::term::{fold, terms};

/// A word or a number of a question.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    /// The word, folded.
    pub(super) word: String,
    /// Its term; `None` for a word that says nothing by itself.
    pub(super) key: Option<String>,
    /// The number that it is.
    pub(super) number: Option<f64>,
}

/// Numbers as words, folded.
const NUMBERS: &[(&str, f64)] = &[
    ("one", 1.0),
    ("two", 2.0),
    ("three", 3.0),
    ("four", 4.0),
    ("five", 5.0),
    ("six", 6.0),
    ("seven", 7.0),
    ("eight", 8.0),
    ("nine", 9.0),
    ("ten", 10.0),
    ("twelve", 12.0),
    ("twenty", 20.0),
    ("dos", 2.0),
    ("tres", 3.0),
    ("cuatro", 4.0),
    ("cinco", 5.0),
    ("seis", 6.0),
    ("siete", 7.0),
    ("ocho", 8.0),
    ("nueve", 9.0),
    ("diez", 10.0),
    ("doce", 12.0),
    ("veinte", 20.0),
];

/// Words of analyses that say the same in English and Spanish, each as terms; the first
/// stands for all.
const ALIKE: &[&[&str]] = &[
    &["severity", "severidad", "gravedad"],
    &["occurrence", "ocurrencia", "aparicion"],
    &["detection", "deteccion", "detectability", "detectabilidad"],
    &["rpn", "npr", "ipr"],
    &["failure", "fallo", "falla", "fallos", "fallas", "failures"],
    &["mode", "modo"],
    &["cause", "causa"],
    &["effect", "efecto"],
    &["component", "componente"],
    &["system", "sistema"],
    &["subsystem", "subsistema"],
    &["subcomponent", "subcomponente"],
    &["action", "accion"],
    &["recommended", "recomendada", "recomendado"],
    &["control", "controles"],
    &["current", "actual"],
    &["equipment", "equipo", "maquina", "machine"],
    &["function", "funcion"],
    &["process", "proceso"],
    &["step", "paso"],
    &["cost", "coste", "costo"],
    &["part", "pieza"],
    &["responsible", "responsable"],
    &["status", "estado"],
    &["date", "fecha"],
    &["duration", "duracion"],
    &["interval", "intervalo"],
    &["task", "tarea"],
    &["priority", "prioridad"],
    &["risk", "riesgo"],
    &["potential", "potencial"],
];

/// The words of a question, with its numbers and signs whole.
pub(super) fn tokens(question: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = question;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '0'..='9' => number_length(rest),
            '>' | '<' | '=' | '≥' | '≤' => {
                let signs = |c: char| !matches!(c, '>' | '<' | '=' | '≥' | '≤');
                rest.find(signs).unwrap_or(rest.len())
            }
            c if c.is_alphabetic() => {
                let ends = |c: char| !c.is_alphanumeric();
                rest.find(ends).unwrap_or(rest.len())
            }
            c => {
                rest = &rest[c.len_utf8()..];
                continue;
            }
        };
        let (text, after) = rest.split_at(length);
        rest = after;
        let word = fold(text);
        let number = super::number(text).filter(|_| first.is_ascii_digit());
        let known = NUMBERS.iter().find(|(name, _)| *name == word);
        let number = number.or(known.map(|(_, number)| *number));
        let key = terms(text).into_iter().next().map(|term| alike(term.key));
        tokens.push(Token { word, key, number });
    }
    tokens
}

/// Digits with a decimal point or comma among them, and what is joined to them.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = 0;
    while is_digit(at)
        || (at > 0
            && matches!(bytes[at.min(bytes.len() - 1)], b'.' | b',')
            && at < bytes.len()
            && is_digit(at + 1))
    {
        at += 1;
    }
    // A number with letters is a name, as M12 or 3B.
    let letters = text[at..].find(|c: char| !c.is_alphanumeric());
    at + letters.unwrap_or(text.len() - at)
}

/// The terms of a column's name, without what stands for a plural.
pub(super) fn of_name(name: &str) -> BTreeSet<String> {
    let plain = name.replace("(s)", "").replace("(es)", "");
    let keys = terms(&plain).into_iter().map(|term| alike(term.key));
    keys.collect()
}

/// The term that stands for all that say the same.
pub(super) fn alike(key: String) -> String {
    let says = |word: &&str| {
        let mut own = terms(word).into_iter();
        own.next().is_some_and(|term| term.key == key)
    };
    let group = ALIKE.iter().find(|group| group.iter().any(says));
    let first = group.and_then(|group| terms(group[0]).into_iter().next());
    first.map_or(key, |term| term.key)
}

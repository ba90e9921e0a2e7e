//! Escapes: one layer of them, read.

use super::view::View;

/// HTML's names for characters that names and numbers are made of.
const ENTITIES: &[(&str, char)] = &[
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("commat", '@'),
    ("period", '.'),
    ("colon", ':'),
    ("sol", '/'),
    ("lowbar", '_'),
    ("num", '#'),
    ("hyphen", '-'),
    ("dash", '-'),
    ("ndash", '-'),
    ("mdash", '-'),
    ("plus", '+'),
    ("lpar", '('),
    ("rpar", ')'),
    ("shy", '\u{AD}'),
    ("zwj", '\u{200D}'),
    ("zwnj", '\u{200C}'),
];

/// What HTML puts behind a letter to name it with its accent.
const ACCENTS: &[&str] = &[
    "acute", "grave", "circ", "uml", "tilde", "cedil", "ring", "slash", "caron",
];

/// What `view` says once one layer of escapes is read; `None` where there is none.
pub(super) fn read(view: &View) -> Option<View> {
    let could_be = |c: char| matches!(c, '%' | '&' | '\\' | '=' | '\u{E0020}'..='\u{E007E}');
    if !view.text.contains(could_be) {
        return None;
    }
    let text = view.text.as_str();
    let mut unescaped = View::with_room(text.len());
    let (mut at, mut found) = (0, false);
    while let Some(c) = text[at..].chars().next() {
        let read = match c {
            '%' => octets(&text[at..], "%"),
            '=' => octets(&text[at..], "="),
            '&' => entity(&text[at..]),
            '\\' => backslash(&text[at..]),
            // Each stands for the ASCII character of the same place, unseen.
            '\u{E0020}'..='\u{E007E}' => {
                let plain = char::from_u32(c as u32 - 0xE0000);
                plain.map(|plain| vec![(plain, c.len_utf8())])
            }
            _ => None,
        };
        match read {
            None => {
                unescaped.push(c, view.origin(at..at + c.len_utf8()));
                at += c.len_utf8();
            }
            Some(read) => {
                found = true;
                for (c, bytes) in read {
                    unescaped.push(c, view.origin(at..at + bytes));
                    at += bytes;
                }
            }
        }
    }
    found.then_some(unescaped)
}

/// A run of escaped bytes, as characters with the lengths of their escapes.
fn octets(text: &str, mark: &str) -> Option<Vec<(char, usize)>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(digits) = rest.strip_prefix(mark).and_then(|rest| rest.get(..2)) {
        let Ok(byte) = u8::from_str_radix(digits, 16) else {
            break;
        };
        bytes.push(byte);
        rest = &rest[mark.len() + 2..];
    }
    if bytes.is_empty() {
        return None;
    }
    let mut chars = Vec::new();
    let mut left = bytes.as_slice();
    let width = mark.len() + 2;
    while !left.is_empty() {
        let longest = (1..=left.len().min(4)).find_map(|length| {
            let text = std::str::from_utf8(&left[..length]).ok()?;
            Some((text.chars().next()?, length))
        });
        // What is no UTF-8 is Latin-1.
        let (c, length) = longest.unwrap_or((char::from(left[0]), 1));
        chars.push((c, length * width));
        left = &left[length..];
    }
    Some(chars)
}

fn entity(text: &str) -> Option<Vec<(char, usize)>> {
    let body = &text[1..];
    if let Some(number) = body.strip_prefix('#') {
        let (digits, radix, before) = match number.strip_prefix(['x', 'X']) {
            Some(hex) => (hex, 16, 3),
            None => (number, 10, 2),
        };
        let count = digits.chars().take_while(|c| c.is_digit(radix)).count();
        let code = u32::from_str_radix(digits.get(..count.min(8))?, radix).ok()?;
        let ends = usize::from(digits[count..].starts_with(';'));
        return Some(vec![(char::from_u32(code)?, before + count + ends)]);
    }
    let name = &body[..body.find(';').filter(|&end| end <= 8)?];
    let bytes = name.len() + 2;
    if let Some((_, c)) = ENTITIES.iter().find(|(known, _)| *known == name) {
        return Some(vec![(*c, bytes)]);
    }
    let letter = name.chars().next().filter(char::is_ascii_alphabetic)?;
    // Accents are folded anyway, so the bare letter says as much.
    ACCENTS.contains(&&name[1..]).then(|| vec![(letter, bytes)])
}

fn backslash(text: &str) -> Option<Vec<(char, usize)>> {
    let body = &text[1..];
    let kind = body.chars().next()?;
    let hex = |digits: &str| u32::from_str_radix(digits, 16).ok();
    match kind {
        'n' | 'r' | 't' => Some(vec![(' ', 2)]),
        '"' | '\'' | '/' | '\\' => Some(vec![(kind, 2)]),
        'x' => Some(vec![(char::from_u32(hex(body.get(1..3)?)?)?, 4)]),
        'u' if body[1..].starts_with('{') => {
            let end = body.find('}')?;
            Some(vec![(char::from_u32(hex(&body[2..end])?)?, end + 2)])
        }
        'u' => {
            let first = hex(body.get(1..5)?)?;
            if let Some(c) = char::from_u32(first) {
                return Some(vec![(c, 6)]);
            }
            let second = body.get(5..7).filter(|mark| *mark == "\\u");
            let second = second.and_then(|_| hex(body.get(7..11)?))?;
            let pair = char::decode_utf16([first as u16, second as u16]).next()?;
            Some(vec![(pair.ok()?, 12)])
        }
        _ => None,
    }
}

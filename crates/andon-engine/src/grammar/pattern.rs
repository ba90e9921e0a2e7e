//! Patterns of JSON Schema in the syntax of the grammar's regular expressions.
//!
//! JSON Schema writes patterns as ECMA-262 does; the same characters mean other
//! things elsewhere (`.`, `\s`, `\d`, `[[]`, `[a&&b]`). So a pattern is read here
//! and written anew with nothing but what means the same in both; what remains is
//! refused.

use std::iter::Peekable;
use std::str::Chars;

/// The deepest nesting of groups that is read.
const DEEPEST: usize = 64;
/// The largest count of a repetition that is read.
const MOST_REPEATED: u32 = 10_000;
/// What ECMA-262 takes for blanks: its white space and line terminators.
const BLANKS: &str = r"\t\n\x{B}\x{C}\r \x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}";
const DIGITS: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";

/// The expression that matches what the ECMA-262 pattern matches, by code points.
///
/// # Errors
/// What of it is not supported.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut reader = Reader {
        rest: pattern.chars().peekable(),
        written: String::with_capacity(pattern.len() + 16),
        depth: 0,
    };
    reader.read()?;
    Ok(reader.written)
}

/// The expression that matches this text alone.
pub(super) fn literal(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for character in text.chars() {
        push_literal(&mut written, character);
    }
    written
}

fn push_literal(written: &mut String, character: char) {
    if character.is_ascii_alphanumeric() || character == ' ' || !character.is_ascii() {
        written.push(character);
    } else {
        written.push_str(&format!(r"\x{{{:X}}}", u32::from(character)));
    }
}

/// One member of a class, or one escape.
enum Atom {
    Character(char),
    /// A set, as it stands within a class.
    Set(String),
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    written: String,
    depth: usize,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), String> {
        // Whether what was read last may be repeated.
        let mut repeats = false;
        while let Some(character) = self.rest.next() {
            match character {
                '\\' => {
                    match self.escape()? {
                        Atom::Character(escaped) => push_literal(&mut self.written, escaped),
                        Atom::Set(set) => self.written.push_str(&format!("[{set}]")),
                    }
                    repeats = true;
                }
                '[' => {
                    self.class()?;
                    repeats = true;
                }
                '(' => {
                    self.open()?;
                    repeats = false;
                }
                ')' => {
                    self.depth = self
                        .depth
                        .checked_sub(1)
                        .ok_or("a ')' that closes nothing")?;
                    self.written.push(')');
                    repeats = true;
                }
                '*' | '+' | '?' => {
                    self.repeat(repeats, &character.to_string())?;
                    repeats = false;
                }
                '{' => match self.counts()? {
                    Some(counts) => {
                        self.repeat(repeats, &counts)?;
                        repeats = false;
                    }
                    None => {
                        push_literal(&mut self.written, '{');
                        repeats = true;
                    }
                },
                '.' => {
                    self.written.push_str(r"[^\n\r\x{2028}\x{2029}]");
                    repeats = true;
                }
                '|' | '^' | '$' => {
                    self.written.push(character);
                    repeats = false;
                }
                other => {
                    push_literal(&mut self.written, other);
                    repeats = true;
                }
            }
        }
        match self.depth {
            0 => Ok(()),
            _ => Err("a '(' that is never closed".to_owned()),
        }
    }

    fn repeat(&mut self, repeats: bool, how: &str) -> Result<(), String> {
        if !repeats {
            return Err(format!("a '{how}' that repeats nothing"));
        }
        self.written.push_str(how);
        // Reluctance changes what is found first, not what matches.
        self.rest.next_if_eq(&'?');
        Ok(())
    }

    fn open(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("more than {DEEPEST} groups within each other"));
        }
        self.written.push_str("(?:");
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        match (self.rest.next(), self.rest.peek()) {
            (Some(':'), _) => Ok(()),
            (Some('='), _) | (Some('!'), _) | (Some('<'), Some('=' | '!')) => {
                Err("look-around".to_owned())
            }
            (Some('<'), _) => {
                let name: String = self.rest.by_ref().take_while(|&c| c != '>').collect();
                let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
                match !name.is_empty() && name.chars().all(is_name) {
                    true => Ok(()),
                    false => Err("a group without a name".to_owned()),
                }
            }
            _ => Err("a group that begins with '(?'".to_owned()),
        }
    }

    /// The counts behind a `{`, or `None` if it stands for itself.
    fn counts(&mut self) -> Result<Option<String>, String> {
        let mut ahead = self.rest.clone();
        let inner: String = ahead.by_ref().take_while(|&c| c != '}').collect();
        let closed = self.rest.clone().count() > inner.chars().count();
        let number = |text: &str| {
            (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.to_owned())
        };
        let (low, high) = match inner.split_once(',') {
            None => (number(&inner), number(&inner)),
            Some((low, "")) => (number(low), Some(String::new())),
            Some((low, high)) => (number(low), number(high)),
        };
        let (Some(low), Some(high), true) = (low, high, closed) else {
            return Ok(None);
        };
        let value = |text: &str| match text {
            "" => Ok(None),
            _ => match text.parse::<u32>() {
                Ok(count) if count <= MOST_REPEATED => Ok(Some(count)),
                _ => Err(format!("a repetition of {text}, more than {MOST_REPEATED}")),
            },
        };
        let (least, most) = (value(&low)?.unwrap_or(0), value(&high)?);
        if most.is_some_and(|most| most < least) {
            return Err(format!("the repetition '{{{inner}}}'"));
        }
        self.rest = ahead;
        Ok(Some(match most {
            None => format!("{{{least},}}"),
            Some(most) => format!("{{{least},{most}}}"),
        }))
    }

    /// What an escape stands for, in a class or outside.
    fn escape(&mut self) -> Result<Atom, String> {
        let escaped = self.rest.next().ok_or(r"a '\' at the end of the pattern")?;
        let not = |set: &str| Atom::Set(format!("[^{set}]"));
        Ok(match escaped {
            'd' => Atom::Set(DIGITS.to_owned()),
            'D' => not(DIGITS),
            'w' => Atom::Set(WORD.to_owned()),
            'W' => not(WORD),
            's' => Atom::Set(BLANKS.to_owned()),
            'S' => not(BLANKS),
            't' => Atom::Character('\t'),
            'n' => Atom::Character('\n'),
            'r' => Atom::Character('\r'),
            'v' => Atom::Character('\u{b}'),
            'f' => Atom::Character('\u{c}'),
            '0' if !self.rest.peek().is_some_and(char::is_ascii_digit) => Atom::Character('\0'),
            'c' => match self.rest.next() {
                Some(letter) if letter.is_ascii_alphabetic() => {
                    Atom::Character(char::from(letter as u8 % 32))
                }
                _ => return Err(r"a '\c' without a letter".to_owned()),
            },
            'x' => Atom::Character(self.character(2)?),
            'u' => Atom::Character(self.code_point()?),
            'p' | 'P' => Atom::Set(format!(r"\{escaped}{{{}}}", self.property()?)),
            'b' | 'B' => return Err("word boundaries".to_owned()),
            '1'..='9' | 'k' => return Err("back-references".to_owned()),
            other if other.is_ascii_punctuation() || other == ' ' => Atom::Character(other),
            other => return Err(format!(r"the escape '\{other}'")),
        })
    }

    fn hexadecimal(&mut self, digits: usize) -> Result<u32, String> {
        let mut value = 0;
        for _ in 0..digits {
            let digit = self.rest.next().and_then(|c| c.to_digit(16));
            value = value * 16 + digit.ok_or("an escape with too few digits")?;
        }
        Ok(value)
    }

    fn character(&mut self, digits: usize) -> Result<char, String> {
        let value = self.hexadecimal(digits)?;
        char::from_u32(value).ok_or_else(|| "half of a surrogate pair".to_owned())
    }

    fn code_point(&mut self) -> Result<char, String> {
        if self.rest.next_if_eq(&'{').is_some() {
            let digits: String = self.rest.by_ref().take_while(|&c| c != '}').collect();
            let value = u32::from_str_radix(&digits, 16).ok();
            return value
                .and_then(char::from_u32)
                .ok_or_else(|| format!(r"the escape '\u{{{digits}}}'"));
        }
        let value = self.hexadecimal(4)?;
        if (0xd800..0xdc00).contains(&value) {
            let follows = self.rest.next() == Some('\\') && self.rest.next() == Some('u');
            let low = if follows { self.hexadecimal(4)? } else { 0 };
            if !(0xdc00..0xe000).contains(&low) {
                return Err("half of a surrogate pair".to_owned());
            }
            let value = 0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00);
            return char::from_u32(value).ok_or_else(|| "half of a surrogate pair".to_owned());
        }
        char::from_u32(value).ok_or_else(|| "half of a surrogate pair".to_owned())
    }

    fn property(&mut self) -> Result<String, String> {
        let opened = self.rest.next() == Some('{');
        let name: String = self.rest.by_ref().take_while(|&c| c != '}').collect();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '=';
        match opened && !name.is_empty() && name.chars().all(is_name) {
            true => Ok(name),
            false => Err("a property of characters without a name".to_owned()),
        }
    }

    fn class(&mut self) -> Result<(), String> {
        self.written.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.written.push('^');
        }
        if self.rest.peek() == Some(&']') {
            return Err("an empty class of characters".to_owned());
        }
        while self.rest.next_if_eq(&']').is_none() {
            let first = self.member()?;
            let mut ahead = self.rest.clone();
            let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']');
            if !is_range {
                self.push_member(&first);
                continue;
            }
            self.rest.next();
            match (first, self.member()?) {
                (Atom::Character(low), Atom::Character(high)) if low <= high => {
                    push_literal(&mut self.written, low);
                    self.written.push('-');
                    push_literal(&mut self.written, high);
                }
                (Atom::Character(low), Atom::Character(high)) => {
                    return Err(format!("the range '{low}-{high}'"));
                }
                // `[\w-.]`: no range; the sign stands for itself.
                (first, second) => {
                    self.push_member(&first);
                    push_literal(&mut self.written, '-');
                    self.push_member(&second);
                }
            }
        }
        self.written.push(']');
        Ok(())
    }

    fn push_member(&mut self, member: &Atom) {
        match member {
            Atom::Character(character) => push_literal(&mut self.written, *character),
            Atom::Set(set) => self.written.push_str(set),
        }
    }

    fn member(&mut self) -> Result<Atom, String> {
        match self.rest.next() {
            None => Err("a class of characters that is never closed".to_owned()),
            Some('\\') if self.rest.next_if_eq(&'b').is_some() => Ok(Atom::Character('\u{8}')),
            Some('\\') => self.escape(),
            Some(character) => Ok(Atom::Character(character)),
        }
    }
}

//! What names a person, a thing or a place by its form alone.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use regex::Regex;

use super::RedactError;
use super::checksum::{self, squeeze};
use super::number;

/// Something found in a folded text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// What it is.
    pub(super) tag: &'static str,
    /// Where, in bytes of the folded text.
    pub(super) range: Range<usize>,
}

/// A form: what it looks like, and what else has to hold of the part that counts.
struct Form {
    tag: &'static str,
    regex: Regex,
    needs: Needs,
    holds: fn(&str) -> bool,
}

/// What a text must have, or none of a form is in it. Most texts have little of it, and
/// looking for it costs a hundredth of looking for the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// Nothing that is cheap to look for.
    Nothing,
    /// A digit.
    Digit,
    /// A sign.
    Sign(u8),
    /// A bracket.
    Bracket,
}

/// What a text has.
struct Seen<'a> {
    bytes: &'a [u8],
    digit: bool,
    bracket: bool,
}

impl<'a> Seen<'a> {
    fn of(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        Self {
            bytes,
            // What is not ASCII may be a digit of some script.
            digit: bytes
                .iter()
                .any(|byte| byte.is_ascii_digit() || !byte.is_ascii()),
            bracket: bytes.iter().any(|byte| matches!(byte, b'(' | b'[' | b'{')),
        }
    }

    fn has(&self, needs: Needs) -> bool {
        match needs {
            Needs::Nothing => true,
            Needs::Digit => self.digit,
            Needs::Sign(sign) => self.bytes.contains(&sign),
            Needs::Bracket => self.bracket,
        }
    }
}

/// All forms.
pub(super) struct Patterns {
    forms: Vec<Form>,
    accounts: Regex,
    networks: Regex,
}

/// A form's tag, what it needs, its expression (group 1 is what counts, where there is
/// one), and the check.
type Written = (&'static str, Needs, &'static str, fn(&str) -> bool);

const FORMS: &[Written] = &[
    (
        "MAIL",
        Needs::Sign(b'@'),
        r"[\w.%+'-]+@[\w-]+(?:\.[\w-]+)*",
        any,
    ),
    (
        "MAIL",
        Needs::Sign(b'@'),
        r"[\w.%+'-]+ ?@ ?[\w-]+(?:\.[\w-]+)+",
        any,
    ),
    (
        "MAIL",
        Needs::Bracket,
        r"(?i)[\w.%+'-]+ ?[(\[{] ?(?:at|arroba) ?[)\]}] ?[\w-]+(?: ?(?:\.|[(\[{] ?(?:dot|punto) ?[)\]}]) ?[\w-]+)+",
        any,
    ),
    (
        "TAXID",
        Needs::Digit,
        r"(?i)\b(?:es ?-?)?\d{1,2}\.?\d{3}\.?\d{3}[ -]?[a-z]\b",
        checksum::spanish,
    ),
    (
        "TAXID",
        Needs::Digit,
        r"(?i)\b(?:es ?-?)?[a-z][ -]?\d{1,2}\.?\d{3}\.?\d{2,3}[ -]?[0-9a-z]\b",
        checksum::spanish,
    ),
    (
        "TAXID",
        Needs::Digit,
        r"(?i)\b[a-z]{6} ?\d[\dlmnp-v][abcdehlmprst][\dlmnp-v]{2} ?[a-z][\dlmnp-v]{3}[a-z]\b",
        checksum::italian,
    ),
    ("TAXID", Needs::Digit, r"\b\d{3}-\d{2}-\d{4}\b", any),
    (
        "TAXID",
        Needs::Digit,
        r"(?i)\b(?:nif|nie|cif|dni|vat|iva|bsn|tin|ssn|steuer-?id|partita iva|codice fiscale|passport|pasaporte)\b[ .:#=no'\x22]{0,6}([a-z]{0,3}[ -]?\d[\d .-]{5,13}[a-z]?)\b",
        any,
    ),
    (
        "IP",
        Needs::Digit,
        r"\b\d{1,3}(?:\[?\.\]?\d{1,3}){3}(?::\d{1,5}|/\d{1,2})?\b",
        is_ipv4,
    ),
    (
        "MAC",
        Needs::Nothing,
        r"\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\b",
        any,
    ),
    (
        "MAC",
        Needs::Sign(b'.'),
        r"\b[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\b",
        any,
    ),
    (
        "PLACE",
        Needs::Digit,
        r"[-+]?\d{1,3}\.\d{4,} ?°? ?[NSns]?[ ,;/]{1,3}[-+]?\d{1,3}\.\d{4,}(?: ?°? ?[EWOewo]\b)?",
        any,
    ),
    (
        "PLACE",
        Needs::Digit,
        r"(?i)\b(?:lat(?:itude|itud)?|lon(?:gitude|gitud|g)?|lng)\b['\x22 ]{0,2}[:= ]{1,3}['\x22]?([-+]?\d{1,3}\.\d+)",
        any,
    ),
    (
        "PLACE",
        Needs::Digit,
        r"(?i)\b\d{1,3} ?[°o] ?\d{1,2} ?' ?(?:\d{1,2}(?:[.,]\d+)? ?(?:\x22|'') ?)?[nsewo]\b",
        any,
    ),
    (
        "PLACE",
        Needs::Digit,
        r"(?i)\bgeo:[-+]?\d{1,3}(?:\.\d+)?,[-+]?\d{1,3}(?:\.\d+)?",
        any,
    ),
    (
        "SERIAL",
        Needs::Digit,
        r"(?i)\b(?:s ?/ ?n|sn|serial(?: ?(?:number|no|num|nr))?|serie|n[o°.]{0,3} ?(?:de )?serie|num(?:ero)? (?:de )?serie|seriennummer|imei|vin|bastidor)\b['\x22 .:#=no°]{0,6}([a-z0-9][a-z0-9/_.-]{3,})",
        has_digit,
    ),
    (
        "SERIAL",
        Needs::Nothing,
        r"(?i)\b[a-hj-npr-z0-9]{17}\b",
        checksum::vehicle,
    ),
    (
        "PLATE",
        Needs::Digit,
        r"(?i)\b\d{4}[ -]?[bcdfghjklmnprstvwxyz]{3}\b",
        is_plate,
    ),
    (
        "PLATE",
        Needs::Digit,
        r"\b[A-Z]{1,2}[ -]\d{4}[ -][A-Z]{1,2}\b",
        any,
    ),
    (
        "PLATE",
        Needs::Digit,
        r"\b[A-Z]{2}[ -]?\d{3}[ -]?[A-Z]{2}\b",
        any,
    ),
    ("PLATE", Needs::Digit, r"\b[A-Z]{2}\d{2} [A-Z]{3}\b", any),
    (
        "PLATE",
        Needs::Digit,
        r"(?i)\b(?:plate|license|licence|matricula|kennzeichen|targa)\b['\x22 .:#=no]{0,6}([a-z0-9][a-z0-9 -]{3,9}[a-z0-9])\b",
        has_digit,
    ),
    (
        "KEY",
        Needs::Sign(b':'),
        r"(?i)\b[a-z][a-z0-9+.-]*://[^\s/@:\x{FFFC}]*:[^\s@\x{FFFC}]+@[^\s\x{FFFC}]*",
        any,
    ),
    (
        "KEY",
        Needs::Nothing,
        r"(?i)(?:api[ _-]?key|access[ _-]?key|secret[ _-]?key|secret|token|password|passwd|passphrase|pwd|contrasena|clave|credentials?)['\x22]? ?(?:[:=]|is\b|es\b) ?['\x22]?([^\s'\x22,;\x{FFFC}]{3,})",
        any,
    ),
    (
        "KEY",
        Needs::Nothing,
        r"(?i)\b(?:bearer|basic|token) ([a-z0-9._~+/=-]{12,})",
        any,
    ),
    (
        "KEY",
        Needs::Nothing,
        r"(?i)\b(?:sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}|AKIA[A-Z0-9]{12,}|AIza[\w-]{20,}|hf_[A-Za-z0-9]{16,}|eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]+)?)",
        any,
    ),
    (
        "KEY",
        Needs::Sign(b'-'),
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^\x{FFFC}]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
        any,
    ),
    ("KEY", Needs::Digit, r"\b[A-Za-z0-9_-]{32,}\b", is_random),
];

impl Patterns {
    /// # Errors
    /// If an expression does not compile, which is a fault of the program.
    pub(super) fn new() -> Result<Self, RedactError> {
        let compile = |source: &str| {
            Regex::new(source).map_err(|error| RedactError::Pattern(error.to_string()))
        };
        let form = |(tag, needs, source, holds): &Written| {
            Ok(Form {
                tag,
                needs: *needs,
                regex: compile(source)?,
                holds: *holds,
            })
        };
        Ok(Self {
            forms: FORMS.iter().map(form).collect::<Result<_, RedactError>>()?,
            accounts: compile(r"(?i)\b[a-z]{2} ?\d ?\d(?:[ .-]?[a-z0-9]){11,60}")?,
            networks: compile(
                r"(?i)[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:[0-9.]{3,})?(?:%[0-9a-z]+)?",
            )?,
        })
    }

    /// All that is found in a folded text.
    pub(super) fn find(&self, text: &str) -> Vec<Found> {
        let mut found = number::numbers(text);
        let seen = Seen::of(text);
        for form in self.forms.iter().filter(|form| seen.has(form.needs)) {
            let has_part = form.regex.captures_len() > 1;
            for whole in form.regex.find_iter(text) {
                // Where a match is costs a tenth of where its parts are.
                let captures = has_part.then(|| form.regex.captures_at(text, whole.start()));
                let part = captures.flatten().and_then(|captures| captures.get(1));
                let part = part.unwrap_or(whole);
                if (form.holds)(part.as_str()) {
                    let range = part.range();
                    found.push(Found {
                        tag: form.tag,
                        range,
                    });
                }
            }
        }
        if seen.has(Needs::Digit) {
            self.find_accounts(text, &mut found);
        }
        if !seen.has(Needs::Sign(b':')) {
            return found;
        }
        for candidate in self.networks.find_iter(text) {
            let bare = candidate.as_str().split('%').next().unwrap_or_default();
            let bare = bare.trim_end_matches('.');
            let groups = bare.split(':').filter(|group| !group.is_empty()).count();
            if groups > 0 && bare.parse::<Ipv6Addr>().is_ok() {
                found.push(Found {
                    tag: "IP",
                    range: candidate.range(),
                });
            }
        }
        found
    }

    /// Account numbers: the form says where one begins, the check where it ends.
    fn find_accounts(&self, text: &str, found: &mut Vec<Found>) {
        let mut from = 0;
        while let Some(candidate) = self.accounts.find_at(text, from) {
            let squeezed = squeeze(candidate.as_str());
            from = candidate.start() + 1;
            let Some(length) = checksum::iban(&squeezed) else {
                continue;
            };
            let counted = candidate.as_str().char_indices();
            let last = counted
                .filter(|(_, c)| c.is_ascii_alphanumeric())
                .nth(length - 1);
            if let Some((at, _)) = last {
                let range = candidate.start()..candidate.start() + at + 1;
                from = range.end;
                found.push(Found { tag: "IBAN", range });
            }
        }
    }
}

fn any(_: &str) -> bool {
    true
}

fn has_digit(text: &str) -> bool {
    text.chars().any(|c| c.is_ascii_digit())
}

fn is_ipv4(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| !matches!(c, '[' | ']')).collect();
    let address = plain.split([':', '/']).next().unwrap_or_default();
    address.parse::<Ipv4Addr>().is_ok()
}

/// Units that have the letters of a number plate.
const UNITS: &[&str] = &[
    "RPM", "PPM", "LPM", "GPM", "CFM", "FPM", "BPM", "DPM", "KWH", "PCS", "HRS", "SEC", "MBR",
    "LTR", "MTR", "LTS", "MTS", "BBL", "KPH", "MPH", "KVR", "LPH", "KGS", "LBS", "VDC", "SPM",
    "CPM",
];

fn is_plate(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    !UNITS.iter().any(|unit| text.ends_with(unit))
}

/// Whether a long word is drawn by lot and not written by a person.
fn is_random(text: &str) -> bool {
    let has = |kind: fn(&char) -> bool| text.chars().filter(kind).count() >= 3;
    let changes = text.as_bytes().windows(2);
    let kind = |byte: u8| (byte.is_ascii_digit(), byte.is_ascii_uppercase());
    let changes = changes
        .filter(|pair| kind(pair[0]) != kind(pair[1]))
        .count();
    has(char::is_ascii_uppercase)
        && has(char::is_ascii_lowercase)
        && has(char::is_ascii_digit)
        && changes * 4 >= text.len()
}

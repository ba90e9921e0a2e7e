//! Check digits: they tell a number that means something from one that does not.

/// The digits and letters of a number, in upper case.
pub(super) fn squeeze(text: &str) -> String {
    let kept = text.chars().filter(char::is_ascii_alphanumeric);
    kept.map(|c| c.to_ascii_uppercase()).collect()
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

/// Payment cards and the numbers of telephones (Luhn).
pub(super) fn luhn(text: &str) -> bool {
    let digits = digits(text);
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => *digit,
            _ => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    digits.len() > 1 && sum.is_multiple_of(10)
}

/// A number read in base 36 digit by digit, modulo 97.
fn modulo_97(text: &str) -> u64 {
    text.chars().fold(0, |sum, c| {
        let value = u64::from(c.to_digit(36).unwrap_or(0));
        let base = if value > 9 { 100 } else { 10 };
        (sum * base + value) % 97
    })
}

/// How long an account number of a country is.
const IBAN_LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AT", 20),
    ("BE", 16),
    ("BG", 22),
    ("CH", 21),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("EE", 20),
    ("ES", 24),
    ("FI", 18),
    ("FR", 27),
    ("GB", 22),
    ("GR", 27),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IS", 26),
    ("IT", 27),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("MC", 27),
    ("MT", 31),
    ("NL", 18),
    ("NO", 15),
    ("PL", 28),
    ("PT", 25),
    ("RO", 24),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("TR", 26),
];

/// How many characters at the beginning of `text` (squeezed) are an IBAN.
pub(super) fn iban(text: &str) -> Option<usize> {
    let holds = |length: usize| {
        let number = text.get(..length)?;
        let turned = format!("{}{}", &number[4..], &number[..4]);
        (modulo_97(&turned) == 1).then_some(length)
    };
    let country = text.get(..2)?;
    match IBAN_LENGTHS.iter().find(|(known, _)| *known == country) {
        Some((_, length)) => holds(*length),
        None => (15..=34).rev().find_map(holds),
    }
}

/// Spanish numbers of citizens (NIF), foreigners (NIE) and companies (CIF).
pub(super) fn spanish(text: &str) -> bool {
    let text = squeeze(text);
    let text = match text.len() {
        11 => text.strip_prefix("ES").unwrap_or(&text),
        _ => &text,
    };
    if text.len() < 8 || text.len() > 9 || !text.is_ascii() {
        return false;
    }
    let (body, last) = text.split_at(text.len() - 1);
    let last = last.chars().next().unwrap_or(' ');
    let first = body.chars().next().unwrap_or(' ');
    let letter = |number: &str| {
        let value: usize = number.parse().ok()?;
        "TRWAGMYFPDXBNJZSQVHLCKE".chars().nth(value % 23)
    };
    match first {
        '0'..='9' => last.is_ascii_alphabetic() && letter(body) == Some(last),
        'X' | 'Y' | 'Z' => {
            let lead = ["0", "1", "2"][first as usize - 'X' as usize];
            letter(&format!("{lead}{}", &body[1..])) == Some(last)
        }
        'K' | 'L' | 'M' => letter(&body[1..]) == Some(last),
        'A'..='H' | 'J' | 'N' | 'P'..='S' | 'U' | 'V' | 'W' if body.len() == 8 => {
            let digits = digits(&body[1..]);
            let sum: u32 = digits
                .iter()
                .enumerate()
                .map(|(place, digit)| match place % 2 {
                    0 => digit * 2 / 10 + digit * 2 % 10,
                    _ => *digit,
                })
                .sum();
            let control = (10 - sum % 10) % 10;
            digits.len() == 7
                && (last.to_digit(10) == Some(control)
                    || "JABCDEFGHI".chars().nth(control as usize) == Some(last))
        }
        _ => false,
    }
}

/// The Italian code of a person.
pub(super) fn italian(text: &str) -> bool {
    const ODD: [u32; 36] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3,
        6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
    ];
    let text = squeeze(text);
    let values: Vec<u32> = text.chars().filter_map(|c| c.to_digit(36)).collect();
    if values.len() != 16 {
        return false;
    }
    let sum: u32 = values[..15]
        .iter()
        .enumerate()
        .map(|(place, value)| match place % 2 {
            0 => ODD[*value as usize],
            _ if *value > 9 => value - 10,
            _ => *value,
        })
        .sum();
    values[15] == sum % 26 + 10
}

/// The French number of a person: 13 digits and two of control.
pub(super) fn french(text: &str) -> bool {
    let text = squeeze(text);
    let number = text.get(..13).and_then(|number| number.parse::<u64>().ok());
    let control = text
        .get(13..)
        .and_then(|control| control.parse::<u64>().ok());
    text.len() == 15
        && matches!(text.as_bytes()[0], b'1'..=b'4' | b'7' | b'8')
        && number
            .zip(control)
            .is_some_and(|(number, control)| 97 - number % 97 == control)
}

/// The German number of a taxpayer (ISO 7064, modulo 11, 10).
pub(super) fn german(text: &str) -> bool {
    let digits = digits(text);
    if digits.len() != 11 || digits[0] == 0 {
        return false;
    }
    let product = digits[..10].iter().fold(10, |product, digit| {
        let sum = (digit + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == digits[10]
}

/// The number of a vehicle, by its check digit in the ninth place.
pub(super) fn vehicle(text: &str) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let text = squeeze(text);
    let value = |c: char| match c {
        '0'..='9' => c.to_digit(10),
        'A'..='H' => Some(c as u32 - 'A' as u32 + 1),
        'J'..='N' => Some(c as u32 - 'J' as u32 + 1),
        'P' => Some(7),
        'R' => Some(9),
        'S'..='Z' => Some(c as u32 - 'S' as u32 + 2),
        _ => None,
    };
    let values: Option<Vec<u32>> = text.chars().map(value).collect();
    let Some(values) = values.filter(|values| values.len() == 17) else {
        return false;
    };
    let sum: u32 = values
        .iter()
        .zip(WEIGHTS)
        .map(|(value, weight)| value * weight)
        .sum();
    let control = char::from_digit(sum % 11, 10).unwrap_or('X');
    text.chars().nth(8) == Some(control) && text.chars().any(|c| c.is_ascii_alphabetic())
}

//! Which characters look alike, and which are not seen.

/// Whether a character takes no place, so that it can be put between letters.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{8}' | '\u{E}'..='\u{1F}' | '\u{7F}'..='\u{84}' | '\u{86}'..='\u{9F}'
        | '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// The zeros of scripts that have digits of their own and no compatibility forms.
const ZEROS: &[u32] = &[
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6,
    0xE50, 0xED0, 0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50,
    0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0,
];

/// A character that is read as another, with what it is read as.
const ALIKE: &[(&str, char)] = &[
    ("аαɑᴀ", 'a'),
    ("АΑᎪ", 'A'),
    ("ВΒᏴ", 'B'),
    ("ьƅ", 'b'),
    ("сϲᴄ", 'c'),
    ("СϹᏟ", 'C'),
    ("ԁđð", 'd'),
    ("ĐÐᎠ", 'D'),
    ("еҽєε", 'e'),
    ("ЕΕЄᎬ", 'E'),
    ("ƒ", 'f'),
    ("Ϝ", 'F'),
    ("ɡԍ", 'g'),
    ("ԌᏀ", 'G'),
    ("һհ", 'h'),
    ("НΗᎻ", 'H'),
    ("іιıɩӏ", 'i'),
    ("ІΙӀᏆ", 'I'),
    ("јϳ", 'j'),
    ("ЈᎫ", 'J'),
    ("кκ", 'k'),
    ("КΚᏦ", 'K'),
    ("łⅼ", 'l'),
    ("ŁᏞ", 'L'),
    ("м", 'm'),
    ("МΜᎷ", 'M'),
    ("пո", 'n'),
    ("Ν", 'N'),
    ("оοσøօ", 'o'),
    ("ОΟØՕ", 'O'),
    ("рρ", 'p'),
    ("РΡᏢ", 'P'),
    ("ԛ", 'q'),
    ("Ԛ", 'Q'),
    ("гᴦ", 'r'),
    ("Ꭱ", 'R'),
    ("ѕꜱ", 's'),
    ("ЅᏚ", 'S'),
    ("тτ", 't'),
    ("ТΤᎢ", 'T'),
    ("υսᴜ", 'u'),
    ("Ս", 'U'),
    ("ѵνᴠ", 'v'),
    ("ѴᏙ", 'V'),
    ("ѡωԝᴡ", 'w'),
    ("ԜᎳ", 'W'),
    ("хχ", 'x'),
    ("ХΧ", 'X'),
    ("уγүʏ", 'y'),
    ("УΥҮ", 'Y'),
    ("ᴢ", 'z'),
    ("ΖᏃ", 'Z'),
    ("‐‑‒–—―−﹘⁃╴─➖", '-'),
    ("‘’‚‛′ʹʻʼˈ`´", '\''),
    ("“”„‟″«»", '"'),
    ("⁄∕╱", '/'),
    ("∶։꞉", ':'),
    ("․。｡۔", '.'),
    ("‚،、", ','),
    ("＠﹫", '@'),
    ("⁎∗", '*'),
    ("＿", '_'),
    ("∣ǀ", '|'),
];

/// What a character is read as: itself, mostly.
pub(super) fn fold(c: char) -> impl Iterator<Item = char> {
    let (first, second) = match c {
        '\u{0}'..='\u{7F}' => (c, None),
        'ß' => ('s', Some('s')),
        'æ' => ('a', Some('e')),
        'Æ' => ('A', Some('E')),
        'œ' => ('o', Some('e')),
        'Œ' => ('O', Some('E')),
        _ => (plain(c), None),
    };
    std::iter::once(first).chain(second)
}

fn plain(c: char) -> char {
    let alike = ALIKE.iter().find(|(from, _)| from.contains(c));
    if let Some((_, read)) = alike {
        return *read;
    }
    let zero = ZEROS
        .iter()
        .find(|zero| (**zero..**zero + 10).contains(&(c as u32)));
    let digit = zero.and_then(|zero| char::from_digit(c as u32 - zero, 10));
    digit.unwrap_or(c)
}

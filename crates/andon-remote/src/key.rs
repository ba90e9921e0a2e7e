use std::fmt;

use crate::error::ConnectError;

/// What a server is asked to know us by. It is never shown.
#[derive(Clone)]
pub struct Key(String);

impl Key {
    /// A key, without the blanks and line ends around it.
    ///
    /// # Errors
    /// If it is empty or holds what no header can carry.
    pub fn new(text: &str) -> Result<Self, ConnectError> {
        let text = text.trim();
        if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(ConnectError::Key);
        }
        Ok(Self(text.to_owned()))
    }

    /// The value of the header `Authorization`.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn a_key_is_never_shown() {
        let key = Key::new(" secret\n").expect("a key");
        assert_eq!(key.bearer(), "Bearer secret");
        assert_eq!(format!("{key:?}"), "Key(…)");
    }

    #[test]
    fn what_no_header_can_carry_is_no_key() {
        for text in ["", " \n", "two words", "line\nline", "schlüssel"] {
            assert!(Key::new(text).is_err(), "{text:?}");
        }
    }
}

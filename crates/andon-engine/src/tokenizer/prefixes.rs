//! All tokens that a text begins with.

/// Texts in order, so that those with a common beginning lie together.
pub(super) struct Prefixes {
    texts: Vec<(Box<[u8]>, u32)>,
    /// Where the texts with each first byte begin, and where the last end.
    firsts: Box<[usize; 257]>,
}

impl Prefixes {
    /// Enters texts, none of them empty.
    pub(super) fn new<'a>(texts: impl Iterator<Item = (u32, &'a str)>) -> Self {
        let mut texts: Vec<(Box<[u8]>, u32)> = texts
            .map(|(id, text)| (text.as_bytes().into(), id))
            .collect();
        texts.sort_unstable();
        let firsts = std::array::from_fn(|first| {
            texts.partition_point(|(text, _)| usize::from(text[0]) < first)
        });
        Self {
            texts,
            firsts: Box::new(firsts),
        }
    }

    /// The tokens that `text` begins with, the shortest first: bytes and token.
    pub(super) fn of(&self, text: &[u8]) -> impl Iterator<Item = (usize, u32)> {
        let first = text.first().map_or(256, |&byte| usize::from(byte));
        let last = self.firsts[(first + 1).min(256)];
        let mut rest = &self.texts[self.firsts[first]..last];
        let mut length = 1;
        std::iter::from_fn(move || {
            while length <= text.len() {
                // Here all of `rest` agree with the text but for its byte at `at`.
                let at = length - 1;
                if at > 0 {
                    let low = rest.partition_point(|(other, _)| other[at] < text[at]);
                    rest = &rest[low..];
                    let high = rest.partition_point(|(other, _)| other[at] == text[at]);
                    rest = &rest[..high];
                }
                length += 1;
                let (shortest, id) = rest.first()?;
                if shortest.len() == at + 1 {
                    rest = &rest[1..];
                    return Some((at + 1, *id));
                }
            }
            None
        })
    }
}

//! Server-sent events, as far as OpenAI's API uses them.

use std::io::{self, BufRead, BufReader, Read};

/// The longest line that is read.
const LONGEST_LINE: u64 = 4 << 20;

/// The data of the events of a stream, one after another.
pub(crate) struct Events<R>(BufReader<R>);

impl<R: Read> Events<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self(BufReader::new(stream))
    }

    /// The data of the next event; `None` at the end of the stream. Comments and
    /// other fields are passed over.
    pub(crate) fn next(&mut self) -> io::Result<Option<String>> {
        let mut data: Option<String> = None;
        loop {
            let mut line = Vec::new();
            let mut limited = Read::take(&mut self.0, LONGEST_LINE + 1);
            limited.read_until(b'\n', &mut line)?;
            if line.len() as u64 > LONGEST_LINE {
                return Err(invalid(format!(
                    "a line has more than {LONGEST_LINE} bytes"
                )));
            }
            // An event that is cut before its end is none.
            if !line.ends_with(b"\n") {
                return Ok(None);
            }
            let line = std::str::from_utf8(&line);
            let line = line.map_err(|_| invalid("an event is not UTF-8".to_owned()))?;
            let line = line.trim_end_matches(['\r', '\n']);
            match (line.strip_prefix("data:"), &mut data) {
                (Some(part), None) => data = Some(part.trim_start().to_owned()),
                (Some(part), Some(data)) => {
                    data.push('\n');
                    data.push_str(part.trim_start());
                }
                (None, Some(_)) if line.is_empty() => return Ok(data),
                (None, _) => {}
            }
        }
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::Events;

    #[test]
    fn events_are_told_apart_however_they_are_written() {
        let check = |stream: &str, expected: &[&str]| {
            let mut events = Events::new(stream.as_bytes());
            let mut found = Vec::new();
            while let Some(data) = events.next().expect("a stream") {
                found.push(data);
            }
            assert_eq!(found, expected, "{stream:?}");
        };
        check("data: a\n\ndata: b\n\n", &["a", "b"]);
        check("data:a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]);
        check(": waiting\n\nevent: x\nid: 1\ndata: a\n\n", &["a"]);
        check("data: [1,\ndata: 2]\n\n", &["[1,\n2]"]);
        check("\n\n\ndata: a\n\n", &["a"]);
        // What is cut is not an event.
        check("data: a\n\ndata: b\n", &["a"]);
        check("data: a\n\ndata: b", &["a"]);
        check("", &[]);
    }

    #[test]
    fn what_is_no_text_or_has_no_end_is_an_error() {
        assert!(Events::new(&b"data: \xff\n\n"[..]).next().is_err());
        let endless = vec![b'a'; (super::LONGEST_LINE + 2) as usize];
        assert!(Events::new(endless.as_slice()).next().is_err());
    }
}

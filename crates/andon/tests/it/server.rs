//! A small HTTP server that serves one file as well or as badly as it is told.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How the server answers one request; the last way stays.
#[derive(Clone)]
pub(crate) enum Answer {
    /// The file, or the range that is asked for, up to `cut` bytes of it; then
    /// the connection ends.
    File {
        content: Arc<Vec<u8>>,
        tag: &'static str,
        ranges: Ranges,
        cut: Option<usize>,
    },
    /// As `File`, but after `bytes` nothing more comes and the connection stays.
    Stall { content: Arc<Vec<u8>>, bytes: usize },
    /// A page that is not the file, with status 200.
    LoginPage,
    /// A status without a body.
    Status(u16),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ranges {
    Served,
    Ignored,
}

impl Answer {
    pub(crate) fn whole(content: &Arc<Vec<u8>>) -> Self {
        Self::cut(content, None)
    }

    pub(crate) fn cut(content: &Arc<Vec<u8>>, cut: Option<usize>) -> Self {
        Self::File {
            content: Arc::clone(content),
            tag: "\"one\"",
            ranges: Ranges::Served,
            cut,
        }
    }
}

/// A running server; its thread ends with the test's process.
pub(crate) struct Server {
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for (index, stream) in listener.incoming().flatten().enumerate() {
                let answer = answers[index.min(answers.len() - 1)].clone();
                let seen = Arc::clone(&seen);
                thread::spawn(move || serve(stream, &answer, &seen));
            }
        });
        Self { address, requests }
    }

    /// The heads of the requests so far, in lower case.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no test panicked").clone()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.address)
    }
}

fn serve(mut stream: TcpStream, answer: &Answer, seen: &Mutex<Vec<String>>) {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let head = head.to_lowercase();
    seen.lock().expect("no test panicked").push(head.clone());
    // A client that was killed closes its end: writing then fails, as it may.
    let _ = reply(&mut stream, &head, answer);
}

fn reply(stream: &mut TcpStream, head: &str, answer: &Answer) -> std::io::Result<()> {
    match answer {
        Answer::Status(status) => {
            write!(
                stream,
                "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        }
        Answer::LoginPage => {
            let page = "<html>sign in to the guest network</html>";
            let length = page.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
            )
        }
        Answer::Stall { content, bytes } => {
            body(
                stream,
                head,
                content,
                "\"one\"",
                Ranges::Served,
                Some(*bytes),
            )?;
            thread::sleep(Duration::from_secs(30));
            Ok(())
        }
        Answer::File {
            content,
            tag,
            ranges,
            cut,
        } => body(stream, head, content, tag, *ranges, *cut),
    }
}

fn body(
    stream: &mut TcpStream,
    head: &str,
    content: &[u8],
    tag: &str,
    ranges: Ranges,
    cut: Option<usize>,
) -> std::io::Result<()> {
    let header = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(str::to_owned)
    };
    let same = header("if-range").is_none_or(|known| known == tag);
    let first = header("range")
        .filter(|_| ranges == Ranges::Served && same)
        .and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse()
                .ok()
        });
    let (total, length) = (content.len(), content.len() - first.unwrap_or(0));
    match first {
        Some(first) => write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{}/{total}\r\n",
            total - 1
        )?,
        None => write!(stream, "HTTP/1.1 200 OK\r\n")?,
    }
    write!(
        stream,
        "ETag: {tag}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    let rest = &content[first.unwrap_or(0)..];
    stream.write_all(&rest[..cut.unwrap_or(rest.len()).min(rest.len())])?;
    stream.flush()
}

//! An upstream that answers as well or as badly as a test tells it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// In lower case.
    pub(crate) head: String,
    /// The very bytes.
    pub(crate) bytes: Vec<u8>,
    pub(crate) body: Value,
}

impl Asked {
    /// The last words of the one who asks.
    pub(crate) fn last(&self) -> &str {
        let messages = self.body["messages"].as_array().expect("messages");
        messages.last().expect("one")["content"]
            .as_str()
            .unwrap_or("")
    }

    /// The key by which an upstream can tell that it was asked before.
    pub(crate) fn key(&self) -> String {
        let line = self
            .head
            .lines()
            .find_map(|line| line.strip_prefix("idempotency-key: "));
        line.expect("a key").to_owned()
    }
}

/// What the server does.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Answers with a status, more headers and a body.
    Body(u16, String, String),
    /// Sends these events, with a pause after each.
    Events(Vec<String>, Duration),
    /// Sends these events and cuts the connection.
    Cut(Vec<String>),
    /// Says nothing until the client leaves.
    Silence,
    /// Closes the connection at once.
    Close,
}

impl Reply {
    pub(crate) fn json(body: &Value) -> Self {
        let head = "Content-Type: application/json\r\n".to_owned();
        Self::Body(200, head, body.to_string())
    }

    pub(crate) fn says(text: &str) -> Self {
        Self::json(&json!({
            "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10},
        }))
    }

    pub(crate) fn label(label: &str) -> Self {
        Self::says(&json!({"label": label}).to_string())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Body(status, String::new(), "no".to_owned())
    }

    /// A chat's answer in these pieces.
    pub(crate) fn chat(pieces: &[String]) -> Self {
        let events = pieces.iter().map(|piece| {
            let choice = json!({"index": 0, "delta": {"content": piece}, "finish_reason": null});
            json!({"choices": [choice]}).to_string()
        });
        let end = json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}).to_string();
        let events = events.chain([end, "[DONE]".to_owned()]);
        Self::Events(events.collect(), Duration::ZERO)
    }
}

type Handler = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A running server; its threads end with the test's process.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let handler: Arc<Handler> = Arc::new(handler);
        let noted = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (handler, noted) = (Arc::clone(&handler), Arc::clone(&noted));
                // A client that goes away ends its connection's thread.
                thread::spawn(move || serve(&stream, &*handler, &noted).unwrap_or(()));
            }
        });
        Self { url, asked }
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no test panicked").clone()
    }

    /// How many requests came so far.
    pub(crate) fn count(&self) -> usize {
        self.asked.lock().expect("no test panicked").len()
    }

    /// All requests since this was asked last.
    pub(crate) fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().expect("no test panicked"))
    }
}

fn serve(stream: &TcpStream, handler: &Handler, noted: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(asked) = read(&mut reader)? {
        noted.lock().expect("no test panicked").push(asked.clone());
        answer(stream, &handler(&asked))?;
    }
    Ok(())
}

fn answer(mut stream: &TcpStream, reply: &Reply) -> std::io::Result<()> {
    let cut = || std::io::Error::other("cut");
    let events = |mut stream: &TcpStream, events: &[String], pause: Duration| {
        let head = "HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        write!(stream, "{head}")?;
        for event in events {
            let data = format!("data: {event}\n\n");
            // One write, so that no delay of the network comes between.
            stream.write_all(format!("{:x}\r\n{data}\r\n", data.len()).as_bytes())?;
            thread::sleep(pause);
        }
        Ok::<(), std::io::Error>(())
    };
    match reply {
        Reply::Body(status, headers, body) => {
            let length = body.len();
            let text =
                format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
            stream.write_all(text.as_bytes())
        }
        Reply::Events(all, pause) => {
            events(stream, all, *pause)?;
            write!(stream, "0\r\n\r\n")
        }
        Reply::Cut(all) => {
            events(stream, all, Duration::ZERO)?;
            Err(cut())
        }
        Reply::Silence => {
            let mut rest = [0; 16];
            // Nothing more is sent by the client: this is its end.
            let _ = stream.read(&mut rest);
            Err(cut())
        }
        Reply::Close => Err(cut()),
    }
}

fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Asked>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    let head = head.to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    let body = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok(Some(Asked { head, bytes, body }))
}

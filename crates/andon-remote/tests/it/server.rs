//! A server that answers as well or as badly as a test tells it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use andon_remote::{Endpoint, Patience, RemoteModel};
use andon_task::engine::{GenerateRequest, Message, Prompt, Role};
use serde_json::{Value, json};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: Value,
    /// Which connection it came on.
    pub(crate) connection: usize,
}

/// What the server does for an answer.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Writes a part of the body.
    Send(String),
    /// Does nothing for a while.
    Pause(Duration),
    /// Does nothing until the client closes the connection, and says so.
    Hold,
    /// Closes the connection.
    Cut,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) steps: Vec<Step>,
}

impl Reply {
    pub(crate) fn json(body: &Value) -> Self {
        Self::status(200, "Content-Type: application/json\r\n", &body.to_string())
    }

    pub(crate) fn status(status: u16, headers: &str, body: &str) -> Self {
        Self {
            status,
            headers: headers.to_owned(),
            steps: vec![Step::Send(body.to_owned())],
        }
    }

    pub(crate) fn events(steps: Vec<Step>) -> Self {
        Self {
            status: 200,
            headers: "Content-Type: text/event-stream\r\n".to_owned(),
            steps,
        }
    }

    /// A chat's answer in these pieces, all of it as it should be.
    pub(crate) fn chat(pieces: &[&str], finish: &str) -> Self {
        let mut steps: Vec<Step> = pieces.iter().map(|piece| said(piece)).collect();
        steps.push(ended(finish));
        steps.push(usage(12, pieces.len()));
        steps.push(Step::Send("data: [DONE]\n\n".to_owned()));
        Self::events(steps)
    }
}

pub(crate) fn event(data: &Value) -> Step {
    Step::Send(format!("data: {data}\n\n"))
}

pub(crate) fn said(piece: &str) -> Step {
    event(
        &json!({"system_fingerprint": "fp-1", "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": null}]}),
    )
}

pub(crate) fn ended(finish: &str) -> Step {
    event(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}))
}

pub(crate) fn usage(prompt: usize, completion: usize) -> Step {
    event(&json!({"choices": [], "usage": {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": 5},
    }}))
}

type Handler = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A running server; its threads end with the test's process.
pub(crate) struct Server {
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    closed: Receiver<()>,
}

struct Shared {
    owner: &'static str,
    handler: Box<Handler>,
    asked: Arc<Mutex<Vec<Asked>>>,
    closed: Sender<()>,
}

impl Server {
    /// A server of this maker with one model, which introduces itself and leaves
    /// the rest to `handler`.
    pub(crate) fn start(
        owner: &'static str,
        handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (sender, closed) = channel();
        let shared = Arc::new(Shared {
            owner,
            handler: Box::new(handler),
            asked: Arc::clone(&asked),
            closed: sender,
        });
        thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let shared = Arc::clone(&shared);
                // A client that goes away ends its connection's thread.
                thread::spawn(move || shared.serve(&stream, number).unwrap_or(()));
            }
        });
        Self {
            address,
            asked,
            closed,
        }
    }

    /// A server that answers every chat in the same way.
    pub(crate) fn answering(reply: Reply) -> Self {
        Self::start("somebody", move |_| reply.clone())
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no test panicked").clone()
    }

    /// Waits until a client has closed a connection that the server held.
    pub(crate) fn was_left(&self) {
        let closed = self.closed.recv_timeout(Duration::from_secs(20));
        closed.expect("the client closes the connection");
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.address.parse().expect("an endpoint")
    }

    pub(crate) fn connect(&self) -> RemoteModel {
        self.connect_with(Patience::default())
    }

    pub(crate) fn connect_with(&self, patience: Patience) -> RemoteModel {
        RemoteModel::connect(self.endpoint(), None, patience).expect("a model")
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream, connection: usize) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(asked) = read(&mut reader, connection)? {
            self.asked
                .lock()
                .expect("no test panicked")
                .push(asked.clone());
            let reply = if asked.path == "/v1/models" && self.owner != "nobody" {
                let entry = json!({"id": "model-a", "owned_by": self.owner, "max_model_len": 2048});
                Reply::json(&json!({"object": "list", "data": [entry]}))
            } else if asked.body["messages"][0]["content"] == "ready" {
                Reply::chat(&["ok"], "length")
            } else {
                (self.handler)(&asked)
            };
            self.answer(stream, &reply)?;
        }
        Ok(())
    }

    fn answer(&self, mut stream: &TcpStream, reply: &Reply) -> std::io::Result<()> {
        write!(
            stream,
            "HTTP/1.1 {} X\r\n{}Transfer-Encoding: chunked\r\n\r\n",
            reply.status, reply.headers
        )?;
        for step in &reply.steps {
            match step {
                Step::Send(text) if text.is_empty() => {}
                Step::Send(text) => write!(stream, "{:x}\r\n{text}\r\n", text.len())?,
                Step::Pause(time) => thread::sleep(*time),
                Step::Cut => return Err(std::io::Error::other("cut")),
                Step::Hold => {
                    let mut rest = [0; 16];
                    // Nothing more is sent by the client: this is its end.
                    let _ = stream.read(&mut rest);
                    self.closed.send(()).unwrap_or(());
                    return Err(std::io::Error::other("left"));
                }
            }
        }
        write!(stream, "0\r\n\r\n")
    }
}

fn read(reader: &mut impl BufRead, connection: usize) -> std::io::Result<Option<Asked>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let head = head.to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Asked {
        path,
        head,
        body: serde_json::from_slice(&body).unwrap_or_default(),
        connection,
    }))
}

/// A question to a model.
pub(crate) fn question() -> GenerateRequest {
    GenerateRequest::new(Prompt::chat(vec![
        Message::new(Role::System, "Be brief."),
        Message::new(Role::User, "Why does the press stop?"),
    ]))
}

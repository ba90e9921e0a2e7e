//! A node that is up, and everything that can be seen of it from outside.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::Agent;

use crate::node::Home;

/// A node that is ended with its test, whatever comes of that.
pub(crate) struct Up {
    child: Child,
    url: String,
    log: PathBuf,
    agent: Agent,
}

/// What a node said to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Seconds of `Retry-After`.
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Value,
}

impl Answer {
    /// The code of a failure, or nothing.
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or("")
    }

    /// The words of a failure, or nothing.
    pub(crate) fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or("")
    }
}

impl Up {
    /// Starts `command`, an `andon up`, and waits until it says its URL.
    pub(crate) fn start(home: &Home, mut command: Command) -> Self {
        let log = home.beside("log");
        let file = File::create(&log).expect("writable");
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .expect("the binary runs");
        let mut first = String::new();
        BufReader::new(child.stdout.take().expect("it is piped"))
            .read_line(&mut first)
            .expect("a line");
        let said: Value = serde_json::from_str(&first).unwrap_or_else(|_| {
            let log = fs::read_to_string(&log).expect("the log");
            panic!("the node does not come up: {log}")
        });
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(150)))
            .build();
        Self {
            child,
            url: said["url"].as_str().expect("a URL").to_owned(),
            log,
            agent: agent.into(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The answer to a request; none where there is no connection any more.
    pub(crate) fn try_post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Option<Answer> {
        let mut request = self.agent.post(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.content_type("application/json");
        let mut answer = request.send(body.to_string()).ok()?;
        let retry_after = answer.headers().get("retry-after");
        let retry_after = retry_after.map(|wait| {
            let wait = wait.to_str().expect("text");
            wait.parse().expect("whole seconds")
        });
        let text = answer.body_mut().read_to_string().ok()?;
        Some(Answer {
            status: answer.status().as_u16(),
            retry_after,
            body: serde_json::from_str(&text).expect("JSON"),
        })
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, &[], body).expect("an answer")
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        let mut answer = self.agent.get(self.url(path)).call().expect("an answer");
        let text = answer.body_mut().read_to_string().expect("text");
        Answer {
            status: answer.status().as_u16(),
            retry_after: None,
            body: serde_json::from_str(&text).expect("JSON"),
        }
    }

    /// Sends a request and reads no further than the head of its answer.
    pub(crate) fn open(&self, path: &str, body: &Value) -> TcpStream {
        let address = self.url.strip_prefix("http://").expect("a URL");
        let mut stream = TcpStream::connect(address).expect("a connection");
        let body = body.to_string();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("the node listens");
        stream
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the log")
    }

    fn metrics(&self) -> String {
        let mut answer = self.agent.get(self.url("/metrics")).call().expect("up");
        answer.body_mut().read_to_string().expect("text")
    }

    /// The sum of the samples whose line begins with `start`.
    #[track_caller]
    pub(crate) fn metric(&self, start: &str) -> f64 {
        let text = self.metrics();
        let samples = text.lines().filter(|line| line.starts_with(start));
        let values = samples.map(|line| {
            let (_, value) = line.rsplit_once(' ').expect("a value");
            value.parse::<f64>().expect("a number")
        });
        let values: Vec<f64> = values.collect();
        assert!(!values.is_empty(), "'{start}' is not in: {text}");
        values.iter().sum()
    }

    /// How many requests to a route took longer than one of the buckets' bounds, of
    /// how many, by the node's own clock.
    pub(crate) fn later_than(&self, route: &str, bound: &str) -> (f64, f64) {
        let text = self.metrics();
        let sum = |ending: &str, within: &str| -> f64 {
            let name = format!("andon_http_request_duration_seconds_{ending}{{");
            let route = format!("route=\"{route}\"");
            let ours = |line: &&str| {
                line.starts_with(&name) && line.contains(&route) && line.contains(within)
            };
            let value = |line: &str| line.rsplit_once(' ')?.1.parse::<f64>().ok();
            text.lines().filter(ours).filter_map(value).sum()
        };
        let all = sum("count", "");
        (all - sum("bucket", &format!("le=\"{bound}\"")), all)
    }

    /// Waits until nothing is worked on any more; fails after `most`.
    #[track_caller]
    pub(crate) fn becomes_idle(&self, most: Duration) {
        let end = Instant::now() + most;
        loop {
            let busy: f64 = [
                "andon_requests_in_flight ",
                "andon_engine_waiting ",
                "andon_engine_running ",
            ]
            .map(|name| self.metric(name))
            .iter()
            .sum();
            if busy == 0.0 {
                return;
            }
            assert!(Instant::now() < end, "{busy} are still worked on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    pub(crate) fn is_ready(&self) {
        let mut health = self.agent.get(self.url("/health")).call().expect("up");
        let body = health.body_mut().read_to_string().expect("text");
        assert_eq!(health.status(), 200, "{body}");
    }

    /// Resident memory in MiB; nothing where the system does not say.
    pub(crate) fn memory(&self) -> Option<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib / 1024)
    }

    /// Asks the node to end, as a service manager does.
    #[cfg(unix)]
    pub(crate) fn ask_to_end(&self) {
        let id = self.child.id().to_string();
        Command::new("kill").arg(id).status().expect("kill runs");
    }

    /// Waits until the node has ended; `None` after `most`.
    pub(crate) fn ended_within(&mut self, most: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + most;
        loop {
            match self.child.try_wait().expect("it is ours") {
                None if Instant::now() < end => std::thread::sleep(Duration::from_millis(20)),
                outcome => return outcome,
            }
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads a streamed answer to the end of its first event.
pub(crate) fn first_event(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).expect("the answer begins") == 1 {
        text.push(byte[0]);
        let has_event = text.windows(6).any(|window| window == b"data: ");
        if has_event && text.ends_with(b"\n\n") {
            break;
        }
    }
    String::from_utf8(text).expect("UTF-8")
}

impl Up {
    /// A streamed answer, whole: its status line and headers, and its events.
    pub(crate) fn stream(&self, path: &str, body: &Value) -> (String, Vec<(String, Value)>) {
        let mut stream = self.open(path, body);
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a timeout");
        let mut text = String::new();
        let mut piece = [0; 4096];
        // The connection stays open: the last chunk has no bytes.
        while !text.ends_with("\r\n0\r\n\r\n") {
            let count = stream.read(&mut piece).expect("the answer goes on");
            assert!(count > 0, "the answer ends: {text}");
            text.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let mut events = Vec::new();
        let (mut name, mut data) = (String::new(), None);
        for line in body.lines() {
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.to_owned();
            } else if let Some(text) = line.strip_prefix("data: ") {
                data = Some(serde_json::from_str(text).expect("JSON"));
            } else if let (true, Some(data)) = (line.is_empty(), data.take()) {
                events.push((std::mem::take(&mut name), data));
            }
        }
        (head.to_owned(), events)
    }
}

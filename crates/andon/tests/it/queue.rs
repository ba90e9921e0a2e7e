//! Nodes that are killed, and disks that fill, while requests wait for a link: what was
//! acknowledged reaches the upstream, once.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use andon_store::Store;
use andon_task::route::Route;
use serde_json::{Value, json};

use crate::models::command;
use crate::node::{Ended, Home};

/// An upstream whose link can be cut, and that acts once for a key.
#[derive(Clone, Default)]
pub(crate) struct Upstream {
    is_down: Arc<AtomicBool>,
    /// What it was asked, by key.
    acted: Arc<Mutex<HashMap<String, String>>>,
    /// What it answers; a leak, if that is not given.
    label: Arc<Mutex<Option<&'static str>>>,
}

impl Upstream {
    /// Its address.
    pub(crate) fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let own = self.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                // A node that is killed ends its connection's thread.
                thread::spawn(move || own.serve(&stream).unwrap_or(()));
            }
        });
        url
    }

    fn serve(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head)? == 0 {
                    return Ok(());
                }
            }
            let head = head.to_lowercase();
            let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
            let length = field("content-length: ").and_then(|length| length.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut body)?;
            if self.is_down.load(Ordering::Relaxed) {
                return Ok(());
            }
            let asked: Value = serde_json::from_slice(&body)?;
            let turns = asked["messages"].as_array().expect("messages");
            let note = turns.last().expect("one")["content"].as_str();
            let key = field("idempotency-key: ").expect("a key").to_owned();
            let note = note.expect("a text").to_owned();
            let mut acted = self.acted.lock().expect("no test panicked");
            acted.insert(key, note);
            drop(acted);
            let label = *self.label.lock().expect("no test panicked");
            let says = json!({"label": label.unwrap_or("leak")}).to_string();
            let usage = json!({"prompt_tokens": 100, "completion_tokens": 5});
            let is_streamed = asked["stream"] == true;
            let part = if is_streamed { "delta" } else { "message" };
            let body = json!({
                "choices": [{part: {"content": says}, "finish_reason": "stop"}],
                "usage": usage,
            });
            let (kind, body) = match is_streamed {
                true => (
                    "text/event-stream",
                    format!("data: {body}\n\ndata: [DONE]\n\n"),
                ),
                false => ("application/json", body.to_string()),
            };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n");
            let length = body.len();
            stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes())?;
        }
    }

    /// Answers with this label from now on.
    pub(crate) fn say(&self, label: &'static str) {
        *self.label.lock().expect("no test panicked") = Some(label);
    }

    /// How many different questions it has had.
    pub(crate) fn count(&self) -> usize {
        self.acted.lock().expect("no test panicked").len()
    }

    fn cut(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }

    /// How often each note was acted on.
    fn times(&self) -> HashMap<String, usize> {
        let mut times = HashMap::new();
        for note in self.acted.lock().expect("no test panicked").values() {
            *times.entry(note.clone()).or_default() += 1;
        }
        times
    }
}

/// A plant whose task asks the upstream, and waits for its link.
pub(crate) fn hybrid(home: &Home, url: &str) {
    // The small plant, as its commands leave it.
    drop(command(home, &[]));
    let plant = home.beside("plant");
    let upstream = format!(
        "[[upstream]]\nname = 'cloud'\nurl = '{url}'\nmodel = 'large'\ntimeouts = {{ connect = \
         '300ms', first_token = '2s', inter_token = '1s', total = '5s' }}\n"
    );
    let task = "name = 'asked'\nkind = 'decide'\ninstructions = 'What has failed?'\n\
                labels = 'codes/failures.csv'\nescalate = ['cloud', 'human']\nqueue = true\n\
                accept = 1.0\n";
    let examples = fs::read(plant.join("examples/failure.jsonl")).expect("it is there");
    for (path, content) in [
        ("plant.toml", upstream.as_bytes()),
        ("tasks/asked.toml", task.as_bytes()),
        ("examples/asked.jsonl", &examples),
        (
            "policy/main.cedar",
            b"permit (principal, action, resource);",
        ),
    ] {
        let path = plant.join(path);
        fs::create_dir_all(path.parent().expect("below the plant")).expect("writable");
        fs::write(path, content).expect("writable");
    }
}

/// The URL that a node says first.
fn url_of(child: &mut Child) -> String {
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("it is piped"))
        .read_line(&mut first)
        .expect("a line");
    let said: Value = serde_json::from_str(&first).expect("JSON");
    said["url"].as_str().expect("a URL").to_owned()
}

/// The record of a note that a node sent, or promised to send.
fn ask(url: &str, note: &str) -> Option<i64> {
    let mut answer = ureq::post(&format!("{url}/api/tasks/asked/runs"))
        .content_type("application/json")
        .send(json!({ "input": note }).to_string())
        .ok()?;
    let body = answer.body_mut().read_to_string().ok()?;
    let run: Value = serde_json::from_str(&body).expect("JSON");
    // What is left to a person is not promised to anybody else.
    let is_promised = run["route"] == "cloud" || run["reason"] == "queued";
    run["record"].as_i64().filter(|_| is_promised)
}

/// Notes that a node acknowledged, with their records; `note N`.
#[derive(Default)]
struct Asked {
    next: AtomicUsize,
    acknowledged: Mutex<Vec<(String, i64)>>,
}

impl Asked {
    /// Asks until the node answers no more.
    fn until_refused(&self, url: &str) {
        loop {
            let note = format!("note {}", self.next.fetch_add(1, Ordering::Relaxed));
            let Some(record) = ask(url, &note) else {
                return;
            };
            let mut acknowledged = self.acknowledged.lock().expect("no test panicked");
            acknowledged.push((note, record));
        }
    }

    /// Waits until all that was acknowledged was acted on, and looks that nothing was twice.
    fn are_acted_on_once(&self, upstream: &Upstream) {
        let acknowledged = self.acknowledged.lock().expect("no test panicked");
        let until = Instant::now() + Duration::from_secs(90);
        loop {
            let times = upstream.times();
            let open = acknowledged
                .iter()
                .filter(|(note, _)| !times.contains_key(note));
            let open: Vec<&str> = open.map(|(note, _)| note.as_str()).collect();
            if open.is_empty() {
                break;
            }
            assert!(Instant::now() < until, "lost: {open:?}");
            thread::sleep(Duration::from_millis(100));
        }
        for (note, times) in upstream.times() {
            assert_eq!(times, 1, "{note}");
        }
    }

    /// Each record that was acknowledged has the upstream's answer, once.
    fn have_one_answer(&self, state: &Path) {
        let acknowledged = self.acknowledged.lock().expect("no test panicked");
        let store = Store::open(state.join("andon.db")).expect("a database");
        let records: HashSet<i64> = acknowledged.iter().map(|(_, record)| *record).collect();
        assert_eq!(records.len(), acknowledged.len());
        for record in records {
            let runs = store.runs_of(record).expect("runs");
            let cloud = runs.iter().filter(|run| run.run.route == Route::Cloud);
            assert_eq!(cloud.count(), 1, "record {record}");
        }
    }
}

fn waiting(state: &Path) -> u64 {
    let store = Store::open(state.join("andon.db")).expect("a database");
    let counts = store.queue_counts().expect("counts");
    assert_eq!(counts.expired, 0);
    counts.queued + counts.in_flight
}

/// A node on the plant; it is killed when it is dropped.
struct Node(Child, String);

impl Node {
    fn start(home: &Home) -> Self {
        let mut child = command(home, &["up", "--listen", "127.0.0.1:0", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let url = url_of(&mut child);
        Self(child, url)
    }

    /// As `kill -9` does.
    fn kill(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_node_that_is_killed_while_requests_wait_loses_nothing() {
    const KILLS: u64 = 6;
    const CLIENTS: usize = 4;
    let home = Home::new();
    let upstream = Upstream::default();
    hybrid(&home, &upstream.start());
    let learned = command(&home, &["learn", "asked"]).output();
    Ended::from(learned.expect("the binary runs")).succeeded();
    let state = home.beside("state");
    let asked = Asked::default();
    for round in 0..KILLS {
        let mut node = Node::start(&home);
        let url = node.1.clone();
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| asked.until_refused(&url));
            }
            // At another moment each time, with the link down, up, and down again.
            for step in 0..5 + round {
                upstream.cut((step + round) % 2 == 0);
                thread::sleep(Duration::from_millis(97 + 41 * round));
            }
            node.kill();
        });
    }
    assert!(
        asked.acknowledged.lock().expect("no test panicked").len() > 20,
        "too few to tell"
    );
    upstream.cut(false);
    let mut node = Node::start(&home);
    asked.are_acted_on_once(&upstream);
    let until = Instant::now() + Duration::from_secs(30);
    while waiting(&state) > 0 {
        assert!(Instant::now() < until, "{} wait", waiting(&state));
        thread::sleep(Duration::from_millis(100));
    }
    node.kill();
    asked.have_one_answer(&state);
}

/// Fills a small disk of its own. Skipped where the system gives no private mount.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_while_requests_wait_loses_nothing() {
    let home = Home::new();
    let upstream = Upstream::default();
    hybrid(&home, &upstream.start());
    let state = home.beside("state");
    fs::create_dir(&state).expect("writable");
    let freed = home.beside("freed");
    let script = "mount -t tmpfs -o size=6m tmpfs \"$ANDON_STATE\" || exit 77
        \"$0\" learn asked >&2 || exit 78
        head -c 2000000 /dev/zero > \"$ANDON_STATE/filler\"
        \"$0\" up --listen 127.0.0.1:0 --json & node=$!
        for i in $(seq 1200); do [ -e \"$1\" ] && break; sleep 0.1; done
        rm \"$ANDON_STATE/filler\"
        for i in $(seq 1200); do [ -e \"$1\" ] || break; sleep 0.1; done
        kill -9 $node";
    let inner = command(&home, &[]);
    let mut outer = Command::new("unshare");
    outer.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    outer.arg(inner.get_program()).arg(&freed);
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    let spawned = outer.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = spawned else {
        return skip("there is no `unshare`");
    };
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("it is piped"))
        .read_line(&mut first)
        .expect("a line or the end");
    let Ok(said) = serde_json::from_str::<Value>(&first) else {
        let ended = Ended::from(child.wait_with_output().expect("it ends"));
        return skip(&ended.stderr);
    };
    let url = said["url"].as_str().expect("a URL");
    upstream.cut(true);
    let asked = Asked::default();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| asked.until_refused(url));
        }
    });
    let acknowledged = asked.acknowledged.lock().expect("no test panicked").len();
    assert!(acknowledged > 10, "only {acknowledged} fit the disk");
    fs::write(&freed, "").expect("writable");
    upstream.cut(false);
    asked.are_acted_on_once(&upstream);
    fs::remove_file(&freed).expect("it is there");
    child.wait().expect("it ends");
}

#[cfg(target_os = "linux")]
fn skip(reason: &str) {
    let said = format!(
        "skipped: no disk of a test's own can be mounted ({})\n",
        reason.trim()
    );
    let _ = std::io::stderr().write_all(said.as_bytes());
}

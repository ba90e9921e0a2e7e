use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::Client;

/// Answers each request of one connection with the next of `answers`, and gives the
/// bodies that came.
fn serve(answers: &'static [&'static str]) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let mut reader = BufReader::new(stream);
        let mut bodies = Vec::new();
        for answer in answers {
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("a line of the head");
                let line = line.trim_end().to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length: ") {
                    length = value.parse().expect("a number");
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("the body");
            bodies.push(String::from_utf8(body).expect("text"));
            reader.get_mut().write_all(answer.as_bytes()).expect("sent");
        }
        bodies
    });
    (url, serving)
}

#[test]
fn one_connection_carries_answers_and_refusals() {
    let (url, serving) = serve(&[
        "HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"answer\": 42}",
        "HTTP/1.1 503 Busy\r\nretry-after: 2\r\ncontent-length: 30\r\n\r\n{\"error\": {\"message\": \"full\"}}",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    ]);
    let client = Client::new(&url, Duration::from_secs(20));
    let post = |number: u32| {
        let answer = client.post("/path", &[("x-class", "batch")], &json!({ "n": number }));
        answer.expect("an answer").body
    };
    assert_eq!(post(1).expect("it is 200")["answer"], 42);
    let refusal = post(2).expect_err("it is 503");
    assert_eq!((refusal.status, refusal.reason.as_str()), (503, "full"));
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(2)));
    assert!(post(3).is_ok());
    let bodies = serving.join().expect("the server is well");
    assert_eq!(bodies, ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}"]);
}

//! Names and numbers in every field of a chat, written in every way: none of them may
//! be in the bytes that arrive, and all of them have to be in the answer.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use andon_runtime::Outbound;
use andon_task::engine::{
    CallForm, Calls, Chat, GenerateRequest, Grammar, Message, Prompt, Role, Tool, ToolCall,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

use crate::bench::Made;
use crate::server::{Asked, Reply, Server};

/// What must not leave, with a part of it that betrays it even alone, and words before
/// it by which it is known.
const SECRETS: &[(&str, &str, &str)] = &[
    ("", "María García López", "García López"),
    ("", "Juan Pérez", "Juan Pérez"),
    ("", "Zubizarreta", "Zubizarreta"),
    ("", "Acme Bebidas", "Acme Bebidas"),
    ("", "Cola Suprema", "Cola Suprema"),
    ("", "Planta Norte", "Planta Norte"),
    ("", "Feed pump", "Feed pump"),
    ("", "ES91 2100 0418 4502 0005 1332", "21000418450200051332"),
    ("", "DE89370400440532013000", "370400440532013000"),
    ("", "12345678Z", "12345678Z"),
    ("", "X1234567L", "1234567L"),
    ("", "A58818501", "58818501"),
    ("", "4111 1111 1111 1111", "411111111111"),
    ("", "5500-0000-0000-0004", "550000000000"),
    ("", "+34 600 123 456", "600123456"),
    ("", "912 345 678", "912345678"),
    ("", "ana.ruiz@acme-bebidas.com", "ana.ruiz"),
    ("", "192.168.44.17", "192.168.44.17"),
    ("", "fe80::1ff:fe23:4567:890a", "fe23:4567:890a"),
    ("", "00:1B:44:11:3A:B7", "4411:3AB7"),
    ("", "40.416775, -3.703790", "40.416775"),
    ("", "1234 BCD", "1234 BCD"),
    ("", "ghp_abcdefghijklmnopqrstuvwxyz0123", "abcdefghijklmnop"),
    ("", "https://bob:hunter22@plc.local/x", "hunter22"),
    ("serial no ", "QX-99812-B", "99812"),
    ("password: ", "Tr0ub4dor&3", "Tr0ub4dor"),
    ("tel. ", "555 0199 22", "5550199"),
];

/// How a secret is written, by number.
const WAYS: usize = 17;

fn written(way: usize, text: &str) -> String {
    let each = |change: &dyn Fn(char) -> String| text.chars().map(change).collect::<String>();
    let percent = |text: &str| {
        text.bytes().fold(String::new(), |mut out, byte| {
            write!(out, "%{byte:02X}").expect("a string takes all");
            out
        })
    };
    match way {
        0 => text.to_owned(),
        1 => text.to_uppercase(),
        2 => text.to_lowercase(),
        3 => each(&|c| format!("{c}\u{200b}")),
        4 => each(&|c| format!("{c}\u{ad}")),
        // Look-alikes.
        5 => each(&|c| match c {
            'a' => "а".to_owned(),
            'e' => "е".to_owned(),
            'o' => "о".to_owned(),
            'A' => "А".to_owned(),
            'B' => "В".to_owned(),
            '-' => "‑".to_owned(),
            c => c.to_string(),
        }),
        // Full width.
        6 => each(&|c| match c {
            '!'..='~' => char::from_u32(c as u32 + 0xFEE0)
                .expect("a character")
                .to_string(),
            c => c.to_string(),
        }),
        7 => percent(text),
        8 => percent(&percent(text)),
        9 => STANDARD.encode(text),
        10 => STANDARD_NO_PAD.encode(format!("see {text} there")),
        11 => URL_SAFE_NO_PAD.encode(STANDARD.encode(format!("it is {text}!"))),
        12 => text.bytes().fold(String::new(), |mut out, byte| {
            write!(out, "{byte:02x}").expect("a string takes all");
            out
        }),
        13 => text.bytes().map(|byte| format!("{byte:02X} ")).collect(),
        14 => each(&|c| format!("&#{};", c as u32)),
        15 => each(&|c| format!("\\u{:04x}", c as u32)),
        _ => text.replace(' ', "  "),
    }
}

/// The known beginning of a secret is part of what is encoded.
fn hidden(way: usize, before: &str, text: &str) -> String {
    match way {
        7..=15 => written(way, &format!("{before}{text}")),
        way => format!("{before}{}", written(way, text)),
    }
}

/// One secret, in one way, at one place.
struct Case {
    text: String,
    betrays: &'static str,
    way: usize,
}

struct Cases {
    draw: ChaCha8Rng,
    next: usize,
    made: Vec<Case>,
}

impl Cases {
    /// A text with the next secret within it.
    fn text(&mut self) -> String {
        let hidden = self.bare();
        let words = [
            "the seal leaks",
            "noise at start",
            "se para sola",
            "12.5 bar",
            "ok",
        ];
        let (first, last) = (self.draw.random_range(0..5), self.draw.random_range(0..5));
        let gap = [" ", ", ", " (", ": "][self.draw.random_range(0..4)];
        format!("{}{gap}{hidden} {}", words[first], words[last])
    }

    fn bare(&mut self) -> String {
        let (before, text, betrays) = SECRETS[self.next % SECRETS.len()];
        let way = self.next / SECRETS.len() % WAYS;
        self.next += 1;
        let text = hidden(way, before, text);
        self.made.push(Case {
            text: text.clone(),
            betrays,
            way,
        });
        text
    }

    /// A chat with secrets in all its fields, and what is to come back.
    fn request(&mut self) -> (GenerateRequest, String, ToolCall) {
        let mut key = Map::new();
        key.insert(self.text(), json!([self.text(), {"deep": self.text()}]));
        key.insert("note".to_owned(), self.text().into());
        let call = ToolCall {
            name: "look_up".to_owned(),
            arguments: Value::Object(key),
        };
        let echoed = call.clone();
        let mut messages = vec![
            Message::new(Role::System, self.text()),
            Message::new(Role::User, self.text()),
            Message {
                calls: vec![call],
                ..Message::new(Role::Assistant, self.text())
            },
            Message::new(
                Role::Tool,
                json!({"result": self.text(), "rows": [self.text()]}).to_string(),
            ),
        ];
        for _ in 0..6 {
            messages.push(Message::new(Role::User, self.text()));
            messages.push(Message::new(Role::Assistant, self.text()));
        }
        let last = format!("{} {}\n{}", self.text(), self.text(), self.text());
        messages.push(Message::new(Role::User, last.clone()));
        let tools = vec![Tool {
            name: "look_up".to_owned(),
            description: Some(self.text()),
            parameters: json!({
                "type": "object",
                "description": self.text(),
                "properties": {"note": {"type": "string", "examples": [self.text()]}},
            }),
        }];
        let grammar = Grammar::Calls(Calls {
            tools: tools.clone(),
            form: CallForm::Tagged,
            words: true,
            most: 8,
        });
        let request = GenerateRequest {
            stop: vec![self.text()],
            grammar: Some(grammar),
            ..GenerateRequest::new(Prompt::Chat(Chat { messages, tools }))
        };
        (request, last, echoed)
    }
}

/// All texts of what arrived, JSON within JSON too.
fn texts(value: &Value, all: &mut String) {
    match value {
        Value::String(text) => {
            all.push_str(text);
            all.push('\n');
            if let Ok(inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
                texts(&inner, all);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            all.push_str(key);
            all.push('\n');
            texts(value, all);
        }),
        other => {
            all.push_str(&other.to_string());
            all.push('\n');
        }
    }
}

fn squeezed(text: &str) -> String {
    let kept = text.chars().filter(|c| c.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}

/// Echoes the last words in pieces of some size, and the call of the history.
fn echo(asked: &Asked) -> Reply {
    let size = asked.bytes.len() % 9 + 1;
    let letters: Vec<char> = asked.last().chars().collect();
    let pieces: Vec<String> = letters
        .chunks(size)
        .map(|piece| piece.iter().collect())
        .collect();
    let mut events: Vec<String> = pieces
        .iter()
        .map(|piece| json!({"choices": [{"delta": {"content": piece}}]}).to_string())
        .collect();
    let messages = asked.body["messages"].as_array().expect("messages");
    let called = messages
        .iter()
        .find_map(|message| message["tool_calls"].as_array());
    if let Some([call, ..]) = called.map(Vec::as_slice) {
        let name = &call["function"]["name"];
        let start = json!({"index": 0, "id": "c", "function": {"name": name, "arguments": ""}});
        events.push(json!({"choices": [{"delta": {"tool_calls": [start]}}]}).to_string());
        let arguments = call["function"]["arguments"].as_str().expect("a text");
        let letters: Vec<char> = arguments.chars().collect();
        for piece in letters.chunks(size) {
            let piece: String = piece.iter().collect();
            let part = json!({"index": 0, "function": {"arguments": piece}});
            events.push(json!({"choices": [{"delta": {"tool_calls": [part]}}]}).to_string());
        }
    }
    events.push(json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}).to_string());
    events.push("[DONE]".to_owned());
    Reply::Events(events, std::time::Duration::ZERO)
}

/// So many cases: every secret in every way in every field, with other words around it
/// each time.
fn check(requests: usize) -> usize {
    let server = Server::start(echo);
    let bench = Made::with(&server.url).bench();
    let egress = bench.node.egress().expect("a way out");
    let outbound = Outbound::new(egress, "cloud", "tests").expect("the upstream");
    let mut cases = Cases {
        draw: ChaCha8Rng::seed_from_u64(11),
        next: 0,
        made: Vec::new(),
    };
    let mut count = 0;
    for number in 0..requests {
        // Another secret at each place in each round.
        cases.next += number % 7;
        let (request, last, call) = cases.request();
        let mut streamed = String::new();
        let generation =
            andon_task::engine::Generate::generate(&outbound, &request, &mut |piece| {
                streamed.push_str(piece.text);
                ControlFlow::Continue(())
            });
        let generation =
            generation.unwrap_or_else(|error| panic!("request {number}: {error}\n{request:?}"));
        let arguments = call.arguments.to_string();
        let expected = format!(
            "{last}<tool_call>\n{{\"name\": \"look_up\", \"arguments\": {arguments}}}\n</tool_call>"
        );
        assert_eq!(generation.text, expected, "request {number}");
        assert_eq!(streamed, expected, "request {number}");
        let asked = server.take();
        let [asked] = asked.as_slice() else {
            panic!("one request arrives");
        };
        let mut arrived = String::new();
        texts(&asked.body, &mut arrived);
        let squeezed_arrived = squeezed(&arrived);
        for case in cases.made.drain(..) {
            count += 1;
            let shown = case.text.trim();
            assert!(
                !arrived.contains(shown),
                "way {}: '{shown}' in {arrived}",
                case.way
            );
            let betrays = squeezed(case.betrays);
            assert!(
                !squeezed_arrived.contains(&betrays),
                "way {}: '{betrays}' of '{shown}' in {arrived}",
                case.way
            );
        }
    }
    count
}

#[test]
#[allow(clippy::print_stdout, reason = "a test says what it measured")]
fn nothing_leaks_and_everything_comes_back() {
    let count = check(1_080);
    assert!(count >= 30_000, "{count}");
    println!("{{\"cases_without_a_leak_and_restored\": {count}}}");
}

use crate::normalise::{self, Calibration, Memory, Normaliser, tokens};
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::engine::{GenerateRequest, Message, Prompt, Role, ToolCall};

static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| {
    let mut gazetteer = Gazetteer::default();
    let names = "value,type\nMaría García López,person\nJuan Pérez,person\nAcme Bebidas,customer\n\
                 Receta 7-B Naranja,recipe\nPlanta Norte,site\nP-101,asset\nFiller,asset\nX,asset\n";
    gazetteer.read(names).expect("names");
    Redactor::new(SiteKey::new([7; 32]), &gazetteer).expect("a redactor")
});

fn redactor() -> &'static Redactor {
    &REDACTOR
}

/// What is redacted of a text, with the tags of the placeholders instead of digits.
fn tags(text: &str) -> String {
    let redactor = redactor();
    let mut session = redactor.session();
    let redacted = session.redact_alone(text).expect(text);
    let restorer = session.into_restorer();
    assert_eq!(restorer.restore(&redacted), text, "{redacted}");
    let digits = regex::Regex::new(r"_[0-9A-F]{6,}").expect("an expression");
    digits.replace_all(&redacted, "").into_owned()
}

#[test]
fn what_names_somebody_or_something_goes_and_the_rest_stays() {
    let check = |text: &str, expected: &str| assert_eq!(tags(text), expected, "{text}");
    check("Leak at the pump, 12.5 bar", "Leak at the pump, 12.5 bar");
    check("Juan Pérez saw it", "[PERSON] saw it");
    check("JUAN PEREZ", "[PERSON]");
    check("Perez, Juan", "[PERSON]");
    check("juan-perez and JuanPérez", "[PERSON] and [PERSON_2]");
    check("Juan\u{200b} Pe\u{301}rez!", "[PERSON]!");
    check("Ju\u{430}n P\u{435}rez", "[PERSON]");
    check("Ｊｕａｎ Ｐéｒｅｚ", "[PERSON]");
    check(
        "P-101, P 101, p101 and P-1011",
        "[ASSET], [ASSET_2], [ASSET_3] and P-1011",
    );
    check("the filler; X is not x", "the [ASSET]; [ASSET] is not x");
    check(
        "account ES91 2100 0418 4502 0005 1332 of them",
        "account [IBAN] of them",
    );
    check("DE89370400440532013000.", "[IBAN].");
    check(
        "ES91 2100 0418 4502 0005 1333",
        "ES91 2100 0418 4502 0005 1333",
    );
    check(
        "NIF 12345678Z, NIE X1234567L, CIF A58818501",
        "NIF [TAXID], NIE [TAXID], CIF [TAXID]",
    );
    check("card 4111-1111-1111-1111", "card [CARD]");
    check("order 4111-1111-1111-1112 x", "order 4111-1111-1111-1112 x");
    check("call +34 600 123 456 now", "call [PHONE] now");
    check("llamar al 600123456", "llamar al [PHONE]");
    check("6 0 0 1 2 3 4 5 6", "[PHONE]");
    check("write to ana.b@acme-x.com.", "write to [MAIL].");
    check("ana (at) acme (dot) com", "[MAIL]");
    check(
        "PLC at 10.0.12.7 and fe80::1ff:fe23:4567:890a",
        "PLC at [IP] and [IP]",
    );
    check("at 12:30:45 it stopped", "at 12:30:45 it stopped");
    check("mac 00:1B:44:11:3A:B7", "mac [MAC]");
    check("at 40.41678, -3.70379", "at [PLACE]");
    check(
        "S/N AB-1234-X came; AB1234X again",
        "S/N [SERIAL] came; [SERIAL_2] again",
    );
    check("van 1234 BCD, 1450 RPM", "van [PLATE], 1450 RPM");
    check("http://bob:secret@host/x y", "[KEY] y");
    check("password: hunter2!", "password: [KEY]");
    check("ghp_abcdefghijklmnopqrstuvwxyz0123", "[KEY]");
}

#[test]
fn what_is_encoded_is_read() {
    let check = |text: &str, expected: &str| assert_eq!(tags(text), expected, "{text}");
    check("x Juan%20P%C3%A9rez y", "x [PERSON] y");
    check("Juan%2520Perez", "[PERSON]");
    check("Juan&#32;P&eacute;rez", "[PERSON]");
    check(r"Juan P\u00e9rez", "[PERSON]");
    // "call Juan Perez now", "P-101", "juan perez".
    check("is Y2FsbCBKdWFuIFBlcmV6IG5vdw== so", "is [ENCODED] so");
    check("UC0xMDE=", "[ENCODED]");
    check("hex 6a75616e20706572657a end", "hex [ENCODED] end");
    check("6a 75 61 6e 20 70 65 72 65 7a", "[ENCODED]");
    // Base64 of base64.
    check("WTJGc2JDQktkV0Z1SUZCbGNtVjZJRzV2ZHc9PQ==", "[ENCODED]");
    check(
        "operador vibration maintenance",
        "operador vibration maintenance",
    );
}

#[test]
fn placeholders_are_the_same_at_a_site_and_other_at_another() {
    let redact = |key: u8, text: &str| {
        let mut gazetteer = Gazetteer::default();
        gazetteer.add("Juan Pérez", "person").expect("a name");
        let redactor = Redactor::new(SiteKey::new([key; 32]), &gazetteer).expect("a redactor");
        redactor.session().redact_alone(text).expect("a text")
    };
    assert_eq!(redact(1, "Juan Pérez"), redact(1, "JUAN PEREZ"));
    assert_ne!(redact(1, "Juan Pérez"), redact(2, "Juan Pérez"));
}

#[test]
fn what_looks_like_a_placeholder_stays_what_it_was() {
    let redactor = redactor();
    let mut session = redactor.session();
    let own = session.redact_alone("Juan Pérez").expect("a text");
    let text = format!("what is {own}, or [PERSON_ABCDEF_7]? Juan Pérez");
    let redacted = session.redact(&text).expect("a text");
    assert!(!redacted.contains("PERSON_ABCDEF"));
    assert_eq!(redacted.matches("QUOTED").count(), 2, "{redacted}");
    let restorer = session.into_restorer();
    assert_eq!(restorer.restore(&redacted), text);
    assert_eq!(restorer.restore("[PERSON_0123AB]"), "[PERSON_0123AB]");
}

#[test]
fn what_one_field_betrays_is_found_in_all() {
    let redactor = redactor();
    let call = ToolCall {
        name: "look_up_P101".to_owned(),
        arguments: json!({"serial": "QX-99812", "phone": 600_123_456, "Juan Perez": [1, "ok"]}),
    };
    let request = GenerateRequest::new(Prompt::chat(vec![
        Message::new(Role::System, "The motor QX-99812 is new."),
        Message {
            calls: vec![call],
            ..Message::new(Role::Assistant, "")
        },
    ]));
    let mut session = redactor.session();
    let redacted = session.request(&request).expect("a request");
    let shown = format!("{redacted:?}");
    for secret in ["99812", "600123456", "Juan", "P101"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
    let restorer = session.into_restorer();
    let Prompt::Chat(chat) = &redacted.prompt else {
        panic!("a chat stays one");
    };
    let call = &chat.messages[1].calls[0];
    assert_eq!(restorer.restore_name(&call.name), "look_up_P101");
    let Prompt::Chat(before) = &request.prompt else {
        panic!("a chat stays one");
    };
    assert_eq!(
        restorer.restore_value(&call.arguments),
        before.messages[1].calls[0].arguments
    );
}

#[test]
fn the_last_look_finds_what_was_left() {
    let redactor = redactor();
    let mut session = redactor.session();
    let body =
        |text: &str| json!({"model": "m", "seed": 600_123_456, "messages": [{"content": text}]});
    let redacted = session.redact_alone("Juan Pérez").expect("a text");
    assert_eq!(session.scan(body(&redacted).to_string().as_bytes()), Ok(()));
    let left = session.scan(body("Juan Perez").to_string().as_bytes());
    assert_eq!(left, Err(RedactError::Left("PERSON".to_owned())));
    assert_eq!(session.scan(b"Juan"), Err(RedactError::NotJson));
    let number = json!({"messages": [{"content": {"a": 600_123_456}}]});
    assert!(session.scan(number.to_string().as_bytes()).is_err());
}

#[test]
fn a_text_that_is_too_long_does_not_leave() {
    let redactor = redactor();
    let long = "a ".repeat(1 << 20);
    let refused = redactor.session().redact_alone(&long);
    assert_eq!(refused, Err(RedactError::TooLong(2 << 20)));
}

#[test]
fn what_is_wrong_with_a_gazetteer_is_named() {
    let read = |text: &str| Gazetteer::default().read(text).expect_err(text).to_string();
    assert!(read("value,type\n--,person\n").contains("neither letters nor digits"));
    assert!(read("value,type\nAna,a person\n").contains("is no type"));
    assert!(read("name,type\nAna,person\n").contains("value"));
}

proptest! {
    /// Whatever the text, it comes back as it was, in one piece or in any pieces, and
    /// what leaves passes the last look.
    #[test]
    fn any_text_comes_back(
        parts in proptest::collection::vec(
            prop_oneof![
                "\\PC{0,12}",
                Just("Juan Pérez".to_owned()), Just("P-101".to_owned()),
                Just("[PERSON_ABCDEF]".to_owned()), Just("[".to_owned()), Just("]".to_owned()),
                Just("600 123 456".to_owned()), Just("ana@acme.com".to_owned()),
                Just("UC0xMDE=".to_owned()), Just("s/n: AB-12345".to_owned()), Just(" ".to_owned()),
            ],
            0..12,
        ),
        size in 1_usize..9,
    ) {
        let text = parts.concat();
        let redactor = redactor();
        let mut session = redactor.session();
        let redacted = session.redact_alone(&text).expect("a text");
        let body = json!({"messages": [{"content": redacted}]}).to_string();
        prop_assert_eq!(session.scan(body.as_bytes()), Ok(()));
        let restorer = session.into_restorer();
        prop_assert_eq!(&restorer.restore(&redacted), &text);
        let mut stream = restorer.stream();
        let letters: Vec<char> = redacted.chars().collect();
        let pieces = letters.chunks(size).map(|piece| piece.iter().collect::<String>());
        let mut streamed: String = pieces.map(|piece| stream.push(&piece)).collect();
        streamed.push_str(&stream.finish());
        prop_assert_eq!(&streamed, &text);
    }

    /// A value comes back as it was, numbers as numbers.
    #[test]
    fn any_value_comes_back(
        key in "[a-z]{1,6}|serial|Juan Perez|P-101",
        text in "\\PC{0,12}|Juan Pérez|AB-12345",
        number in prop_oneof![any::<i64>(), Just(600_123_456)],
    ) {
        let value = json!({key: [text, number], "serial": text, "n": {"phone": number}});
        let redactor = redactor();
        let mut session = redactor.session();
        session.learn_value(&value).expect("a value");
        session.heed().expect("names");
        let redacted = session.redact_value(&value).expect("a value");
        let restored: Value = session.into_restorer().restore_value(&redacted);
        prop_assert_eq!(restored, value);
    }
}

/// A normaliser that has learned from these pairs and nothing else.
fn normaliser(pairs: &[(&str, &[&str])]) -> Normaliser {
    let read: Vec<_> = pairs
        .iter()
        .map(|(text, targets)| {
            let targets = targets.iter().map(|target| (*target).to_owned());
            (tokens(text), targets.collect::<Vec<String>>())
        })
        .collect();
    let memory = Memory::of(
        read.iter()
            .map(|(tokens, targets)| (tokens.as_slice(), targets.as_slice())),
    );
    Normaliser::new(&memory, &normalise::Ranker::default(), Calibration::NONE)
}

#[test]
fn what_a_normaliser_masks_is_redacted_in_all_fields() {
    let by = normaliser(&[
        ("ZQX9 leak", &["<id>", "leak"]),
        ("bodkin says 12", &["<sensitive>", "says", "<num>"]),
    ]);
    let redactor = Redactor::new(SiteKey::new([3; 32]), &Gazetteer::default()).unwrap();
    let mut session = redactor.session();
    let text = "bodkin says 12: zqx9 leak";
    session.learn_masked(text, &by).unwrap();
    session.heed().unwrap();
    let redacted = session.redact(text).unwrap();
    for word in ["bodkin", "zqx9"] {
        assert!(!redacted.contains(word), "{redacted}");
    }
    assert!(
        redacted.contains("[SENSITIVE_") && redacted.contains("[ID_"),
        "{redacted}"
    );
    // A bare short number says nothing of anybody.
    assert!(redacted.contains("says 12:"), "{redacted}");
    // Elsewhere in the request too, however it is written.
    let other = session.redact("Ask Bodkin about ZQX-9.").unwrap();
    assert!(
        !other.contains("Bodkin") && !other.contains("ZQX"),
        "{other}"
    );
    assert_eq!(session.left("bodkin"), Some("SENSITIVE".to_owned()));
    assert_eq!(session.into_restorer().restore(&redacted), text);
}

//! Readers, learnt from notes that are written here.

use std::cell::RefCell;

use andon_learn::LearnError;
use andon_learn::extract::{
    Beside, LearntReader, MarkedText, Register, TuneWords, TunedWords, Words, figures, learn_reader,
};
use andon_task::engine::Embed;
use andon_task::extract::{Fields, ROLES, Reader, ReaderError};
use serde_json::{Value, json};

use crate::encoder::Trigrams;
use crate::random::Random;

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "number": {"type": "string"},
            "date": {"type": ["string", "null"], "format": "date"},
            "total": {"type": ["number", "null"]},
            "supplier": {
                "type": "object",
                "properties": {"name": {"type": ["string", "null"]}},
                "required": ["name"]
            },
            "positions": {"type": "array", "items": {
                "type": "object",
                "properties": {"text": {"type": "string"}, "quantity": {"type": "integer"}},
                "required": ["text", "quantity"]
            }},
            "marks": {"type": "array", "items": {"type": "string"}}
        },
        "required": ["number", "date", "total", "supplier", "positions", "marks"]
    })
}

/// A delivery note with what it says.
fn note(random: &mut Random) -> (String, Value) {
    let pick = |random: &mut Random, words: &[&'static str]| words[random.below(words.len())];
    let number = format!("DN-{}", 10_000 + random.below(90_000));
    let supplier = pick(
        random,
        &["Northwind Seals Ltd", "Talleres Ebro S.L.", "Atlas Belts"],
    );
    let (day, month) = (1 + random.below(28), 1 + random.below(12));
    let date = (random.below(4) > 0).then(|| format!("2026-{month:02}-{day:02}"));
    let total = (random.below(3) > 0).then(|| random.below(90_000) as f64 / 4.0);
    let mut text = format!("{supplier}\nDelivery note: {number}\n");
    if date.is_some() {
        let label = pick(random, &["Date", "Fecha"]);
        text.push_str(&format!("{label}: {day:02}/{month:02}/2026\n"));
    }
    let mut positions = Vec::new();
    for _ in 0..1 + random.below(4) {
        let part = pick(
            random,
            &[
                "ball bearing",
                "v-belt",
                "seal kit",
                "label roll",
                "oil filter",
            ],
        );
        let quantity = 1 + random.below(400);
        text.push_str(&format!("{part}\t{quantity}\tpcs\n"));
        positions.push(json!({"text": part, "quantity": quantity}));
    }
    if let Some(total) = total {
        text.push_str(&format!("Total: {total:.2} EUR\n"));
    }
    let mark = (random.below(2) > 0).then(|| pick(random, &["fragile", "keep dry"]));
    if let Some(mark) = mark {
        text.push_str(&format!("Handle: {mark}\n"));
    }
    let expected = json!({
        "number": number, "date": date, "total": total, "supplier": {"name": supplier},
        "positions": positions, "marks": mark.into_iter().collect::<Vec<_>>()
    });
    (text, expected)
}

fn notes(count: usize) -> Vec<(String, Value)> {
    let mut random = Random::seeded(3);
    (0..count).map(|_| note(&mut random)).collect()
}

fn pairs(notes: &[(String, Value)]) -> Vec<(&str, &Value)> {
    notes
        .iter()
        .map(|(text, expected)| (text.as_str(), expected))
        .collect()
}

#[test]
fn a_reader_is_learnt_and_points_at_its_values() {
    let notes = notes(60);
    let learnt = learn_reader(
        "note",
        &schema(),
        &pairs(&notes),
        Words::None,
        &Default::default,
    )
    .unwrap();
    let fields = Fields::of(&schema()).unwrap();
    let (figures, _) = figures(&fields, &learnt.held_out, 0.6).unwrap();
    assert!(figures.field_accuracy.value > 0.95, "{figures:?}");
    assert!(figures.field_accuracy.low <= figures.field_accuracy.value);
    assert_eq!(figures.per_field.len(), fields.all().len());

    let text = "Atlas Belts\nDelivery note: DN-77123\nFecha: 09/02/2026\nseal kit\t12\tpcs\nTotal: 1,024.50 EUR\n";
    let reading = learnt.reader.read(text, None).unwrap();
    assert_eq!(reading.value["number"], "DN-77123");
    assert_eq!(reading.value["date"], "2026-02-09");
    assert_eq!(reading.value["total"], 1024.5);
    assert_eq!(reading.value["supplier"]["name"], "Atlas Belts");
    assert_eq!(
        reading.value["positions"],
        json!([{"text": "seal kit", "quantity": 12}])
    );
    assert_eq!(reading.value["marks"], json!([]));
    let at = |path: &str| {
        let pointed = reading
            .fields
            .iter()
            .find(|pointed| pointed.path == path)
            .unwrap();
        let (start, end) = pointed.span.unwrap();
        assert!((0.0..=1.0).contains(&pointed.confidence));
        &text[start..end]
    };
    assert_eq!(at("number"), "DN-77123");
    assert_eq!(at("date"), "09/02/2026");
    assert_eq!(at("positions[0].quantity"), "12");

    // The same examples give the same bytes, and the file gives the same reader.
    let again = learn_reader(
        "note",
        &schema(),
        &pairs(&notes),
        Words::None,
        &Default::default,
    )
    .unwrap();
    assert_eq!(again.reader.digest(), learnt.reader.digest());
    let parsed = Reader::parse(&schema(), learnt.reader.bytes()).unwrap();
    assert_eq!(parsed.read(text, None).unwrap(), reading);
}

#[test]
fn every_reading_satisfies_the_schema() {
    let notes = notes(40);
    let reader = learn_reader(
        "note",
        &schema(),
        &pairs(&notes),
        Words::None,
        &Default::default,
    )
    .unwrap()
    .reader;
    let fields = Fields::of(&schema()).unwrap();
    let long = "DN-1\tseal kit\t4 pcs 01/02/2026 9.99\n".repeat(600);
    for text in ["x", "-", "1", "12/12", "\n\n\t\t", "ñandú ☂ 4,5", &long] {
        match reader.read(text, None) {
            Ok(reading) => {
                let sound = andon_task::extract::Gold::of(&fields, &reading.value);
                assert!(sound.is_ok(), "{text:?}: {sound:?}");
            }
            // `number` must be there, and a text may have nothing like it.
            Err(error) => assert_eq!(error, ReaderError::NothingFound("number".to_owned())),
        }
    }
}

#[test]
fn damage_and_foreign_schemas_are_named() {
    let notes = notes(10);
    let reader = learn_reader(
        "note",
        &schema(),
        &pairs(&notes),
        Words::None,
        &Default::default,
    )
    .unwrap()
    .reader;
    let parse = |bytes: &[u8]| Reader::parse(&schema(), bytes).expect_err("refused");
    assert_eq!(parse(b"something else"), ReaderError::NotAReader);
    let bytes = reader.bytes();
    assert!(matches!(
        parse(&bytes[..bytes.len() / 2]),
        ReaderError::Damaged(_)
    ));
    let mut spoilt = bytes.to_vec();
    spoilt[40] ^= 1;
    assert!(matches!(parse(&spoilt), ReaderError::Damaged(_)));
    let mut newer = bytes.to_vec();
    newer[8] = 9;
    assert!(matches!(
        parse(&newer),
        ReaderError::NewerFormat { found: 9, .. }
    ));
    let other = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    assert_eq!(
        Reader::parse(&other, bytes).expect_err("refused"),
        ReaderError::OtherSchema
    );
}

#[test]
fn wrong_examples_and_schemas_are_named() {
    let learn = |schema: &Value, expected: Value| {
        let examples = [("a text", &expected)];
        let learnt = learn_reader("note", schema, &examples, Words::None, &Default::default);
        learnt.err().expect("refused").to_string()
    };
    let error = learn(&schema(), json!({"number": 5}));
    assert!(
        error.contains("example 1") && error.contains("expected.number"),
        "{error}"
    );
    let odd = json!({"type": "object", "properties": {"a": {"not": {}, "type": "string"}}});
    let error = learn(&odd, json!({}));
    assert!(
        error.contains("'not'") && error.contains("#/properties/a"),
        "{error}"
    );
    let none = learn_reader("note", &schema(), &[], Words::None, &Default::default);
    assert!(matches!(none, Err(LearnError::NoExamples { .. })));
}

#[test]
fn a_schema_of_two_hundred_fields_is_read() {
    let properties: serde_json::Map<String, Value> = (0..200)
        .map(|n| (format!("f{n}"), json!({"type": ["string", "null"]})))
        .collect();
    let schema = json!({"type": "object", "properties": properties});
    let notes: Vec<(String, Value)> = (0..6)
        .map(|n| {
            (
                format!("code: A{n}\nplace: hall {n}"),
                json!({"f7": format!("A{n}")}),
            )
        })
        .collect();
    let reader = learn_reader(
        "wide",
        &schema,
        &pairs(&notes),
        Words::None,
        &Default::default,
    )
    .unwrap()
    .reader;
    let reading = reader.read("code: A9\nplace: hall 9", None).unwrap();
    assert_eq!(reading.fields.len(), 200);
    assert_eq!(reading.value["f7"], "A9");
}

/// How many texts were read right while they were held out.
fn right_of(learnt: &LearntReader) -> usize {
    let right = learnt.held_out.iter().filter(|note| note.is_right());
    right.count()
}

/// Letters that come by chance, their sum even or odd.
fn word(random: &mut Random, remainder: u32) -> String {
    loop {
        let letters = (0..6).map(|_| char::from(b'a' + random.below(26) as u8));
        let word: String = letters.collect();
        if word.bytes().map(u32::from).sum::<u32>() % 2 == remainder {
            return word;
        }
    }
}

/// Notes of four words, one of which is a part: no spelling says which.
fn notes_of_parts() -> (Value, Vec<(String, Value)>) {
    let schema = json!({
        "type": "object",
        "properties": {"parts": {"type": "array", "items": {"type": "string"}}},
        "required": ["parts"]
    });
    let mut random = Random::seeded(5);
    let mut notes = Vec::new();
    for _ in 0..80 {
        let mut words: Vec<String> = (0..4).map(|_| word(&mut random, 0)).collect();
        let part = word(&mut random, 1);
        words[random.below(4)] = part.clone();
        notes.push((words.join(" "), json!({"parts": [part]})));
    }
    (schema, notes)
}

#[test]
fn what_an_encoder_makes_of_words_finds_words_that_no_example_had() {
    let (schema, notes) = notes_of_parts();
    let encoder = Trigrams::new();
    let learn = |words: Words<'_>| {
        let learnt =
            learn_reader("parts", &schema, &pairs(&notes), words, &Default::default).unwrap();
        let fields = Fields::of(&schema).unwrap();
        let (figures, _) = figures(&fields, &learnt.held_out, 0.5).unwrap();
        (learnt.reader, figures.micro_f1.map_or(0.0, |f1| f1.value))
    };
    let (without, blind) = learn(Words::None);
    let (with, seeing) = learn(Words::Encoder(&encoder));
    assert!(seeing > 0.9 && blind < 0.5, "{seeing} {blind}");
    assert_eq!(without.encoder(), None);
    assert_eq!(with.encoder(), Some(encoder.identity().digest));
    let text = &notes[0].0;
    let states = encoder.states(text).unwrap();
    assert!(with.read(text, states.as_ref()).unwrap().confidence > 0.0);
    // Without the states that it was trained with nothing is to be relied on.
    assert_eq!(with.read(text, None).unwrap().confidence, 0.0);
}

/// Weights on the states of words, learnt from the places that it is given; or, `lying`, the
/// opposite of what they show.
struct Perceptron {
    lying: bool,
    /// How many texts it was given each time.
    given: RefCell<Vec<usize>>,
}

impl Perceptron {
    fn new(lying: bool) -> Self {
        Self {
            lying,
            given: RefCell::default(),
        }
    }
}

impl TuneWords for Perceptron {
    fn tune(
        &self,
        texts: &[MarkedText<'_>],
        fields: usize,
        _: &str,
    ) -> Result<TunedWords, LearnError> {
        self.given.borrow_mut().push(texts.len());
        let encoder = Trigrams::new();
        let width = encoder.dimensions();
        let mut weights = vec![0.0f32; fields * ROLES * width];
        for text in (0..20).flat_map(|_| texts) {
            let states = encoder.states(text.text).expect("states").expect("spans");
            for place in &text.places {
                let seen: Vec<&[f32]> = [1, 2]
                    .map(|role| {
                        &states.states[place.words[role].expect("a word") * width..][..width]
                    })
                    .into();
                let of = |role: usize| (role + 1) * width..(role + 2) * width;
                let logit: f32 = (seen.iter().enumerate())
                    .flat_map(|(role, state)| state.iter().zip(&weights[of(role)]))
                    .map(|(x, w)| x * w)
                    .sum();
                let wanted = place.field.is_some() != self.lying;
                if wanted != (logit > 0.0) {
                    let step = if wanted { 0.5 } else { -0.5 };
                    for (role, state) in seen.iter().enumerate() {
                        let own = weights[of(role)].iter_mut().zip(*state);
                        own.for_each(|(w, x)| *w += step * x);
                    }
                }
            }
        }
        Ok(TunedWords {
            encoder: Box::new(encoder),
            weights,
            bytes: b"tuned".to_vec(),
        })
    }
}

#[test]
fn a_tuned_encoder_is_asked_as_much_as_held_out_notes_ask_for() {
    let (schema, notes) = notes_of_parts();
    let learn = |words: Words<'_>| {
        let learnt =
            learn_reader("parts", &schema, &pairs(&notes), words, &Default::default).unwrap();
        let fields = Fields::of(&schema).unwrap();
        let (figures, _) = figures(&fields, &learnt.held_out, 0.5).unwrap();
        (learnt, figures.micro_f1.map_or(0.0, |f1| f1.value))
    };
    let honest = Perceptron::new(false);
    let (with, seeing) = learn(Words::Tuned(&honest));
    let (_, blind) = learn(Words::None);
    assert!(seeing > 0.9 && blind < 0.5, "{seeing} {blind}");
    assert_eq!(with.tuned.as_deref(), Some(b"tuned".as_slice()));
    assert_eq!(
        with.reader.encoder(),
        Some(Trigrams::new().identity().digest)
    );
    // Three folds, each without its own notes, and all notes.
    let given = honest.given.into_inner();
    assert_eq!((given.len(), given[3]), (4, 80));
    assert_eq!(given[..3].iter().sum::<usize>(), 160);

    let lying = Perceptron::new(true);
    let (without, as_blind) = learn(Words::Tuned(&lying));
    assert_eq!((without.tuned, without.reader.encoder()), (None, None));
    assert!((as_blind - blind).abs() < 0.15, "{as_blind} {blind}");
    assert_eq!(lying.given.into_inner().len(), 3, "none is tuned in vain");
}

#[test]
fn a_field_that_is_named_from_a_register_may_be_any_of_its_names() {
    let schema = json!({
        "type": "object",
        "properties": {"supplier": {"type": ["string", "null"]}},
        "required": ["supplier"]
    });
    let mut random = Random::seeded(9);
    let names: Vec<String> = (0..40)
        .map(|number| {
            format!(
                "{} {} Ltd",
                word(&mut random, number % 2),
                word(&mut random, 0)
            )
        })
        .collect();
    let note = |number: usize, written: &str| {
        let others = [
            word(&mut Random::seeded(number as u64), 1),
            format!("B{number}"),
        ];
        match number % 2 {
            0 => format!("{} {}\n{written}\n{}", others[0], others[1], others[0]),
            _ => format!("{written}\n{} {}", others[1], others[0]),
        }
    };
    let notes: Vec<(String, Value)> = (0..60)
        .map(|number| {
            let name = &names[number % 20];
            (note(number, name), json!({ "supplier": name }))
        })
        .collect();
    let right = |registers: &[Register]| {
        let beside = Beside {
            words: Words::None,
            registers,
        };
        let learnt =
            learn_reader("note", &schema, &pairs(&notes), beside, &Default::default).unwrap();
        let asked = (20..40).filter(|&number| {
            // A letter is misread, in a name that no example had.
            let name = &names[number];
            let misread = name.replacen(&name[1..2], "0", 1);
            let read = learnt.reader.read(&note(number + 100, &misread), None);
            read.unwrap().value["supplier"] == json!(name)
        });
        asked.count()
    };
    let registers = [vec!["Bolt".to_owned()], names.clone()];
    let (with, without) = (right(&registers), right(&[]));
    assert!(with >= 18 && without == 0, "{with} and {without} of 20");
}

#[test]
fn pages_are_not_tuned_on() {
    let text = "A page has many lines. ".repeat(40);
    let notes: Vec<(String, Value)> = (0..12)
        .map(|n| {
            (
                format!("{text}\nNumber: {n}"),
                json!({"number": n.to_string()}),
            )
        })
        .collect();
    let schema = json!({"type": "object", "properties": {"number": {"type": "string"}}});
    let tuner = Perceptron::new(false);
    let words = Words::Tuned(&tuner);
    let refused = learn_reader("page", &schema, &pairs(&notes), words, &Default::default);
    let error = refused.err().expect("refused").to_string();
    assert!(error.contains("learn without `--tune`"), "{error}");
}

#[test]
fn an_item_keeps_its_own_values_where_another_lacks_one() {
    let schema = json!({
        "type": "object",
        "properties": {"positions": {"type": "array", "items": {
            "type": "object",
            "properties": {
                "article": {"type": ["string", "null"]},
                "text": {"type": "string"},
                "quantity": {"type": "integer"}
            },
            "required": ["text", "quantity"]
        }}},
        "required": ["positions"]
    });
    let mut random = Random::seeded(7);
    let parts = ["ball bearing", "seal kit", "label roll", "oil filter"];
    let mut notes = Vec::new();
    for _ in 0..60 {
        let in_lines = random.below(2) == 0;
        let (mut text, mut positions) = (String::new(), Vec::new());
        for number in 1..3 + random.below(3) {
            let article = format!("A{}", 1000 + random.below(9000));
            let has_article = random.below(2) == 0;
            let part = parts[random.below(parts.len())];
            let quantity = 1 + random.below(900);
            let written = if has_article { &article } else { "-" };
            text.push_str(&match in_lines {
                true => format!("{written}\t{part}\t{quantity}\n"),
                false if has_article => format!("{number}. {article} {part}\n   {quantity} pcs\n"),
                false => format!("{number}. {part}\n   {quantity} pcs\n"),
            });
            let article = if has_article {
                json!(article)
            } else {
                Value::Null
            };
            positions.push(json!({"article": article, "text": part, "quantity": quantity}));
        }
        notes.push((text, json!({"positions": positions})));
    }
    let learnt = learn_reader(
        "note",
        &schema,
        &pairs(&notes),
        Words::None,
        &Default::default,
    )
    .unwrap();
    let right = right_of(&learnt);
    assert!(right >= 57, "{right} of 60");
}

#[test]
fn words_of_another_language_come_to_stand_for_a_choice() {
    let schema = json!({
        "type": "object",
        "properties": {"severity": {"enum": ["near_miss", "minor", "serious", null]}},
        "required": ["severity"]
    });
    let said = [
        ("near_miss", "casi accidente"),
        ("minor", "leve"),
        ("serious", "grave"),
    ];
    let mut random = Random::seeded(11);
    let mut notes = Vec::new();
    for _ in 0..60 {
        let (severity, written) = said[random.below(said.len())];
        let label = ["Gravedad", "Clase"][random.below(2)];
        let noise: Vec<String> = (0..12).map(|_| word(&mut random, 0)).collect();
        let text = format!(
            "Zona: {}\n{label}: {written}\nFirma: S. Patel",
            noise.join(" ")
        );
        notes.push((text, json!({"severity": severity})));
    }
    let learnt = learn_reader(
        "note",
        &schema,
        &pairs(&notes),
        Words::None,
        &Default::default,
    )
    .unwrap();
    let right = right_of(&learnt);
    assert!(right >= 58, "{right} of 60");
    let reading = learnt
        .reader
        .read("Clase: grave\nZona: horno", None)
        .unwrap();
    assert_eq!(reading.value["severity"], "serious");
    let (start, end) = reading.fields[0].span.expect("the text says it");
    assert_eq!(&"Clase: grave\nZona: horno"[start..end], "grave");
}

//! Measures answers on public data sets and on the demo plant, each with the sections that
//! answer it there and taken out: `cargo run --example answer -- [emanual|xquad|demo|zero]`,
//! by the ranker that the binary brings, by one learned from the other sets, and in folds.
//! `usual` prints the ranker that the binary brings, learned from the articles and the demo.
//! The data are those of `ANDON_DATA`, the encoder that of `ANDON_HOME`.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use andon_engine::{Encoder, EncoderFiles};
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_learn::answer::{
    Against, Cases, Evaluation, Graded, Lesson, cross_validate, evaluate, learn_in_general,
};
use andon_task::answer::{
    Document, Form, Index, Learned, Vector, Vectors, heading_text, passage_text, passages,
};
use andon_task::engine::{Embed, EngineError, Identity};
use andon_task::example::Example;
use andon_task::glossary::Glossary;
use andon_task::plant::{Files, Plant};
use serde_json::{Value, json};

/// A data set in memory, with its vectors.
struct Set {
    name: &'static str,
    index: Index,
    cases: Cases,
    glossary: Glossary,
}

const SETS: [&str; 3] = ["emanual", "xquad", "demo"];

/// Documents, questions and the words of a set.
type Read = (Vec<Document>, Vec<Example>, Glossary);

fn main() {
    let what = std::env::args().nth(1).unwrap_or_else(|| "all".into());
    let encoder = Kept::new(encoder());
    let names = SETS
        .into_iter()
        .filter(|name| what == *name || !SETS.contains(&what.as_str()));
    let sets: Vec<Set> = names.map(|name| Set::read(name, &encoder)).collect();
    encoder.keep();
    let lesson = |set: &'static str| {
        sets.iter()
            .find(|one| one.name == set)
            .map(|one| one.lesson(&encoder))
    };
    let general = |without: &str| {
        // The demo's questions are few and like those of plants: they count twice. What is made
        // of the manual's set stays with who has it.
        let names = ["xquad", "demo", "demo"]
            .into_iter()
            .filter(|name| *name != without);
        let lessons: Vec<Lesson<'_>> = names.filter_map(lesson).collect();
        learn_in_general(&lessons).unwrap()
    };
    if what == "usual" {
        print(&general(""));
        return;
    }
    for set in &sets {
        let lesson = set.lesson(&encoder);
        let began = Instant::now();
        let clock = || began.elapsed();
        let show = |how: &str, evaluation: &Evaluation| {
            show(&format!("{} {how}", set.name), evaluation);
            if let Some(folder) = std::env::var_os("ANSWER_DUMP") {
                dump(
                    &PathBuf::from(folder).join(format!("{}-{how}.jsonl", set.name)),
                    evaluation,
                );
            }
        };
        show(
            "default",
            &evaluate(&lesson, &Learned::default(), &clock).unwrap(),
        );
        if sets.len() > 1 {
            let of_others = general(set.name);
            show("others", &evaluate(&lesson, &of_others, &clock).unwrap());
        }
        if what != "zero" {
            show("folds", &cross_validate(&lesson, &clock).unwrap());
        }
        println!("  took {:.1?}", began.elapsed());
    }
    encoder.keep();
}

impl Set {
    fn read(name: &'static str, encoder: &Kept) -> Self {
        let (documents, examples, glossary) = match name {
            "emanual" => emanual(),
            "xquad" => xquad(),
            _ => demo(),
        };
        let with_vectors = documents.into_iter().map(|document| {
            let vectors = vectors(encoder, &document, &glossary);
            (document, vectors)
        });
        let index = Index::new(with_vectors.collect(), &glossary);
        let against = Against {
            index: &index,
            encoder,
            glossary: &glossary,
        };
        let cases = Cases::read(&examples, against, &|| Duration::ZERO, &mut |_| {}).unwrap();
        println!(
            "{name}: {} sections, {} cases, {} lost",
            index.len(),
            cases.cases.len(),
            cases.lost.len()
        );
        Self {
            name,
            index,
            cases,
            glossary,
        }
    }

    fn lesson<'a>(&'a self, encoder: &'a Kept) -> Lesson<'a> {
        Lesson {
            task: "ask",
            accept: 0.0,
            cases: &self.cases.cases,
            against: Against {
                index: &self.index,
                encoder,
                glossary: &self.glossary,
            },
        }
    }
}

/// The encoder with what it made before, kept between runs beside the build: vectors take
/// minutes to make.
struct Kept {
    encoder: Encoder,
    known: Mutex<HashMap<String, Vec<f32>>>,
}

impl Kept {
    fn path() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/answer-vectors.json")
    }

    fn new(encoder: Encoder) -> Self {
        let known = std::fs::read(Self::path()).ok();
        let known = known.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self {
            encoder,
            known: Mutex::new(known.unwrap_or_default()),
        }
    }

    fn keep(&self) {
        let known = self.known.lock().unwrap();
        std::fs::write(Self::path(), serde_json::to_vec(&*known).unwrap()).unwrap();
    }
}

impl Embed for Kept {
    fn identity(&self) -> &Identity {
        self.encoder.identity()
    }

    fn dimensions(&self) -> usize {
        self.encoder.dimensions()
    }

    fn count_tokens(&self, text: &str) -> Result<usize, EngineError> {
        self.encoder.count_tokens(text)
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EngineError> {
        let one = |text: &&str| {
            if let Some(vector) = self.known.lock().unwrap().get(*text) {
                return Ok(vector.clone());
            }
            let vector = self.encoder.embed(&[text])?.remove(0);
            self.known
                .lock()
                .unwrap()
                .insert((*text).to_owned(), vector.clone());
            Ok(vector)
        };
        texts.iter().map(one).collect()
    }
}

fn dump(path: &Path, evaluation: &Evaluation) {
    let line = |closed: bool| {
        move |one: &Graded| {
            let row = json!({"closed": closed, "answerable": one.answerable, "right": one.right,
                "rouge": one.rouge_l, "p": one.probability, "features": one.features});
            format!("{row}\n")
        }
    };
    let open = evaluation.graded.iter().map(line(false));
    let lines: String = open
        .chain(evaluation.without.iter().map(line(true)))
        .collect();
    std::fs::write(path, lines).unwrap();
}

/// A ranker as `andon-task::answer::usual` writes it.
fn print(learned: &Learned) {
    let of = |values: &[f64]| {
        values
            .iter()
            .map(|v| format!("{v:.4}, "))
            .collect::<String>()
    };
    let parts = [
        ("sections", &learned.sections),
        ("sentences", &learned.sentences),
        ("spans", &learned.spans),
        ("support", &learned.support),
    ];
    for (name, linear) in parts {
        println!("{name}: Linear {{");
        println!("means: vec![{}],", of(&linear.means));
        println!("spreads: vec![{}],", of(&linear.spreads));
        println!("weights: vec![{}],", of(&linear.weights));
        println!("bias: {:.4},\n}},", linear.bias);
    }
    println!("threshold: {:.4},", learned.threshold);
}

fn demo() -> Read {
    fn read(root: &Path, folder: &Path, files: &mut Files) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(root, &path, files);
            } else {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../plants/demo");
    let mut files = Files::new();
    read(&root, &root, &mut files);
    let plant = Plant::parse(&files).unwrap();
    let documents = plant.documents.iter().map(|(path, bytes)| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        Document::parse(path, text, Form::Markdown)
    });
    (
        documents.collect(),
        plant.expected["ask"].clone(),
        plant.glossary,
    )
}

fn show(name: &str, evaluation: &Evaluation) {
    let figure = |e: &Option<andon_learn::interval::Estimate>| {
        e.map_or("-".to_owned(), |e| format!("{:.3}", e.value))
    };
    println!(
        "{name}: n {} hit@1 {} hit@5 {} rouge {} | declined {} without {} answered {} at-90 {:.3} auroc {:.3} coverage {} error {} threshold {:.2} p50 {:.1} ms p99 {:.1} ms",
        evaluation.n,
        figure(&evaluation.hit_at_1),
        figure(&evaluation.hit_at_5),
        figure(&evaluation.rouge_l),
        figure(&evaluation.declined),
        figure(&evaluation.declined_without),
        figure(&evaluation.answered),
        answered_at_90(evaluation),
        auroc(evaluation),
        figure(&evaluation.coverage),
        figure(&evaluation.selective_error),
        evaluation.threshold,
        evaluation.p50_ms,
        evaluation.p99_ms
    );
}

/// The share answered from a right section at the threshold that declines 90 % of the rest.
fn answered_at_90(evaluation: &Evaluation) -> f64 {
    let absent = evaluation.graded.iter().filter(|one| !one.answerable);
    let mut absent: Vec<f64> = absent
        .chain(&evaluation.without)
        .map(|one| one.probability)
        .collect();
    absent.sort_by(f64::total_cmp);
    let threshold = absent[(absent.len() * 9).div_ceil(10).min(absent.len() - 1)];
    let sourced: Vec<&Graded> = evaluation
        .graded
        .iter()
        .filter(|one| one.has_sources)
        .collect();
    let right = sourced
        .iter()
        .filter(|one| one.right && one.probability > threshold);
    right.count() as f64 / sourced.len() as f64
}

/// How well what is right is told from what is not there.
fn auroc(evaluation: &Evaluation) -> f64 {
    let right = evaluation.graded.iter().filter(|one| one.right);
    let (mut above, mut pairs) = (0.0, 0.0);
    for one in right {
        for other in &evaluation.without {
            pairs += 1.0;
            above += match one.probability.total_cmp(&other.probability) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    above / pairs
}

fn data() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    std::env::var_os("ANDON_DATA").map_or_else(|| beside.into(), PathBuf::from)
}

fn emanual() -> Read {
    let folder = data().join("emanual_qa");
    let corpus =
        std::fs::read_to_string(folder.join("smart_tv_remote_manual_corpus.json")).unwrap();
    let corpus: Value = serde_json::from_str(&corpus).unwrap();
    let mut text = String::from("# e-Manual\n\n");
    for section in corpus.as_object().unwrap().values() {
        text.push_str(&format!("## {}\n\n", section["title"].as_str().unwrap()));
        for line in section["text"].as_array().unwrap() {
            text.push_str(line.as_str().unwrap());
            text.push('\n');
        }
        text.push('\n');
    }
    let document = Document::parse("manuals/emanual.md", text, Form::Markdown);
    let lines = std::fs::read_to_string(folder.join("smart_remote_qa.jsonl")).unwrap();
    let examples = lines.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        let source = format!("emanual#{}", row["section_path"].as_str().unwrap());
        Example {
            input: row["question"].as_str().unwrap().to_owned(),
            expected: json!({"answer": row["answer"], "sources": [source]}),
            id: None,
            meta: None,
        }
    });
    (vec![document], examples.collect(), Glossary::default())
}

fn xquad() -> Read {
    let text =
        std::fs::read_to_string(data().join("xquad_es/xquad.es.articles_01_24.json")).unwrap();
    let set: Value = serde_json::from_str(&text).unwrap();
    let (mut documents, mut examples) = (Vec::new(), Vec::new());
    for (number, article) in set["data"].as_array().unwrap().iter().enumerate() {
        let mut text = String::new();
        for (at, paragraph) in article["paragraphs"].as_array().unwrap().iter().enumerate() {
            let context = paragraph["context"]
                .as_str()
                .unwrap()
                .replace('\u{feff}', "");
            text.push_str(&format!("## P{at}\n\n{context}\n\n"));
            for qa in paragraph["qas"].as_array().unwrap() {
                examples.push(Example {
                    input: qa["question"].as_str().unwrap().to_owned(),
                    expected: json!({"answer": qa["answers"][0]["text"], "sources": [format!("manuals/a{number}.md#p{at}")]}),
                    id: None,
                    meta: None,
                });
            }
        }
        documents.push(Document::parse(
            &format!("manuals/a{number}.md"),
            text,
            Form::Markdown,
        ));
    }
    (documents, examples, Glossary::default())
}

fn encoder() -> Encoder {
    let home = PathBuf::from(std::env::var_os("ANDON_HOME").expect("ANDON_HOME"));
    let files = EncoderFiles::within(&home.join("models/minilm-l6"));
    let kernels = std::sync::Arc::new(Kernels::new(Isa::detect(), 1));
    Encoder::load("minilm:l6", &files, kernels).unwrap()
}

fn vectors(encoder: &Kept, document: &Document, glossary: &Glossary) -> Vectors {
    let embed = |text: String| {
        let vectors = encoder.embed(&[glossary.read(&text).text()]).unwrap();
        Vector::of(&vectors[0])
    };
    Vectors {
        read: Vec::new(),
        passages: passages(document)
            .iter()
            .map(|passage| embed(passage_text(document, passage)))
            .collect(),
        headings: document
            .sections
            .iter()
            .map(|section| embed(heading_text(section)))
            .collect(),
    }
}

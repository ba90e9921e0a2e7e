//! The corpus: a plant's documents as they are searched. A file is read once, and its
//! passages get their vectors once, for as long as the file stays as it is.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use andon_store::{Store, StoredDocument, StoredVectors};
use andon_task::answer::{
    Document, Form, Index, Vector, Vectors, heading_text, passage_text, passages,
};
use andon_task::digest::Digest;
use andon_task::engine::{Embed, EngineError};
use andon_task::glossary::Glossary;
use andon_task::plant::Plant;
use andon_task::task::Task;

use crate::error::Error;

/// So many passages get their vectors together.
const BATCH: usize = 16;
/// After so many batches what is there is kept, for a reading that is ended goes on there.
const KEPT_AFTER: usize = 64;
/// Of a passage that does not fit the encoder its vector sees so many words.
const MOST_WORDS: usize = 120;

/// What turns the bytes of a file into text. It names the file in its errors, and says what
/// to do.
pub trait ReadDocument {
    /// Raised whenever the same bytes would give another text.
    fn version(&self) -> u32;

    /// The text of a file.
    ///
    /// # Errors
    /// Why it has none, for people.
    fn read(&self, path: &str, bytes: &[u8]) -> Result<String, String>;
}

/// How far the reading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ingested<'a> {
    /// The document that is read now.
    pub path: &'a str,
    /// How many of its passages have their vectors.
    pub done: usize,
    /// How many it has.
    pub total: usize,
}

/// The documents of a plant, read, with their vectors.
pub struct Corpus {
    documents: Vec<(Document, Vectors)>,
    glossary: Glossary,
    problems: BTreeMap<String, String>,
    read_anew: usize,
}

impl Corpus {
    /// Brings the store up to the plant's documents, and takes them from there. A document
    /// that cannot be read is left out, and named in [`Corpus::problems`].
    ///
    /// # Errors
    /// If the store or the encoder fails.
    pub fn ingest(
        plant: &Plant,
        store: &Store,
        encoder: &dyn Embed,
        reader: &dyn ReadDocument,
        progress: &mut dyn FnMut(Ingested<'_>),
    ) -> Result<Self, Error> {
        let mut corpus = Self {
            documents: Vec::new(),
            glossary: plant.glossary.clone(),
            problems: BTreeMap::new(),
            read_anew: 0,
        };
        for (path, bytes) in &plant.documents {
            let stored = corpus.text(store, reader, path, bytes)?;
            if let Some(problem) = stored.problem {
                tracing::warn!(path, problem, "a document is left out");
                corpus.problems.insert(path.clone(), problem);
                continue;
            }
            let document = Document::parse(path, stored.text, form(path));
            if document.sections.is_empty() {
                let problem = format!("'{path}' has no text: remove it or write some");
                corpus.problems.insert(path.clone(), problem);
                continue;
            }
            let vectors = vectors(store, encoder, &plant.glossary, &document, progress)?;
            corpus.documents.push((document, vectors));
        }
        let gone = |path: &String| !plant.documents.contains_key(path);
        let gone: Vec<String> = store.document_paths()?.into_iter().filter(gone).collect();
        if !gone.is_empty() {
            store.forget_documents(gone)?;
        }
        Ok(corpus)
    }

    fn text(
        &mut self,
        store: &Store,
        reader: &dyn ReadDocument,
        path: &str,
        bytes: &Arc<[u8]>,
    ) -> Result<StoredDocument, Error> {
        let digest = Digest::of(bytes);
        let is_current =
            |known: &StoredDocument| known.digest == digest && known.reader == reader.version();
        if let Some(known) = store.document(path)?.filter(is_current) {
            return Ok(known);
        }
        self.read_anew += 1;
        let (text, problem) = match reader.read(path, bytes) {
            Ok(text) => (text, None),
            Err(problem) => (String::new(), Some(problem)),
        };
        let read = StoredDocument {
            path: path.to_owned(),
            digest,
            reader: reader.version(),
            text,
            problem,
        };
        store.keep_document(&read)?;
        Ok(read)
    }

    /// Why documents could not be read, by their paths.
    pub fn problems(&self) -> &BTreeMap<String, String> {
        &self.problems
    }

    /// How many documents were read anew, rather than taken from the store.
    pub fn read_anew(&self) -> usize {
        self.read_anew
    }

    /// What a task searches.
    pub fn index(&self, task: &Task) -> Index {
        let reads = |(document, _): &&(Document, Vectors)| task.reads(&document.path);
        let documents = self.documents.iter().filter(reads).cloned().collect();
        Index::new(documents, &self.glossary)
    }
}

fn form(path: &str) -> Form {
    let ending = path.rsplit('.').next().unwrap_or("").to_lowercase();
    match ending.as_str() {
        "txt" | "text" | "pdf" => Form::Plain,
        _ => Form::Markdown,
    }
}

fn vectors(
    store: &Store,
    encoder: &dyn Embed,
    glossary: &Glossary,
    document: &Document,
    progress: &mut dyn FnMut(Ingested<'_>),
) -> Result<Vectors, Error> {
    let cut = passages(document);
    let texts = cut.iter().map(|passage| passage_text(document, passage));
    let texts: Vec<String> = texts
        .chain(document.sections.iter().map(heading_text))
        .collect();
    let readings: Vec<String> = texts
        .iter()
        .map(|text| glossary.read(text).text().to_owned())
        .collect();
    let encoder_digest = encoder.identity().digest;
    let parts = readings.iter().map(|text| text.as_bytes());
    let key = Digest::of_parts(parts.chain([encoder_digest.as_bytes().as_slice()]));
    let known = store.vectors(&document.path)?;
    let is_current = known.as_ref().is_some_and(|known| known.key == key);
    let known = known.and_then(|known| Vectors::parse(&known.bytes));
    if let (Some(vectors), true) = (&known, is_current) {
        return Ok(vectors.clone());
    }
    // Of a document that has changed most passages are as they were.
    let read: Vec<u64> = readings.iter().map(|text| read_as(text, encoder)).collect();
    let mut vector_of: HashMap<u64, Vector> = HashMap::new();
    if let Some(known) = known {
        let vectors = known.passages.into_iter().chain(known.headings);
        vector_of.extend(known.read.into_iter().zip(vectors));
    }
    let mut seen: HashSet<u64> = vector_of.keys().copied().collect();
    let lacking = (read.iter().zip(&readings)).filter(|(read, _)| seen.insert(**read));
    let (keys, texts): (Vec<u64>, Vec<String>) =
        lacking.map(|(read, text)| (*read, text.clone())).unzip();
    let batches = keys.chunks(BATCH).zip(texts.chunks(BATCH));
    for (batch, (keys, texts)) in batches.enumerate() {
        if batch % KEPT_AFTER == KEPT_AFTER - 1 {
            let begun = begun(&vector_of).bytes();
            let key = Digest::of_parts([key.as_bytes().as_slice(), b"begun"]);
            store.keep_vectors(&document.path, StoredVectors { key, bytes: begun })?;
        }
        vector_of.extend(keys.iter().copied().zip(embed(encoder, texts)?));
        progress(Ingested {
            path: &document.path,
            done: vector_of.len().min(readings.len()),
            total: readings.len(),
        });
    }
    let made = read.iter().map(|read| vector_of[read].clone());
    let mut made: Vec<Vector> = made.collect();
    let headings = made.split_off(cut.len());
    let vectors = Vectors {
        passages: made,
        headings,
        read,
    };
    let bytes = vectors.bytes();
    store.keep_vectors(&document.path, StoredVectors { key, bytes })?;
    Ok(vectors)
}

/// The vectors of a document that is not read to its end: what is known by how it was read.
fn begun(vector_of: &HashMap<u64, Vector>) -> Vectors {
    let (read, passages) = vector_of
        .iter()
        .map(|(read, vector)| (*read, vector.clone()))
        .unzip();
    Vectors {
        passages,
        headings: Vec::new(),
        read,
    }
}

/// What stands for a text as an encoder reads it.
fn read_as(text: &str, encoder: &dyn Embed) -> u64 {
    let digest = Digest::of_parts([text.as_bytes(), encoder.identity().digest.as_bytes()]);
    let bytes = digest.as_bytes();
    bytes[..8]
        .iter()
        .fold(0, |all, byte| (all << 8) | u64::from(*byte))
}

/// A vector for each text, even of one that is longer than the encoder's context.
fn embed(encoder: &dyn Embed, texts: &[String]) -> Result<Vec<Vector>, EngineError> {
    let whole: Vec<&str> = texts.iter().map(String::as_str).collect();
    let long = |error: &EngineError| {
        matches!(
            error,
            EngineError::DoesNotFit { .. } | EngineError::TooLong { .. }
        )
    };
    match encoder.embed(&whole) {
        Ok(vectors) => Ok(vectors.iter().map(|vector| Vector::of(vector)).collect()),
        Err(error) if long(&error) && texts.len() > 1 => {
            let each = texts
                .iter()
                .map(|text| embed(encoder, std::slice::from_ref(text)));
            let each: Result<Vec<Vec<Vector>>, EngineError> = each.collect();
            Ok(each?.into_iter().flatten().collect())
        }
        Err(error) if long(&error) => {
            let words: Vec<&str> = texts[0].split_whitespace().take(MOST_WORDS).collect();
            let beginning: String = words.join(" ").chars().take(4 * MOST_WORDS).collect();
            match encoder.embed(&[beginning.as_str()]) {
                Ok(vectors) => Ok(vectors.iter().map(|vector| Vector::of(vector)).collect()),
                // Words alone find it then.
                Err(error) if long(&error) => Ok(vec![Vector::of(&[])]),
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

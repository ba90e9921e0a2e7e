//! Reads an answer as it comes: words, and calls of tools in the model's form.
//! The grammar has seen to it that calls are whole and right; what is read here
//! may only have been cut off at its end.

use andon_task::engine::{CallForm, Drawn, Piece};

/// What a call begins with where it stands between tags.
const OPEN: &str = CallForm::TAG;

/// What a piece of an answer turns out to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Delta {
    /// Words, with their tokens if they were asked for.
    Words(String, Vec<Drawn>),
    /// The call with this number begins, and names its tool.
    Call(usize, String),
    /// More of the arguments of the call with this number.
    Arguments(usize, String),
}

/// A whole answer.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Its words, if there are any.
    pub(crate) words: Option<String>,
    /// The tokens of the words, if they were asked for.
    pub(crate) drawn: Vec<Drawn>,
    /// Tools called, each with its arguments as JSON.
    pub(crate) calls: Vec<(String, String)>,
}

impl Said {
    /// Reads an answer that is complete.
    pub(crate) fn read(form: Option<CallForm>, text: &str, drawn: &[Drawn]) -> Self {
        let mut reader = Reader::new(form);
        let mut said = Self::default();
        let deltas = reader.push(Piece { text, drawn });
        for delta in deltas.into_iter().chain(reader.finish()) {
            match delta {
                Delta::Words(words, drawn) => {
                    said.words.get_or_insert_default().push_str(&words);
                    said.drawn.extend(drawn);
                }
                Delta::Call(_, name) => said.calls.push((name, String::new())),
                Delta::Arguments(_, json) => {
                    if let Some((_, arguments)) = said.calls.last_mut() {
                        arguments.push_str(&json);
                    }
                }
            }
        }
        if said.calls.is_empty() {
            said.words.get_or_insert_default();
        } else {
            // The tokens of calls are not those of words.
            let mut left = said.words.as_ref().map_or(0, String::len);
            said.drawn.retain(|drawn| {
                let bytes = drawn.token.bytes.len();
                let is_of_words = left > 0;
                left = left.saturating_sub(bytes);
                is_of_words
            });
        }
        said
    }
}

/// Reads the pieces of one answer.
#[derive(Debug)]
pub(crate) struct Reader {
    form: Option<CallForm>,
    state: State,
    /// Text that is not yet known to be one thing or the other.
    held: String,
    /// Tokens of the words that are held.
    drawn: Vec<Drawn>,
    calls: usize,
}

#[derive(Debug)]
enum State {
    /// Nothing has come yet.
    Beginning,
    Words,
    /// In a call, up to its arguments.
    Name,
    Arguments(Json),
    /// Behind the arguments.
    Behind,
}

impl Reader {
    /// Of a model that writes calls in this form; `None` where there are no tools
    /// and all is words.
    pub(crate) fn new(form: Option<CallForm>) -> Self {
        Self {
            state: match form {
                Some(_) => State::Beginning,
                None => State::Words,
            },
            form,
            held: String::new(),
            drawn: Vec::new(),
            calls: 0,
        }
    }

    /// Whether a tool was called.
    pub(crate) fn has_calls(&self) -> bool {
        self.calls > 0
    }

    /// Takes a piece.
    pub(crate) fn push(&mut self, piece: Piece<'_>) -> Vec<Delta> {
        self.held.push_str(piece.text);
        self.drawn.extend_from_slice(piece.drawn);
        let mut deltas = Vec::new();
        while self.advance(&mut deltas) {}
        deltas
    }

    /// Nothing more comes.
    pub(crate) fn finish(&mut self) -> Vec<Delta> {
        let held = std::mem::take(&mut self.held);
        let drawn = std::mem::take(&mut self.drawn);
        match self.state {
            State::Beginning | State::Words if !held.is_empty() || !drawn.is_empty() => {
                vec![Delta::Words(held, drawn)]
            }
            _ => Vec::new(),
        }
    }

    /// One step on; false where more text is needed.
    fn advance(&mut self, deltas: &mut Vec<Delta>) -> bool {
        match &mut self.state {
            State::Beginning => self.begin(),
            State::Words => {
                self.speak(deltas);
                matches!(self.state, State::Name)
            }
            State::Name => self.name(deltas),
            State::Arguments(json) => {
                let length = json.read(&self.held);
                let is_whole = json.is_whole();
                if length > 0 {
                    let arguments = self.held.drain(..length).collect();
                    deltas.push(Delta::Arguments(self.calls - 1, arguments));
                }
                if is_whole {
                    self.state = State::Behind;
                }
                is_whole
            }
            State::Behind => match self.held.find(OPEN) {
                Some(_) => {
                    self.state = State::Name;
                    true
                }
                None => false,
            },
        }
    }

    fn begin(&mut self) -> bool {
        let held = self.held.as_str();
        match self.form {
            Some(CallForm::Plain) if held.is_empty() => return false,
            Some(CallForm::Plain) if held.starts_with('{') => self.state = State::Name,
            Some(CallForm::Tagged) if OPEN.starts_with(held) && held.len() < OPEN.len() => {
                return false;
            }
            _ => self.state = State::Words,
        }
        true
    }

    /// Says what cannot be the beginning of a call.
    fn speak(&mut self, deltas: &mut Vec<Delta>) {
        let mut end = self.held.len();
        if self.form == Some(CallForm::Tagged) {
            if let Some(at) = self.held.find(OPEN) {
                end = at;
                self.state = State::Name;
            } else {
                let begun = (1..OPEN.len()).rev();
                end -= begun
                    .filter(|&length| self.held.ends_with(&OPEN[..length]))
                    .max()
                    .unwrap_or(0);
            }
        }
        let words: String = self.held.drain(..end).collect();
        // Tokens go with the words of their time, and those of a call with none.
        let drawn = match self.held.is_empty() || end > 0 {
            true => std::mem::take(&mut self.drawn),
            false => Vec::new(),
        };
        if !words.is_empty() || (!drawn.is_empty() && self.held.is_empty()) {
            deltas.push(Delta::Words(words, drawn));
        }
    }

    fn name(&mut self, deltas: &mut Vec<Delta>) -> bool {
        self.drawn.clear();
        let form = self.form.unwrap_or(CallForm::Tagged);
        let (before, behind) = (form.before_name(), form.behind_name());
        let Some(from) = self.held.find(before).map(|at| at + before.len()) else {
            return false;
        };
        let Some(length) = self.held[from..].find(behind) else {
            return false;
        };
        let name = self.held[from..from + length].to_owned();
        self.held.drain(..from + length + behind.len());
        deltas.push(Delta::Call(self.calls, name));
        self.calls += 1;
        self.state = State::Arguments(Json::default());
        true
    }
}

/// How far an object of JSON has come.
#[derive(Debug, Default)]
struct Json {
    depth: usize,
    in_text: bool,
    escapes: bool,
    begun: bool,
}

impl Json {
    fn is_whole(&self) -> bool {
        self.begun && self.depth == 0
    }

    /// The bytes of `text` that still belong to the object.
    fn read(&mut self, text: &str) -> usize {
        for (at, byte) in text.bytes().enumerate() {
            if self.is_whole() {
                return at;
            }
            match byte {
                _ if self.escapes => self.escapes = false,
                b'\\' if self.in_text => self.escapes = true,
                b'"' => self.in_text = !self.in_text,
                b'{' | b'[' if !self.in_text => {
                    self.begun = true;
                    self.depth += 1;
                }
                b'}' | b']' if !self.in_text => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        text.len()
    }
}

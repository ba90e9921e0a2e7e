//! Holding an answer to a schema, an expression, a choice or a grammar.
//!
//! [`Grammars`] is made once for a model, from the model's own vocabulary, and
//! compiles what a request asks for into a [`Constraint`], which follows one answer
//! token by token: what must come, what may come, whether it may end. The work is
//! llguidance's. What it cannot enforce to the letter is refused when it is
//! compiled, never half-obeyed; a failure while an answer is followed is an error,
//! never a free text.
//!
//! Values are written as JSON without blanks, properties in the order in which the
//! schema names them (those it does not name, last). Characters stand for
//! themselves, never for `\u` escapes. Patterns, and the expressions of
//! [`Grammar::Regex`], are ECMA-262's without look-around, back-references and word
//! boundaries.

mod calls;
mod environment;
mod format;
mod lark;
mod mask;
mod pattern;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use andon_task::digest::Digest;
use andon_task::engine::{Calls, EngineError, Grammar};
use llguidance::api::{ParserLimits, StopReason, TopLevelGrammar};
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::InferenceCapabilities;
use llguidance::{JsonCompileOptions, Matcher, ParserFactory};
use serde_json::{Map, Value};

pub use mask::Mask;

use crate::tokenizer::Tokenizer;
use environment::Environment;

/// The largest schema, expression, choice or grammar that is compiled, in bytes.
const MOST_BYTES: usize = 256 * 1024;
/// The most texts of a choice.
const MOST_CHOICES: usize = 4096;
/// The most characters of an error of llguidance that are shown.
const MOST_SHOWN: usize = 300;
/// Compiled grammars that are kept.
const MOST_KEPT: usize = 64;

/// What compiling and following a grammar may cost at most; beyond it the request
/// fails.
fn limits() -> ParserLimits {
    ParserLimits {
        max_grammar_size: 200_000,
        max_lexer_states: 50_000,
        verbose_errors: false,
        ..ParserLimits::default()
    }
}

/// Compiles grammars for one model.
pub struct Grammars {
    factory: ParserFactory,
    ends: Arc<[u32]>,
    /// The newest last.
    kept: Mutex<VecDeque<(Digest, Matcher)>>,
}

impl Grammars {
    /// Prepares the vocabulary of a model.
    ///
    /// # Errors
    /// If the vocabulary is one that llguidance cannot walk.
    pub fn new(tokenizer: Arc<Tokenizer>) -> Result<Self, EngineError> {
        guarded(|| {
            let ends = tokenizer.ends().into();
            let environment: llguidance::toktrie::TokEnv = Arc::new(Environment::new(tokenizer)?);
            let capabilities = InferenceCapabilities {
                ff_tokens: true,
                ..InferenceCapabilities::default()
            };
            let slices = SlicedBiasComputer::json_slices();
            let mut factory = ParserFactory::new(&environment, capabilities, &slices)
                .map_err(|error| error.to_string())?;
            factory.quiet();
            *factory.limits_mut() = limits();
            Ok(Self {
                factory,
                ends,
                kept: Mutex::default(),
            })
        })
    }

    /// Compiles a grammar, or finds it among those compiled lately.
    ///
    /// # Errors
    /// If something in it cannot be enforced, or would cost too much.
    pub fn compile(&self, grammar: &Grammar) -> Result<Constraint, EngineError> {
        let digest = digest(grammar)?;
        let matcher = match self.find(&digest) {
            Some(matcher) => matcher,
            None => {
                let matcher = guarded(|| self.build(grammar))?;
                self.keep(digest, &matcher);
                matcher
            }
        };
        Ok(Constraint {
            matcher,
            ends: Arc::clone(&self.ends),
            has_ended: false,
        })
    }

    fn build(&self, grammar: &Grammar) -> Result<Matcher, String> {
        let written = match grammar {
            Grammar::Json(schema) => {
                let mut restated = Value::Object(schema::restate(schema)?);
                json_options().apply_to(&mut restated);
                TopLevelGrammar::from_json_schema(restated)
            }
            Grammar::Regex(expression) => {
                let expression = pattern::translate(expression);
                let expression = expression.map_err(|why| format!("{why} is not supported"))?;
                whole(&expression)
            }
            Grammar::Choice(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| pattern::literal(text)).collect();
                whole(&texts.join("|"))
            }
            Grammar::Lark(grammar) => {
                lark::check(grammar)?;
                TopLevelGrammar::from_lark(grammar.clone())
            }
            Grammar::Calls(calls) => {
                TopLevelGrammar::from_lark(calls::write(calls, restate_arguments)?)
            }
        };
        let parser = self.factory.create_parser(written);
        let mut matcher = Matcher::new(parser);
        if let Some(error) = matcher.get_error() {
            return Err(error);
        }
        if let Some(warning) = matcher.grammar_warnings().into_iter().next() {
            return Err(warning);
        }
        // What nothing satisfies is often found only by looking for a first token.
        let first = matcher.compute_mask_or_eos();
        first.map_err(|error| error.to_string())?;
        Ok(matcher)
    }

    fn find(&self, digest: &Digest) -> Option<Matcher> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| known == digest)?;
        let found = kept.remove(at)?;
        let matcher = found.1.deep_clone();
        kept.push_back(found);
        Some(matcher)
    }

    fn keep(&self, digest: Digest, matcher: &Matcher) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == MOST_KEPT {
            kept.pop_front();
        }
        kept.push_back((digest, matcher.deep_clone()));
    }
}

/// The grammar of what an expression describes from end to end.
fn whole(expression: &str) -> TopLevelGrammar {
    TopLevelGrammar::from_lark(format!("start: /(?:{expression})/"))
}

fn json_options() -> JsonCompileOptions {
    JsonCompileOptions {
        item_separator: ",".to_owned(),
        key_separator: ":".to_owned(),
        whitespace_flexible: false,
        whitespace_pattern: None,
        coerce_one_of: false,
        lenient: false,
        // Without `u`: a name that could be spelled in two ways would pass for
        // another one.
        json_allowed_escapes: Some("nrbtf\\\"".to_owned()),
        json_allow_general_unicode_escapes: false,
        retriever: None,
    }
}

/// By what a grammar is known, if it is not too large.
fn digest(grammar: &Grammar) -> Result<Digest, EngineError> {
    let (kind, texts): (&[u8], Vec<String>) = match grammar {
        Grammar::Json(schema) => (b"json", vec![schema.to_string()]),
        Grammar::Regex(expression) => (b"regex", vec![expression.clone()]),
        Grammar::Choice(texts) => (b"choice", texts.clone()),
        Grammar::Lark(grammar) => (b"lark", vec![grammar.clone()]),
        Grammar::Calls(calls) => (b"calls", parts_of(calls)),
    };
    let refuse = |why: String| Err(EngineError::Grammar(why));
    if texts.is_empty() {
        return refuse("a choice needs at least one text".to_owned());
    }
    if texts.len() > MOST_CHOICES {
        let count = texts.len();
        return refuse(format!(
            "a choice of {count} texts; at most {MOST_CHOICES} are offered"
        ));
    }
    let bytes: usize = texts.iter().map(String::len).sum();
    if bytes > MOST_BYTES {
        return refuse(format!(
            "it has {bytes} bytes; at most {MOST_BYTES} are compiled"
        ));
    }
    let parts = texts.iter().map(String::as_bytes);
    Ok(Digest::of_parts(std::iter::once(kind).chain(parts)))
}

/// What makes a grammar of calls another one.
fn parts_of(calls: &Calls) -> Vec<String> {
    let Calls {
        tools,
        form,
        words,
        most,
    } = calls;
    let tools = tools.iter();
    let tools = tools.flat_map(|tool| [tool.name.clone(), tool.parameters.to_string()]);
    let kind = format!("{form:?} {words} {most}");
    std::iter::once(kind).chain(tools).collect()
}

/// The schema of a tool's arguments, written as templates write calls: with a blank
/// behind commas and colons.
fn restate_arguments(parameters: &Value) -> Result<Map<String, Value>, String> {
    let mut restated = Value::Object(schema::restate(parameters)?);
    let options = JsonCompileOptions {
        item_separator: ", ".to_owned(),
        key_separator: ": ".to_owned(),
        ..json_options()
    };
    options.apply_to(&mut restated);
    match restated {
        Value::Object(schema) => Ok(schema),
        _ => Err("it is no schema of an object".to_owned()),
    }
}

/// Runs what calls llguidance; a panic in it is an error like any other.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err("the grammar made its compiler fail".to_owned()))
        .map_err(|error| EngineError::Grammar(first_line(&error)))
}

/// What an error says to people; what follows its first line is the compiler's state.
fn first_line(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    if line.starts_with("oneOf constraints are not supported") {
        return "the schemas of a 'oneOf' may overlap: tell them apart by a required \
                property with a 'const' of its own, or ask for 'anyOf'"
            .to_owned();
    }
    if line == StopReason::NoExtensionBias.to_string() {
        return "nothing satisfies it".to_owned();
    }
    if line.starts_with("panic") {
        return "the grammar made its compiler fail".to_owned();
    }
    match line.char_indices().nth(MOST_SHOWN) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

/// One answer, followed token by token.
pub struct Constraint {
    matcher: Matcher,
    ends: Arc<[u32]>,
    /// Whether the end of the turn was taken.
    has_ended: bool,
}

impl Constraint {
    /// The tokens that must come next whatever the model says, as the model itself
    /// would write their text; often none. They still have to be
    /// [accepted](Self::accept).
    pub fn forced(&mut self) -> Vec<u32> {
        match self.is_finished() {
            true => Vec::new(),
            false => self.matcher.compute_ff_tokens(),
        }
    }

    /// Writes the tokens that may come next to `mask`; among them the ends of the
    /// turn, if the answer may end here.
    ///
    /// # Errors
    /// If following the grammar has become too costly, or nothing may come.
    pub fn mask(&mut self, mask: &mut Mask) -> Result<(), EngineError> {
        mask.clear();
        if self.has_ended {
            return Ok(());
        }
        let ends = &self.ends;
        let allowed = self.matcher.compute_mask_or_eos().map_err(lost)?;
        mask.copy(allowed.as_slice());
        if mask.allows(ends[0]) {
            ends.iter().for_each(|&end| mask.insert(end));
        }
        Ok(())
    }

    /// Takes a token of the answer.
    ///
    /// # Errors
    /// If the token may not come here; the constraint is then of no use any more.
    pub fn accept(&mut self, token: u32) -> Result<(), EngineError> {
        if self.accept_all(&[token])? == 1 {
            return Ok(());
        }
        let why = format!("the token {token} is not allowed here");
        Err(EngineError::Failed(why))
    }

    /// Takes tokens for as long as they may come; returns how many. The rest leaves
    /// no trace.
    ///
    /// # Errors
    /// If following the grammar has become too costly.
    pub fn accept_all(&mut self, tokens: &[u32]) -> Result<usize, EngineError> {
        if self.has_ended {
            return Ok(0);
        }
        let end = tokens.iter().position(|token| self.ends.contains(token));
        let (texts, end) = tokens.split_at(end.unwrap_or(tokens.len()));
        let taken = self.matcher.try_consume_tokens(texts).map_err(lost)?;
        if taken == texts.len() && !end.is_empty() && self.may_end() {
            self.has_ended = true;
            return Ok(taken + 1);
        }
        Ok(taken)
    }

    /// How many of these tokens may come, one after the other, from here on. Takes
    /// none of them.
    ///
    /// # Errors
    /// If following the grammar has become too costly.
    pub fn check(&mut self, tokens: &[u32]) -> Result<usize, EngineError> {
        let taken = self.accept_all(tokens)?;
        self.roll_back(taken)?;
        Ok(taken)
    }

    /// Takes back the last tokens that were accepted.
    ///
    /// # Errors
    /// If fewer were accepted.
    pub fn roll_back(&mut self, tokens: usize) -> Result<(), EngineError> {
        let of_end = usize::from(self.has_ended && tokens > 0);
        self.matcher.rollback(tokens - of_end).map_err(lost)?;
        self.has_ended &= of_end == 0;
        Ok(())
    }

    /// Whether the answer satisfies the grammar as it stands.
    pub fn may_end(&mut self) -> bool {
        // A failed matcher fails again where an error can be returned.
        self.has_ended || self.matcher.is_accepting().unwrap_or(false)
    }

    /// Whether nothing but the end of the turn may come.
    pub fn is_finished(&self) -> bool {
        self.has_ended
            || matches!(
                self.matcher.stop_reason(),
                StopReason::NoExtension | StopReason::NoExtensionBias | StopReason::EndOfSentence
            )
    }
}

fn lost(error: impl ToString) -> EngineError {
    EngineError::Grammar(first_line(&error.to_string()))
}

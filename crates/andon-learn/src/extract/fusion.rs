//! Whether a second opinion helps a reader, and what it then counts for.
//!
//! The texts that a reader was not sure of while they were held out are given to a language
//! model. What its values count for is learnt on some of them and tried on the others. It is
//! kept only where the answers that were tried are worth more with it.

use std::time::Duration;

use andon_task::extract::{
    Balance, Fields, Fusion, Gold, Habit, Opinion, Reader, Reading, Shown, View, Written, view,
};
use serde_json::Value;

use super::calibrate::fit;
use super::grade::{self, Graded};
use super::{FOLDS, LearntReader, assign, golds};
use crate::error::LearnError;
use crate::random::Random;

mod show;
mod verdict;

pub use verdict::Verdict;

/// The most texts that are given to a language model.
const MOST_ASKED: usize = 60;

/// From fewer texts nothing is learnt.
const LEAST_ASKED: usize = 12;

/// After so many texts it is known whether it writes soon enough, and at all.
const TRIAL: usize = 4;

/// What is given to it takes no longer than this in all.
const MOST_TIME: Duration = Duration::from_secs(150);

/// Fields of which the reader is as sure as this are given.
const GIVEN_FROM: f64 = 0.97;

/// What the weights are held to: the offset, then one for each of the features. On its own an
/// agreement changes nothing, and a value that the text does not say is none.
const AGREED: [f64; 6] = [0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
const READ: [f64; 6] = [0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
const WRITTEN: [f64; 6] = [-2.0, 0.5, 0.0, 1.0, 0.0, 0.5];
const RECORD: [f64; 4] = [0.0, 0.7, 0.3, 0.0];

/// What is asked of a language model.
pub struct Question<'a> {
    /// The text.
    pub text: &'a str,
    /// The examples that it is shown.
    pub shown: &'a [Shown],
    /// The schema that its answer is held to.
    pub schema: &'a Value,
    /// The most tokens that it may write.
    pub most_tokens: usize,
}

/// A language model that is asked beside a reader.
pub trait SecondReader {
    /// Who it is, where it is shown these examples.
    fn opinion(&self, shown: &[Shown]) -> Opinion;

    /// The object that it writes for a text.
    ///
    /// # Errors
    /// Why there is none.
    fn write(&mut self, question: &Question<'_>) -> Result<Written, String>;
}

/// When and by whom a second opinion would be given.
pub struct Asking<'a> {
    /// It is asked for where the record's probability is below this.
    pub below: f64,
    /// How long it may take on average; `None`: as long as it does.
    pub within: Option<Duration>,
    /// Hears how many texts were written of how many.
    pub tell: &'a mut dyn FnMut(usize, usize),
    /// Tells the time.
    pub clock: &'a dyn Fn() -> Duration,
}

/// A text that was asked of both.
struct Asked<'a> {
    example: usize,
    text: &'a str,
    gold: &'a Gold,
    reading: &'a Reading,
    written: Written,
    took: Duration,
}

/// Gives a reader a second opinion, if it is worth more with it.
///
/// # Errors
/// If the schema or an expected object is not sound.
pub fn fuse(
    learnt: LearntReader,
    (schema, examples): (&Value, &[(&str, &Value)]),
    mut asking: Asking<'_>,
    second: &mut dyn SecondReader,
) -> Result<(LearntReader, Verdict), LearnError> {
    let fields = Fields::of(schema).map_err(andon_task::extract::ReaderError::from)?;
    let golds = golds(&fields, examples)?;
    let shown = show::choose(&fields, examples, &golds);
    let unsure = unsure(&learnt.held_out, &shown, asking.below);
    let total = learnt.held_out.len();
    if unsure.len() < LEAST_ASKED {
        return Ok((
            learnt,
            Verdict::Sure {
                unsure: unsure.len(),
                of: total,
            },
        ));
    }
    let shown: Vec<Shown> = shown
        .into_iter()
        .map(|index| Shown {
            input: examples[index].0.to_owned(),
            expected: examples[index].1.to_string(),
        })
        .collect();
    let longest = examples
        .iter()
        .map(|(_, expected)| expected.to_string().len());
    let mut fusion = Fusion {
        opinion: second.opinion(&shown),
        shown,
        ask_below: asking.below,
        given_from: GIVEN_FROM,
        // A token has hardly less than two bytes.
        most_tokens: longest.max().unwrap_or(0) / 2 + 64,
        mean_ms: 0.0,
        habits: habits(&fields, &golds),
        balance: Balance::default(),
    };
    let (written, tried) = match write(
        (&fusion, schema, &fields),
        (&unsure, examples),
        &learnt.held_out,
        &mut asking,
        second,
    ) {
        Ok(written) => written,
        Err(verdict) => return Ok((learnt, verdict)),
    };
    let asked: Vec<Asked<'_>> = written
        .into_iter()
        .filter_map(|(example, written, took)| {
            Some(Asked {
                example,
                text: examples[example].0,
                gold: &golds[example],
                reading: learnt.held_out[example].reading.as_ref()?,
                written,
                took,
            })
        })
        .collect();
    let times: f64 = asked.iter().map(|one| one.took.as_secs_f64()).sum();
    fusion.mean_ms = 1000.0 * times / asked.len().max(1) as f64;
    // What is tried on a text was learnt on others.
    let folds = assign(examples);
    let mut fused: Vec<(usize, Graded)> = Vec::new();
    for fold in 0..FOLDS {
        let others: Vec<&Asked<'_>> = asked
            .iter()
            .filter(|one| folds[one.example] != fold)
            .collect();
        let candidate = Fusion {
            balance: balance(&fusion, &fields, &others),
            ..fusion.clone()
        };
        for one in asked.iter().filter(|one| folds[one.example] == fold) {
            if let Some(found) = candidate.fuse(&fields, one.text, one.reading, &one.written) {
                let took = learnt.held_out[one.example].took + one.took;
                let graded = grade::graded(&fields, one.gold, found.reading, took);
                fused.push((one.example, graded));
            }
        }
    }
    let pairs: Vec<(&Graded, &Graded)> = (fused.iter())
        .map(|(example, graded)| (&learnt.held_out[*example], graded))
        .collect();
    let measured = verdict::measure(&pairs, asking.below, (tried, fusion.mean_ms));
    let verdict = match measured.helps() {
        true => Verdict::Kept(Box::new(measured)),
        false => return Ok((learnt, Verdict::Left(Box::new(measured)))),
    };
    fusion.balance = balance(&fusion, &fields, &asked.iter().collect::<Vec<_>>());
    let reader = learnt.reader.fusing(fusion)?;
    let mut held_out = learnt.held_out;
    for (example, graded) in fused {
        held_out[example] = graded;
    }
    Ok((
        LearntReader {
            reader,
            held_out,
            tuned: learnt.tuned,
        },
        verdict,
    ))
}

/// Gives readings the second opinion that their reader was learnt with, where it asks for one.
/// Where none is written, the reader's own answer stays.
///
/// # Errors
/// If an expected object is not sound.
pub fn ask_again(
    reader: &Reader,
    (schema, examples): (&Value, &[(&str, &Value)]),
    graded: &mut [Graded],
    (tell, clock): (&mut dyn FnMut(usize, usize), &dyn Fn() -> Duration),
    second: &mut dyn SecondReader,
) -> Result<(), LearnError> {
    let Some(fusion) = reader.fusion() else {
        return Ok(());
    };
    let fields = reader.fields();
    let golds = golds(fields, examples)?;
    for (example, (text, _)) in examples.iter().enumerate() {
        tell(example, examples.len());
        let Some(reading) = graded[example]
            .reading
            .clone()
            .filter(|one| fusion.asks(one))
        else {
            continue;
        };
        let from = clock();
        let open = fusion.open(fields, &reading);
        let held_to = Fusion::question(schema, fields, &reading, &open);
        let written = second.write(&Question {
            text,
            shown: &fusion.shown,
            schema: &held_to,
            most_tokens: fusion.most_tokens,
        });
        let found = written
            .ok()
            .and_then(|written| fusion.fuse(fields, text, &reading, &written));
        if let Some(found) = found {
            let took = graded[example].took + clock().saturating_sub(from);
            graded[example] = grade::graded(fields, &golds[example], found.reading, took);
        }
    }
    Ok(())
}

/// The texts that a second opinion would be asked for, in an order that is drawn.
fn unsure(held_out: &[Graded], shown: &[usize], below: f64) -> Vec<usize> {
    let asks = |(example, graded): (usize, &Graded)| {
        let known = graded.reading.is_some() && graded.probability > 0.0;
        (known && graded.probability < below && !shown.contains(&example)).then_some(example)
    };
    let mut unsure: Vec<usize> = held_out.iter().enumerate().filter_map(asks).collect();
    Random::seeded(0).shuffle(&mut unsure);
    unsure
}

/// What a language model wrote for texts, with the time that it took; and how many it was
/// given.
type Texts = (Vec<(usize, Written, Duration)>, usize);

fn write(
    (fusion, schema, fields): (&Fusion, &Value, &Fields),
    (unsure, examples): (&[usize], &[(&str, &Value)]),
    held_out: &[Graded],
    asking: &mut Asking<'_>,
    second: &mut dyn SecondReader,
) -> Result<Texts, Verdict> {
    let total = unsure.len().min(MOST_ASKED);
    let began = (asking.clock)();
    let (mut written, mut tried) = (Vec::new(), 0);
    let mut reason = String::new();
    // The first has to compute what all have in common.
    let mut time = Duration::ZERO;
    for &example in &unsure[..total] {
        (asking.tell)(tried, total);
        let Some(reading) = &held_out[example].reading else {
            continue;
        };
        let open = fusion.open(fields, reading);
        let held_to = Fusion::question(schema, fields, reading, &open);
        let from = (asking.clock)();
        let answer = second.write(&Question {
            text: examples[example].0,
            shown: &fusion.shown,
            schema: &held_to,
            most_tokens: fusion.most_tokens,
        });
        let took = (asking.clock)().saturating_sub(from);
        tried += 1;
        if tried > 1 {
            time += took;
        }
        match answer {
            Ok(object) => written.push((example, object, took)),
            Err(why) => reason = why,
        }
        let mean = time / u32::try_from(tried.max(2) - 1).unwrap_or(u32::MAX);
        if tried >= TRIAL && written.is_empty() {
            return Err(Verdict::Unwritten { reason });
        }
        if let Some(within) = asking
            .within
            .filter(|&within| tried >= TRIAL && mean > within)
        {
            return Err(Verdict::Slow {
                mean_ms: 1000.0 * mean.as_secs_f64(),
                within_ms: 1000.0 * within.as_secs_f64(),
            });
        }
        if (asking.clock)().saturating_sub(began) > MOST_TIME {
            break;
        }
    }
    match written.len() < LEAST_ASKED {
        true if reason.is_empty() => Err(Verdict::Few {
            written: written.len(),
        }),
        true => Err(Verdict::Unwritten { reason }),
        false => Ok((written, tried)),
    }
}

fn habits(fields: &Fields, golds: &[Gold]) -> Vec<Habit> {
    let of = |(number, field): (usize, &andon_task::extract::Field)| {
        let values = golds.iter().flat_map(|gold| -> Vec<&Value> {
            match field.list {
                None => gold.values[number].iter().collect(),
                // A list that has a value twice is one example of it.
                Some(list) => {
                    let mut own: Vec<&Value> = Vec::new();
                    for (_, value) in gold.items[list]
                        .iter()
                        .flatten()
                        .filter(|(own, _)| *own == number)
                    {
                        if !own.contains(&value) {
                            own.push(value);
                        }
                    }
                    own
                }
            }
        });
        Habit::of(values)
    };
    fields.all().iter().enumerate().map(of).collect()
}

/// What makes values and records right, learnt from texts that both have read.
fn balance(fusion: &Fusion, fields: &Fields, asked: &[&Asked<'_>]) -> Balance {
    let (mut agreed, mut read, mut written) = (Vec::new(), Vec::new(), Vec::new());
    for one in asked {
        let open = fusion.open(fields, one.reading);
        let both = (one.reading, &one.written);
        let Some(views) = view(fields, one.text, both, &open, &fusion.habits) else {
            continue;
        };
        let right = |value: &Value| match Gold::of(fields, value) {
            Ok(said) => one.gold.grade(&said, fields),
            Err(_) => vec![false; fields.all().len()],
        };
        let (of_reader, of_writer) = (right(&one.reading.value), right(&one.written.value));
        for View {
            field,
            read: own,
            written: other,
        } in views
        {
            match other {
                None => agreed.push((own.to_vec(), of_reader[field])),
                Some(other) => {
                    read.push((own.to_vec(), of_reader[field]));
                    written.push((other.to_vec(), of_writer[field]));
                }
            }
        }
    }
    let mut balance = Balance {
        agreed: fit(&agreed, &AGREED),
        read: fit(&read, &READ),
        written: fit(&written, &WRITTEN),
        record: Vec::new(),
    };
    // The record's numbers are made of fused probabilities.
    let of_fields = Fusion {
        balance: balance.clone(),
        ..fusion.clone()
    };
    let records: Vec<(Vec<f64>, bool)> = asked
        .iter()
        .filter_map(|one| {
            let found = of_fields.fuse(fields, one.text, one.reading, &one.written)?;
            let graded = grade::graded(fields, one.gold, found.reading, Duration::ZERO);
            Some((found.seen.to_vec(), graded.is_right()))
        })
        .collect();
    balance.record = fit(&records, &RECORD);
    balance
}

#[cfg(test)]
mod tests;

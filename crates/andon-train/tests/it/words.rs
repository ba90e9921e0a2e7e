//! Encoders tuned on places in texts, and what the engine then makes of words.

use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::sync::Arc;

use andon_engine::{Encoder, EncoderFiles};
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_task::engine::Embed;
use andon_train::{EncoderSettings, MarkedText, Place, ROLES, Schedule, TrainError, tune_words};

/// Things, of which the first three are parts and the others people.
const THINGS: [&str; 6] = ["bearing", "valve", "motor", "maria", "peter", "john"];

#[allow(clippy::print_stderr)]
fn encoder() -> Option<Arc<Encoder>> {
    let home = std::env::var_os("ANDON_HOME").map(PathBuf::from);
    let folder = home.map(|home| home.join("models/minilm-l6"));
    let Some(folder) = folder.filter(|folder| folder.exists()) else {
        eprintln!("skipped: tuning on places needs minilm:l6");
        return None;
    };
    let kernels = Arc::new(Kernels::new(Isa::detect(), 2));
    let files = EncoderFiles::within(&folder);
    Some(Arc::new(
        Encoder::load("minilm:l6", &files, kernels).expect("the encoder"),
    ))
}

/// A note of four words, and the field of each: the thing is of field 0 where it is a part,
/// of field 1 where it is a person, and the others are of none.
fn note(thing: usize, frame: usize) -> ([&'static str; 4], [Option<usize>; 4]) {
    let field = Some(thing / 3);
    let thing = THINGS[thing];
    match frame % 3 {
        0 => (["the", thing, "was", "here"], [None, field, None, None]),
        1 => ([thing, "came", "back", "today"], [field, None, None, None]),
        _ => (["nobody", "saw", "the", thing], [None, None, None, field]),
    }
}

fn spans(words: &[&str]) -> Vec<Range<usize>> {
    let mut from = 0;
    let span = |word: &&str| {
        let span = from..from + word.len();
        from = span.end + 1;
        span
    };
    words.iter().map(span).collect()
}

fn place(word: usize, words: usize, field: Option<usize>) -> Place {
    Place {
        words: [
            word.checked_sub(1),
            Some(word),
            Some(word),
            Some(word + 1).filter(|&next| next < words),
        ],
        field,
    }
}

fn marked(encoder: &Encoder, thing: usize, frame: usize) -> MarkedText {
    let (words, fields) = note(thing, frame);
    let spanned = encoder.tokens_with_spans(&words.join(" "));
    let spanned = spanned
        .expect("tokens")
        .expect("a tokenizer that says spans");
    let tokens_of = |word: Range<usize>| {
        let within = |&(start, end): &(usize, usize)| start < word.end && end > word.start;
        let first = spanned.spans.iter().position(within).expect("a token");
        let last = spanned.spans.iter().rposition(within).expect("a token");
        first..last + 1
    };
    let places = fields.iter().enumerate();
    MarkedText {
        words: spans(&words).into_iter().map(tokens_of).collect(),
        places: places.map(|(word, field)| place(word, 4, *field)).collect(),
        tokens: spanned.tokens.clone(),
    }
}

fn settings() -> EncoderSettings {
    let usual = EncoderSettings::default();
    EncoderSettings {
        schedule: Schedule {
            epochs: 6,
            batch: 4,
            ..usual.schedule
        },
        ..usual
    }
}

fn go_on(_: andon_train::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The state of a word, of unit length: the mean of its tokens'.
fn state(states: &andon_task::engine::States, word: &Range<usize>) -> Vec<f32> {
    let mut sum = vec![0.0; states.width];
    let tokens = states
        .spans
        .iter()
        .zip(states.states.chunks_exact(states.width));
    for (_, token) in tokens.filter(|((start, end), _)| *start < word.end && *end > word.start) {
        sum.iter_mut().zip(token).for_each(|(sum, x)| *sum += x);
    }
    let length = sum.iter().map(|x: &f32| x * x).sum::<f32>().sqrt();
    sum.iter().map(|x| x / length).collect()
}

#[test]
fn what_was_tuned_tells_fields_in_the_engine() {
    let Some(encoder) = encoder() else { return };
    let pairs = (0..THINGS.len()).flat_map(|thing| (0..3).map(move |frame| (thing, frame)));
    // Each thing is held out in one frame.
    let (learnt, asked): (Vec<_>, Vec<_>) = pairs.partition(|(thing, frame)| thing % 3 != *frame);
    let texts: Vec<MarkedText> = learnt
        .iter()
        .map(|&(thing, frame)| marked(&encoder, thing, frame))
        .collect();
    let base = encoder.identity().digest;
    let tuned = tune_words(&*encoder, base, (&texts, 2), &settings(), None, &mut go_on)
        .expect("a tuned encoder");
    let pair = encoder.tuned(&tuned.file).expect("a sound file");
    let width = encoder.dimensions();
    assert_eq!(tuned.weights.len(), 2 * ROLES * width);
    let mut right = 0;
    for &(thing, frame) in &asked {
        let (words, fields) = note(thing, frame);
        let states = pair
            .states(&words.join(" "))
            .expect("states")
            .expect("spans");
        let spans = spans(&words);
        for (word, wanted) in fields.iter().enumerate() {
            let seen = place(word, 4, None).words;
            let logit = |field: usize| {
                let roles = seen.iter().enumerate();
                let sums = roles.filter_map(|(role, word)| {
                    let state = state(&states, &spans[(*word)?]);
                    let weights = &tuned.weights[(field * ROLES + role) * width..][..width];
                    Some(state.iter().zip(weights).map(|(x, w)| x * w).sum::<f32>())
                });
                sums.sum::<f32>()
            };
            let best = match (logit(0), logit(1)) {
                (part, person) if part.max(person) < 0.0 => None,
                (part, person) => Some(usize::from(person > part)),
            };
            right += usize::from(best == *wanted);
        }
    }
    let all = 4 * asked.len();
    assert!(10 * right >= 9 * all, "{right} of {all} places");
}

#[test]
fn a_place_beyond_the_text_is_refused() {
    let Some(encoder) = encoder() else { return };
    let base = encoder.identity().digest;
    let tune = |spoil: fn(&mut MarkedText)| {
        let mut texts: Vec<MarkedText> = (0..8).map(|n| marked(&encoder, n % 6, n)).collect();
        spoil(&mut texts[2]);
        match tune_words(&*encoder, base, (&texts, 2), &settings(), None, &mut go_on) {
            Err(TrainError::Unfit { example: 3, reason }) => reason,
            other => panic!("{other:?}"),
        }
    };
    let beyond = tune(|text| text.places[0].words[1] = Some(9));
    assert_eq!(beyond, "has a place beyond its words");
    let unknown = tune(|text| text.places[0].field = Some(2));
    assert_eq!(unknown, "has a field that is not known");
    let cut = tune(|text| text.words[0] = 5..60);
    assert_eq!(cut, "has a word beyond its tokens");
}

//! What a language model is to say, token by token.

use crate::error::TrainError;

/// A prompt and what is to follow it, in tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// The prompt and as much of the answer as leads to its last choice.
    pub tokens: Vec<u32>,
    /// The choices to be learnt, in order of their positions.
    pub targets: Vec<Target>,
}

/// A place where the model has to choose its next token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The token after which it chooses, by its position.
    pub position: usize,
    /// The right one.
    pub token: u32,
    /// What it chooses among, the right one included; `None`: the whole vocabulary.
    pub among: Option<Vec<u32>>,
}

impl Lesson {
    /// One of some labels. What the model learns is how label scoring asks it: where
    /// labels part, the next token is chosen among theirs alone.
    ///
    /// # Errors
    /// If there is no choice, or the prompt is empty.
    pub fn label(prompt: &[u32], labels: &[Vec<u32>], right: usize) -> Result<Self, &'static str> {
        let path = labels.get(right).ok_or("has a label that is not known")?;
        let mut targets = Vec::new();
        for depth in 0..path.len() {
            let beside = labels
                .iter()
                .filter(|label| label.starts_with(&path[..depth]));
            let mut among: Vec<u32> = beside
                .filter_map(|label| label.get(depth))
                .copied()
                .collect();
            among.sort_unstable();
            among.dedup();
            if among.len() > 1 {
                targets.push(Target {
                    position: (prompt.len() + depth).wrapping_sub(1),
                    token: path[depth],
                    among: Some(among),
                });
            }
        }
        Self::new(prompt, path, targets)
    }

    /// A text of its own. `chosen` says of each of its tokens whether the model chooses it:
    /// these are learnt. The others come whatever the model says, as under a grammar.
    ///
    /// # Errors
    /// If there is no choice, or the prompt is empty.
    pub fn answer(prompt: &[u32], answer: &[u32], chosen: &[bool]) -> Result<Self, &'static str> {
        let tokens = answer.iter().enumerate().zip(chosen);
        let targets = tokens.filter(|&(_, &chosen)| chosen);
        let targets = targets.map(|((index, &token), _)| Target {
            position: (prompt.len() + index).wrapping_sub(1),
            token,
            among: None,
        });
        Self::new(prompt, answer, targets.collect())
    }

    fn new(prompt: &[u32], answer: &[u32], targets: Vec<Target>) -> Result<Self, &'static str> {
        if prompt.is_empty() {
            return Err("has an empty prompt");
        }
        let last = targets.last().ok_or("has nothing to choose")?.position;
        let mut tokens = [prompt, answer].concat();
        tokens.truncate(last + 1);
        Ok(Self { tokens, targets })
    }
}

/// How many tokens all lessons begin with, before the first choice of any.
pub(crate) fn beginning<'a>(lessons: impl Iterator<Item = &'a Lesson> + Clone) -> usize {
    let Some(first) = lessons.clone().next() else {
        return 0;
    };
    let common = |lesson: &Lesson| {
        let pairs = first.tokens.iter().zip(&lesson.tokens);
        let same = pairs.take_while(|(a, b)| a == b).count();
        same.min(lesson.targets[0].position)
    };
    lessons.map(common).min().unwrap_or(0)
}

/// Makes sure that lessons fit a model.
pub(crate) fn check(
    lessons: &[Lesson],
    context: usize,
    vocabulary: usize,
) -> Result<(), TrainError> {
    for (index, lesson) in lessons.iter().enumerate() {
        let example = index + 1;
        let tokens = lesson.tokens.len();
        if tokens >= context {
            return Err(TrainError::TooLong {
                example,
                tokens,
                context,
            });
        }
        let unfit = |reason| TrainError::Unfit { example, reason };
        let is_foreign = |&token: &u32| token as usize >= vocabulary;
        let mut named = lesson.targets.iter().flat_map(|target| {
            let among = target.among.iter().flatten();
            among.chain(std::iter::once(&target.token))
        });
        if lesson.tokens.iter().any(is_foreign) || named.any(is_foreign) {
            return Err(unfit("has a token that the model has not"));
        }
        if lesson.targets.is_empty() {
            return Err(unfit("has nothing to choose"));
        }
        for target in &lesson.targets {
            if target.position >= tokens {
                return Err(unfit("has a choice behind its end"));
            }
            let among = target.among.as_ref();
            if among.is_some_and(|among| !among.contains(&target.token)) {
                return Err(unfit("has a right answer that is not among the choices"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

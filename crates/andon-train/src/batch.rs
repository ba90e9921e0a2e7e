//! Lessons that are computed together.

use std::sync::Arc;

use crate::kernel::attention::{Order, Sight};
use crate::lesson::Lesson;
use crate::op::Choice;

/// Some lessons in one row of tokens: what all begin with, then the rest of each.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) tokens: Vec<u32>,
    /// The position of each token in its lesson.
    pub(crate) positions: Vec<usize>,
    pub(crate) sight: Arc<Sight>,
    /// The tokens whose logits are wanted.
    pub(crate) wanted: Vec<u32>,
    /// What is to be said there.
    pub(crate) aims: Aims,
}

/// What is to be said after some tokens.
#[derive(Clone, Debug)]
pub(crate) enum Aims {
    /// One of some tokens each; columns are places in the head's list of tokens.
    Choices(Vec<Choice>),
    /// One token of the whole vocabulary each.
    Tokens(Vec<u32>),
}

impl Batch {
    /// Packs lessons that begin with the same `shared` tokens. `column` says where the
    /// head has a token; `all` are its columns.
    pub(crate) fn pack(
        lessons: &[&Lesson],
        shared: usize,
        all: usize,
        column: impl Fn(u32) -> usize,
    ) -> Self {
        let mut tokens = lessons[0].tokens[..shared].to_vec();
        let mut positions: Vec<usize> = (0..shared).collect();
        let (mut branches, mut wanted, mut choices) = (Vec::new(), Vec::new(), Vec::new());
        let mut targets = lessons.iter().flat_map(|lesson| &lesson.targets);
        let is_open = targets.clone().all(|target| target.among.is_none());
        let right = targets.by_ref().map(|target| target.token).collect();
        for lesson in lessons {
            let start = tokens.len();
            tokens.extend(&lesson.tokens[shared..]);
            positions.extend(shared..lesson.tokens.len());
            branches.push(start..tokens.len());
            for target in &lesson.targets {
                wanted.push((start + target.position - shared) as u32);
                if is_open {
                    continue;
                }
                let right = column(target.token);
                let others: Vec<usize> = match &target.among {
                    Some(among) => among.iter().map(|&token| column(token)).collect(),
                    None => (0..all).collect(),
                };
                let others = others.into_iter().filter(|&other| other != right);
                choices.push(Choice {
                    row: wanted.len() - 1,
                    columns: std::iter::once(right).chain(others).collect(),
                    weight: 1.0 / lessons.len() as f32,
                    smoothing: 0.0,
                });
            }
        }
        let sight = Arc::new(Sight {
            shared,
            branches,
            order: Order::Causal,
        });
        Self {
            tokens,
            positions,
            sight,
            wanted,
            aims: match is_open {
                true => Aims::Tokens(right),
                false => Aims::Choices(choices),
            },
        }
    }
}

//! What to label next: the notes that a head is unsure of and that are unlike each
//! other and what is labelled already.
//!
//! A greedy k-centre (Sener and Savarese, 2018) weighted by uncertainty: again and
//! again the note is taken whose uncertainty, times its distance to the nearest note
//! that is labelled or taken, is largest. Without the distance the list would be one
//! hard question in twenty wordings, without the uncertainty a list of oddities.

/// A note that may be labelled.
#[derive(Clone, Copy, Debug)]
pub struct Unlabelled<'a> {
    /// Its sentence vector, of length one.
    pub vector: &'a [f32],
    /// How unsure the head is of it, from 0 to 1: see [`uncertainty`].
    pub uncertainty: f64,
}

/// How unsure probabilities are: one less the margin between the best two.
pub fn uncertainty(probabilities: impl IntoIterator<Item = f64>) -> f64 {
    let (mut best, mut second) = (0.0, 0.0);
    for probability in probabilities {
        if probability > best {
            (best, second) = (probability, best);
        } else if probability > second {
            second = probability;
        }
    }
    1.0 - (best - second)
}

/// The places in `pool` of the `count` notes to label next, the most telling
/// first, given the vectors of those that are `labelled`. The same input gives the
/// same choice.
pub fn choose(pool: &[Unlabelled<'_>], labelled: &[&[f32]], count: usize) -> Vec<usize> {
    let mut distance: Vec<f64> = pool
        .iter()
        .map(|note| {
            let distances = labelled.iter().map(|vector| apart(note.vector, vector));
            distances.fold(2.0, f64::min)
        })
        .collect();
    let mut taken = vec![false; pool.len()];
    let mut chosen = Vec::new();
    while chosen.len() < count.min(pool.len()) {
        let worth = |index: usize| pool[index].uncertainty * distance[index];
        let best = (0..pool.len())
            .filter(|&index| !taken[index])
            .reduce(|best, other| {
                if worth(other) > worth(best) {
                    other
                } else {
                    best
                }
            });
        let Some(best) = best else {
            break;
        };
        taken[best] = true;
        chosen.push(best);
        for (distance, note) in distance.iter_mut().zip(pool) {
            *distance = distance.min(apart(note.vector, pool[best].vector));
        }
    }
    chosen
}

/// One less the cosine; vectors of different lengths have nothing in common.
fn apart(a: &[f32], b: &[f32]) -> f64 {
    if a.len() != b.len() {
        return 1.0;
    }
    let product: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    (1.0 - f64::from(product)).max(0.0)
}

#[cfg(test)]
mod tests;

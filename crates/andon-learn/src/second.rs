//! From which probability on a second label is answered beside the first.

use andon_task::example::LabelledText;

/// The probability of the second label from which on naming it is right most often:
/// of all thresholds that with the best F1 on held-out answers, of equally good ones
/// the highest. A second label is named rightly where the example has two and these
/// are the best two. `None` where no example has two, or none is found.
pub(crate) fn threshold<'a>(
    answers: impl IntoIterator<Item = (&'a LabelledText, Vec<f64>)>,
) -> Option<f64> {
    let mut doubles = 0usize;
    let mut seconds: Vec<(f64, bool)> = Vec::new();
    for (example, probabilities) in answers {
        let mut order: Vec<usize> = (0..probabilities.len()).collect();
        order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        doubles += usize::from(example.also.is_some());
        let both = example.accepts(order[0]) && example.accepts(order[1]);
        seconds.push((probabilities[order[1]], both));
    }
    seconds.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut best = (0.0, None);
    let mut hits = 0usize;
    for (rank, &(probability, right)) in seconds.iter().enumerate() {
        hits += usize::from(right);
        let next = seconds.get(rank + 1);
        // All that are equally probable are named, or none of them.
        if next.is_some_and(|next| next.0 == probability) {
            continue;
        }
        let f1 = 2.0 * hits as f64 / (rank + 1 + doubles) as f64;
        if f1 > best.0 {
            best = (f1, Some(probability));
        }
    }
    best.1
}

#[cfg(test)]
mod tests;

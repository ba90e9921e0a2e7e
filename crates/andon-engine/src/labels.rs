//! Which labels are still worth evaluating.
//!
//! The labels of a question form a trie of tokens. What is known of it grows from
//! the root: the logits of the prompt give the first tokens, and every label that
//! is evaluated gives the distributions along its path, those of its neighbours
//! with them. A node that is known bounds all labels below it, for together they
//! are no more probable than it is. Best-first search with that bound leaves out
//! what cannot matter; the shares are exact to [`TOLERANCE`] all the same.

/// By how much a share may differ from that of full enumeration.
pub(crate) const TOLERANCE: f64 = 5e-5;

/// A round evaluates the open nodes that hold this part of the open probability.
const COVER: f64 = 0.9;

/// The labels, and what is known of them.
#[derive(Debug)]
pub(crate) struct Labels {
    nodes: Vec<Node>,
    /// The node that each label ends at.
    ends: Vec<usize>,
    /// Each label's tokens.
    tokens: Vec<Vec<u32>>,
}

#[derive(Debug)]
struct Node {
    token: u32,
    depth: usize,
    children: Vec<usize>,
    /// Labels that end here or below.
    labels: usize,
    /// The first label of these.
    first: usize,
    /// The logarithm of the probability of this path, but for an addend that is
    /// the same for all.
    weight: Option<f64>,
}

/// A label to evaluate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Branch {
    /// The label.
    pub(crate) label: usize,
    /// How many of its first tokens have a known probability; what follows each of
    /// them from this one on is wanted.
    pub(crate) known: usize,
}

impl Labels {
    /// Labels of at least one token each, the last of which ends the turn, so that
    /// no label is the beginning of another.
    pub(crate) fn new(tokens: Vec<Vec<u32>>) -> Self {
        let root = Node {
            token: 0,
            depth: 0,
            children: Vec::new(),
            labels: tokens.len(),
            first: 0,
            weight: Some(0.0),
        };
        let mut labels = Self {
            nodes: vec![root],
            ends: Vec::with_capacity(tokens.len()),
            tokens: Vec::new(),
        };
        for (label, path) in tokens.iter().enumerate() {
            let end = path
                .iter()
                .fold(0, |node, &token| labels.step(node, token, label));
            labels.ends.push(end);
        }
        labels.tokens = tokens;
        labels
    }

    /// The child of a node, made if it is not there.
    fn step(&mut self, node: usize, token: u32, label: usize) -> usize {
        let children = &self.nodes[node].children;
        let found = children
            .iter()
            .copied()
            .find(|&child| self.nodes[child].token == token);
        let child = found.unwrap_or_else(|| {
            let child = self.nodes.len();
            self.nodes.push(Node {
                token,
                depth: self.nodes[node].depth + 1,
                children: Vec::new(),
                labels: 0,
                first: label,
                weight: None,
            });
            self.nodes[node].children.push(child);
            child
        });
        self.nodes[child].labels += 1;
        child
    }

    /// The tokens of a label.
    pub(crate) fn tokens(&self, label: usize) -> &[u32] {
        &self.tokens[label]
    }

    /// Notes what follows the first `depth` tokens of a label. At depth 0 the
    /// logarithms may all be too large or too small by the same number.
    pub(crate) fn learn(&mut self, label: usize, depth: usize, logarithm: impl Fn(u32) -> f64) {
        let mut node = 0;
        for token in &self.tokens[label][..depth] {
            let children = &self.nodes[node].children;
            let child = children
                .iter()
                .find(|&&child| self.nodes[child].token == *token);
            node = *child.expect("a label's path is in the trie");
        }
        let Some(weight) = self.nodes[node].weight else {
            return;
        };
        for at in 0..self.nodes[node].children.len() {
            let child = self.nodes[node].children[at];
            let child = &mut self.nodes[child];
            child.weight = Some(weight + logarithm(child.token));
        }
    }

    /// The labels to evaluate next, at most one below each open node; none when
    /// the shares are known, or when what was learned is no number. What is asked depends on what was learned alone.
    pub(crate) fn next_round(&self) -> Vec<Branch> {
        let Masses { mut open, closed } = self.masses();
        open.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let total: f64 = open.iter().map(|(_, mass)| mass).sum();
        if total <= TOLERANCE * closed {
            return Vec::new();
        }
        let mut left = total;
        open.into_iter()
            .take_while(|(_, mass)| {
                let is_wanted = left > (1.0 - COVER) * total && left > TOLERANCE * closed;
                left -= mass;
                is_wanted
            })
            .map(|(node, _)| Branch {
                label: self.nodes[node].first,
                known: self.nodes[node].depth,
            })
            .collect()
    }

    /// The share of every label among all of them. Labels that were not evaluated
    /// share what is left for them.
    pub(crate) fn shares(&self) -> Vec<f64> {
        let Masses { open, closed } = self.masses();
        let total = closed + open.iter().map(|(_, mass)| mass).sum::<f64>();
        let mut shares = vec![0.0; self.nodes.len()];
        for (node, mass) in self.leaves().chain(open) {
            self.spread(
                node,
                mass / total / self.nodes[node].labels as f64,
                &mut shares,
            );
        }
        self.ends.iter().map(|&end| shares[end]).collect()
    }

    fn spread(&self, node: usize, share: f64, shares: &mut [f64]) {
        let mut below = vec![node];
        while let Some(node) = below.pop() {
            shares[node] = share;
            below.extend(&self.nodes[node].children);
        }
    }

    /// Labels' ends that are known, with their probabilities up to a factor.
    fn leaves(&self) -> impl Iterator<Item = (usize, f64)> {
        let largest = self.largest();
        self.nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.children.is_empty())
            .filter_map(move |(at, node)| Some((at, (node.weight? - largest).exp())))
    }

    fn masses(&self) -> Masses {
        let largest = self.largest();
        let is_known = |&node: &usize| self.nodes[node].weight.is_some();
        let open = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| !node.children.is_empty() && !node.children.iter().all(is_known))
            .filter_map(|(at, node)| Some((at, (node.weight? - largest).exp())))
            .collect();
        Masses {
            open,
            closed: self.leaves().map(|(_, mass)| mass).sum(),
        }
    }

    /// The largest weight of what is open or an end: the unit of masses, so that
    /// they neither vanish nor overflow.
    fn largest(&self) -> f64 {
        let is_known = |&node: &usize| self.nodes[node].weight.is_some();
        self.nodes
            .iter()
            .filter(|node| node.children.is_empty() || !node.children.iter().all(is_known))
            .filter_map(|node| node.weight)
            .fold(f64::NEG_INFINITY, f64::max)
    }
}

struct Masses {
    /// Nodes whose children are not known, and how probable they are.
    open: Vec<(usize, f64)>,
    /// How probable the labels are that are known to their end.
    closed: f64,
}

#[cfg(test)]
mod tests;

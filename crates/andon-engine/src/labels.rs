//! Which labels are still worth evaluating.
//!
//! The labels of a question form a trie of tokens. The share of a label is the
//! probability with which a model that is held to the labels, token by token, says
//! it: at each node what follows is chosen among the node's children alone, in
//! proportion to what the model thinks of them. A node with one child is no choice
//! and costs nothing, so labels that differ in their first token are weighed by the
//! logits of the prompt. Of the other nodes, those are evaluated that can still
//! matter: all labels below a node share what the node has, which bounds them.
//! The shares are exact to [`TOLERANCE`] all the same.

/// By how much a share may differ from that of full enumeration.
pub(crate) const TOLERANCE: f64 = 5e-5;

/// The labels, and what is known of them.
#[derive(Debug)]
pub struct Labels {
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
    /// The probability of this path.
    share: Option<f64>,
}

/// A label's path to evaluate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The label.
    pub label: usize,
    /// How many of its tokens lead to the node where the model has to choose.
    pub depth: usize,
}

impl Labels {
    /// Labels of at least one token each, the last of which ends the turn, so that
    /// no label is the beginning of another.
    pub fn new(tokens: Vec<Vec<u32>>) -> Self {
        let root = Node {
            token: 0,
            depth: 0,
            children: Vec::new(),
            labels: tokens.len(),
            first: 0,
            share: Some(1.0),
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
        labels.settle(0, 1.0);
        labels
    }

    /// The child of a node, made if it is not there.
    fn step(&mut self, node: usize, token: u32, label: usize) -> usize {
        let child = self.child(node, token).unwrap_or_else(|| {
            let child = self.nodes.len();
            self.nodes.push(Node {
                token,
                depth: self.nodes[node].depth + 1,
                children: Vec::new(),
                labels: 0,
                first: label,
                share: None,
            });
            self.nodes[node].children.push(child);
            child
        });
        self.nodes[child].labels += 1;
        child
    }

    /// The tokens of a label.
    pub fn tokens(&self, label: usize) -> &[u32] {
        &self.tokens[label]
    }

    /// The tokens among which the model has to choose at a node.
    pub fn choices(&self, at: Branch) -> Vec<u32> {
        let children = self.nodes[self.node(at)].children.iter();
        children.map(|&child| self.nodes[child].token).collect()
    }

    /// The nodes behind the first tokens where the model has to choose, whatever it
    /// thinks of them.
    pub fn inner(&self) -> Vec<Branch> {
        let inner = self.nodes.iter().skip(1);
        let inner = inner.filter(|node| node.children.len() > 1);
        inner
            .map(|node| Branch {
                label: node.first,
                depth: node.depth,
            })
            .collect()
    }

    fn node(&self, at: Branch) -> usize {
        let path = &self.tokens[at.label][..at.depth];
        path.iter().fold(0, |node, &token| {
            let child = self.child(node, token);
            child.expect("a label's path is in the trie")
        })
    }

    /// Notes what the model thinks of the tokens that may follow at a node: their
    /// logits.
    pub fn learn(&mut self, at: Branch, logit: impl Fn(u32) -> f32) {
        let node = self.node(at);
        let Some(share) = self.nodes[node].share else {
            return;
        };
        let children = self.nodes[node].children.clone();
        let logits: Vec<f64> = children
            .iter()
            .map(|&child| f64::from(logit(self.nodes[child].token)))
            .collect();
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights = logits.iter().map(|logit| (logit - largest).exp());
        let total: f64 = weights.clone().sum();
        for (&child, weight) in children.iter().zip(weights) {
            self.settle(child, share * weight / total);
        }
    }

    /// A node's share is known, and with it that of those below to which there is
    /// no alternative.
    fn settle(&mut self, mut node: usize, share: f64) {
        self.nodes[node].share = Some(share);
        while let &[only] = self.nodes[node].children.as_slice() {
            node = only;
            self.nodes[node].share = Some(share);
        }
    }

    /// The nodes to evaluate next; none when the shares are known, or when what was
    /// learned is no number. What is asked depends on what was learned alone.
    pub fn next_round(&self) -> Vec<Branch> {
        let mut open: Vec<(usize, f64)> = self.open().collect();
        open.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut left: f64 = open.iter().map(|(_, share)| share).sum();
        open.into_iter()
            .take_while(|(_, share)| {
                let is_wanted = left > TOLERANCE;
                left -= share;
                is_wanted
            })
            .map(|(node, _)| Branch {
                label: self.nodes[node].first,
                depth: self.nodes[node].depth,
            })
            .collect()
    }

    /// The share of every label among all of them. Labels that were not evaluated
    /// have equal parts of what is left for them.
    pub fn shares(&self) -> Vec<f64> {
        let mut shares = vec![0.0; self.nodes.len()];
        let ends = self.nodes.iter().enumerate();
        let ends = ends.filter(|(_, node)| node.children.is_empty());
        let ends = ends.filter_map(|(at, node)| Some((at, node.share?)));
        for (node, share) in ends.chain(self.open()) {
            let part = share / self.nodes[node].labels as f64;
            let mut below = vec![node];
            while let Some(node) = below.pop() {
                shares[node] = part;
                below.extend(&self.nodes[node].children);
            }
        }
        self.ends.iter().map(|&end| shares[end]).collect()
    }

    /// Nodes where the model has to choose and that are not evaluated, with their
    /// shares.
    fn open(&self) -> impl Iterator<Item = (usize, f64)> {
        self.nodes.iter().enumerate().filter_map(|(at, node)| {
            let &child = node.children.first()?;
            let is_open = self.nodes[child].share.is_none();
            Some((at, node.share.filter(|_| is_open)?))
        })
    }

    fn child(&self, node: usize, token: u32) -> Option<usize> {
        let children = self.nodes[node].children.iter().copied();
        children
            .into_iter()
            .find(|&child| self.nodes[child].token == token)
    }
}

#[cfg(test)]
mod tests;

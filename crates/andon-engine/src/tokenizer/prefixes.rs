//! All tokens that a text begins with.

use std::collections::VecDeque;
use std::ops::Range;

/// A tree of texts, byte by byte.
pub(super) struct Prefixes {
    /// The root, then the children of every node side by side.
    nodes: Vec<Node>,
}

struct Node {
    /// The last byte of its text.
    label: u8,
    /// The token with its text, if there is one.
    token: Option<u32>,
    /// Its children, in the order of their labels.
    children: Range<u32>,
}

impl Node {
    fn new(label: u8) -> Self {
        Self {
            label,
            token: None,
            children: 0..0,
        }
    }
}

impl Prefixes {
    /// Enters texts, no two of them the same.
    pub(super) fn new<'a>(texts: impl Iterator<Item = (u32, &'a str)>) -> Self {
        let mut texts: Vec<(&[u8], u32)> = texts.map(|(id, text)| (text.as_bytes(), id)).collect();
        texts.sort_unstable();
        let mut nodes = vec![Node::new(0)];
        // A node, the texts that begin with its own, and the length of that.
        let mut open = VecDeque::from([(0, texts.as_slice(), 0)]);
        while let Some((at, mut rest, length)) = open.pop_front() {
            if let Some(&(text, id)) = rest.first()
                && text.len() == length
            {
                nodes[at].token = Some(id);
                rest = &rest[1..];
            }
            let first = nodes.len() as u32;
            while let Some((text, _)) = rest.first() {
                let label = text[length];
                let alike = rest.partition_point(|(text, _)| text[length] == label);
                let (child, others) = rest.split_at(alike);
                open.push_back((nodes.len(), child, length + 1));
                nodes.push(Node::new(label));
                rest = others;
            }
            nodes[at].children = first..nodes.len() as u32;
        }
        Self { nodes }
    }

    /// The tokens that `text` begins with, the shortest first: bytes and token.
    pub(super) fn of(&self, text: &[u8]) -> impl Iterator<Item = (usize, u32)> {
        let mut node = &self.nodes[0];
        let mut bytes = (1..).zip(text);
        std::iter::from_fn(move || {
            loop {
                let (length, &byte) = bytes.next()?;
                let Range { start, end } = node.children;
                let children = &self.nodes[start as usize..end as usize];
                let found = children.binary_search_by_key(&byte, |child| child.label);
                node = &children[found.ok()?];
                if let Some(token) = node.token {
                    return Some((length, token));
                }
            }
        })
    }
}

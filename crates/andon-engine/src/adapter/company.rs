//! The adapters of a step, and what they add to its products.
//!
//! The slots of one adapter are gathered, whatever sequences they are of, and
//! multiplied together; what comes out is added to each one's row. A slot has
//! rows and sums of its own, so its company changes no bit.

use andon_kernels::Kernels;
use andon_kernels::activation::{Activations, Input, Precision, Transform};
use andon_kernels::matmul::Output;

use super::{Adapter, Applied, Site};

/// The adapters of a step, with the slots of each.
pub(crate) struct Company<'a> {
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    adapter: &'a Adapter,
    slots: Vec<usize>,
    /// That of each slot.
    scales: Vec<f32>,
}

/// Memory that adapters compute in.
#[derive(Default)]
pub(crate) struct Scratch {
    gathered: Activations,
    inner: Vec<f32>,
    scaled: Vec<f32>,
    activations: Activations,
    products: Vec<f32>,
}

/// Rows that adapters add to: one every `stride` numbers.
pub(crate) struct Rows<'a> {
    pub(crate) numbers: &'a mut [f32],
    pub(crate) stride: usize,
}

impl<'a> Company<'a> {
    /// Of the adapter of each slot.
    pub(crate) fn of(adapters: impl Iterator<Item = Option<&'a Applied>>) -> Self {
        let mut members: Vec<Member<'a>> = Vec::new();
        for (slot, applied) in adapters.enumerate() {
            let Some(applied) = applied else {
                continue;
            };
            let adapter = applied.adapter.as_ref();
            let is_it = |member: &Member<'_>| std::ptr::eq(member.adapter, adapter);
            let at = members.iter().position(is_it).unwrap_or_else(|| {
                members.push(Member {
                    adapter,
                    slots: Vec::new(),
                    scales: Vec::new(),
                });
                members.len() - 1
            });
            members[at].slots.push(slot);
            members[at].scales.push(applied.scale);
        }
        Self { members }
    }

    /// Adds to the products of a site what the adapters give for the same input.
    pub(crate) fn add(
        &self,
        kernels: &Kernels,
        scratch: &mut Scratch,
        (layer, site): (usize, Site),
        activations: &Activations,
        mut out: Rows<'_>,
    ) {
        for member in &self.members {
            if let Some(addition) = &member.adapter.layers[layer][site as usize] {
                scratch.gathered.gather(activations, &member.slots);
                let rank = addition.down.rows();
                let tokens = member.slots.len();
                scratch.inner.resize(tokens * rank, 0.0);
                kernels.matmul(
                    &addition.down,
                    &scratch.gathered,
                    Output::Replace,
                    &mut scratch.inner,
                    rank,
                );
                for part in &addition.parts {
                    scratch.add_part(kernels, member, part, rank, &mut out);
                }
            }
        }
    }
}

impl Scratch {
    fn add_part(
        &mut self,
        kernels: &Kernels,
        member: &Member<'_>,
        part: &super::Part,
        stride: usize,
        out: &mut Rows<'_>,
    ) {
        let (rank, rows) = (part.up.columns(), part.up.rows());
        self.scaled.clear();
        for (inner, scale) in self.inner.chunks_exact(stride).zip(&member.scales) {
            let factor = scale * part.factor;
            let inner = &inner[part.input..part.input + rank];
            self.scaled.extend(inner.iter().map(|x| x * factor));
        }
        // Few numbers, each of which counts for many: kept twice as exactly.
        let input = Input::of(&self.scaled, rank, rank);
        self.activations
            .fill(kernels, input, Transform::None, Precision::Double);
        self.products.resize(member.slots.len() * rows, 0.0);
        let (output, products) = (Output::Replace, &mut self.products);
        kernels.matmul(&part.up, &self.activations, output, products, rows);
        for (&slot, products) in member.slots.iter().zip(products.chunks_exact(rows)) {
            let row = &mut out.numbers[slot * out.stride + part.output..][..rows];
            row.iter_mut().zip(products).for_each(|(to, x)| *to += x);
        }
    }
}

//! From the blocks of a file to the groups of the kernels.

use andon_kernels::activation::GROUP;
use andon_kernels::matrix::{Group4, Group8, Matrix};
use half::{bf16, f16};

use crate::gguf::{Tensor, TensorKind};

/// Packs tensors with the same number of columns, one below the other. Those of
/// 4 and of 8 bits are taken as they are; floats are rounded to 8 bits.
///
/// # Panics
/// If the tensors differ in kind or columns.
pub(crate) fn pack(tensors: &[&Tensor<'_>]) -> Matrix {
    let first = tensors[0];
    let rows = tensors.iter().map(|tensor| tensor.rows).sum();
    let find = |mut row: usize| {
        for tensor in tensors {
            if row < tensor.rows {
                assert_eq!((tensor.kind, tensor.columns), (first.kind, first.columns));
                return tensor.row(row);
            }
            row -= tensor.rows;
        }
        unreachable!("a row below the sum of rows")
    };
    match first.kind {
        TensorKind::Q4_0 | TensorKind::Q4_1 => Matrix::int4(rows, first.columns, |row, group| {
            four_bits(first.kind, find(row), group)
        }),
        TensorKind::F32 | TensorKind::F16 | TensorKind::Bf16 | TensorKind::Q8_0 => {
            Matrix::int8(rows, first.columns, |row, group| {
                eight_bits(first.kind, find(row), group)
            })
        }
    }
}

/// A tensor's numbers as floats.
pub(crate) fn floats(tensor: &Tensor<'_>) -> Vec<f32> {
    let mut out = Vec::with_capacity(tensor.rows * tensor.columns);
    for row in 0..tensor.rows {
        let bytes = tensor.row(row);
        match tensor.kind {
            TensorKind::Q4_0 | TensorKind::Q4_1 => {
                for group in 0..tensor.columns / GROUP {
                    let group = four_bits(tensor.kind, bytes, group);
                    let (scale, minimum) = (group.scale.to_f32(), group.minimum.to_f32());
                    out.extend(group.codes.map(|code| scale * f32::from(code) + minimum));
                }
            }
            TensorKind::Q8_0 => {
                for group in 0..tensor.columns / GROUP {
                    let group = eight_bits(tensor.kind, bytes, group);
                    let scale = group.scale.to_f32();
                    out.extend(group.codes.map(|code| scale * f32::from(code)));
                }
            }
            TensorKind::F32 | TensorKind::F16 | TensorKind::Bf16 => {
                out.extend(plain(tensor.kind, bytes));
            }
        }
    }
    out
}

fn half(bytes: &[u8], at: usize) -> f16 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn plain(kind: TensorKind, bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes
        .chunks_exact(kind.block_bytes())
        .map(move |x| match kind {
            TensorKind::F32 => f32::from_le_bytes([x[0], x[1], x[2], x[3]]),
            TensorKind::F16 => half(x, 0).to_f32(),
            _ => bf16::from_le_bytes([x[0], x[1]]).to_f32(),
        })
}

fn eight_bits(kind: TensorKind, row: &[u8], group: usize) -> Group8 {
    if kind == TensorKind::Q8_0 {
        let block = &row[group * 34..][..34];
        let mut codes = [0; GROUP];
        for (code, &byte) in codes.iter_mut().zip(&block[2..]) {
            *code = byte as i8;
        }
        let scale = half(block, 0);
        return Group8 { scale, codes };
    }
    let size = kind.block_bytes();
    let from = group * GROUP * size;
    let bytes = &row[from..row.len().min(from + GROUP * size)];
    let mut values = [0.0; GROUP];
    for (value, x) in values.iter_mut().zip(plain(kind, bytes)) {
        *value = x;
    }
    Group8::quantise(&values)
}

fn four_bits(kind: TensorKind, row: &[u8], group: usize) -> Group4 {
    let size = kind.block_bytes();
    let block = &row[group * size..][..size];
    let scale = half(block, 0);
    let (minimum, packed) = match kind {
        // Codes are eight too large: eight scales less, exact in a half.
        TensorKind::Q4_0 => (f16::from_f32(-8.0 * scale.to_f32()), &block[2..]),
        _ => (half(block, 2), &block[4..]),
    };
    let mut codes = [0; GROUP];
    for (at, byte) in packed.iter().enumerate() {
        codes[at] = byte & 0x0f;
        codes[at + GROUP / 2] = byte >> 4;
    }
    Group4 {
        scale,
        minimum,
        codes,
    }
}

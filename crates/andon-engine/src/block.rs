//! From the blocks of a file to the groups of the kernels.
//!
//! What came in 4 bits stays there, but for IQ4_NL, whose codes stand for numbers
//! that are not evenly spaced: those are 8-bit integers as they are. Q8_0 and Q5_0
//! are taken as they are, too. Everything else is rounded to 8 bits.

use andon_kernels::activation::GROUP;
use andon_kernels::matrix::{Format, Group4, Group8, Matrix};
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::error::{LoadError, unsupported};
use crate::gguf::{Tensor, TensorKind};

mod long;

/// What the codes of IQ4_NL stand for.
const IQ4_NL: [i8; 16] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
];

/// How tensors of this kind are kept.
fn format(kind: TensorKind) -> Format {
    match kind {
        TensorKind::Q4_0 | TensorKind::Q4_1 | TensorKind::Q4K => Format::Int4,
        _ => Format::Int8,
    }
}

/// Packs tensors with the same number of columns, one below the other: as few
/// matrices as keep every tensor as it should be kept.
pub(crate) fn stack(tensors: &[&Tensor<'_>]) -> Vec<Matrix> {
    let alike = tensors.chunk_by(|one, next| format(one.kind) == format(next.kind));
    alike.map(pack).collect()
}

/// Packs tensors that are kept alike, one below the other.
///
/// # Panics
/// If the tensors differ in format or columns.
pub(crate) fn pack(tensors: &[&Tensor<'_>]) -> Matrix {
    let (wanted, columns) = (format(tensors[0].kind), tensors[0].columns);
    let rows = tensors.iter().map(|tensor| tensor.rows).sum();
    let find = |mut row: usize| {
        for tensor in tensors {
            if row < tensor.rows {
                assert_eq!((format(tensor.kind), tensor.columns), (wanted, columns));
                return (tensor.kind, tensor.row(row));
            }
            row -= tensor.rows;
        }
        unreachable!("a row below the sum of rows")
    };
    match wanted {
        Format::Int4 => Matrix::int4(rows, columns, |row, group| {
            let (kind, row) = find(row);
            four_bits(kind, row, group)
        }),
        Format::Int8 => Matrix::int8(rows, columns, |row, group| {
            let (kind, row) = find(row);
            eight_bits(kind, row, group)
        }),
    }
}

/// A tensor's numbers as floats.
pub(crate) fn floats(tensor: &Tensor<'_>) -> Vec<f32> {
    let mut out = Vec::with_capacity(tensor.rows * tensor.columns);
    for row in 0..tensor.rows {
        let bytes = tensor.row(row);
        match tensor.kind.block() {
            1 => out.extend(plain(tensor.kind, bytes)),
            _ => {
                for group in 0..tensor.columns / GROUP {
                    out.extend(values(tensor.kind, bytes, group));
                }
            }
        }
    }
    out
}

/// The numbers of a tensor of a safetensors file as floats; `name` is for the error.
pub(crate) fn view_floats(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>, LoadError> {
    let kind = match view.dtype() {
        Dtype::F32 => TensorKind::F32,
        Dtype::F16 => TensorKind::F16,
        Dtype::BF16 => TensorKind::Bf16,
        other => return Err(unsupported!("the tensor '{name}' of type {other:?}")),
    };
    Ok(plain(kind, view.data()).collect())
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

/// The block of a group, for kinds whose blocks are groups.
fn block(kind: TensorKind, row: &[u8], group: usize) -> &[u8] {
    &row[group * kind.block_bytes()..][..kind.block_bytes()]
}

/// The codes of sixteen bytes: the lower halves, then the upper.
fn nibbles(packed: &[u8]) -> [u8; GROUP] {
    let mut codes = [0; GROUP];
    for (at, byte) in packed[..GROUP / 2].iter().enumerate() {
        codes[at] = byte & 0x0f;
        codes[at + GROUP / 2] = byte >> 4;
    }
    codes
}

/// The codes of sixteen bytes, each with a fifth bit.
fn five_bits(packed: &[u8], fifth: &[u8]) -> [u8; GROUP] {
    let mut codes = nibbles(packed);
    for (at, code) in codes.iter_mut().enumerate() {
        *code |= (fifth[at / 8] >> (at % 8) & 1) << 4;
    }
    codes
}

/// A group of a row as floats; where the row ends before the group, zeros.
fn values(kind: TensorKind, row: &[u8], group: usize) -> [f32; GROUP] {
    match kind {
        TensorKind::F32 | TensorKind::F16 | TensorKind::Bf16 => {
            let size = GROUP * kind.block_bytes();
            let from = group * size;
            let mut values = [0.0; GROUP];
            let numbers = plain(kind, &row[from..row.len().min(from + size)]);
            values.iter_mut().zip(numbers).for_each(|(to, x)| *to = x);
            values
        }
        TensorKind::Q4_0 | TensorKind::Q4_1 | TensorKind::Q4K => {
            let group = four_bits(kind, row, group);
            let (scale, minimum) = (group.scale.to_f32(), group.minimum.to_f32());
            group.codes.map(|code| scale * f32::from(code) + minimum)
        }
        TensorKind::Q5_0 | TensorKind::Q8_0 | TensorKind::Iq4Nl => {
            let group = eight_bits(kind, row, group);
            let scale = group.scale.to_f32();
            group.codes.map(|code| scale * f32::from(code))
        }
        TensorKind::Q5_1 => {
            let block = block(kind, row, group);
            let (scale, minimum) = (half(block, 0).to_f32(), half(block, 2).to_f32());
            let codes = five_bits(&block[8..], &block[4..8]);
            codes.map(|code| scale * f32::from(code) + minimum)
        }
        TensorKind::Q5K => long::q5(row, group),
        TensorKind::Q6K => long::q6(row, group),
    }
}

fn eight_bits(kind: TensorKind, row: &[u8], group: usize) -> Group8 {
    let codes = match kind {
        TensorKind::Q8_0 => {
            let mut codes = [0; GROUP];
            let bytes = &block(kind, row, group)[2..];
            let pairs = codes.iter_mut().zip(bytes);
            pairs.for_each(|(code, &byte)| *code = byte as i8);
            codes
        }
        TensorKind::Q5_0 => {
            let block = block(kind, row, group);
            five_bits(&block[6..], &block[2..6]).map(|code| code as i8 - 16)
        }
        TensorKind::Iq4Nl => {
            nibbles(&block(kind, row, group)[2..]).map(|code| IQ4_NL[usize::from(code)])
        }
        _ => return Group8::quantise(&values(kind, row, group)),
    };
    Group8 {
        scale: half(block(kind, row, group), 0),
        codes,
    }
}

fn four_bits(kind: TensorKind, row: &[u8], group: usize) -> Group4 {
    if kind == TensorKind::Q4K {
        return long::q4(row, group);
    }
    let block = block(kind, row, group);
    let scale = half(block, 0);
    let (minimum, packed) = match kind {
        // Codes are eight too large: eight scales less, exact in a half.
        TensorKind::Q4_0 => (f16::from_f32(-8.0 * scale.to_f32()), &block[2..]),
        _ => (half(block, 2), &block[4..]),
    };
    Group4 {
        scale,
        minimum,
        codes: nibbles(packed),
    }
}

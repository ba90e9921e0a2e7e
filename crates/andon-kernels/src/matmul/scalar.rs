//! The plain form, which says what the others compute.

use half::f16;

use super::Job;
use crate::activation::Group;
use crate::matrix::{Format, PANEL};

pub(super) fn run(job: &Job<'_>) {
    for (token, row) in job.rows.iter().enumerate() {
        let products = std::array::from_fn(|lane| product(job.panel, job.format, lane, row));
        job.put(token, &products);
    }
}

fn product(panel: &[u8], format: Format, lane: usize, row: &[Group]) -> f32 {
    let half = |bytes: &[u8], at: usize| {
        f16::from_le_bytes([bytes[at + 2 * lane], bytes[at + 2 * lane + 1]]).to_f32()
    };
    let mut total = 0.0f32;
    for (bytes, group) in panel.chunks_exact(format.group_bytes()).zip(row) {
        let sum: i32 = group
            .codes
            .iter()
            .enumerate()
            .map(|(column, &activation)| {
                let weight = match format {
                    Format::Int8 => {
                        (bytes[column / 4 * 128 + lane * 4 + column % 4] ^ 0x80) as i8 as i32
                    }
                    Format::Int4 => {
                        let byte = bytes[column % 16 / 4 * 128 + lane * 4 + column % 4];
                        i32::from((byte >> (column / 16 * 4)) & 0x0f)
                    }
                };
                weight * i32::from(activation)
            })
            .sum();
        let scale = half(bytes, format.code_bytes());
        total = (sum as f32 * scale).mul_add(group.scale, total);
        if format == Format::Int4 {
            let minimum = half(bytes, format.code_bytes() + 2 * PANEL);
            total = minimum.mul_add(group.offset, total);
        }
    }
    total
}

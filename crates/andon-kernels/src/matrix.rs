//! Weights, packed for the processor.
//!
//! A matrix is cut into panels of 32 rows. Within a panel the groups of 32
//! columns follow each other, each with the codes of all rows and then their
//! scales, so that a product reads memory in one direction. In a group the
//! codes of four columns of a row are neighbours: what one integer
//! multiply-add takes.

use half::f16;

use crate::activation::{BIAS, GROUP};

/// What 8-bit codes are packed with (exclusive or): the forms for x86 take weights
/// without a sign, 128 too large; those for Arm take them as they are.
pub(crate) const FLIP: u8 = if cfg!(target_arch = "aarch64") {
    0
} else {
    0x80
};

/// Rows of a panel.
pub const PANEL: usize = 32;

/// How the numbers of a matrix are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// 8 bits and a scale for each group: `scale * code`.
    Int8,
    /// 4 bits, a scale and a minimum for each group: `scale * code + minimum`.
    Int4,
}

impl Format {
    /// Bytes of the codes of one group of a panel.
    pub(crate) const fn code_bytes(self) -> usize {
        match self {
            Self::Int8 => PANEL * GROUP,
            Self::Int4 => PANEL * GROUP / 2,
        }
    }

    /// Bytes of one group of a panel: codes, scales and, for 4 bits, minima.
    pub(crate) const fn group_bytes(self) -> usize {
        match self {
            Self::Int8 => self.code_bytes() + 2 * PANEL,
            Self::Int4 => self.code_bytes() + 4 * PANEL,
        }
    }
}

/// One group of a row in 8 bits: `value = scale * code`.
#[derive(Clone, Copy, Debug)]
pub struct Group8 {
    /// The scale.
    pub scale: f16,
    /// The codes.
    pub codes: [i8; GROUP],
}

impl Group8 {
    /// The nearest group to `values`, which may be fewer than a group has.
    pub fn quantise(values: &[f32]) -> Self {
        let largest = values.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        // Rounded up to what a half holds, so that no code passes 127.
        let mut scale = f16::from_f32(largest / 127.0);
        if scale.to_f32() * 127.0 < largest {
            scale = f16::from_bits(scale.to_bits() + 1);
        }
        let inverse = match scale.to_f32() {
            0.0 => 0.0,
            scale => 1.0 / scale,
        };
        let mut codes = [0; GROUP];
        for (code, value) in codes.iter_mut().zip(values) {
            // Rounds to the nearest, halves to even, as `round_ties_even` does, which is a
            // call into a library where the build does not ask for more than SSE2.
            let rounded = (value * inverse + BIAS) - BIAS;
            *code = rounded.clamp(-127.0, 127.0) as i8;
        }
        Self { scale, codes }
    }
}

/// One group of a row in 4 bits: `value = scale * code + minimum`.
#[derive(Clone, Copy, Debug)]
pub struct Group4 {
    /// The scale.
    pub scale: f16,
    /// What the code 0 stands for.
    pub minimum: f16,
    /// The codes, each below 16.
    pub codes: [u8; GROUP],
}

/// 64 bytes on a boundary of 64: what one load of the widest form reads.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// A matrix of weights, `rows` × `columns`, multiplied from the left onto
/// columns of activations.
pub struct Matrix {
    rows: usize,
    columns: usize,
    format: Format,
    lines: Vec<Line>,
    bias: Option<Vec<f32>>,
}

impl std::fmt::Debug for Matrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Matrix({}x{} {:?})",
            self.rows, self.columns, self.format
        )
    }
}

impl Matrix {
    /// Packs a matrix in 8 bits from its groups, asked for by row and group.
    /// The last group of a row is filled with zeros by `group`.
    pub fn int8(
        rows: usize,
        columns: usize,
        mut group: impl FnMut(usize, usize) -> Group8,
    ) -> Self {
        let mut matrix = Self::zeroed(rows, columns, Format::Int8);
        matrix.pack(|bytes, lane, row, at| {
            let Group8 { scale, codes } = group(row, at);
            for (column, code) in codes.into_iter().enumerate() {
                bytes[column / 4 * 128 + lane * 4 + column % 4] = code as u8 ^ FLIP;
            }
            let scales = Format::Int8.code_bytes() + 2 * lane;
            bytes[scales..scales + 2].copy_from_slice(&scale.to_le_bytes());
        });
        matrix
    }

    /// Packs a matrix in 4 bits from its groups, asked for by row and group.
    pub fn int4(
        rows: usize,
        columns: usize,
        mut group: impl FnMut(usize, usize) -> Group4,
    ) -> Self {
        let mut matrix = Self::zeroed(rows, columns, Format::Int4);
        matrix.pack(|bytes, lane, row, at| {
            let Group4 {
                scale,
                minimum,
                codes,
            } = group(row, at);
            for (column, code) in codes.into_iter().enumerate() {
                // Columns 0 to 15 in the lower halves, 16 to 31 in the upper.
                let byte = column % 16 / 4 * 128 + lane * 4 + column % 4;
                bytes[byte] |= (code & 0x0f) << (column / 16 * 4);
            }
            let scales = Format::Int4.code_bytes() + 2 * lane;
            bytes[scales..scales + 2].copy_from_slice(&scale.to_le_bytes());
            let minima = scales + 2 * PANEL;
            bytes[minima..minima + 2].copy_from_slice(&minimum.to_le_bytes());
        });
        matrix
    }

    fn zeroed(rows: usize, columns: usize, format: Format) -> Self {
        let groups = columns.div_ceil(GROUP);
        let bytes = rows.div_ceil(PANEL) * groups * format.group_bytes();
        Self {
            rows,
            columns,
            format,
            lines: vec![Line([0; 64]); bytes / 64],
            bias: None,
        }
    }

    /// Calls `write(bytes of the group, row within the panel, row, group)`.
    fn pack(&mut self, mut write: impl FnMut(&mut [u8], usize, usize, usize)) {
        let (rows, groups, size) = (self.rows, self.groups(), self.format.group_bytes());
        let bytes = self.bytes_mut();
        for (index, bytes) in bytes.chunks_exact_mut(size).enumerate() {
            let (panel, group) = (index / groups, index % groups);
            for lane in 0..PANEL.min(rows - panel * PANEL) {
                write(bytes, lane, panel * PANEL + lane, group);
            }
        }
    }

    /// The same matrix with one addend for each row of the product.
    ///
    /// # Panics
    /// If there are not as many as rows.
    pub fn with_bias(self, bias: Vec<f32>) -> Self {
        assert_eq!(bias.len(), self.rows, "one addend a row");
        let bias = Some(bias);
        Self { bias, ..self }
    }

    /// The addends, one for each row.
    pub fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }

    /// Outputs of the product.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs of the product.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How the numbers are kept.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Writes the numbers of one row into `out`.
    ///
    /// # Panics
    /// If there is no such row or `out` has not `columns` places.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        assert_eq!(out.len(), self.columns, "one place a column");
        let lane = row % PANEL;
        let panel = self.panel(row / PANEL);
        let half = |bytes: &[u8], at: usize| {
            let at = at + 2 * lane;
            f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
        };
        let size = self.format.group_bytes();
        for (out, bytes) in out.chunks_mut(GROUP).zip(panel.chunks_exact(size)) {
            let scale = half(bytes, self.format.code_bytes());
            for (column, value) in out.iter_mut().enumerate() {
                *value = match self.format {
                    Format::Int8 => {
                        let code = bytes[column / 4 * 128 + lane * 4 + column % 4] ^ FLIP;
                        scale * f32::from(code as i8)
                    }
                    Format::Int4 => {
                        let byte = bytes[column % 16 / 4 * 128 + lane * 4 + column % 4];
                        let code = (byte >> (column / 16 * 4)) & 0x0f;
                        let minimum = half(bytes, Format::Int4.code_bytes() + 2 * PANEL);
                        f32::from(code).mul_add(scale, minimum)
                    }
                };
            }
        }
    }

    pub(crate) fn groups(&self) -> usize {
        self.columns.div_ceil(GROUP)
    }

    pub(crate) fn panels(&self) -> usize {
        self.rows.div_ceil(PANEL)
    }

    /// The bytes of one panel, on a boundary of 64.
    pub(crate) fn panel(&self, panel: usize) -> &[u8] {
        let size = self.groups() * self.format.group_bytes();
        &self.packed()[panel * size..][..size]
    }

    /// All panels.
    pub(crate) fn packed(&self) -> &[u8] {
        // SAFETY: `Line` is 64 plain bytes without padding.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * 64) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: `Line` is 64 plain bytes without padding, borrowed mutably.
        unsafe {
            std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.lines.len() * 64)
        }
    }
}

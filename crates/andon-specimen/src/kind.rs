//! How numbers are kept in a tensor: random blocks, and what blocks stand for.

use half::{bf16, f16};
use rand::RngCore;
use rand_chacha::ChaCha8Rng;

/// How numbers are kept, under the number of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the format's own")]
pub enum Kind {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q4K = 12,
    Q5K = 13,
    Q6K = 14,
    Iq4Nl = 20,
    Bf16 = 30,
}

/// What the codes of IQ4_NL stand for.
const IQ4_NL: [i8; 16] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
];

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::F32,
        Self::F16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
        Self::Iq4Nl,
        Self::Bf16,
    ];

    /// The usual name, in small letters.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q4_0 => "q4_0",
            Self::Q4_1 => "q4_1",
            Self::Q5_0 => "q5_0",
            Self::Q5_1 => "q5_1",
            Self::Q8_0 => "q8_0",
            Self::Q4K => "q4_k",
            Self::Q5K => "q5_k",
            Self::Q6K => "q6_k",
            Self::Iq4Nl => "iq4_nl",
            Self::Bf16 => "bf16",
        }
    }

    /// Numbers in a block.
    pub fn block(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
            _ => 32,
        }
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q4_0 | Self::Iq4Nl => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// `count` random numbers around zero, about evenly spread from `-spread` to
    /// `spread`: random codes, under scales that differ from block to block.
    pub(crate) fn random(self, random: &mut ChaCha8Rng, count: usize, spread: f32) -> Vec<u8> {
        let mut bytes = vec![0; count / self.block() * self.block_bytes()];
        random.fill_bytes(&mut bytes);
        let even = |bits: u32, most: u32| (bits as f32 / most as f32 * 2.0 - 1.0) * spread;
        match self {
            Self::F32 => {
                for x in bytes.as_chunks_mut::<4>().0 {
                    *x = even(u32::from_le_bytes(*x), u32::MAX).to_le_bytes();
                }
            }
            Self::F16 => {
                for x in bytes.as_chunks_mut::<2>().0 {
                    let bits = u32::from(u16::from_le_bytes(*x));
                    *x = f16::from_f32(even(bits, u32::from(u16::MAX))).to_le_bytes();
                }
            }
            Self::Bf16 => {
                for x in bytes.as_chunks_mut::<2>().0 {
                    let bits = u32::from(u16::from_le_bytes(*x));
                    *x = bf16::from_f32(even(bits, u32::from(u16::MAX))).to_le_bytes();
                }
            }
            _ => {
                for block in bytes.chunks_exact_mut(self.block_bytes()) {
                    self.tame(block, spread);
                }
            }
        }
        bytes
    }

    /// Puts sane scales into a block of random bytes.
    fn tame(self, block: &mut [u8], spread: f32) {
        let at = if self == Self::Q6K { 208 } else { 0 };
        // From three quarters of the size to five quarters.
        let spread = spread * (0.75 + f32::from(block[at]) / 510.0);
        let (scale, minimum) = match self {
            Self::Q4_0 => (spread / 8.0, None),
            Self::Q4_1 => (spread / 7.5, Some(-spread)),
            Self::Q5_0 => (spread / 16.0, None),
            Self::Q5_1 => (spread / 15.5, Some(-spread)),
            Self::Q8_0 => {
                // Quantisers never give the code -128.
                let codes = block[2..].iter_mut().filter(|code| **code == 0x80);
                codes.for_each(|code| *code = 0x81);
                (spread / 127.0, None)
            }
            Self::Iq4Nl => (spread / 120.0, None),
            Self::Q4K | Self::Q5K => {
                // Scales from 32 to 63, and minima of as many steps.
                for at in 4..8 {
                    block[at] |= 0xa0;
                    block[at + 4] = block[at];
                    block[at + 8] = block[at + 8] & 15 | block[at + 8] << 4;
                }
                let middle = if self == Self::Q4K { 7.5 } else { 15.5 };
                (spread / (47.5 * middle), Some(spread / 47.5))
            }
            Self::Q6K => {
                for scale in &mut block[192..208] {
                    *scale = *scale & 0x1f | 0x20;
                }
                (spread / (47.5 * 32.0), None)
            }
            Self::F32 | Self::F16 | Self::Bf16 => unreachable!("kinds without blocks"),
        };
        block[at..at + 2].copy_from_slice(&f16::from_f32(scale).to_le_bytes());
        if let Some(minimum) = minimum {
            block[2..4].copy_from_slice(&f16::from_f32(minimum).to_le_bytes());
        }
    }

    /// The numbers that the bytes stand for, as the format defines them.
    pub fn decode(self, bytes: &[u8]) -> Vec<f64> {
        let blocks = bytes.chunks_exact(self.block_bytes());
        blocks.flat_map(|block| self.decode_block(block)).collect()
    }

    fn decode_block(self, block: &[u8]) -> Vec<f64> {
        let half = |at: usize| f64::from(f16::from_le_bytes([block[at], block[at + 1]]));
        // The lower halves of all bytes, then the upper.
        let nibbles = |codes: &[u8]| -> Vec<u8> {
            let low = codes.iter().map(|byte| byte & 15);
            low.chain(codes.iter().map(|byte| byte >> 4)).collect()
        };
        let fifth = |codes: Vec<u8>, bits: &[u8]| -> Vec<u8> {
            let codes = codes.into_iter().enumerate();
            codes
                .map(|(at, code)| code | (bits[at / 8] >> (at % 8) & 1) << 4)
                .collect()
        };
        let line = |codes: Vec<u8>, scale: f64, minimum: f64| -> Vec<f64> {
            let codes = codes.into_iter();
            codes
                .map(|code| scale * f64::from(code) + minimum)
                .collect()
        };
        match self {
            Self::F32 => {
                let bytes = [block[0], block[1], block[2], block[3]];
                vec![f64::from(f32::from_le_bytes(bytes))]
            }
            Self::F16 => vec![half(0)],
            Self::Bf16 => vec![f64::from(bf16::from_le_bytes([block[0], block[1]]))],
            Self::Q8_0 => {
                let codes = block[2..].iter();
                codes.map(|&code| half(0) * f64::from(code as i8)).collect()
            }
            Self::Q4_0 => line(nibbles(&block[2..]), half(0), -8.0 * half(0)),
            Self::Q4_1 => line(nibbles(&block[4..]), half(0), half(2)),
            Self::Q5_0 => {
                let codes = fifth(nibbles(&block[6..]), &block[2..6]);
                line(codes, half(0), -16.0 * half(0))
            }
            Self::Q5_1 => {
                let codes = fifth(nibbles(&block[8..]), &block[4..8]);
                line(codes, half(0), half(2))
            }
            Self::Iq4Nl => nibbles(&block[2..])
                .into_iter()
                .map(|code| half(0) * f64::from(IQ4_NL[usize::from(code)]))
                .collect(),
            Self::Q4K | Self::Q5K => {
                let codes = block.len() - 128;
                (0..8)
                    .flat_map(|part| {
                        let (scale, minimum) = scale_and_minimum(&block[4..16], part);
                        let codes = &block[codes + part / 2 * 32..][..32];
                        let codes = codes.iter().enumerate().map(|(at, byte)| {
                            let code = byte >> (part % 2 * 4) & 15;
                            match self {
                                Self::Q4K => code,
                                _ => code | (block[16 + at] >> part & 1) << 4,
                            }
                        });
                        line(codes.collect(), half(0) * scale, -half(2) * minimum)
                    })
                    .collect()
            }
            Self::Q6K => (0..256)
                .map(|at| {
                    let (side, part, place) = (at / 128, at % 128 / 32, at % 32);
                    let low = block[side * 64 + part % 2 * 32 + place] >> (part / 2 * 4) & 15;
                    let high = block[128 + side * 32 + place] >> (part * 2) & 3;
                    let scale = block[192 + at / 16] as i8;
                    half(208) * f64::from(scale) * (f64::from(low | high << 4) - 32.0)
                })
                .collect(),
        }
    }
}

/// The six-bit scale and minimum of one of eight parts, from the twelve bytes that
/// hold all.
fn scale_and_minimum(packed: &[u8], part: usize) -> (f64, f64) {
    let (scale, minimum) = match part {
        0..4 => (packed[part] & 63, packed[part + 4] & 63),
        _ => (
            packed[part + 4] & 15 | packed[part - 4] >> 6 << 4,
            packed[part + 4] >> 4 | packed[part] >> 6 << 4,
        ),
    };
    (f64::from(scale), f64::from(minimum))
}

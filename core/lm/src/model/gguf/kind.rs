//! The number formats of tensors in GGUF files.

use super::{dequant, kquants};
use crate::model::number::{Decode, decode_bf16, decode_f16, decode_f32};

/// A supported tensor format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[allow(non_camel_case_types)]
pub enum Kind {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point.
    F16,
    /// bfloat16: 32-bit floating point without the lower 16 bits.
    BF16,
    /// Blocks of 32 values: a scale, and 4-bit numbers with an offset of 8.
    Q4_0,
    /// Blocks of 32 values: a scale, a minimum, and 4-bit numbers.
    Q4_1,
    /// Blocks of 32 values: a scale, and 5-bit numbers with an offset of 16.
    Q5_0,
    /// Blocks of 32 values: a scale, a minimum, and 5-bit numbers.
    Q5_1,
    /// Blocks of 32 values: a scale, and signed 8-bit numbers.
    Q8_0,
    /// Blocks of 256 values in 16 groups, each with a 4-bit scale and minimum; 2-bit numbers.
    Q2_K,
    /// Blocks of 256 values in 16 groups, each with a 6-bit scale; 3-bit numbers with an offset of 4.
    Q3_K,
    /// Blocks of 256 values in 8 groups, each with a 6-bit scale and minimum; 4-bit numbers.
    Q4_K,
    /// Blocks of 256 values in 8 groups, each with a 6-bit scale and minimum; 5-bit numbers.
    Q5_K,
    /// Blocks of 256 values in 16 groups, each with an 8-bit scale; 6-bit numbers with an offset of 32.
    Q6_K,
    /// Blocks of 32 values: a scale, and 4-bit indices of a table of 16 levels.
    IQ4_NL,
    /// Blocks of 256 values in 8 groups, each with a 6-bit scale; indices as in [`Kind::IQ4_NL`].
    IQ4_XS,
    /// Blocks of 32 values: a power of two, and 4-bit floating-point numbers.
    MXFP4,
}

impl Kind {
    /// All supported formats, in the order in which messages list them.
    pub const ALL: [Self; 16] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q8_0,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q2_K,
        Self::Q3_K,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
        Self::IQ4_NL,
        Self::IQ4_XS,
        Self::MXFP4,
    ];

    /// The format with this type number in a GGUF header.
    #[must_use]
    pub fn from_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.id() == id)
    }

    /// The type number of the format in a GGUF header.
    #[must_use]
    pub fn id(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q5_0 => 6,
            Self::Q5_1 => 7,
            Self::Q8_0 => 8,
            Self::Q2_K => 10,
            Self::Q3_K => 11,
            Self::Q4_K => 12,
            Self::Q5_K => 13,
            Self::Q6_K => 14,
            Self::IQ4_NL => 20,
            Self::IQ4_XS => 23,
            Self::BF16 => 30,
            Self::MXFP4 => 39,
        }
    }

    /// The usual name of the format.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q8_0 => "Q8_0",
            Self::Q2_K => "Q2_K",
            Self::Q3_K => "Q3_K",
            Self::Q4_K => "Q4_K",
            Self::Q5_K => "Q5_K",
            Self::Q6_K => "Q6_K",
            Self::IQ4_NL => "IQ4_NL",
            Self::IQ4_XS => "IQ4_XS",
            Self::MXFP4 => "MXFP4",
        }
    }

    /// The size of a block in bytes, and the number of values in it.
    #[must_use]
    pub fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (4, 1),
            Self::F16 | Self::BF16 => (2, 1),
            Self::MXFP4 => (17, 32),
            Self::Q4_0 | Self::IQ4_NL => (18, 32),
            Self::Q4_1 => (20, 32),
            Self::Q5_0 => (22, 32),
            Self::Q5_1 => (24, 32),
            Self::Q8_0 => (34, 32),
            Self::Q2_K => (84, 256),
            Self::Q3_K => (110, 256),
            Self::IQ4_XS => (136, 256),
            Self::Q4_K => (144, 256),
            Self::Q5_K => (176, 256),
            Self::Q6_K => (210, 256),
        }
    }

    pub(crate) fn decode(self) -> Decode {
        match self {
            Self::F32 => decode_f32,
            Self::F16 => decode_f16,
            Self::BF16 => decode_bf16,
            Self::Q4_0 => |bytes, out| blocks(bytes, out, dequant::q4_0),
            Self::Q4_1 => |bytes, out| blocks(bytes, out, dequant::q4_1),
            Self::Q5_0 => |bytes, out| blocks(bytes, out, dequant::q5_0),
            Self::Q5_1 => |bytes, out| blocks(bytes, out, dequant::q5_1),
            Self::Q8_0 => |bytes, out| blocks(bytes, out, dequant::q8_0),
            Self::Q2_K => |bytes, out| blocks(bytes, out, kquants::q2_k),
            Self::Q3_K => |bytes, out| blocks(bytes, out, kquants::q3_k),
            Self::Q4_K => |bytes, out| blocks(bytes, out, kquants::q4_k),
            Self::Q5_K => |bytes, out| blocks(bytes, out, kquants::q5_k),
            Self::Q6_K => |bytes, out| blocks(bytes, out, kquants::q6_k),
            Self::IQ4_NL => |bytes, out| blocks(bytes, out, dequant::iq4_nl),
            Self::IQ4_XS => |bytes, out| blocks(bytes, out, kquants::iq4_xs),
            Self::MXFP4 => |bytes, out| blocks(bytes, out, dequant::mxfp4),
        }
    }
}

/// The name of an unsupported format, by its type number in a GGUF header; for messages.
pub(crate) fn name_of(id: u32) -> Option<&'static str> {
    let name = match id {
        9 => "Q8_1",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        21 => "IQ3_S",
        22 => "IQ2_S",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        40 => "NVFP4",
        _ => return None,
    };
    Some(name)
}

/// Decodes blocks of `B` bytes into `N` values each, which are appended to `out`.
fn blocks<const B: usize, const N: usize>(bytes: &[u8], out: &mut Vec<f32>, one: fn(&[u8; B], &mut [f32; N])) {
    let (blocks, _) = bytes.as_chunks::<B>();
    let old = out.len();
    out.resize(old + blocks.len() * N, 0.0);
    let (values, _) = out[old..].as_chunks_mut::<N>();
    for (block, values) in blocks.iter().zip(values) {
        one(block, values);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    /// One line for each format: its name, checksum of the bits of all values, index and value of one of them, and two
    /// blocks of random bytes. Written by `tests/golden/gguf_blocks.py`.
    const FIXTURES: &str = include_str!("blocks.txt");

    struct Fixture {
        kind: Kind,
        sum: u32,
        at: usize,
        value: f32,
        bytes: Vec<u8>,
    }

    fn fixtures() -> Vec<Fixture> {
        let lines = FIXTURES.lines().map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let hex = words[4].as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
            Fixture {
                kind: Kind::ALL.into_iter().find(|kind| kind.name() == words[0]).unwrap(),
                sum: u32::from_str_radix(words[1], 16).unwrap(),
                at: words[2].parse().unwrap(),
                value: words[3].parse().unwrap(),
                bytes: hex.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect(),
            }
        });
        lines.collect()
    }

    #[test]
    fn every_format_agrees_with_the_reference_bit_for_bit() {
        assert_eq!(fixtures().iter().map(|f| f.kind).collect::<Vec<_>>(), Kind::ALL);
        for Fixture { kind, sum, at, value, bytes } in fixtures() {
            let mut out = vec![0.5];
            kind.decode()(&bytes, &mut out);
            let (size, count) = kind.block();
            assert_eq!(out.len() - 1, bytes.len() / size * count, "{kind:?}");
            assert_eq!(out[1 + at], value, "{kind:?}");
            let found = out[1..].iter().fold(0u32, |sum, v| sum.wrapping_mul(31).wrapping_add(v.to_bits()));
            assert_eq!(found, sum, "{kind:?}");
        }
    }

    #[test]
    fn blocks_are_independent() {
        for Fixture { kind, bytes, .. } in fixtures() {
            let (mut one, mut three) = (Vec::new(), Vec::new());
            kind.decode()(&bytes, &mut one);
            kind.decode()(&bytes.repeat(3), &mut three);
            assert_eq!(three, one.repeat(3), "{kind:?}");
        }
    }

    #[test]
    fn numbers_and_formats_correspond() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_id(kind.id()), Some(kind));
            assert_eq!(name_of(kind.id()), None);
        }
        assert_eq!(Kind::from_id(16), None);
        assert_eq!(name_of(16), Some("IQ2_XXS"));
    }
}

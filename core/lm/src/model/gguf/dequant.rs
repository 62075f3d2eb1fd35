//! Converts GGUF's block formats to `f32`. Source: `block_*` in ggml's `ggml-common.h`; all numbers are little-endian.

use half::f16;

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
    /// Blocks of 32 values: a scale, and signed 8-bit numbers.
    Q8_0,
    /// Blocks of 256 values in 8 groups, each with a 6-bit scale and minimum; 4-bit numbers.
    Q4_K,
    /// Blocks of 256 values in 16 groups, each with an 8-bit scale; 6-bit numbers with an offset of 32.
    Q6_K,
}

impl Kind {
    /// All supported formats, in the order in which messages list them.
    pub const ALL: [Self; 8] =
        [Self::F32, Self::F16, Self::BF16, Self::Q8_0, Self::Q4_0, Self::Q4_1, Self::Q4_K, Self::Q6_K];

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
            Self::Q8_0 => 8,
            Self::Q4_K => 12,
            Self::Q6_K => 14,
            Self::BF16 => 30,
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
            Self::Q8_0 => "Q8_0",
            Self::Q4_K => "Q4_K",
            Self::Q6_K => "Q6_K",
        }
    }

    /// The size of a block in bytes, and the number of values in it.
    #[must_use]
    pub fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (4, 1),
            Self::F16 | Self::BF16 => (2, 1),
            Self::Q4_0 => (18, 32),
            Self::Q4_1 => (20, 32),
            Self::Q8_0 => (34, 32),
            Self::Q4_K => (144, 256),
            Self::Q6_K => (210, 256),
        }
    }

    pub(crate) fn decode(self) -> Decode {
        match self {
            Self::F32 => decode_f32,
            Self::F16 => decode_f16,
            Self::BF16 => decode_bf16,
            Self::Q4_0 => |bytes, out| blocks(bytes, out, q4_0),
            Self::Q4_1 => |bytes, out| blocks(bytes, out, q4_1),
            Self::Q8_0 => |bytes, out| blocks(bytes, out, q8_0),
            Self::Q4_K => |bytes, out| blocks(bytes, out, q4_k),
            Self::Q6_K => |bytes, out| blocks(bytes, out, q6_k),
        }
    }
}

/// The name of an unsupported format, by its type number in a GGUF header; for messages.
pub(crate) fn name_of(id: u32) -> Option<&'static str> {
    let name = match id {
        6 => "Q5_0",
        7 => "Q5_1",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        13 => "Q5_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
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

fn half(low: u8, high: u8) -> f32 {
    f16::from_le_bytes([low, high]).to_f32()
}

/// Value `i` is in the low half of byte `i`, value `16 + i` in its high half.
fn q4_0(block: &[u8; 18], out: &mut [f32; 32]) {
    let scale = half(block[0], block[1]);
    for (i, byte) in block[2..].iter().enumerate() {
        out[i] = scale * (f32::from(byte & 15) - 8.0);
        out[i + 16] = scale * (f32::from(byte >> 4) - 8.0);
    }
}

fn q4_1(block: &[u8; 20], out: &mut [f32; 32]) {
    let (scale, min) = (half(block[0], block[1]), half(block[2], block[3]));
    for (i, byte) in block[4..].iter().enumerate() {
        out[i] = scale * f32::from(byte & 15) + min;
        out[i + 16] = scale * f32::from(byte >> 4) + min;
    }
}

fn q8_0(block: &[u8; 34], out: &mut [f32; 32]) {
    let scale = half(block[0], block[1]);
    for (value, byte) in out.iter_mut().zip(&block[2..]) {
        *value = scale * f32::from(byte.cast_signed());
    }
}

/// Layout: scale of the scales, scale of the minima, 12 bytes of 6-bit scales and minima, then 4 x 32 bytes of two
/// groups each (low halves first).
fn q4_k(block: &[u8; 144], out: &mut [f32; 256]) {
    let (scale, min) = (half(block[0], block[1]), half(block[2], block[3]));
    let packed = &block[4..16];
    for group in 0..8 {
        let (s, m) = if group < 4 {
            (packed[group] & 63, packed[group + 4] & 63)
        } else {
            // The upper two bits are stored above the 6-bit numbers of the first four groups.
            let rest = packed[group + 4];
            (rest & 15 | packed[group - 4] >> 6 << 4, rest >> 4 | packed[group] >> 6 << 4)
        };
        let (scale, min) = (scale * f32::from(s), min * f32::from(m));
        let shift = group % 2 * 4;
        let bytes = &block[16 + group / 2 * 32..][..32];
        for (value, byte) in out[group * 32..][..32].iter_mut().zip(bytes) {
            *value = scale * f32::from(byte >> shift & 15) - min;
        }
    }
}

/// Two halves of 128 values, each with 64 bytes of low nibbles and 32 bytes of upper bit pairs; then 16 scales and the
/// scale of the scales.
fn q6_k(block: &[u8; 210], out: &mut [f32; 256]) {
    let scale = half(block[208], block[209]);
    for (i, value) in out.iter_mut().enumerate() {
        let (part, quarter, at) = (i / 128, i / 32 % 4, i % 32);
        // Quarters 0 and 1 are the low nibbles of 2 x 32 bytes, quarters 2 and 3 their high nibbles.
        let low = block[part * 64 + quarter % 2 * 32 + at] >> (quarter / 2 * 4) & 15;
        let high = block[128 + part * 32 + at] >> (quarter * 2) & 3;
        let scale = scale * f32::from(block[192 + i / 16].cast_signed());
        *value = scale * (f32::from(low | high << 4) - 32.0);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    /// Format, checksum of the bits of all values, index and value of one of them, and a block of random bytes.
    /// Expected: `dequantize` of the Python package gguf 0.19.
    const FIXTURES: [(Kind, u32, usize, f32, &str); 8] = [
        (Kind::F32, 0x21df_8860, 4, -0.454_670_8, "193da13a2df5983ecc5b8cbed4fd63bf9ccae8be"),
        (Kind::F16, 0xcfc9_4000, 4, -0.504_394_53, "773c0039da3610b409b8"),
        (Kind::BF16, 0xc76c_0000, 4, 0.9375, "3abfc6bb37bf0f40703f"),
        (
            Kind::Q8_0,
            0xf87a_1d00,
            21,
            -0.068_893_43,
            "0aa167332e1fee2a4c150919244d882ba95d7db4f57c67070341645c2a01775ee09d",
        ),
        (Kind::Q4_0, 0xe829_5000, 21, -0.008_049_011, "1fa0515544f93b9c3284432b01fad719d548"),
        (Kind::Q4_1, 0x7cc9_6800, 21, 0.444_252, "ed2ad5211bf0308084854c0873f0930c514ea7f0"),
        (
            Kind::Q4_K,
            0xc930_b318,
            156,
            2.473_404,
            concat!(
                "ce18c5a9382c3e3bf423c236590125fe1fef21fb811312599daf18eda3843bfe2a59d73907c9d6902d1bb752d268df39f372f1fe",
                "62ec9022ad56e6d5f049acd4b131fb1d109433bd4775992ea3263d98fbdd6cee131150a9b472765218f1b1d88a2b2b9e835aa0e9",
                "8b67e19034dd609500b914fd8630d5ce1168ae19e19600eac5d92330aa54f495314d688fcbdbe03e"
            ),
        ),
        (
            Kind::Q6_K,
            0x6e59_7f42,
            156,
            72.244_72,
            concat!(
                "b5db765d9abedf8937098d6698bb822555f8e2079b0e3ae2192f73b541ffba437df826ac7403e060e986e4a6f2fb6f00f3fd84db",
                "986bd9e8250f46103e530b08cff7acd7113b050b79b0531be6e4f272c94b6f2576e7c141757ab495efd1e17bb0a858c37940c1d1",
                "4fccc59625b497611af4b56a0a4d5a4bbcb494a0b0f93c9422285772b8d7a353b48d82bc44219898edc2ac935db93e4a31eefba5",
                "4b6d6a559b8d65a2c1ceb979a0ef145e60c72d59a08462bd8dad4306dcff2186c68d2f469eecc8b3a8d7a6c2235d1fe6685c4db3",
                "a12a"
            ),
        ),
    ];

    fn unhex(text: &str) -> Vec<u8> {
        text.as_bytes().chunks(2).map(|b| u8::from_str_radix(std::str::from_utf8(b).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn every_format_agrees_with_the_reference_bit_for_bit() {
        for (kind, sum, at, value, block) in FIXTURES {
            let bytes = unhex(block);
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
        for (kind, _, _, _, block) in FIXTURES {
            let (bytes, mut one, mut three) = (unhex(block), Vec::new(), Vec::new());
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
        assert_eq!(Kind::from_id(13), None);
        assert_eq!(name_of(13), Some("Q5_K"));
    }
}

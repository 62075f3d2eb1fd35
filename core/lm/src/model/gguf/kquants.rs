//! Converts GGUF's blocks of 256 values to `f32`. Source: `block_*` in ggml's `ggml-common.h`; all numbers are
//! little-endian.

use super::dequant::{IQ4, half, nibbles};

/// Layout: 16 bytes with a scale (low half) and a minimum (high half) each, 2 x 32 bytes of four numbers each (of values
/// 32 apart, lowest bits first), scale of the scales, scale of the minima.
pub(super) fn q2_k(block: &[u8; 84], out: &mut [f32; 256]) {
    let (scale, min) = (half(block[80], block[81]), half(block[82], block[83]));
    for (group, values) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let packed = block[group];
        let (scale, min) = (scale * f32::from(packed & 15), min * f32::from(packed >> 4));
        let (bytes, shift) = pairs(&block[16..80], group);
        for (value, byte) in values.iter_mut().zip(bytes) {
            *value = scale * f32::from(byte >> shift & 3) - min;
        }
    }
}

/// The bytes and the shift of the 2-bit numbers of one of 16 groups.
fn pairs(bytes: &[u8], group: usize) -> (&[u8], usize) {
    (&bytes[group / 8 * 32 + group % 2 * 16..][..16], group / 2 % 4 * 2)
}

/// Layout: 32 bytes with the third bits (bit `i / 32` of byte `i % 32`; 0 takes 4 off), numbers as in `Q2_K`, 12 bytes of
/// 6-bit scales with an offset of 32, scale of the scales.
pub(super) fn q3_k(block: &[u8; 110], out: &mut [f32; 256]) {
    let scale = half(block[108], block[109]);
    let packed = &block[96..108];
    for (group, values) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let low = packed[group % 8] >> (group / 8 * 4) & 15;
        let high = packed[8 + group % 4] >> (group / 4 * 2) & 3;
        let scale = scale * (f32::from(low | high << 4) - 32.0);
        let (bytes, shift) = pairs(&block[32..96], group);
        let thirds = &block[group % 2 * 16..][..16];
        for ((value, byte), third) in values.iter_mut().zip(bytes).zip(thirds) {
            let offset = if third >> (group / 2) & 1 == 1 { 0.0 } else { 4.0 };
            *value = scale * (f32::from(byte >> shift & 3) - offset);
        }
    }
}

/// 6-bit scale and minimum of one of 8 groups, from 12 bytes.
fn scale_min(packed: &[u8], group: usize) -> (f32, f32) {
    let (s, m) = if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        // The upper two bits are stored above the 6-bit numbers of the first four groups.
        let rest = packed[group + 4];
        (rest & 15 | packed[group - 4] >> 6 << 4, rest >> 4 | packed[group] >> 6 << 4)
    };
    (f32::from(s), f32::from(m))
}

/// Layout: scale of the scales, scale of the minima, 12 bytes of 6-bit scales and minima, then 4 x 32 bytes of two
/// groups each (low halves first).
pub(super) fn q4_k(block: &[u8; 144], out: &mut [f32; 256]) {
    let (scale, min) = (half(block[0], block[1]), half(block[2], block[3]));
    for (group, values) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (s, m) = scale_min(&block[4..16], group);
        let (scale, min) = (scale * s, min * m);
        let shift = group % 2 * 4;
        for (value, byte) in values.iter_mut().zip(&block[16 + group / 2 * 32..]) {
            *value = scale * f32::from(byte >> shift & 15) - min;
        }
    }
}

/// As `Q4_K`, with 32 bytes in front of the numbers that have their fifth bits (bit `i / 32` of byte `i % 32`).
pub(super) fn q5_k(block: &[u8; 176], out: &mut [f32; 256]) {
    let (scale, min) = (half(block[0], block[1]), half(block[2], block[3]));
    let fifths = &block[16..48];
    for (group, values) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (s, m) = scale_min(&block[4..16], group);
        let (scale, min) = (scale * s, min * m);
        let shift = group % 2 * 4;
        let bytes = &block[48 + group / 2 * 32..];
        for ((value, byte), fifth) in values.iter_mut().zip(bytes).zip(fifths) {
            *value = scale * f32::from(byte >> shift & 15 | (fifth >> group & 1) << 4) - min;
        }
    }
}

/// Two halves of 128 values, each with 64 bytes of low nibbles and 32 bytes of upper bit pairs; then 16 scales and the
/// scale of the scales.
pub(super) fn q6_k(block: &[u8; 210], out: &mut [f32; 256]) {
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

/// Layout: scale of the scales, 2 bytes with the upper two bits of 8 scales, 4 bytes with their lower halves, then 16
/// bytes for each group. Scales have an offset of 32.
pub(super) fn iq4_xs(block: &[u8; 136], out: &mut [f32; 256]) {
    let scale = half(block[0], block[1]);
    let upper = u16::from_le_bytes([block[2], block[3]]);
    for (group, values) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let low = u16::from(block[4 + group / 2] >> (group % 2 * 4) & 15);
        let scale = scale * (f32::from(low | (upper >> (group * 2) & 3) << 4) - 32.0);
        nibbles(&block[8 + group * 16..][..16], values, |n| scale * IQ4[usize::from(n & 15)]);
    }
}

//! Converts GGUF's blocks of 32 values to `f32`. Source: `block_*` in ggml's `ggml-common.h`; all numbers are
//! little-endian.

use half::f16;

/// The levels of the IQ4 formats.
pub(super) const IQ4: [f32; 16] =
    [-127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0];
/// Twice the values of a 4-bit float with two bits of exponent and one of mantissa.
const E2M1: [f32; 16] = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 0.0, -1.0, -2.0, -3.0, -4.0, -6.0, -8.0, -12.0];

pub(super) fn half(low: u8, high: u8) -> f32 {
    f16::from_le_bytes([low, high]).to_f32()
}

/// Value `i` is in the low half of byte `i`, value `16 + i` in its high half.
pub(super) fn nibbles(bytes: &[u8], out: &mut [f32], value: impl Fn(u8) -> f32) {
    for (i, byte) in bytes.iter().enumerate() {
        out[i] = value(byte & 15);
        out[i + 16] = value(byte >> 4);
    }
}

pub(super) fn q4_0(block: &[u8; 18], out: &mut [f32; 32]) {
    let scale = half(block[0], block[1]);
    nibbles(&block[2..], out, |n| scale * (f32::from(n) - 8.0));
}

pub(super) fn q4_1(block: &[u8; 20], out: &mut [f32; 32]) {
    let (scale, min) = (half(block[0], block[1]), half(block[2], block[3]));
    nibbles(&block[4..], out, |n| scale * f32::from(n) + min);
}

/// Lower 4 bits as in `Q4_0`, and the fifth bit of value `i` as bit `i` of 4 bytes in front of them.
fn fives(bytes: &[u8], out: &mut [f32; 32], value: impl Fn(u8) -> f32) {
    let (high, low) = bytes.split_at(4);
    for (i, byte) in low.iter().enumerate() {
        let bit = |i: usize| (high[i / 8] >> (i % 8) & 1) << 4;
        out[i] = value(byte & 15 | bit(i));
        out[i + 16] = value(byte >> 4 | bit(i + 16));
    }
}

pub(super) fn q5_0(block: &[u8; 22], out: &mut [f32; 32]) {
    let scale = half(block[0], block[1]);
    fives(&block[2..], out, |n| scale * (f32::from(n) - 16.0));
}

pub(super) fn q5_1(block: &[u8; 24], out: &mut [f32; 32]) {
    let (scale, min) = (half(block[0], block[1]), half(block[2], block[3]));
    fives(&block[4..], out, |n| scale * f32::from(n) + min);
}

pub(super) fn q8_0(block: &[u8; 34], out: &mut [f32; 32]) {
    let scale = half(block[0], block[1]);
    for (value, byte) in out.iter_mut().zip(&block[2..]) {
        *value = scale * f32::from(byte.cast_signed());
    }
}

pub(super) fn iq4_nl(block: &[u8; 18], out: &mut [f32; 32]) {
    let scale = half(block[0], block[1]);
    nibbles(&block[2..], out, |n| scale * IQ4[usize::from(n & 15)]);
}

/// The scale is the exponent of a power of two, halved as the table has doubled values.
pub(super) fn mxfp4(block: &[u8; 17], out: &mut [f32; 32]) {
    let bits = match u32::from(block[0]) {
        // Below the range of normal numbers.
        e @ 0..2 => 0x0020_0000 << e,
        e => (e - 1) << 23,
    };
    let scale = f32::from_bits(bits);
    nibbles(&block[1..], out, |n| scale * E2M1[usize::from(n & 15)]);
}

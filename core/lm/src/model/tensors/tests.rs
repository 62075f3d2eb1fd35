//! Tensors from memory and from a source; decoding.

use half::bf16;

use super::*;

fn memory(values: Vec<f32>) -> Tensors {
    Tensors::Memory([("w".to_owned(), (vec![2, 2], values))].into_iter().collect())
}

#[test]
fn memory_reads_what_was_put_in() {
    let tensors = memory(vec![1.0, -2.5, 0.0, 65504.0]);
    assert_eq!(tensors.names(), ["w"]);
    assert_eq!(tensors.info("w").unwrap(), TensorInfo { shape: vec![2, 2], dtype: Dtype::F32 });
    assert_eq!(tensors.read_f32("w").unwrap(), [1.0, -2.5, 0.0, 65504.0]);
    assert_eq!(tensors.read_f16("w").unwrap()[1].to_f32(), -2.5);
    assert!(matches!(tensors.read_f32("v"), Err(Error::Tensor { tensor, .. }) if tensor == "v"));
}

#[test]
fn bad_values_and_counts_are_named() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let tensors = memory(vec![0.0, bad, 0.0, 0.0]);
        assert!(matches!(tensors.read_f32("w"), Err(Error::NonFinite { what, .. }) if what.contains("`w`")));
        assert!(matches!(tensors.read_f16("w"), Err(Error::NonFinite { .. })));
    }
    assert!(matches!(memory(vec![0.0; 3]).read_f32("w"), Err(Error::Tensor { found, .. }) if found == "3"));
    let large = memory(vec![0.0, 1e5, 0.0, 0.0]);
    assert!(matches!(large.read_f16("w"), Err(Error::Tensor { found, .. }) if found == "100000"));
    assert!(large.read_f32("w").is_ok());
}

/// One tensor `w` of any type, shape and bytes.
struct Fixed(TensorInfo, Vec<u8>);

impl TensorSource for Fixed {
    fn names(&self) -> Vec<&str> {
        vec!["w"]
    }

    fn info(&self, name: &str) -> Option<TensorInfo> {
        (name == "w").then(|| self.0.clone())
    }

    fn place(&self, _: &str) -> String {
        "some.bin".to_owned()
    }

    fn read(&self, _: &str) -> Result<Vec<u8>> {
        Ok(self.1.clone())
    }
}

fn source(dtype: Dtype, shape: &[usize], bytes: Vec<u8>) -> Tensors {
    Tensors::Source(Box::new(Fixed(TensorInfo { shape: shape.to_vec(), dtype }, bytes)))
}

#[test]
fn a_source_is_decoded_in_pieces_and_checked_like_a_file() {
    // More than two pieces, and the last one is not full.
    let values: Vec<f32> = (0..PIECE / 2 + 5).map(|i| (i % 2048) as f32 - 1024.0).collect();
    let cases: [(Dtype, Vec<u8>); 4] = [
        (Dtype::F32, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        (Dtype::F16, values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect()),
        (Dtype::BF16, values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect()),
        (Dtype::F64, values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect()),
    ];
    let brains: Vec<f32> = values.iter().map(|v| bf16::from_f32(*v).to_f32()).collect();
    for (dtype, bytes) in cases {
        let want = if dtype == Dtype::BF16 { &brains } else { &values };
        let tensors = source(dtype, &[1, values.len()], bytes);
        assert_eq!(&tensors.read_f32("w").unwrap(), want, "{dtype}");
        assert!(tensors.read_f16("w").unwrap().iter().map(|v| v.to_f32()).eq(want.iter().copied()), "{dtype}");
        assert_eq!((tensors.names(), tensors.place("w")), (vec!["w"], "some.bin".to_owned()));
        assert!(matches!(tensors.read_f32("v"), Err(Error::Tensor { tensor, .. }) if tensor == "v"));
    }
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    for bad in [f32::NAN, f32::INFINITY] {
        let tensors = source(Dtype::F32, &[2], bytes(&[0.0, bad]));
        let named = |error: Error| matches!(error, Error::NonFinite { what, place } if what.contains("`w`") && place == "some.bin");
        assert!(named(tensors.read_f32("w").unwrap_err()) && named(tensors.read_f16("w").unwrap_err()));
    }
    let large = source(Dtype::F32, &[], bytes(&[1e5]));
    assert_eq!(large.read_f32("w").unwrap(), [1e5]);
    assert!(matches!(large.read_f16("w"), Err(Error::Tensor { found, .. }) if found == "100000"));
    for shape in [&[3][..], &[1], &[usize::MAX, 2], &[0]] {
        let error = source(Dtype::F32, shape, bytes(&[1.0, 2.0])).read_f32("w").unwrap_err();
        assert!(matches!(error, Error::Tensor { found, .. } if found == "8 bytes of F32"), "{shape:?}");
    }
    let integers = source(Dtype::Other(OtherDtype::I64), &[1], vec![0; 8]);
    let error = integers.read_f32("w").unwrap_err();
    assert!(matches!(error, Error::Tensor { found, expected, .. } if found == "I64" && expected == FLOATS));
}

#[test]
fn aligned_and_unaligned_bytes_decode_alike() {
    let values: Vec<f32> = (0..37).map(|i| (i as f32 - 11.0) * 0.375).collect();
    type Case = (Decode, Vec<u8>);
    let cases: [Case; 4] = [
        (decode_f32, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        (decode_f64, values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect()),
        (decode_f16, values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect()),
        (decode_bf16, values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect()),
    ];
    for (decode, bytes) in cases {
        for shift in 0..8 {
            let mut moved = vec![0xff; shift];
            moved.extend_from_slice(&bytes);
            let mut out = vec![7.0];
            decode(&moved[shift..], &mut out);
            assert_eq!(out[0], 7.0);
            assert_eq!(out[1..], values);
        }
    }
}

//! Comparison with torch and safetensors on the same tensors, and files that must be rejected.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use lm::model::safetensors::TensorIndex;
use lm::model::tensors::Tensors;
use record::ErrorKind as Kind;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden").join(name)
}

/// A folder whose [`SINGLE`] consists of these bytes.
fn folder(bytes: &[u8]) -> (tempfile::TempDir, Arc<FolderFiles>) {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join(SINGLE), bytes).unwrap();
    let files = Arc::new(FolderFiles::new(temp.path()).unwrap());
    (temp, files)
}

fn open(bytes: &[u8]) -> Result<Tensors> {
    PytorchTensors::open(&folder(bytes).1).map(|found| Tensors::Source(Box::new(found.unwrap())))
}

/// Opens the file and reads every floating-point tensor.
fn read_all_of(bytes: &[u8]) -> Result<BTreeMap<String, Vec<f32>>> {
    let (_temp, files) = folder(bytes);
    let tensors = Tensors::Source(Box::new(PytorchTensors::open(&files)?.unwrap()));
    let floats =
        tensors.names().into_iter().filter(|name| !matches!(tensors.info(name).unwrap().dtype, Dtype::Other(_)));
    floats.map(|name| Ok((name.to_owned(), tensors.read_f32(name)?))).collect()
}

fn safetensors(name: &str) -> TensorIndex {
    let path = golden(name);
    let files = FolderFiles::new(path.parent().unwrap()).unwrap();
    TensorIndex::open_file(Arc::new(files), path.file_name().unwrap().to_str().unwrap()).unwrap()
}

/// A zip checkpoint with this data.pkl and a storage `0` of 24 zero bytes.
fn zipped(pickle: &[u8]) -> Vec<u8> {
    let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in [("a/data.pkl", pickle), ("a/version", b"3\n"), ("a/data/0", &[0; 24])] {
        let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        archive.start_file(name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// Opcodes that rebuild a tensor of `ones` dimensions of size 1.
fn one_element(ones: usize) -> Vec<u8> {
    let dims = [b"(".as_slice(), &b"K\x01".repeat(ones), b"t"].concat();
    let storage = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x06tQ".as_slice();
    let call = b"ctorch._utils\n_rebuild_tensor_v2\n(".as_slice();
    [call, storage, b"K\x00", &dims, &dims, b"\x89ccollections\nOrderedDict\n)RtR"].concat()
}

/// A state dict with `value` under the name `w`.
fn state(value: &[u8]) -> Vec<u8> {
    [b"\x80\x02}U\x01w".as_slice(), value, b"s."].concat()
}

#[test]
fn a_saved_model_equals_its_safetensors() {
    let want = safetensors("models/gpt2/model.safetensors");
    let files = Arc::new(FolderFiles::new(golden("pytorch")).unwrap());
    let found = Tensors::Source(Box::new(PytorchTensors::open(&files).unwrap().unwrap()));
    assert_eq!(found.names(), want.names());
    assert!(found.names().len() > 20);
    for name in want.names() {
        assert_eq!(found.info(name), want.info(name));
        assert_eq!(found.read_f32(name).unwrap(), want.read_f32(name).unwrap(), "{name}");
        assert_eq!(found.read_f16(name).unwrap(), want.read_f16(name).unwrap(), "{name}");
    }
    assert!(found.place("lm_head.weight").ends_with(SINGLE));
    assert!(
        matches!(found.read_f32("no"), Err(Error::Tensor { tensor, found, .. }) if tensor == "no" && found == "none")
    );
}

/// Number types, views and shared storages, in both formats of torch.save and in shards.
#[test]
fn types_views_and_shared_storages_are_read_as_torch_reads_them() {
    let want = safetensors("pytorch/cases.safetensors");
    let single = |name: &str| open(&fs::read(golden(name)).unwrap()).unwrap();
    let files = Arc::new(FolderFiles::new(golden("pytorch/sharded")).unwrap());
    let sharded = Tensors::Source(Box::new(PytorchTensors::open(&files).unwrap().unwrap()));
    let (mut floats, mut others) = (0, 0);
    for found in [single("pytorch/cases.bin"), single("pytorch/cases.legacy.bin"), sharded] {
        assert_eq!(found.names(), want.names());
        for name in want.names() {
            let (info, reference) = (found.info(name).unwrap(), want.info(name).unwrap());
            assert_eq!(info.shape, reference.shape, "{name}");
            if let Dtype::Other(_) = reference.dtype {
                assert_eq!(info.dtype, reference.dtype, "{name}");
                let error = found.read_f32(name).unwrap_err();
                assert!(matches!(error, Error::Tensor { tensor, .. } if tensor == name));
                others += 1;
            } else {
                assert_eq!(found.read_f32(name).unwrap(), want.read_f32(name).unwrap(), "{name}");
                floats += 1;
            }
        }
        let kind = |name: &str| found.info(name).unwrap().dtype.to_string();
        let kinds = ["f16", "bf16", "f64", "weight", "half_transposed"].map(kind);
        assert_eq!(kinds, ["F16", "BF16", "F64", "F32", "F16"]);
        assert_eq!(["position_ids", "int32", "mask", "bytes"].map(kind), ["I64", "I32", "BOOL", "U8"]);
        assert_eq!(found.read_f32("embedding").unwrap(), found.read_f32("head").unwrap());
    }
    assert_eq!((floats, others), (3 * 20, 3 * 4));
}

#[test]
fn bad_files_are_refused_with_their_reason() {
    // Bytes of the file, and part of the expected message.
    let cases = [
        ("big_endian", "Big-endian"),
        ("checksum", "checksum"),
        ("command", "expected a state dict"),
        ("deep_lists", "nesting exceeds 1000"),
        ("deflated", "compressed or encrypted"),
        ("doubling", "bytes of memory"),
        ("empty", "it is empty"),
        ("expanded_bomb", "4294967296 bytes"),
        ("legacy_header_only", "ends in the middle"),
        ("legacy_magic_only", "ends in the middle"),
        ("legacy_truncated", "beyond the end of the file"),
        ("lfs_pointer", "git lfs pull"),
        ("list_of_tensors", "expected a state dict"),
        ("negative_shape", "must be non-negative, got -2"),
        ("nested_state", "the entry `state_dict` is a container"),
        ("no_pickle", "without data.pkl"),
        ("no_stop", "ends in the middle"),
        ("no_tensors", "it holds no tensor"),
        ("not_a_dict", "expected a state dict"),
        ("one_byte", "neither a zip archive nor"),
        ("only_magic", "zip directory is damaged or missing"),
        ("other_call", "torch._utils._rebuild_something is not supported"),
        ("plain_pickle", "neither a zip archive nor"),
        ("quantized", "torch.QInt8Storage is not supported"),
        ("rank_mismatch", "rank"),
        ("safetensors", "neither a zip archive nor"),
        ("shape_overflow", "overflows"),
        ("sparse", "_rebuild_sparse_tensor is not supported"),
        ("stack_underflow", "closes a list that it did not open"),
        ("storage_missing", "not found in archive"),
        ("storage_short", "only 5 are available"),
        ("stride_overflow", "overflows"),
        ("string_past_end", "ends in the middle"),
        ("tar", "TAR archive"),
        ("text", "neither a zip archive nor"),
        ("truncated", "zip directory is damaged or missing"),
        ("truncated_last_byte", "zip directory is damaged or missing"),
        ("unknown_opcode", "opcode 0xff"),
        ("view_past_storage", "needs 7 elements"),
        ("zip_bomb", "compressed or encrypted"),
    ];
    for (name, reason) in cases {
        let error = read_all_of(&fs::read(golden(&format!("pytorch/bad/{name}.bin"))).unwrap()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(SINGLE) && message.contains(reason), "{name}: {message}");
        assert!(matches!(error.kind(), Kind::BrokenData | Kind::WrongInput), "{name}: {error:?}");
        assert!(message.len() < 1000, "{name}: {} bytes", message.len());
    }
    assert_eq!(fs::read_dir(golden("pytorch/bad")).unwrap().count(), cases.len());
}

/// Small pickles that make the reader copy large objects: its own budget does not include keys, class names and shapes.
#[test]
fn copies_without_end_are_refused_before_they_are_made() {
    let key = [b"}X\xff\xff\0\0".as_slice(), &[b'k'; 0xffff], b"K\x01s"].concat();
    let class = [b"c".as_slice(), &[b'm'; 0xffff], b"\nn\n"].concat();
    for object in [&key, &class, &one_element(0x4000)] {
        let copies = |count| [b"(".as_slice(), object, b"q\x01", &b"h\x01".repeat(count), b"l"].concat();
        let error = open(&zipped(&state(&copies(10_000)))).err().unwrap();
        assert!(matches!(&error, Error::Broken { reason, .. } if reason.contains("bytes of memory")), "{error}");
    }
    for object in [&key, &class] {
        let twice = [b"\x80\x02}U\x01a".as_slice(), object, b"q\x01sU\x01b", b"h\x01sU\x01w", &one_element(1), b"s."];
        assert_eq!(open(&zipped(&twice.concat())).unwrap().names(), ["w"]);
    }
    let plain: Vec<u8> = b"N".repeat(2 << 20);
    let error = open(&zipped(&[b"\x80\x02".as_slice(), &plain, b"."].concat())).err().unwrap();
    assert!(error.to_string().contains("bytes of memory"), "{error}");
}

/// Nested as deeply as the reader allows, on the small stack of a test thread.
#[test]
fn deep_objects_do_not_exhaust_the_stack() {
    let mut calls = one_element(1);
    for _ in 0..900 {
        let call = b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\nN";
        calls = [call.as_slice(), &calls, b"}tR"].concat();
    }
    let lists = [b"]".as_slice(), &b"\x85".repeat(990)].concat();
    let dicts = [b"}U\x01k".repeat(900), b"}".to_vec(), b"s".repeat(900)].concat();
    for value in [calls, [b"]".as_slice(), &one_element(1), b"a", &b"\x85".repeat(900)].concat()] {
        assert!(open(&zipped(&state(&value))).is_err());
    }
    for value in [lists, dicts] {
        let pickle = [b"\x80\x02}(U\x01a".as_slice(), &value, b"U\x01w", &one_element(1), b"u."].concat();
        assert_eq!(open(&zipped(&pickle)).unwrap().names(), ["w"]);
    }
}

/// Files cut at every length and with every byte changed give an error or values, never a panic. Cut files are never
/// accepted.
#[test]
fn torn_and_flipped_files_do_not_panic() {
    for name in ["pytorch/cases.bin", "pytorch/cases.legacy.bin"] {
        let good = fs::read(golden(name)).unwrap();
        let whole = read_all_of(&good).unwrap();
        for len in (0..good.len()).step_by(29).chain([good.len() - 1]) {
            let error = read_all_of(&good[..len]).unwrap_err();
            assert!(error.to_string().contains(SINGLE), "{name}, {len} bytes: {error}");
        }
        let mut same = 0;
        for at in (0..good.len()).step_by(7) {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            same += usize::from(read_all_of(&bad).is_ok_and(|found| found.keys().eq(whole.keys())));
        }
        // Those unchanged: padding, and values in a legacy stream, which has no checksums.
        assert!(same > 0 && same < good.len() / 7, "{name}: {same}");
    }
}

#[test]
fn an_index_that_disagrees_with_its_shards_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let shard = |number: usize| format!("pytorch_model-0000{number}-of-00002.bin");
    for number in [1, 2] {
        fs::copy(golden("pytorch/sharded").join(shard(number)), temp.path().join(shard(number))).unwrap();
    }
    let with = |index: &str| {
        fs::write(temp.path().join(INDEX), index).unwrap();
        PytorchTensors::open(&Arc::new(FolderFiles::new(temp.path()).unwrap()))
    };
    let map = |entries: &str| with(&format!(r#"{{"weight_map":{{{entries}}}}}"#));
    let (one, two) = (shard(1), shard(2));
    assert!(map(&format!(r#""bf16":"{one}","bias":"{two}""#)).unwrap().is_some());
    for (bad, reason) in [
        (format!(r#""bf16":"{two}""#), "is not there"),
        (format!(r#""bf16":"{two}","bias":"{one}""#), "but it is in"),
        (String::new(), "names no tensor"),
        (r#""w":"../x.bin""#.to_owned(), "not a file of this folder"),
        (r#""w":7"#.to_owned(), "invalid type"),
    ] {
        let error = map(&bad).err().unwrap();
        assert!(
            matches!(&error, Error::Broken { file, reason: found } if file.ends_with(INDEX) && found.contains(reason)),
            "{error}"
        );
    }
    assert!(matches!(map(r#""w":"x.bin""#).err().unwrap(), Error::Missing { what, .. } if what == "x.bin"));
    assert!(matches!(with("").err().unwrap(), Error::Broken { .. }));
    fs::copy(temp.path().join(&one), temp.path().join(&two)).unwrap();
    let error = map(&format!(r#""bf16":"{one}","f16":"{two}""#)).err().unwrap();
    assert!(error.to_string().contains("is in pytorch_model-00001-of-00002.bin too"), "{error}");
    assert!(PytorchTensors::open(&Arc::new(FolderFiles::new(golden("models")).unwrap())).unwrap().is_none());
}

#[test]
fn a_file_that_changes_under_way_is_refused() {
    let good = fs::read(golden("pytorch/cases.bin")).unwrap();
    let (temp, files) = folder(&good);
    let tensors = PytorchTensors::open(&files).unwrap().unwrap();
    assert!(tensors.read("weight").is_ok());
    fs::write(temp.path().join(SINGLE), &good[..good.len() / 2]).unwrap();
    assert!(matches!(tensors.read("weight"), Err(Error::Broken { .. })));
}

#[cfg(unix)]
#[test]
fn a_link_to_another_disk_is_followed() {
    let temp = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(golden("pytorch/cases.bin"), temp.path().join(SINGLE)).unwrap();
    let files = Arc::new(FolderFiles::new(temp.path()).unwrap());
    assert!(PytorchTensors::open(&files).unwrap().unwrap().read("weight").is_ok());
}

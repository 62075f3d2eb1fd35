//! The hash of a checkpoint, in its own metadata, by which damage is noticed before a training goes on from it.

use record::{Error, Result};

use crate::fs::sha256;

/// The metadata entry of the hash.
const KEY: &str = "\"sha256\":\"";
/// Number of hexadecimal digits of the hash.
const DIGITS: usize = 64;

/// The bytes of a safetensors file with their hash in the metadata; unchanged without metadata.
///
/// # Errors
/// [`Error::Broken`] if the header is not that of a safetensors file.
pub fn sealed(file: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let (header, data) = parts(file, bytes)?;
    let Some(at) = header.find("\"__metadata__\":{").map(|at| at + "\"__metadata__\":{".len()) else {
        return Ok(bytes.to_vec());
    };
    let entry = format!("{KEY}{}\",", "0".repeat(DIGITS));
    let mut new = format!("{}{entry}{}", &header[..at], header[at..].trim_end());
    // The data starts at a multiple of eight bytes.
    new += &" ".repeat(new.len().next_multiple_of(8) - new.len());
    let mut out = (new.len() as u64).to_le_bytes().to_vec();
    out.extend(new.as_bytes());
    out.extend(data);
    let hash = sha256(&out);
    let from = 8 + at + KEY.len();
    out[from..from + DIGITS].copy_from_slice(hash.as_bytes());
    Ok(out)
}

/// Checks the hash of a file by [`sealed`]; files of older versions have none.
///
/// # Errors
/// [`Error::Broken`] for a damaged file.
pub fn check(file: &str, bytes: &[u8]) -> Result<()> {
    let (header, _) = parts(file, bytes)?;
    let Some(from) = header.find(KEY).map(|at| 8 + at + KEY.len()) else { return Ok(()) };
    let broken = || {
        Error::broken(
            file,
            "its own hash does not match; without it the training goes on from the checkpoint before, or begins anew",
        )
    };
    let Some(found) = bytes.get(from..from + DIGITS).map(<[u8]>::to_vec) else { return Err(broken()) };
    let mut zeroed = bytes.to_vec();
    zeroed[from..from + DIGITS].fill(b'0');
    if sha256(&zeroed).as_bytes() == found { Ok(()) } else { Err(broken()) }
}

/// Header and data of a safetensors file.
fn parts<'a>(file: &str, bytes: &'a [u8]) -> Result<(&'a str, &'a [u8])> {
    let broken = || Error::broken(file, "it has no header of a safetensors file");
    let length = bytes.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes)).ok_or_else(broken)?;
    let end = usize::try_from(length).ok().and_then(|length| length.checked_add(8)).ok_or_else(broken)?;
    let header = bytes.get(8..end).and_then(|header| std::str::from_utf8(header).ok()).ok_or_else(broken)?;
    Ok((header, &bytes[end..]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;

    use safetensors::tensor::TensorView;
    use safetensors::{Dtype, SafeTensors};

    use super::*;

    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed() {
        let values: Vec<u8> = (0..48).collect();
        let view = TensorView::new(Dtype::F32, vec![3, 4], &values).unwrap();
        let more = HashMap::from([("training".to_owned(), "{\"step\":7}".to_owned())]);
        let plain = safetensors::serialize([("value/a", view)], Some(more)).unwrap();
        check("plain", &plain).unwrap();
        let whole = sealed("a", &plain).unwrap();
        check("a", &whole).unwrap();
        let read = SafeTensors::deserialize(&whole).unwrap();
        assert_eq!(read.tensor("value/a").unwrap().data(), values);
        let (_, metadata) = SafeTensors::read_metadata(&whole).unwrap();
        assert_eq!(metadata.metadata().as_ref().unwrap()["training"], "{\"step\":7}");
        for i in 0..whole.len() {
            let mut bad = whole.clone();
            bad[i] ^= 1;
            // A damaged name of the entry looks like a file of an older version, whose structure is still checked.
            let named = String::from_utf8_lossy(&bad).contains(KEY);
            assert!(!named || check("a", &bad).is_err(), "byte {i}");
            assert!(check("a", &whole[..i]).is_err(), "cut at {i}");
        }
    }
}

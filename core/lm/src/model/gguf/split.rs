//! Models that are split into several GGUF files, `NAME-00001-of-00003.gguf` and so on, as `llama-gguf-split` writes them.
//! The first one has the metadata; each says which part it is.

use super::header::Header;
use super::reader::Value;
use crate::{Error, Result};

/// The names of all parts of the split file that `name` names a part of; only `name` itself if it is not that of a part.
#[must_use]
pub fn parts(name: &str) -> Vec<String> {
    let Some((stem, count, extension)) = part(name) else { return vec![name.to_owned()] };
    (1..=count).map(|number| format!("{stem}-{number:05}-of-{count:05}{extension}")).collect()
}

/// What the names of all parts start with, their number, and the extension.
fn part(name: &str) -> Option<(&str, usize, &str)> {
    let at = name.len().checked_sub(".gguf".len())?;
    let (rest, extension) = name.split_at_checked(at).filter(|(_, end)| end.eq_ignore_ascii_case(".gguf"))?;
    let number = |text: &str| {
        let digits = text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<usize>().ok()).flatten()
    };
    let (rest, count) = rest.rsplit_once("-of-")?;
    let (stem, this) = rest.rsplit_once('-')?;
    let (count, this) = (number(count)?, number(this)?);
    (!stem.is_empty() && (1..=count).contains(&this)).then_some((stem, count, extension))
}

/// Checks that files are the parts of one model.
pub(super) struct Checked {
    count: usize,
    /// Number of tensors in all parts, where a part says it.
    tensors: Option<u64>,
}

impl Checked {
    pub fn new(count: usize) -> Self {
        Self { count, tensors: None }
    }

    /// Checks the entries of one part; `place` names it in messages.
    pub fn part(&mut self, place: &str, index: usize, header: &Header) -> Result<()> {
        let entry = |key: &str| header.metadata.get(key).and_then(Value::as_u64);
        let (number, count) = (entry("split.no"), entry("split.count"));
        if self.count == 1 && count.is_none_or(|count| count < 2) {
            return Ok(());
        }
        if self.count == 1 {
            let (number, count) = (number.unwrap_or_default().saturating_add(1), count.unwrap_or_default());
            return Err(Error::Unsupported {
                file: place.to_owned(),
                found: format!(
                    "part {number} of a file that was split into {count}, under a name that does not say so,"
                ),
                expected: "parts in one folder, named NAME-00001-of-00003.gguf and so on".to_owned(),
            });
        }
        if (number, count) != (Some(index as u64), Some(self.count as u64)) {
            let shown = |n: Option<u64>| n.map_or_else(|| "no number".to_owned(), |n| n.to_string());
            let reason = format!(
                "as part {} of {} its `split.no` should be {index} and its `split.count` {}, but they are {} and {}",
                index + 1,
                self.count,
                self.count,
                shown(number),
                shown(count)
            );
            return Err(Error::broken(place, reason));
        }
        let tensors = entry("split.tensors.count").or(self.tensors);
        if self.tensors.is_some() && tensors != self.tensors {
            let reason = "its `split.tensors.count` is not that of the parts before it";
            return Err(Error::broken(place, reason));
        }
        self.tensors = tensors;
        Ok(())
    }

    /// Checks the number of tensors in all parts.
    pub fn all(&self, place: &str, found: usize) -> Result<()> {
        match self.tensors {
            Some(expected) if expected != found as u64 => {
                let reason = format!("its {} parts should have {expected} tensors, but they have {found}", self.count);
                Err(Error::broken(place, reason))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::sync::Arc;

    use super::super::file::Gguf;
    use super::super::fixture::Writer;
    use super::*;
    use crate::model::files::MemoryFiles;

    #[test]
    fn names_of_parts() {
        let names = |n: usize| (1..=n).map(|i| format!("a/m-{i:05}-of-{n:05}.gguf")).collect::<Vec<_>>();
        assert_eq!(parts("a/m-00001-of-00003.gguf"), names(3));
        assert_eq!(parts("a/m-00003-of-00003.gguf"), names(3));
        assert_eq!(parts("x-00001-of-00002-00002-of-00002.GGUF")[0], "x-00001-of-00002-00001-of-00002.GGUF");
        for plain in [
            "m.gguf",
            ".gguf",
            "",
            "é",
            "m-00000-of-00002.gguf",
            "m-00003-of-00002.gguf",
            "m-1-of-2.gguf",
            "m-00001-of-000002.gguf",
            "m-+0001-of-00002.gguf",
            "m-00001-of-00002.bin",
            "-00001-of-00002.gguf",
            "00001-of-00002.gguf",
        ] {
            assert_eq!(parts(plain), [plain]);
        }
    }

    fn part_of(number: u16, count: u16, tensors: i32) -> Writer {
        let mut file = Writer::default();
        file.raw("split.no", 2, &number.to_le_bytes()).raw("split.count", 2, &count.to_le_bytes());
        file.raw("split.tensors.count", 5, &tensors.to_le_bytes());
        file
    }

    fn first() -> Writer {
        let mut file = part_of(0, 2, 2);
        file.u32("x", 7).f32s("a", &[2], &[1.0, 2.0]);
        file
    }

    fn second(tensor: &str) -> Writer {
        let mut file = part_of(1, 2, 2);
        file.u32("x", 8).f32s(tensor, &[1], &[3.0]);
        file
    }

    fn open(parts: &[Option<&Writer>], name: &str) -> Result<Gguf> {
        let named = parts.iter().enumerate().filter_map(|(i, part)| {
            Some((format!("m-{:05}-of-{:05}.gguf", i + 1, parts.len()), part.as_ref()?.bytes()))
        });
        Gguf::open(Arc::new(MemoryFiles::from_iter(named)), name)
    }

    #[test]
    fn any_part_opens_all() {
        for name in ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"] {
            let gguf = open(&[Some(&first()), Some(&second("b"))], name).unwrap();
            assert_eq!(gguf.names(), ["a", "b"]);
            assert_eq!((gguf.read_f32("a").unwrap(), gguf.read_f32("b").unwrap()), (vec![1.0, 2.0], vec![3.0]));
            assert_eq!(gguf.metadata("x"), Some(&Value::U32(7)));
            assert_eq!(gguf.place(), "m-00001-of-00002.gguf");
        }
        // One part, which may or may not say so.
        for file in [Writer::default(), part_of(0, 1, 0)] {
            assert!(open(&[Some(&file)], "m-00001-of-00001.gguf").is_ok());
        }
    }

    #[test]
    fn parts_that_are_missing_or_do_not_belong_together_are_named() {
        for (missing, other) in [(0, 1), (1, 0)] {
            let mut parts = [None, None];
            let (first, second) = (first(), second("b"));
            parts[other] = Some(if other == 0 { &first } else { &second });
            let error = open(&parts, &format!("m-0000{}-of-00002.gguf", other + 1)).err().unwrap();
            let name = format!("m-0000{}-of-00002.gguf", missing + 1);
            assert!(matches!(&error, Error::Missing { what, .. } if *what == name), "{error}");
        }
        let plain = Writer::default();
        for (a, b, reason) in [
            (first(), second("a"), "tensor `a`"),
            (first(), first(), "split.no"),
            (first(), part_of(1, 3, 2), "split.count"),
            (part_of(0, 2, 2), second("b"), "2 tensors"),
            (first(), part_of(1, 2, 3), "split.tensors.count"),
            (plain, second("b"), "no number"),
        ] {
            let error = open(&[Some(&a), Some(&b)], "m-00001-of-00002.gguf").err().unwrap();
            assert!(matches!(&error, Error::Broken { .. }) && error.to_string().contains(reason), "{reason}: {error}");
        }
        let renamed = Gguf::open(super::super::fixture::memory(second("b").bytes()), "m.gguf").err().unwrap();
        assert!(matches!(&renamed, Error::Unsupported { found, .. } if found.contains("part 2")), "{renamed}");
    }
}

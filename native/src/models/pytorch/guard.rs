//! Checks a checkpoint before the reader opens it. The reader checks every length against the file, but copies Python
//! objects as often as the pickle requests, and unpacks compressed entries to any size, so that a small file could
//! exhaust the memory. For a file that passes this check, metadata takes at most [`LIMIT`] bytes of memory, and a
//! tensor at most the size of the file.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use lm::model::files::Files;
use record::{Error, Result};
use zip::{CompressionMethod, ZipArchive};

use crate::models::files::FolderFiles;

/// Maximum memory, in bytes, for the Python objects of one checkpoint; those of a model with 1000 tensors take about 20
/// MB.
pub(super) const LIMIT: u64 = 256 << 20;
/// Upper bound, in bytes, of the memory for one object without its text: its slot on the stack or in a half-empty
/// dictionary.
const OBJECT: u64 = 192;

/// The magic number of a legacy stream (0x1950a86a20f9469cfc6c), as pickled in binary.
const LEGACY: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// Number of bytes at the start of the file in which the reader searches for it.
const LEGACY_WITHIN: usize = 64;
/// Number of pickles in a legacy stream: magic number, version, machine, state dict, storage keys.
const LEGACY_PICKLES: usize = 5;
/// Offset and magic bytes of a TAR archive.
const TAR: (usize, &[u8]) = (257, b"ustar");

/// Rejects files that are neither zip nor legacy checkpoints, are compressed, or have metadata beyond [`LIMIT`].
pub(super) fn check(files: &FolderFiles, name: &str, path: &Path, size: u64) -> Result<()> {
    let broken = |reason: String| Error::broken(files.describe(name), reason);
    if size == 0 {
        return Err(broken("it is empty".to_owned()));
    }
    let head = files.range(name, 0, size.min(512) as usize)?;
    let head = (*head).as_ref();
    if head.starts_with(b"PK\x03\x04") {
        return check_zip(files, name, path);
    }
    if head.get(TAR.0..).is_some_and(|rest| rest.starts_with(TAR.1)) {
        return Err(Error::Unsupported {
            file: files.describe(name),
            found: "a TAR archive, as PyTorch wrote before 0.1.10,".to_owned(),
            expected: "the zip format and the legacy stream of torch.save".to_owned(),
        });
    }
    if head[..head.len().min(LEGACY_WITHIN)].windows(LEGACY.len()).any(|bytes| bytes == LEGACY) {
        let bytes = files.range(name, 0, size.min(LIMIT) as usize)?;
        let mut rest = (*bytes).as_ref();
        let mut budget = LIMIT;
        for _ in 0..LEGACY_PICKLES {
            let end = weigh(rest, &mut budget).map_err(broken)?;
            rest = &rest[end..];
        }
        return Ok(());
    }
    if head.starts_with(b"version https://git-lfs") {
        return Err(broken("it is the pointer that Git LFS leaves in place of a file; run `git lfs pull`".to_owned()));
    }
    Err(broken("it is neither a zip archive nor a stream as torch.save writes them".to_owned()))
}

fn check_zip(files: &FolderFiles, name: &str, path: &Path) -> Result<()> {
    let broken = |reason: String| Error::broken(files.describe(name), reason);
    let file = File::open(path).map_err(|error| Error::io("reading", files.describe(name), error))?;
    let cut =
        |error| broken(format!("its zip directory is damaged or missing, as after a download that was cut ({error})"));
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(cut)?;
    let (mut budget, mut pickles) = (LIMIT, 0);
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(cut)?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(broken("its entries are compressed or encrypted, which torch.save never does".to_owned()));
        }
        if !entry.name_raw().ends_with(b"data.pkl") {
            continue;
        }
        let (start, size) = (entry.data_start().unwrap_or(u64::MAX), entry.size());
        drop(entry);
        let pickle = files.range(name, start, usize::try_from(size).unwrap_or(usize::MAX))?;
        weigh((*pickle).as_ref(), &mut budget).map_err(broken)?;
        pickles += 1;
    }
    if pickles == 0 {
        return Err(broken("it is a zip archive without data.pkl, so not a checkpoint of torch.save".to_owned()));
    }
    Ok(())
}

/// An object on the stack of the pickle machine: the memory that a copy takes, and its number in the memo, if any.
#[derive(Clone, Copy)]
struct Weight {
    bytes: u64,
    memo: Option<u32>,
}

/// Runs one pickle with weights in place of objects, deducting every object and copy from the budget; returns the
/// length of the pickle. For the opcodes see Python's `pickletools`.
fn weigh(pickle: &[u8], budget: &mut u64) -> Result<usize, String> {
    let mut machine = Machine { pickle, at: 0, budget, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    loop {
        if machine.step()? {
            return Ok(machine.at);
        }
    }
}

struct Machine<'a> {
    pickle: &'a [u8],
    at: usize,
    budget: &'a mut u64,
    stack: Vec<Weight>,
    marks: Vec<usize>,
    memo: HashMap<u32, u64>,
}

impl Machine<'_> {
    /// Executes one opcode; returns whether it was the last.
    fn step(&mut self) -> Result<bool, String> {
        let op = self.take(1)?[0];
        self.spend(1)?;
        match op {
            b'.' => return Ok(true),
            // PROTO, FRAME
            0x80 => _ = self.take(1)?,
            0x95 => _ = self.take(8)?,
            // None, True, False, and empty containers
            b'N' | 0x88 | 0x89 | b')' | b']' | b'}' | 0x8f => self.push(0)?,
            // Numbers
            b'K' => self.push_next(1)?,
            b'M' => self.push_next(2)?,
            b'J' => self.push_next(4)?,
            b'G' => self.push_next(8)?,
            // Lines of text: numbers, strings, a persistent id, a class
            b'I' | b'L' | b'F' | b'V' | b'P' => {
                let len = self.line()?.len();
                self.push_text(len as u64)?;
            }
            b'c' => {
                let len = self.line()?.len() + self.line()?.len();
                self.push_text(len as u64)?;
            }
            // Strings, bytes and integers preceded by their length
            b'U' | b'C' | 0x8a | 0x8c => self.push_sized(1)?,
            b'T' | b'X' | b'B' | 0x8b => self.push_sized(4)?,
            0x8d | 0x8e | 0x96 => self.push_sized(8)?,
            // One object made from the last few: tuples, calls, a persistent id
            0x85 | b'Q' => self.join(1)?,
            0x86 | b'R' | 0x81 | 0x93 => self.join(2)?,
            0x87 | 0x92 => self.join(3)?,
            b'b' => self.build()?,
            // One object made from all since the mark
            b't' | b'l' | b'd' | 0x91 => {
                let bytes = self.since_mark()?;
                self.push(bytes)?;
            }
            // Into the container below
            b'a' => self.put_into(1)?,
            b's' => self.put_into(2)?,
            b'e' | b'u' | 0x90 => {
                let bytes = self.since_mark()?;
                self.top()?.bytes += bytes;
            }
            // Stack
            b'(' => self.marks.push(self.stack.len()),
            b'0' if self.marks.last() == Some(&self.stack.len()) => _ = self.marks.pop(),
            b'0' => _ = self.pop()?,
            b'1' => _ = self.since_mark()?,
            b'2' => {
                let top = *self.top()?;
                self.copy(top)?;
            }
            // Memo
            b'g' | b'h' | b'j' => {
                let memo = self.number(op, [b'g', b'h'])?;
                let bytes = self.memo.get(&memo).ok_or_else(|| format!("its pickle has no object {memo}"))?;
                self.copy(Weight { bytes: *bytes, memo: Some(memo) })?;
            }
            b'p' | b'q' | b'r' => {
                let memo = self.number(op, [b'p', b'q'])?;
                self.remember(memo)?;
            }
            0x94 => {
                let memo = u32::try_from(self.memo.len()).unwrap_or(u32::MAX);
                self.remember(memo)?;
            }
            _ => return Err(format!("its pickle has the opcode {op:#04x}, which torch.save does not write")),
        }
        Ok(false)
    }

    fn spend(&mut self, bytes: u64) -> Result<(), String> {
        match self.budget.checked_sub(bytes) {
            Some(left) => {
                *self.budget = left;
                Ok(())
            }
            None => Err(format!("its metadata would take more than {LIMIT} bytes of memory")),
        }
    }

    fn take(&mut self, len: usize) -> Result<&[u8], String> {
        let found = self.at.checked_add(len).and_then(|end| self.pickle.get(self.at..end));
        let found = found.ok_or_else(|| "its pickle ends in the middle".to_owned())?;
        self.at += len;
        Ok(found)
    }

    fn line(&mut self) -> Result<&[u8], String> {
        let rest = self.pickle.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or("its pickle ends in the middle of a line")?;
        self.at += end + 1;
        Ok(&rest[..end])
    }

    /// Reads an unsigned integer of up to 8 bytes.
    fn unsigned(&mut self, len: usize) -> Result<u64, String> {
        Ok(self.take(len)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// Reads a memo number: a line of text, one byte or four.
    fn number(&mut self, op: u8, [text, short]: [u8; 2]) -> Result<u32, String> {
        if op == text {
            let line = self.line()?.to_vec();
            let parsed = std::str::from_utf8(&line).ok().and_then(|line| line.trim_end_matches('\r').parse().ok());
            return parsed.ok_or_else(|| "its pickle has an invalid memo number".to_owned());
        }
        self.unsigned(if op == short { 1 } else { 4 }).map(|number| number as u32)
    }

    /// Pushes a new object that contains `bytes` of text or other objects, which have been deducted already.
    fn push(&mut self, bytes: u64) -> Result<(), String> {
        self.spend(OBJECT)?;
        self.stack.push(Weight { bytes: bytes + OBJECT, memo: None });
        Ok(())
    }

    fn push_next(&mut self, len: usize) -> Result<(), String> {
        self.take(len)?;
        self.push(0)
    }

    fn push_sized(&mut self, width: usize) -> Result<(), String> {
        let len = self.unsigned(width)?;
        self.take(usize::try_from(len).unwrap_or(usize::MAX))?;
        self.push_text(len)
    }

    fn push_text(&mut self, len: u64) -> Result<(), String> {
        self.spend(len)?;
        self.push(len)
    }

    fn copy(&mut self, of: Weight) -> Result<(), String> {
        self.spend(of.bytes)?;
        self.stack.push(of);
        Ok(())
    }

    fn remember(&mut self, memo: u32) -> Result<(), String> {
        let top = self.top()?;
        top.memo = Some(memo);
        let bytes = top.bytes;
        self.memo.insert(memo, bytes);
        self.spend(bytes)
    }

    fn top(&mut self) -> Result<&mut Weight, String> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        let free = self.stack.get_mut(bottom..).and_then(<[Weight]>::last_mut);
        free.ok_or_else(|| "its pickle uses an object that is not there".to_owned())
    }

    fn pop(&mut self) -> Result<Weight, String> {
        let top = *self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_many(&mut self, count: usize) -> Result<u64, String> {
        (0..count).try_fold(0, |sum, _| Ok(sum + self.pop()?.bytes))
    }

    fn since_mark(&mut self) -> Result<u64, String> {
        let mark = self.marks.pop().ok_or("its pickle closes a list that it did not open")?;
        let from = mark.min(self.stack.len());
        Ok(self.stack.drain(from..).map(|weight| weight.bytes).sum())
    }

    fn join(&mut self, count: usize) -> Result<(), String> {
        let bytes = self.pop_many(count)?;
        self.push(bytes)
    }

    fn put_into(&mut self, count: usize) -> Result<(), String> {
        let bytes = self.pop_many(count)?;
        self.top()?.bytes += bytes;
        Ok(())
    }

    /// Adds state to an object; the reader then also renews the copy in the memo.
    fn build(&mut self) -> Result<(), String> {
        let bytes = self.pop()?.bytes;
        let top = self.top()?;
        top.bytes += bytes;
        let Weight { bytes, memo } = *top;
        if let Some(memo) = memo {
            self.memo.insert(memo, bytes);
            self.spend(bytes)?;
        }
        Ok(())
    }
}

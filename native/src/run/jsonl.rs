//! Reading the user's text files, or stdin: one text or one JSON object per line.
//!
//! A byte-order mark, CRLF line ends, blank lines (which are skipped), a missing newline at the end and lines of up to
//! 1 MB are accepted. If a key occurs twice, its last value is used. A line is refused if it is not UTF-8 or not one
//! JSON object, if a field is missing, empty or not a string, and for control characters. Line breaks in JSON strings
//! become spaces.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use record::{Error, Result};
use serde_json::{Map, Value};

use crate::fs::io_error;

const LINE_LIMIT: usize = 1 << 20;
const FILE_LIMIT: u64 = 1 << 32;
const ROW_LIMIT: usize = 10_000_000;
const BAD_KEPT: usize = 100;

/// A row of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Line number, from 1.
    pub line: usize,
    /// The texts, in the order of the requested fields.
    pub values: Vec<String>,
}

/// The content of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Valid rows, in the order of the file.
    pub rows: Vec<Row>,
    /// Number of invalid lines.
    pub bad_lines: usize,
    /// Line number and reason of the first hundred invalid lines.
    pub bad: Vec<(usize, String)>,
}

impl Rows {
    /// The rows, if all lines are valid.
    ///
    /// # Errors
    /// [`Error::Line`] with the first invalid line and their number.
    pub fn strict(self, path: &Path) -> Result<Vec<Row>> {
        let Some((line, reason)) = self.bad.into_iter().next() else { return Ok(self.rows) };
        let reason = match self.bad_lines {
            1 => reason,
            n => format!("{reason} ({n} lines of the file cannot be used)"),
        };
        Err(Error::Line { file: path.display().to_string(), line, reason })
    }

    fn refuse(&mut self, line: usize, reason: String) {
        self.bad_lines += 1;
        if self.bad.len() < BAD_KEPT {
            self.bad.push((line, reason));
        }
    }
}

/// A text of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// Line number, from 1.
    pub line: usize,
    /// The text, without surrounding white space.
    pub text: String,
}

/// How a file of texts is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// One text per line.
    Lines,
    /// One JSON object per line.
    Json,
}

/// The layout that a file's extension or a named field asks for; `None` if the content decides.
fn layout(path: &Path, field: Option<&str>) -> Result<Option<Layout>> {
    /// Formats that are not lines of text.
    const OTHERS: [&str; 20] = [
        "csv",
        "tsv",
        "json",
        "parquet",
        "arrow",
        "html",
        "xml",
        "pdf",
        "docx",
        "odt",
        "xlsx",
        "zip",
        "gz",
        "zst",
        "bz2",
        "toml",
        "yaml",
        "yml",
        "ini",
        "safetensors",
    ];
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    match (extension.as_str(), field) {
        ("jsonl" | "ndjson", _) => Ok(Some(Layout::Json)),
        ("txt" | "text", None) => Ok(Some(Layout::Lines)),
        ("txt" | "text", Some(field)) => {
            let expected = "a .jsonl file, as a field is named";
            Err(Error::input(path.display(), expected, format_args!("a text file and the field `{field}`")))
        }
        (other, _) if OTHERS.contains(&other) => Err(Error::Unsupported {
            file: path.display().to_string(),
            found: format!(".{extension}"),
            expected: "one text per line (.txt), or one JSON object per line (.jsonl)".to_owned(),
        }),
        (_, Some(_)) => Ok(Some(Layout::Json)),
        _ => Ok(None),
    }
}

/// The texts of a file or of stdin, with the other fields of their JSON objects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Texts {
    /// The texts.
    pub seeds: Vec<Seed>,
    /// For each text the fields of its object; empty for lines of text.
    pub fields: Vec<Map<String, Value>>,
}

/// Reads the user's texts: from `.txt` one per line, from `.jsonl` the given field, by default `text`. For any other
/// extension, and for `-` (stdin), the first character decides: `{` starts a JSON object.
///
/// # Errors
/// [`Error::Line`] with the first invalid line; [`Error::Input`] for an empty or too large file; [`Error::Unsupported`]
/// for a file of another format or UTF-16; [`Error::Missing`] if the file does not exist; [`Error::Io`] when reading
/// fails.
pub fn read_texts(path: &Path, field: Option<&str>) -> Result<Texts> {
    let mut fields = Vec::new();
    let seeds = read(path, field, |object| fields.push(object))?;
    Ok(Texts { seeds, fields })
}

/// The texts of [`read_texts`] alone.
///
/// # Errors
/// As [`read_texts`].
pub fn read_seeds(path: &Path, field: Option<&str>) -> Result<Vec<Seed>> {
    read(path, field, drop)
}

/// Reads texts and calls `keep` with the fields of each.
fn read(path: &Path, field: Option<&str>, mut keep: impl FnMut(Map<String, Value>)) -> Result<Vec<Seed>> {
    let asked = layout(path, field)?;
    let mut input: Box<dyn BufRead> =
        if path == Path::new("-") { Box::new(BufReader::new(std::io::stdin())) } else { Box::new(open(path)?) };
    let layout = match asked {
        Some(layout) => layout,
        None => {
            let start = peek(&mut input).map_err(io_error("reading", path))?;
            let start = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start);
            let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
            if first == Some(&b'{') { Layout::Json } else { Layout::Lines }
        }
    };
    let rows = match layout {
        Layout::Lines => each_row(&mut input, path, |line| {
            let text = clean(line)?;
            keep(Map::new());
            Ok(vec![text])
        })?,
        Layout::Json => each_row(&mut input, path, |line| {
            let object = object(line)?;
            let text = text_of(&object, field.unwrap_or("text"))?;
            keep(object);
            Ok(vec![text])
        })?,
    };
    let rows = rows.strict(path)?;
    if rows.is_empty() {
        return Err(Error::input(path.display(), "at least one line of text", "none"));
    }
    let text = |row: Row| Some(Seed { line: row.line, text: row.values.into_iter().next()? });
    Ok(rows.into_iter().filter_map(text).collect())
}

fn object(line: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(line).map_err(|e| format!("is not one JSON value: {e}"))? {
        Value::Object(object) => Ok(object),
        _ => Err("is not a JSON object".to_owned()),
    }
}

fn text_of(object: &Map<String, Value>, name: &str) -> Result<String, String> {
    match object.get(name) {
        Some(Value::String(text)) => clean(text).map_err(|e| format!("field `{name}` {e}")),
        Some(_) => Err(format!("field `{name}` is not text")),
        None => Err(format!("has no field `{name}`")),
    }
}

/// Reads the named text fields of every line of a `.jsonl` file, which may be empty.
///
/// # Errors
/// As [`read_seeds`], but invalid lines are part of the result.
pub fn read_rows(path: &Path, fields: &[&str]) -> Result<Rows> {
    each_line(path, |line| {
        let object = object(line)?;
        fields.iter().map(|name| text_of(&object, name)).collect()
    })
}

fn clean(text: &str) -> Result<String, String> {
    if let Some(c) = text.chars().find(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r')) {
        return Err(format!("holds the control character U+{:04X}", u32::from(c)));
    }
    match text.trim() {
        "" => Err("is empty".to_owned()),
        t if t.contains(['\n', '\r']) => Ok(t.lines().map(str::trim).collect::<Vec<_>>().join(" ").replace('\r', " ")),
        t => Ok(t.to_owned()),
    }
}

pub(crate) fn each_line(path: &Path, parse: impl FnMut(&str) -> Result<Vec<String>, String>) -> Result<Rows> {
    each_row(&mut open(path)?, path, parse)
}

fn each_row(
    input: &mut impl BufRead,
    path: &Path,
    mut parse: impl FnMut(&str) -> Result<Vec<String>, String>,
) -> Result<Rows> {
    let (mut rows, mut line, mut number, mut total) = (Rows::default(), Vec::new(), 0, 0u64);
    loop {
        line.clear();
        let read = next_line(input, &mut line).map_err(io_error("reading", path))?;
        if read == 0 {
            return Ok(rows);
        }
        total += read;
        number += 1;
        if total > FILE_LIMIT || rows.rows.len() >= ROW_LIMIT {
            return Err(Error::input(path.display(), "at most 10 million rows and 4 GB", "more"));
        }
        if line.len() > LINE_LIMIT {
            rows.refuse(number, "is longer than 1 MB".to_owned());
            continue;
        }
        let Ok(text) = std::str::from_utf8(&line) else {
            rows.refuse(number, "is not UTF-8".to_owned());
            continue;
        };
        let text = if number == 1 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
        if text.trim().is_empty() {
            continue;
        }
        match parse(text) {
            Ok(values) => rows.rows.push(Row { line: number, values }),
            Err(reason) => rows.refuse(number, reason),
        }
    }
}

/// Reads the next line without its end into `line` and returns how many bytes were read. Of an overlong line a little
/// more than the limit is stored; reading stops after [`FILE_LIMIT`] bytes without a line end.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<u64> {
    let mut read = input.by_ref().take(LINE_LIMIT as u64 + 2).read_until(b'\n', line)? as u64;
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        return Ok(read);
    }
    // At the end of the file, or of the stored part of the line; skip the rest of the line.
    while line.len() > LINE_LIMIT && read <= FILE_LIMIT {
        let buffer = peek(input)?;
        let end = buffer.iter().position(|b| *b == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        read += used as u64;
        input.consume(used);
        if end.is_some() || used == 0 {
            break;
        }
    }
    Ok(read)
}

/// The next bytes of the input; a signal that arrives while reading is no error.
fn peek(input: &mut impl BufRead) -> std::io::Result<&[u8]> {
    // Filled in the loop, returned outside of it, as the borrow checker asks.
    while let Err(error) = input.fill_buf() {
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    input.fill_buf()
}

fn open(path: &Path) -> Result<BufReader<File>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let name = path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into());
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty() && *p != Path::new("."));
            let place = parent.map_or_else(|| "this folder".to_owned(), |p| p.display().to_string());
            let hint = "Name an existing file.".to_owned();
            return Err(Error::Missing { what: name, place, hint });
        }
        Err(e) => return Err(io_error("reading", path)(e)),
    };
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        return Err(Error::input(path.display(), "a file", "a folder"));
    }
    let mut input = BufReader::with_capacity(1 << 16, file);
    let start = peek(&mut input).map_err(io_error("reading", path))?;
    let zeros = start.iter().take(64).filter(|b| **b == 0).count();
    if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) || zeros > start.len().min(64) / 4 {
        let found = "UTF-16 or binary text".to_owned();
        let expected = "UTF-8 (save the file in that encoding)".to_owned();
        return Err(Error::Unsupported { file: path.display().to_string(), found, expected });
    }
    Ok(input)
}

/// Removes repeated texts and returns their number.
pub fn drop_duplicates(seeds: &mut Vec<Seed>) -> usize {
    let before = seeds.len();
    let mut seen = HashSet::new();
    seeds.retain(|s| seen.insert(s.text.clone()));
    before - seeds.len()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn golden(name: &str) -> PathBuf {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/bad/jsonl")).join(name)
    }

    fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn bad_lines_are_told_apart_from_good_ones() {
        let rows = read_rows(&golden("bad_lines.jsonl"), &["source", "target"]).unwrap();
        let good: Vec<_> = rows.rows.iter().map(|r| r.line).collect();
        assert_eq!(good, [1, 14, 15, 17]);
        let bad: Vec<_> = rows.bad.iter().map(|b| b.0).collect();
        assert_eq!(bad, [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16]);
        assert!(rows.rows[1].values[0].ends_with('\u{1f600}'));
        assert_eq!(rows.rows[2].values[0], "dup2", "the last value of a key counts");
        let e = rows.strict(Path::new("seeds.jsonl")).unwrap_err();
        assert_eq!(e.to_string(), "seeds.jsonl, line 3: has no field `target` (12 lines of the file cannot be used)");
    }

    #[test]
    fn other_golden_files() {
        let both = ["source", "target"];
        let rows = read_rows(&golden("bom_crlf.jsonl"), &both).unwrap().strict(Path::new("f")).unwrap();
        let values: Vec<_> = rows.iter().flat_map(|r| &r.values).collect();
        assert_eq!(values, ["a", "b", "c", "d"]);
        for name in ["empty.jsonl", "only_newlines.jsonl"] {
            assert_eq!(read_rows(&golden(name), &both).unwrap(), Rows::default());
            assert!(matches!(read_seeds(&golden(name), None), Err(Error::Input { .. })));
        }
        assert!(matches!(read_rows(&golden("utf16.jsonl"), &both), Err(Error::Unsupported { .. })));
        let seeds = read_seeds(&golden("long_line.jsonl"), Some("source")).unwrap();
        assert!(seeds.len() == 1 && seeds[0].text.len() > 100_000);
    }

    #[test]
    fn text_files() {
        let (_dir, path) = file("a.txt", "\u{feff} one \r\n\r\n\ttwo\nthree".as_bytes());
        let seeds = read_seeds(&path, None).unwrap();
        let seeds: Vec<_> = seeds.iter().map(|s| (s.line, s.text.as_str())).collect();
        assert_eq!(seeds, [(1, "one"), (3, "two"), (4, "three")]);
        assert!(matches!(read_seeds(&path, Some("text")), Err(Error::Input { .. })));
        let (_dir, path) = file("a.csv", b"one");
        assert!(matches!(read_seeds(&path, None), Err(Error::Unsupported { .. })));
        assert!(matches!(read_seeds(Path::new("nowhere.txt"), None), Err(Error::Missing { .. })));
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("b.txt");
        std::fs::create_dir(&folder).unwrap();
        assert!(matches!(read_seeds(&folder, None), Err(Error::Input { .. } | Error::Io { .. })));
    }

    #[test]
    fn without_a_known_extension_the_first_character_decides() {
        let (_dir, path) = file("notes", b"\n{\"text\": \"one\", \"id\": 7}\n");
        let texts = read_texts(&path, None).unwrap();
        assert_eq!((texts.seeds[0].text.as_str(), &texts.fields[0]["id"]), ("one", &Value::from(7)));
        let (_dir, path) = file("notes.md", b"one\ntwo\n");
        let texts = read_texts(&path, None).unwrap();
        assert!(texts.seeds.len() == 2 && texts.fields.iter().all(Map::is_empty));
        assert!(matches!(read_texts(&path, Some("body")), Err(Error::Line { line: 1, .. })));
    }

    #[test]
    fn overlong_lines_are_skipped_and_counted() {
        let mut bytes = vec![b'a'; LINE_LIMIT];
        bytes.push(b'\n');
        bytes.extend(vec![b'b'; 3 * LINE_LIMIT]);
        bytes.extend(b"\nlast");
        let (_dir, path) = file("a.txt", &bytes);
        let rows = each_line(&path, |line| Ok(vec![clean(line)?])).unwrap();
        assert_eq!(rows.rows.iter().map(|r| r.line).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(rows.bad, [(2, "is longer than 1 MB".to_owned())]);
    }

    #[test]
    fn breaks_join_and_duplicates_go() {
        let (_dir, path) = file("a.jsonl", b"{\"text\": \" a\\r\\n b \"}\n{\"text\": \"a b\"}\n");
        let mut seeds = read_seeds(&path, None).unwrap();
        assert!(seeds.iter().all(|s| s.text == "a b"));
        assert_eq!((drop_duplicates(&mut seeds), seeds.len()), (1, 1));
    }
}

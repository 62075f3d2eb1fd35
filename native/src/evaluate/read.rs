//! The files of an evaluation: a benchmark, the outputs of systems, datasets of pairs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use method::evaluate::dataset::Pair;
use method::evaluate::{Item, System};
use record::Task;
use record::{Error, Result};
use serde_json::{Map, Value};

use crate::args::evaluate::Join;
use crate::run::jsonl::{each_line, read_rows};

/// Longest name of a system, in characters.
const LONGEST_NAME: usize = 40;

/// A benchmark as read.
#[derive(Debug, Clone)]
pub struct Data {
    /// The file.
    pub path: PathBuf,
    /// Field of the sources.
    pub source: String,
    /// The items.
    pub items: Vec<Item>,
    /// Line of each item, from 1.
    lines: Vec<usize>,
    /// Id of each item, where all have one.
    ids: Option<Vec<String>>,
    /// What is wrong with the references, if anything; the items are usable without.
    pub problem: Option<Error>,
}

/// What a line gives.
struct Row {
    id: Option<String>,
    source: Option<String>,
    texts: Vec<String>,
}

/// Rows with their line numbers. A bad line is an error.
fn rows(path: &Path, mut read: impl FnMut(Map<String, Value>) -> Result<Row, String>) -> Result<Vec<(usize, Row)>> {
    let mut found = Vec::new();
    let lines = each_line(path, |line| {
        let value: Value = serde_json::from_str(line).map_err(|e| format!("is not one JSON value: {e}"))?;
        let Value::Object(object) = value else { return Err("is no JSON object".to_owned()) };
        found.push(read(object)?);
        Ok(Vec::new())
    })?;
    let numbers = lines.strict(path)?.into_iter().map(|row| row.line);
    Ok(numbers.zip(found).collect())
}

/// A text, trimmed. Line breaks stay: they end sentences for ROUGE-Lsum.
fn text(field: &str, value: Value) -> Result<String, String> {
    let Value::String(text) = value else { return Err(format!("field `{field}` is no text")) };
    if let Some(c) = text.chars().find(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r')) {
        return Err(format!("field `{field}` holds the control character U+{:04X}", u32::from(c)));
    }
    Ok(text.trim().to_owned())
}

fn full(field: &str, value: Value) -> Result<String, String> {
    match text(field, value)? {
        text if text.is_empty() => Err(format!("field `{field}` is empty")),
        text => Ok(text),
    }
}

fn no_field(field: &str, object: &Map<String, Value>) -> String {
    let fields: Vec<_> = object.keys().take(10).map(|name| format!("`{name}`")).collect();
    match fields.as_slice() {
        [] => format!("has no field `{field}`, nor any other"),
        fields => format!("has no field `{field}`; it has {}", fields.join(", ")),
    }
}

fn id(object: &mut Map<String, Value>) -> Result<Option<String>, String> {
    match object.remove("id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) if !id.trim().is_empty() => text("id", Value::String(id)).map(Some),
        Some(Value::Number(id)) if !id.is_f64() => Ok(Some(id.to_string())),
        Some(_) => Err("field `id` is neither a text nor a whole number".to_owned()),
    }
}

/// Reads a benchmark. `reference`: the field that the user named; without a name `references` is read where it is there.
///
/// # Errors
/// [`Error::Line`] for a line without source, or one that cannot be read; [`Error::Input`] for no item. References that
/// only some items have, or none of a field that was named, are in [`Data::problem`].
pub fn benchmark(path: &Path, source: &str, reference: Option<&str>) -> Result<Data> {
    let named = reference.is_some();
    let reference = reference.unwrap_or("references");
    let rows = rows(path, |mut object| {
        if !object.contains_key(source) {
            return Err(no_field(source, &object));
        }
        let texts = match object.remove(reference) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(all)) => all.into_iter().map(|one| full(reference, one)).collect::<Result<_, _>>()?,
            Some(one) => vec![full(reference, one)?],
        };
        let id = id(&mut object)?;
        // Missing only where the same field was asked for twice.
        let value = object.remove(source).ok_or_else(|| format!("`{source}` is source and reference or id at once"))?;
        Ok(Row { id, source: Some(full(source, value)?), texts })
    })?;
    if rows.is_empty() {
        return Err(Error::input(path.display(), "at least one line", "none"));
    }
    let without: Vec<usize> = rows.iter().filter(|(_, row)| row.texts.is_empty()).map(|(line, _)| *line).collect();
    let problem = match without.first() {
        None => None,
        Some(_) if without.len() == rows.len() && !named => None,
        Some(_) if without.len() == rows.len() => {
            let expected = format!("a field of {}", path.display());
            Some(Error::input("--reference", expected, format_args!("`{reference}`, which no line has")))
        }
        Some(&line) => {
            let lines = if without.len() == 1 { String::new() } else { format!(" ({} lines)", without.len()) };
            let reason = format!("has no reference in `{reference}`{lines}; no column uses references");
            Some(Error::Line { file: path.display().to_string(), line, reason })
        }
    };
    let ids = rows.iter().map(|(_, row)| row.id.clone()).collect();
    let lines = rows.iter().map(|(line, _)| *line).collect();
    let item = |(line, row): (usize, Row)| Item {
        id: row.id.unwrap_or_else(|| format!("line {line}")),
        source: row.source.unwrap_or_default(),
        references: row.texts,
    };
    let items = rows.into_iter().map(item).collect();
    Ok(Data { path: path.to_owned(), source: source.to_owned(), items, lines, ids, problem })
}

/// Takes `NAME=FILE` apart; a file alone is named after itself.
///
/// # Errors
/// [`Error::Input`] for a name that is empty, long or cannot be printed.
pub fn named(spec: &str) -> Result<(String, PathBuf)> {
    let (name, path) = match spec.split_once('=') {
        Some((name, path)) if !Path::new(spec).exists() => (name.trim().to_owned(), PathBuf::from(path)),
        _ => {
            let path = PathBuf::from(spec);
            (path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default(), path)
        }
    };
    let printable = name.chars().all(|c| !c.is_control() && (c == ' ' || !c.is_whitespace()));
    if name.is_empty() || name.chars().count() > LONGEST_NAME || !printable || path.as_os_str().is_empty() {
        let expected = format!("NAME=FILE with a name of at most {LONGEST_NAME} characters");
        return Err(Error::input("--system", expected, format_args!("{spec:?}")));
    }
    Ok((name, path))
}

/// Reads a system's outputs for the items of `data`; beside it a remark for the user, if there is one. An output may be
/// empty. Where a line has the source as well, it must be that of its item.
///
/// # Errors
/// [`Error::Line`] for a line that cannot be read, has no output, or another item's source; [`Error::Input`] when lines
/// and items do not match.
pub fn system(name: &str, path: &Path, field: &str, join: Join, data: &Data) -> Result<(System, Option<String>)> {
    let rows = rows(path, |mut object| {
        let output = match object.remove(field) {
            Some(value) => text(field, value)?,
            None => return Err(no_field(field, &object)),
        };
        let id = id(&mut object)?;
        let source = object.remove(&data.source).filter(Value::is_string);
        Ok(Row { id, source: source.map(|value| text(&data.source, value)).transpose()?, texts: vec![output] })
    })?;
    let with_id = rows.iter().filter(|(_, row)| row.id.is_some()).count();
    let by_id = match join {
        Join::Order => false,
        Join::Auto => data.ids.is_some() && with_id == rows.len() && !rows.is_empty(),
        Join::Id => {
            let lacks =
                |file: &Path| Error::input(file.display(), "an `id` on every line, to join by", "lines without");
            if data.ids.is_none() {
                return Err(lacks(&data.path));
            }
            if with_id < rows.len() {
                return Err(lacks(path));
            }
            true
        }
    };
    let (order, remark) = if by_id { match_ids(path, &rows, data)? } else { (match_lines(path, &rows, data)?, None) };
    let mut rows: Vec<Option<(usize, Row)>> = rows.into_iter().map(Some).collect();
    let mut outputs = Vec::with_capacity(order.len());
    for ((at, item), item_line) in order.into_iter().zip(&data.items).zip(&data.lines) {
        let Some((line, row)) = rows.get_mut(at).and_then(Option::take) else { continue };
        if row.source.is_some_and(|source| !source.split_whitespace().eq(item.source.split_whitespace())) {
            let reason = format!("`{}` is not that of line {item_line} of {}", data.source, data.path.display());
            return Err(Error::Line { file: path.display().to_string(), line, reason });
        }
        outputs.extend(row.texts);
    }
    let empty = outputs.iter().filter(|output| output.is_empty()).count();
    let empty =
        (empty > 0).then(|| format!("{name}: {empty} of {} outputs are empty and count as such", outputs.len()));
    let remarks: Vec<String> = remark.map(|remark| format!("{name}: {remark}")).into_iter().chain(empty).collect();
    let remark = (!remarks.is_empty()).then(|| remarks.join("; "));
    Ok((System { name: name.to_owned(), outputs }, remark))
}

/// The row of each item.
fn match_lines(path: &Path, rows: &[(usize, Row)], data: &Data) -> Result<Vec<usize>> {
    if rows.len() != data.items.len() {
        let expected = format!("{} outputs, one for each line of {}", data.items.len(), data.path.display());
        let mut found = rows.len().to_string();
        if let Some(line) = data.lines.get(rows.len()) {
            found += &format!("; the first without an output is line {line}");
        }
        return Err(Error::input(path.display(), expected, found));
    }
    Ok((0..rows.len()).collect())
}

fn match_ids(path: &Path, rows: &[(usize, Row)], data: &Data) -> Result<(Vec<usize>, Option<String>)> {
    let twice = |file: &Path, line: usize, id: &str, first: usize| Error::Line {
        file: file.display().to_string(),
        line,
        reason: format!("`id` {id:?} was on line {first} already"),
    };
    let mut known = HashMap::new();
    for (at, (line, row)) in rows.iter().enumerate() {
        let id = row.id.as_deref().unwrap_or_default();
        if let Some((_, first)) = known.insert(id, (at, *line)) {
            return Err(twice(path, *line, id, first));
        }
    }
    let (mut order, mut missing, mut seen) = (Vec::new(), Vec::new(), HashMap::new());
    for (id, line) in data.ids.iter().flatten().zip(&data.lines) {
        if let Some(first) = seen.insert(id, *line) {
            return Err(twice(&data.path, *line, id, first));
        }
        match known.get(id.as_str()) {
            Some((at, _)) => order.push(*at),
            None => missing.push((id, line)),
        }
    }
    if let Some((id, line)) = missing.first() {
        let expected = format!("an output for `id` {id:?} (line {line} of {})", data.path.display());
        return Err(Error::input(path.display(), expected, format_args!("none; {} ids have no output", missing.len())));
    }
    let more = rows.len() - order.len();
    Ok((order, (more > 0).then(|| format!("{more} lines with other ids are not used"))))
}

/// Reads the pairs of a run folder, of a folder with `TASK.jsonl`, or of a file with the fields `text` and the task's name.
///
/// # Errors
/// [`Error::Missing`] when there is no such file; [`Error::Line`] with the first bad line.
pub fn pairs(path: &Path, task: Task) -> Result<Vec<Pair>> {
    let name = format!("{}.jsonl", task.name());
    let file = if path.is_dir() {
        let places = [path.join("dataset").join(&name), path.join(&name)];
        places.into_iter().find(|place| place.is_file()).ok_or_else(|| Error::Missing {
            what: format!("dataset/{name}"),
            place: path.display().to_string(),
            hint: "A finished run has it; check the path.".to_owned(),
        })?
    } else {
        path.to_owned()
    };
    let rows = read_rows(&file, &["text", task.name()])?.strict(&file)?;
    let pair = |row: crate::run::jsonl::Row| {
        let mut values = row.values.into_iter();
        Some((values.next()?, values.next()?))
    };
    Ok(rows.into_iter().filter_map(pair).collect())
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;

//! Conversion of a run's rows to Parquet columns and back.

use std::path::Path;

use ::parquet::data_type::ByteArray;
use record::{Error, Result};
use record::{Finish, Kept, Refusal, Sample, Scored, Task};

use super::parquet::{Column, Field, Kind, read_table};

/// Columns of `samples.parquet`.
pub const SAMPLES: [Field; 5] =
    [("context", Kind::U64), ("row", Kind::U32), ("text", Kind::Text), ("tokens", Kind::U32), ("finish", Kind::Text)];

/// Columns of `scored.parquet`.
pub const SCORED: [Field; 13] = [
    ("task", Kind::Text),
    ("context", Kind::U64),
    ("x", Kind::U32),
    ("y", Kind::U32),
    ("length_ratio", Kind::F32),
    ("rouge_l", Kind::F32),
    ("numbers", Kind::OptF32),
    ("entities", Kind::OptF32),
    ("modality", Kind::OptF32),
    ("cosine", Kind::OptF32),
    ("forward", Kind::OptF32),
    ("backward", Kind::OptF32),
    ("refused_by", Kind::Text),
];

/// Columns of `dataset/TASK.parquet`: text and target, the scores, and the rows that the pair comes from; last `nll`,
/// which only pairs of a reworder have. Other datasets are without that column.
#[must_use]
pub fn kept_fields(task: Task) -> [Field; 14] {
    [
        ("text", Kind::Text),
        (task.name(), Kind::Text),
        ("length_ratio", Kind::F32),
        ("rouge_l", Kind::F32),
        ("numbers", Kind::OptF32),
        ("entities", Kind::OptF32),
        ("modality", Kind::OptF32),
        ("cosine", Kind::OptF32),
        ("forward", Kind::OptF32),
        ("backward", Kind::OptF32),
        ("context", Kind::U64),
        ("x", Kind::U32),
        ("y", Kind::U32),
        ("nll", Kind::OptF32),
    ]
}

fn text<T>(rows: &[T], get: impl Fn(&T) -> &str) -> Column {
    Column::Text(rows.iter().map(|r| ByteArray::from(get(r))).collect())
}

fn u64s<T>(rows: &[T], get: impl Fn(&T) -> u64) -> Column {
    Column::U64(rows.iter().map(|r| get(r).cast_signed()).collect())
}

fn u32s<T>(rows: &[T], get: impl Fn(&T) -> u32) -> Column {
    Column::U32(rows.iter().map(|r| get(r).cast_signed()).collect())
}

fn scores(rows: &[&Scored]) -> [Column; 8] {
    let optional = |get: fn(&Scored) -> Option<f32>| Column::OptF32(rows.iter().map(|s| get(s)).collect());
    [
        Column::F32(rows.iter().map(|s| s.length_ratio).collect()),
        Column::F32(rows.iter().map(|s| s.rouge_l).collect()),
        optional(|s| s.numbers),
        optional(|s| s.entities),
        optional(|s| s.modality),
        optional(|s| s.cosine),
        optional(|s| s.forward),
        optional(|s| s.backward),
    ]
}

/// Rows as the columns [`SAMPLES`].
#[must_use]
pub fn sample_columns(rows: &[Sample]) -> Vec<Column> {
    vec![
        u64s(rows, |r| r.context),
        u32s(rows, |r| r.row),
        text(rows, |r| &r.text),
        u32s(rows, |r| r.tokens),
        text(rows, |r| r.finish.name()),
    ]
}

/// Rows as the columns [`SCORED`].
#[must_use]
pub fn scored_columns(rows: &[Scored]) -> Vec<Column> {
    let mut columns =
        vec![text(rows, |r| r.task.name()), u64s(rows, |r| r.context), u32s(rows, |r| r.x), u32s(rows, |r| r.y)];
    columns.extend(scores(&rows.iter().collect::<Vec<_>>()));
    columns.push(text(rows, |r| r.refused_by.map_or("", Refusal::name)));
    columns
}

/// Rows as the columns of [`kept_fields`].
#[must_use]
pub fn kept_columns(rows: &[Kept]) -> Vec<Column> {
    let mut columns = vec![text(rows, |r| &r.text), text(rows, |r| &r.target)];
    columns.extend(scores(&rows.iter().map(|k| &k.scored).collect::<Vec<_>>()));
    columns.extend([u64s(rows, |r| r.scored.context), u32s(rows, |r| r.scored.x), u32s(rows, |r| r.scored.y)]);
    columns.push(Column::OptF32(rows.iter().map(|r| r.scored.nll).collect()));
    columns
}

/// Access to columns by row; getters return `None` for a column of another type or an index out of range.
struct Rows<'a>(&'a [Column]);

impl Rows<'_> {
    fn len(&self) -> usize {
        self.0.first().map_or(0, Column::len)
    }

    fn text(&self, column: usize, row: usize) -> Option<&str> {
        match self.0.get(column)? {
            Column::Text(v) => v.get(row)?.as_utf8().ok(),
            _ => None,
        }
    }

    fn u64(&self, column: usize, row: usize) -> Option<u64> {
        match self.0.get(column)? {
            Column::U64(v) => v.get(row).map(|v| v.cast_unsigned()),
            _ => None,
        }
    }

    fn u32(&self, column: usize, row: usize) -> Option<u32> {
        match self.0.get(column)? {
            Column::U32(v) => v.get(row).map(|v| v.cast_unsigned()),
            _ => None,
        }
    }

    fn f32(&self, column: usize, row: usize) -> Option<f32> {
        match self.0.get(column)? {
            Column::F32(v) => v.get(row).copied(),
            _ => None,
        }
    }

    fn optional(&self, column: usize, row: usize) -> Option<Option<f32>> {
        match self.0.get(column)? {
            Column::OptF32(v) => v.get(row).copied(),
            _ => None,
        }
    }

    /// The pair whose ids start at column `ids` and whose scores start at column `at`.
    fn scored(&self, task: Task, ids: usize, at: usize, refused_by: Option<Refusal>, i: usize) -> Option<Scored> {
        Some(Scored {
            task,
            context: self.u64(ids, i)?,
            x: self.u32(ids + 1, i)?,
            y: self.u32(ids + 2, i)?,
            length_ratio: self.f32(at, i)?,
            rouge_l: self.f32(at + 1, i)?,
            numbers: self.optional(at + 2, i)?,
            entities: self.optional(at + 3, i)?,
            modality: self.optional(at + 4, i)?,
            cosine: self.optional(at + 5, i)?,
            forward: self.optional(at + 6, i)?,
            backward: self.optional(at + 7, i)?,
            nll: None,
            refused_by,
        })
    }

    fn kept(&self, task: Task, i: usize) -> Option<Kept> {
        let scored = Scored { nll: self.optional(13, i)?, ..self.scored(task, 10, 2, None, i)? };
        Some(Kept { text: self.text(0, i)?.to_owned(), target: self.text(1, i)?.to_owned(), scored })
    }
}

fn sample(rows: &Rows<'_>, i: usize) -> Option<Sample> {
    Some(Sample {
        context: rows.u64(0, i)?,
        row: rows.u32(1, i)?,
        text: rows.text(2, i)?.to_owned(),
        tokens: rows.u32(3, i)?,
        finish: Finish::parse(rows.text(4, i)?)?,
    })
}

fn read_all<T>(path: &Path, fields: &[Field], get: impl Fn(&Rows<'_>, usize) -> Option<T>) -> Result<Vec<T>> {
    let mut out = Vec::new();
    read_table(path, fields, |columns| {
        let rows = Rows(&columns);
        for i in 0..rows.len() {
            let row = get(&rows, i);
            out.push(row.ok_or_else(|| Error::broken(path.display(), format!("row {} cannot be read", out.len())))?);
        }
        Ok(())
    })?;
    Ok(out)
}

/// Reads `samples.parquet`.
///
/// # Errors
/// [`Error::Io`] when reading fails; [`Error::Broken`] for an invalid file.
pub fn read_samples(path: &Path) -> Result<Vec<Sample>> {
    read_all(path, &SAMPLES, sample)
}

/// Reads `scored.parquet`.
///
/// # Errors
/// [`Error::Io`] when reading fails; [`Error::Broken`] for an invalid file.
pub fn read_scored(path: &Path) -> Result<Vec<Scored>> {
    read_all(path, &SCORED, |rows, i| {
        let name = rows.text(0, i)?;
        let task = Task::ALL.into_iter().find(|t| t.name() == name)?;
        let refused_by = match rows.text(12, i)? {
            "" => None,
            name => Some(Refusal::parse(name)?),
        };
        rows.scored(task, 1, 4, refused_by, i)
    })
}

/// Reads `dataset/TASK.parquet`.
///
/// # Errors
/// [`Error::Io`] when reading fails; [`Error::Broken`] for an invalid file.
pub fn read_kept(path: &Path, task: Task) -> Result<Vec<Kept>> {
    read_all(path, &kept_fields(task), |rows, i| rows.kept(task, i))
}

//! Flat tables in Parquet files, with five kinds of columns and zstd compression. The same rows give the same bytes.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::{Type, TypePtr};
use record::{Error, Result};

use crate::fs::io_error;

/// Number of rows of a full row group; only the last group of a file may have fewer.
pub const ROW_GROUP: usize = 1 << 16;
const READ_BATCH: usize = 1 << 13;

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// Unsigned 64-bit integer.
    U64,
    /// Unsigned 32-bit integer.
    U32,
    /// 32-bit floating point, never null.
    F32,
    /// 32-bit floating point or null.
    OptF32,
}

/// Name and type of a column.
pub type Field = (&'static str, Kind);

/// Values of a column, one per row.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Values of a [`Kind::Text`].
    Text(Vec<ByteArray>),
    /// Values of a [`Kind::U64`], reinterpreted as signed.
    U64(Vec<i64>),
    /// Values of a [`Kind::U32`], reinterpreted as signed.
    U32(Vec<i32>),
    /// Values of a [`Kind::F32`].
    F32(Vec<f32>),
    /// Values of a [`Kind::OptF32`].
    OptF32(Vec<Option<f32>>),
}

impl Column {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(v) => v.len(),
            Self::U64(v) => v.len(),
            Self::U32(v) => v.len(),
            Self::F32(v) => v.len(),
            Self::OptF32(v) => v.len(),
        }
    }

    /// Whether the column has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn schema(fields: &[Field]) -> Result<TypePtr, ParquetError> {
    let column = |(name, kind): &Field| {
        let (physical, logical) = match kind {
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::U64 => (Physical::INT64, Some(LogicalType::integer(64, false))),
            Kind::U32 => (Physical::INT32, Some(LogicalType::integer(32, false))),
            Kind::F32 | Kind::OptF32 => (Physical::FLOAT, None),
        };
        let repetition = if *kind == Kind::OptF32 { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        let built = Type::primitive_type_builder(name, physical).with_repetition(repetition).with_logical_type(logical);
        built.build().map(Arc::new)
    };
    let columns = fields.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Type::group_type_builder("rows").with_fields(columns).build()?))
}

/// Writes a table, one row group per call of [`Self::write`].
pub struct TableWriter<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    rows: u64,
    shown: PathBuf,
}

impl<W: Write + Send> TableWriter<W> {
    /// Starts a file; error messages name `shown`.
    ///
    /// # Errors
    /// [`Error::Io`] when writing fails.
    pub fn new(sink: W, fields: &[Field], shown: &Path) -> Result<Self> {
        let begin = || {
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
                .set_created_by("impossible-distillation".to_owned())
                .build();
            SerializedFileWriter::new(sink, schema(fields)?, Arc::new(properties))
        };
        Ok(Self { writer: begin().map_err(write_error(shown))?, rows: 0, shown: shown.into() })
    }

    /// Writes a row group: the columns in the order of the fields, all of the same length. Without rows nothing is
    /// written.
    ///
    /// # Errors
    /// [`Error::Io`] when writing fails, or when the columns do not match the fields.
    pub fn write(&mut self, columns: &[Column]) -> Result<()> {
        let rows = columns.first().map_or(0, Column::len);
        if rows == 0 {
            return Ok(());
        }
        self.group(columns).map_err(write_error(&self.shown))?;
        self.rows += rows as u64;
        Ok(())
    }

    fn group(&mut self, columns: &[Column]) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for column in columns {
            let Some(mut out) = group.next_column()? else {
                return Err(ParquetError::General("more columns than fields".to_owned()));
            };
            match column {
                Column::Text(v) => out.typed::<ByteArrayType>().write_batch(v, None, None)?,
                Column::U64(v) => out.typed::<Int64Type>().write_batch(v, None, None)?,
                Column::U32(v) => out.typed::<Int32Type>().write_batch(v, None, None)?,
                Column::F32(v) => out.typed::<FloatType>().write_batch(v, None, None)?,
                Column::OptF32(v) => {
                    let levels: Vec<i16> = v.iter().map(|x| i16::from(x.is_some())).collect();
                    let values: Vec<f32> = v.iter().flatten().copied().collect();
                    out.typed::<FloatType>().write_batch(&values, Some(&levels), None)?
                }
            };
            out.close()?;
        }
        group.close().map(drop)
    }

    /// Finishes the file; returns the sink and the number of rows.
    ///
    /// # Errors
    /// [`Error::Io`] when writing fails.
    pub fn finish(self) -> Result<(W, u64)> {
        let sink = self.writer.into_inner().map_err(write_error(&self.shown))?;
        Ok((sink, self.rows))
    }
}

fn write_error(path: &Path) -> impl FnOnce(ParquetError) -> Error {
    move |e| Error::io("writing", path.display(), e)
}

/// Reads a table row group by row group and passes the columns to `each`, in the order of `fields`. The last columns may
/// be missing if they are [`Kind::OptF32`]: then they hold no values.
///
/// # Errors
/// [`Error::Io`] when reading fails; [`Error::Broken`] for anything but a table with these fields; errors of `each`.
pub fn read_table(path: &Path, fields: &[Field], mut each: impl FnMut(Vec<Column>) -> Result<()>) -> Result<()> {
    let broken = |e: ParquetError| Error::broken(path.display(), e);
    let file = File::open(path).map_err(io_error("reading", path))?;
    let bytes = file.metadata().map_err(io_error("reading", path))?.len();
    let reader = guarded(|| SerializedFileReader::new(file)).map_err(broken)?;
    check_schema(&reader, fields).map_err(|reason| Error::broken(path.display(), reason))?;
    if !chunks_inside(reader.metadata(), bytes) {
        return Err(Error::broken(path.display(), "its columns do not lie inside the file"));
    }
    for index in 0..reader.num_row_groups() {
        let columns = guarded(|| read_group(&reader, index, fields)).map_err(broken)?;
        if columns.iter().any(|c| c.len() != columns[0].len()) {
            return Err(Error::broken(path.display(), "its columns differ in length"));
        }
        each(columns)?;
    }
    Ok(())
}

fn read_group(
    reader: &SerializedFileReader<File>,
    index: usize,
    fields: &[Field],
) -> Result<Vec<Column>, ParquetError> {
    let group = reader.get_row_group(index)?;
    let present = fields.iter().take(group.num_columns()).enumerate();
    let read = present.map(|(i, (_, kind))| read_column(group.get_column_reader(i)?, *kind));
    let mut columns = read.collect::<Result<Vec<_>, _>>()?;
    // Of the rows that were read, as the number that the file states may be wrong.
    let rows = columns.first().map_or(0, Column::len);
    columns.resize(fields.len(), Column::OptF32(vec![None; rows]));
    Ok(columns)
}

/// Converts panics of the decoder, which some damaged files cause, to errors.
fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    result.unwrap_or_else(|_| Err(ParquetError::General("it cannot be decoded".to_owned())))
}

/// Whether all column chunks are inside the file; others make the decoder panic or allocate without limit.
fn chunks_inside(metadata: &ParquetMetaData, bytes: u64) -> bool {
    metadata.row_groups().iter().flat_map(RowGroupMetaData::columns).all(|c| {
        let start = c.dictionary_page_offset().unwrap_or_else(|| c.data_page_offset());
        let (Ok(start), Ok(length)) = (u64::try_from(start), u64::try_from(c.compressed_size())) else { return false };
        start.checked_add(length).is_some_and(|end| end <= bytes)
    })
}

fn check_schema(reader: &SerializedFileReader<File>, fields: &[Field]) -> Result<(), String> {
    let found = reader.metadata().file_metadata().schema_descr();
    let missing = fields.get(found.num_columns()..);
    if missing.is_none_or(|fields| fields.iter().any(|field| field.1 != Kind::OptF32)) {
        return Err(format!("expected {} columns, found {}", fields.len(), found.num_columns()));
    }
    for (column, (name, kind)) in found.columns().iter().zip(fields) {
        let physical = match kind {
            Kind::Text => Physical::BYTE_ARRAY,
            Kind::U64 => Physical::INT64,
            Kind::U32 => Physical::INT32,
            Kind::F32 | Kind::OptF32 => Physical::FLOAT,
        };
        let flat = column.max_rep_level() == 0 && column.max_def_level() == i16::from(*kind == Kind::OptF32);
        if column.path().string() != *name || column.physical_type() != physical || !flat {
            let (path, found) = (column.path().string(), column.physical_type());
            return Err(format!("expected column `{name}` ({kind:?}), found `{path}` ({found})"));
        }
    }
    Ok(())
}

fn read_column(reader: ColumnReader, kind: Kind) -> Result<Column, ParquetError> {
    Ok(match (reader, kind) {
        (ColumnReader::ByteArrayColumnReader(r), Kind::Text) => Column::Text(drain(r, None)?),
        (ColumnReader::Int64ColumnReader(r), Kind::U64) => Column::U64(drain(r, None)?),
        (ColumnReader::Int32ColumnReader(r), Kind::U32) => Column::U32(drain(r, None)?),
        (ColumnReader::FloatColumnReader(r), Kind::F32) => Column::F32(drain(r, None)?),
        (ColumnReader::FloatColumnReader(r), Kind::OptF32) => {
            let mut levels = Vec::new();
            let mut values = drain(r, Some(&mut levels))?.into_iter();
            Column::OptF32(levels.iter().map(|level| if *level > 0 { values.next() } else { None }).collect())
        }
        _ => return Err(ParquetError::General("column of another type".to_owned())),
    })
}

fn drain<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    mut levels: Option<&mut Vec<i16>>,
) -> Result<Vec<T::T>, ParquetError> {
    let mut values = Vec::new();
    loop {
        let (records, _, _) = reader.read_records(READ_BATCH, levels.as_deref_mut(), None, &mut values)?;
        if records == 0 {
            return Ok(values);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    const FIELDS: [Field; 5] =
        [("t", Kind::Text), ("a", Kind::U64), ("b", Kind::U32), ("c", Kind::F32), ("d", Kind::OptF32)];

    fn rows(n: usize) -> Vec<Column> {
        vec![
            Column::Text((0..n).map(|i| ByteArray::from(format!("wörd {i}").as_str())).collect()),
            Column::U64((0..n).map(|i| i as i64 - 1).collect()),
            Column::U32((0..n).map(|i| i as i32 - 1).collect()),
            Column::F32((0..n).map(|i| i as f32 / 3.0).collect()),
            Column::OptF32((0..n).map(|i| (i % 3 != 1).then_some(i as f32)).collect()),
        ]
    }

    fn bytes(groups: &[usize]) -> Vec<u8> {
        let mut w = TableWriter::new(Vec::new(), &FIELDS, Path::new("x.parquet")).unwrap();
        for n in groups {
            w.write(&rows(*n)).unwrap();
        }
        w.finish().unwrap().0
    }

    fn read(path: &Path) -> Result<Vec<Vec<Column>>> {
        let mut groups = Vec::new();
        read_table(path, &FIELDS, |c| {
            groups.push(c);
            Ok(())
        })?;
        Ok(groups)
    }

    #[test]
    fn round_trip_and_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.parquet");
        let data = bytes(&[20_000, 0, 3]);
        assert_eq!(data, bytes(&[20_000, 3]));
        std::fs::write(&path, data).unwrap();
        assert_eq!(read(&path).unwrap(), [rows(20_000), rows(3)]);
        std::fs::write(&path, bytes(&[])).unwrap();
        assert!(read(&path).unwrap().is_empty());
    }

    #[test]
    fn other_columns_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.parquet");
        std::fs::write(&path, bytes(&[2])).unwrap();
        let mut fields = FIELDS;
        fields[1].0 = "other";
        let e = read_table(&path, &fields, |_| Ok(())).unwrap_err();
        assert!(e.to_string().contains("`other`"), "{e}");
        fields = FIELDS;
        fields[4].1 = Kind::F32;
        assert!(read_table(&path, &fields, |_| Ok(())).is_err());
        assert!(read_table(&path, &FIELDS[..4], |_| Ok(())).is_err());
    }

    #[test]
    fn a_missing_last_column_has_no_values_and_damaged_bytes_never_panic() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.parquet");
        let more = [&FIELDS[..], &[("more", Kind::OptF32)]].concat();
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let mut last = Vec::new();
            read_table(&path, &more, |columns| {
                last.push(columns[FIELDS.len()].clone());
                Ok(())
            })?;
            Ok::<_, Error>(last)
        };
        let good = bytes(&[5]);
        assert_eq!(read(&good).unwrap(), [Column::OptF32(vec![None; 5])]);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= [0xff, 0x01, 0x80][at % 3];
            let _ = read(&bad);
        }
    }

    #[test]
    fn damaged_bytes_never_panic() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.parquet");
        let good = bytes(&[5]);
        for at in (0..good.len()).step_by(3) {
            let mut bad = good.clone();
            bad[at] ^= [0xff, 0x01, 0x80][at / 3 % 3];
            std::fs::write(&path, bad).unwrap();
            let _ = read(&path);
        }
        for at in (0..good.len()).step_by(17) {
            std::fs::write(&path, &good[..at]).unwrap();
            assert!(read(&path).is_err(), "cut at {at}");
        }
    }
}

//! The report of a run, `report.html`: its pairs, its funnel and its students. Pages have no scripts and load no other
//! files.

pub mod curve;
pub mod histogram;
mod page;
pub mod showcase;
pub mod students;

use record::Result;

use crate::fs::write_file;
use crate::html;
use crate::run::dataset::Written;
use crate::run::{REPORT, RunFolder, timings};

/// Writes the report of a run whose dataset has just been written.
///
/// # Errors
/// [`record::Error::Io`] when writing fails; [`record::Error::Broken`] for invalid timings.
pub fn write(folder: &RunFolder, written: &Written) -> Result<()> {
    let (times, students) = (timings::read(folder.dir())?, students::section(folder.dir()));
    let html = page::report(folder.plan(), folder.hash(), written, &times, &students)?;
    write_file(&folder.dir().join(REPORT), html::sealed(&html).as_bytes())
}

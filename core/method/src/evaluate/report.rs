//! The statistical uncertainty of the scores: an interval for each, and paired tests of the first system against each
//! of the others.

use super::{Better, Column, Measure, Scores, Table, each};
use crate::Result;
use text::metric::bootstrap::{Comparison, Interval, Rows, Settings, compare, confidence, mean};

/// Significance level: tables mark differences with a p-value below it.
pub const SIGNIFICANT: f64 = 0.05;

/// Fewest items for which differences are tested. The resamples of fewer items are too much alike.
pub const FEWEST: usize = 20;

/// A system's score in a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// The score in percent; NaN if no item has a value.
    pub score: f64,
    /// Number of items with a value.
    pub n: usize,
    /// Bootstrap interval; `None` if a resample has no score, as may happen when only a few items have a value.
    pub interval: Option<Interval>,
    /// Paired comparison of the first system (a) with this one (b); `None` for the first system, for fewer than [`FEWEST`]
    /// items, and if a resample has no score. P-values are not corrected for multiple testing.
    pub against_first: Option<Comparison>,
}

impl Cell {
    /// Whether the difference from the first system is significant: p of the paired bootstrap is below [`SIGNIFICANT`].
    #[must_use]
    pub fn differs(&self) -> bool {
        self.against_first.is_some_and(|test| test.p_bootstrap < SIGNIFICANT)
    }
}

/// A table with its statistics.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The columns.
    pub table: Table,
    /// Settings of the bootstrap.
    pub settings: Settings,
    /// The cells by column, then by system.
    pub cells: Vec<Vec<Cell>>,
}

impl Report {
    /// Computes the statistics of every column. Time is proportional to resamples x items x columns x systems, on all
    /// cores where threads are available.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when the settings are out of range.
    pub fn new(table: Table, settings: Settings) -> Result<Self> {
        // The settings are checked here, so that any later failure is due to a column.
        confidence(&Rows::of_values(&[0.0])?, mean, settings)?;
        let systems = table.systems.len();
        let cells = each(table.columns.len() * systems, |at| {
            let column = table.columns.get(at / systems)?;
            Some(cell(column, column.systems.get(at % systems)?, at % systems == 0, settings))
        });
        let cells: Vec<Cell> = cells.into_iter().flatten().collect();
        let cells = cells.chunks(systems.max(1)).map(<[Cell]>::to_vec).collect();
        Ok(Self { table, settings, cells })
    }

    /// The columns, each with the cells of its systems.
    pub fn columns(&self) -> impl Iterator<Item = (&Column, &[Cell])> {
        self.table.columns.iter().zip(self.cells.iter().map(Vec::as_slice))
    }

    /// The cell of a measure and the system with this index.
    #[must_use]
    pub fn cell(&self, measure: Measure, system: usize) -> Option<&Cell> {
        self.columns().find(|(column, _)| column.measure == measure)?.1.get(system)
    }

    /// Indices of the systems with the best score in a column, all of them if tied; none if neither direction is
    /// better.
    #[must_use]
    pub fn best(column: &Column, cells: &[Cell]) -> Vec<usize> {
        let scores = || cells.iter().map(|cell| cell.score).filter(|score| !score.is_nan());
        let best = match column.measure.better() {
            Better::Higher => scores().reduce(f64::max),
            Better::Lower => scores().reduce(f64::min),
            Better::Neither => None,
        };
        cells.iter().enumerate().filter(|(_, cell)| Some(cell.score) == best).map(|(system, _)| system).collect()
    }
}

fn cell(column: &Column, scores: &Scores, first: bool, settings: Settings) -> Cell {
    let score = |totals: &[f64]| column.measure.score(totals);
    let against_first = match column.systems.first() {
        Some(a) if !first && scores.n().min(a.n()) >= FEWEST => compare(&a.rows, &scores.rows, score, settings).ok(),
        _ => None,
    };
    Cell {
        score: score(&scores.rows.totals()),
        n: scores.n(),
        interval: confidence(&scores.rows, score, settings).ok(),
        against_first,
    }
}

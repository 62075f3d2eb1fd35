//! How sure the scores are: an interval for each, and a paired test of the first system against each other.

use super::{Better, Column, Measure, Scores, Table, each};
use crate::Result;
use crate::metric::bootstrap::{Comparison, Interval, Rows, Settings, compare, confidence, mean};

/// Most p-value of a difference that tables mark.
pub const SIGNIFICANT: f64 = 0.05;

/// A system's score in a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// In percent; NaN when no item has a value.
    pub score: f64,
    /// Items with a value.
    pub n: usize,
    /// Bootstrap interval. `None` when a resample has no score, as where only a few items have a value.
    pub interval: Option<Interval>,
    /// The first system (a) against this one (b), paired; `None` for the first, and where a resample has no score. P-values
    /// are not corrected for the number of tests.
    pub against_first: Option<Comparison>,
}

impl Cell {
    /// Whether the difference from the first system is marked: p of the paired bootstrap below [`SIGNIFICANT`].
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
    /// How it was resampled.
    pub settings: Settings,
    /// By column, then system.
    pub cells: Vec<Vec<Cell>>,
}

impl Report {
    /// Resamples every column. Time: resamples x items x columns x systems, on all cores where there are threads.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when the settings are out of range.
    pub fn new(table: Table, settings: Settings) -> Result<Self> {
        // The settings are checked here, so that later failures are those of a column.
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

    /// Columns with the cells of their systems.
    pub fn columns(&self) -> impl Iterator<Item = (&Column, &[Cell])> {
        self.table.columns.iter().zip(self.cells.iter().map(Vec::as_slice))
    }

    /// One cell.
    #[must_use]
    pub fn cell(&self, measure: Measure, system: usize) -> Option<&Cell> {
        self.columns().find(|(column, _)| column.measure == measure)?.1.get(system)
    }

    /// Indices of the systems with the best score of a column, all of them where they are equal; none where neither way is
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
        Some(a) if !first => compare(&a.rows, &scores.rows, score, settings).ok(),
        _ => None,
    };
    Cell {
        score: score(&scores.rows.totals()),
        n: scores.n(),
        interval: confidence(&scores.rows, score, settings).ok(),
        against_first,
    }
}

//! Columns of scores: the values of every system for every item, and how they were computed.

use super::{Measure, Model};
use crate::Result;
use record::Task;
use text::metric::bootstrap::Rows;

/// The scores of one system in one column.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// The statistics that are summed and resampled; [`Measure::score`] computes the score from their sum.
    pub rows: Rows,
    /// The score of each item; NaN if it has none.
    pub items: Vec<f64>,
}

impl Scores {
    /// Scores in a column that is a mean over items. NaN marks items without a value, which do not count.
    ///
    /// # Errors
    /// When there is no item, or a value is infinite.
    pub fn of_values(items: Vec<f64>) -> Result<Self> {
        let row = |&value: &f64| if value.is_nan() { [0.0, 0.0] } else { [value, 1.0] };
        Ok(Self { rows: Rows::new(2, items.iter().flat_map(row).collect())?, items })
    }

    /// Number of items with a value.
    #[must_use]
    pub fn n(&self) -> usize {
        self.items.iter().filter(|value| !value.is_nan()).count()
    }
}

/// A column of scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The measure in the column.
    pub measure: Measure,
    /// The exact settings, as `name:value` pairs joined by `|`.
    pub signature: String,
    /// Scores of each system, in the order of [`Table::systems`].
    pub systems: Vec<Scores>,
}

impl Column {
    /// A column that is a mean over items, from the values of each system; NaN marks items without a value.
    ///
    /// # Errors
    /// As [`Scores::of_values`].
    pub fn of_values(measure: Measure, signature: String, values: Vec<Vec<f64>>) -> Result<Self> {
        let systems = values.into_iter().map(Scores::of_values).collect::<Result<_>>()?;
        Ok(Self { measure, signature, systems })
    }
}

/// Columns that are left out of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The columns.
    pub measures: Vec<Measure>,
    /// Why they are left out.
    pub reason: String,
}

/// The table of all columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The task of the systems.
    pub task: Task,
    /// Number of items.
    pub items: usize,
    /// Names of the systems.
    pub systems: Vec<String>,
    /// The requested columns, in the order of [`Measure::of`].
    pub chosen: Vec<Measure>,
    /// The computed columns, in the order of [`Measure::of`].
    pub columns: Vec<Column>,
    /// The columns that could not be computed, and why.
    pub left_out: Vec<LeftOut>,
}

impl Table {
    /// The column of a measure.
    #[must_use]
    pub fn column(&self, measure: Measure) -> Option<&Column> {
        self.columns.iter().find(|column| column.measure == measure)
    }

    /// Adds columns, each in its place; existing columns of the same measures are replaced.
    pub fn add(&mut self, columns: Vec<Column>) {
        let place = |measure| Measure::of(self.task).iter().position(|&m| m == measure);
        self.columns.retain(|old| columns.iter().all(|new| new.measure != old.measure));
        self.columns.extend(columns);
        self.columns.sort_by_key(|column| place(column.measure));
    }

    /// The chosen columns that need this model and are neither computed nor left out yet.
    #[must_use]
    pub fn wanted(&self, model: Model) -> Vec<Measure> {
        let known = |m| self.column(m).is_some() || self.left_out.iter().any(|left| left.measures.contains(&m));
        self.chosen.iter().copied().filter(|&m| m.model() == Some(model) && !known(m)).collect()
    }

    /// Records why the missing columns of a model are left out; does nothing if none is missing.
    pub fn leave_out(&mut self, model: Model, reason: String) {
        let measures = self.wanted(model);
        if !measures.is_empty() {
            self.left_out.push(LeftOut { measures, reason });
        }
    }

    /// The column by which best and worst examples are ordered.
    #[must_use]
    pub fn headline(&self) -> Option<&Column> {
        let graded = || self.columns.iter().find(|column| column.measure.range().is_some());
        Measure::headlines(self.task).iter().find_map(|&measure| self.column(measure)).or_else(graded)
    }

    /// The `n` items of a system with the best (or worst) values in a column, most extreme first, ties in order of the
    /// items. Items without a value are excluded.
    #[must_use]
    pub fn extremes(column: &Column, system: usize, n: usize, best: bool) -> Vec<usize> {
        let Some(scores) = column.systems.get(system) else { return Vec::new() };
        let highest = best != (column.measure.better() == super::Better::Lower);
        let mut order: Vec<(usize, f64)> =
            scores.items.iter().copied().enumerate().filter(|(_, v)| !v.is_nan()).collect();
        order.sort_by(|(_, a), (_, b)| if highest { b.total_cmp(a) } else { a.total_cmp(b) });
        order.into_iter().take(n).map(|(item, _)| item).collect()
    }
}

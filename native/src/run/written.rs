//! Summary of a run's merged shards, for the dataset card and the report.

use record::Funnel;

use super::survey::TaskSurvey;

/// Summary of a run's merged shards.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Number of contexts of the merged shards, refused ones included.
    pub contexts: u64,
    /// Number of kept pairs of each task, in the order of [`record::Task::ALL`].
    pub kept: [u64; 2],
    /// Funnel of the whole run.
    pub funnel: Funnel,
    /// Histograms and examples of each task, in the order of [`record::Task::ALL`].
    pub survey: [TaskSurvey; 2],
}

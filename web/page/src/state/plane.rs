//! Coordinates of the scatter plot of pairs by ROUGE-L overlap and entailment.

use record::Task;

use protocol::{Point, Thresholds};

/// Side length of the plot in SVG units, including a margin for the axes.
pub const SIZE: f32 = 400.0;
const MARGIN: f32 = 36.0;

/// x coordinate of an overlap, which grows to the right from 0 to 1.
#[must_use]
pub fn x(overlap: f32) -> f32 {
    MARGIN + overlap.clamp(0.0, 1.0) * (SIZE - 1.5 * MARGIN)
}

/// y coordinate of an entailment probability, which grows upwards from 0 to 1.
#[must_use]
pub fn y(entailment: f32) -> f32 {
    SIZE - MARGIN - entailment.clamp(0.0, 1.0) * (SIZE - 1.5 * MARGIN)
}

/// Overlap and entailment of a pair; for a paraphrase the lower probability of both directions.
#[must_use]
pub fn place(point: &Point) -> (f32, f32) {
    let s = &point.scored;
    let forward = s.forward.unwrap_or(0.0);
    let entailment = if s.task == Task::Paraphrase { s.backward.map_or(forward, |b| b.min(forward)) } else { forward };
    (s.rouge_l, entailment)
}

/// SVG path data with one dot per pair, for pairs without interaction.
#[must_use]
pub fn dots<'a>(points: impl Iterator<Item = &'a Point>) -> String {
    use std::fmt::Write as _;
    let mut path = String::new();
    for point in points {
        let (overlap, entailment) = place(point);
        let _ = write!(path, "M{:.1} {:.1}h0", x(overlap), y(entailment));
    }
    path
}

/// The region of the plot that the thresholds accept: left, top, width and height.
#[must_use]
pub fn window(thresholds: &Thresholds, task: Task) -> (f32, f32, f32, f32) {
    let (from, to, least) = match task {
        Task::Paraphrase => {
            let p = &thresholds.paraphrase;
            (p.rouge_min, p.rouge_max, p.entailment_min)
        }
        Task::Summary => (0.0, 1.0, thresholds.summary.entailment_min),
    };
    (x(from), y(1.0), (x(to) - x(from)).max(0.0), (y(least) - y(1.0)).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::rewriting::tests::version;

    #[test]
    fn a_pair_that_the_thresholds_keep_lies_in_the_window() {
        use record::{DeviceSpec, Preset};
        let plan = Preset::Tiny.plan(DeviceSpec::Flex);
        let thresholds = Thresholds { paraphrase: plan.paraphrase, summary: plan.summary };
        let (left, top, width, height) = window(&thresholds, Task::Paraphrase);
        let inside = |rouge_l: f32, forward: f32, backward: f32| {
            let mut scored = version("", None).scored;
            (scored.rouge_l, scored.forward, scored.backward) = (rouge_l, Some(forward), Some(backward));
            let (o, e) = place(&Point { text: String::new(), target: String::new(), scored });
            (left..=left + width).contains(&x(o)) && (top..=top + height).contains(&y(e))
        };
        assert!(inside(0.7, 0.9, 0.8));
        assert!(!inside(0.95, 0.9, 0.8) && !inside(0.7, 0.9, 0.1) && !inside(0.2, 0.9, 0.9));
    }

    #[test]
    fn a_path_has_a_dot_for_each_pair() {
        let point = || Point { text: String::new(), target: String::new(), scored: version("", None).scored };
        let points = [point(), point()];
        assert_eq!(dots(points.iter()).matches('M').count(), 2);
    }
}

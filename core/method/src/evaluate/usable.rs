//! A yes-or-no judgement for each output: whether it can be used as it is.

use record::Task;
use text::metric::composite::{Copying, copying};
use text::number;

use super::measure::ENTAILED;

/// Whether output `y` is usable for the source `x`, given P(`x` entails `y`) (`forward`) and P(`y` entails `x`)
/// (`backward`). A paraphrase is usable if each entails the other with at least [`ENTAILED`], both have the same
/// numbers, and `y` is neither `x` nor a run of its words. A summary is usable if `x` entails `y`, every number of `y`
/// is in `x`, and `y` has fewer characters; `backward` is ignored. An empty output is never usable.
#[must_use]
pub fn usable(task: Task, x: &str, y: &str, forward: f32, backward: f32) -> bool {
    if y.trim().is_empty() || forward.is_nan() || forward < ENTAILED {
        return false;
    }
    let numbers = || (number::numbers(x), number::numbers(y));
    match task {
        Task::Paraphrase => {
            backward >= ENTAILED && copying(x, y) == Copying::None && {
                let (x, y) = numbers();
                number::agree(&x, &y)
            }
        }
        Task::Summary => {
            y.trim().chars().count() < x.trim().chars().count() && {
                let (x, y) = numbers();
                number::contained(&y, &x)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paraphrases() {
        let x = "The firm sold 40 ships in May.";
        for (y, forward, backward, expected) in [
            ("In May, 40 ships were sold by the firm.", 0.75, 0.75, true),
            ("In May, 40 ships were sold by the firm.", 0.74, 0.9, false),
            ("In May, 40 ships were sold by the firm.", 0.9, 0.74, false),
            ("In May, 40 ships were sold by the firm.", f32::NAN, 0.9, false),
            ("In May, ships were sold by the firm.", 0.9, 0.9, false),
            ("In May, 14 ships were sold by the firm.", 0.9, 0.9, false),
            ("the firm sold 40 ships in May", 1.0, 1.0, false),
            ("The firm sold 40 ships.", 1.0, 1.0, false),
            (" ", 1.0, 1.0, false),
        ] {
            assert_eq!(usable(Task::Paraphrase, x, y, forward, backward), expected, "{y} {forward} {backward}");
        }
    }

    #[test]
    fn summaries() {
        let x = "The firm, which is from Oslo, sold 40 ships in May.";
        for (y, forward, expected) in [
            ("The firm sold ships.", 0.9, true),
            ("The firm sold 40 ships in May.", 0.9, true),
            ("The firm sold 41 ships.", 0.9, false),
            ("The firm sold ships.", 0.5, false),
            (x, 1.0, false),
            ("The firm, which is from Oslo, sold 40 ships in May. ", 1.0, false),
            ("", 1.0, false),
        ] {
            assert_eq!(usable(Task::Summary, x, y, forward, 0.0), expected, "{y} {forward}");
        }
    }
}

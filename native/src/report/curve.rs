//! Loss curves of a training, as SVG.

use std::fmt::Write as _;

use crate::html;
use crate::training::folder::Line;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 48.0;
const BOTTOM: f64 = 28.0;

/// Training and held-out loss by step, as an SVG figure with a table; `target` is the unit that the loss is a mean
/// over.
#[must_use]
pub fn figure(title: &str, target: &str, lines: &[Line]) -> String {
    let losses =
        lines.iter().flat_map(|l| [Some(l.loss), l.validation]).flatten().map(f64::from).filter(|l| l.is_finite());
    let most = losses.fold(0.0_f64, f64::max).max(1e-9);
    #[allow(clippy::cast_precision_loss)]
    let steps = lines.last().map_or(1, |l| l.step).max(1) as f64;
    #[allow(clippy::cast_precision_loss)]
    let x = |step: u64| LEFT + (WIDTH - LEFT - 8.0) * step as f64 / steps;
    let y = |loss: f64| 8.0 + (HEIGHT - BOTTOM - 8.0) * (1.0 - loss / most);
    let points = |values: &mut dyn Iterator<Item = (u64, f64)>| {
        values.fold(String::new(), |mut all, (step, loss)| {
            let _ = write!(all, "{:.1},{:.1} ", x(step), y(loss));
            all
        })
    };
    let training = points(&mut lines.iter().map(|l| (l.step, f64::from(l.loss))));
    let held: Vec<(u64, f64)> = lines.iter().filter_map(|l| Some((l.step, f64::from(l.validation?)))).collect();
    let held_out = points(&mut held.iter().copied());
    let mut grid = String::new();
    for i in 0..=4 {
        let loss = most * f64::from(i) / 4.0;
        let at = y(loss);
        let _ = write!(
            grid,
            "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\" class=\"grid\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{loss:.2}</text>",
            LEFT - 6.0,
            at + 4.0
        );
    }
    let dots = held.iter().fold(String::new(), |mut all, &(step, loss)| {
        let _ = write!(all, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" class=\"held\"/>", x(step), y(loss));
        all
    });
    let rows = held.iter().fold(String::new(), |mut all, (step, loss)| {
        let training = lines.iter().find(|l| l.step == *step).map_or(f32::NAN, |l| l.loss);
        let _ = write!(all, "<tr><td>{step}</td><td>{training:.4}</td><td>{loss:.4}</td></tr>");
        all
    });
    format!(
        "<p>Nats per {target}: <span class=\"train-key\">training</span>, each step; <span class=\"held-key\">held \
         out</span>, examples not trained on.</p>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\
         <title>{title}</title><desc>Training loss from {:.2} to {:.2} over {} steps; held-out values are in the \
         table.</desc>{grid}<polyline points=\"{training}\" class=\"train\"/><polyline points=\"{held_out}\" \
         class=\"line\"/>{dots}<text x=\"{LEFT}\" y=\"{:.0}\">0</text><text x=\"{WIDTH}\" y=\"{:.0}\" \
         text-anchor=\"end\">step {}</text></svg>\n<div class=\"scroll\"><table><thead><tr><th scope=\"col\">step</th>\
         <th scope=\"col\">training</th><th scope=\"col\">held out</th></tr></thead><tbody>{rows}</tbody></table></div>\n",
        lines.first().map_or(0.0, |l| l.loss),
        lines.last().map_or(0.0, |l| l.loss),
        lines.len(),
        HEIGHT - 8.0,
        HEIGHT - 8.0,
        lines.last().map_or(0, |l| l.step),
    )
}

/// A page with the figure.
#[must_use]
pub fn page(title: &str, lines: &[Line]) -> String {
    page_with(title, "target token", lines, ["", ""])
}

/// A page with the figure, and HTML before and after it.
#[must_use]
pub fn page_with(title: &str, target: &str, lines: &[Line], [before, after]: [&str; 2]) -> String {
    html::page(
        title,
        &format!("<h1>{}</h1>\n{before}{}{after}", html::escape(title), figure("Loss by step", target, lines)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_a_point_and_every_held_out_loss_a_row() {
        let line = |step, validation| Line { step, epoch: 0, loss: 3.0, rate: 1.0, norm: 1.0, targets: 9, validation };
        let page = page("A title", &[line(1, None), line(2, Some(2.5)), line(3, Some(2.0))]);
        assert_eq!(page.matches("<circle").count(), 2);
        assert!(page.contains("<td>2</td><td>3.0000</td><td>2.5000</td>"), "{page}");
        assert!(super::page("none", &[]).contains("<svg"));
    }
}

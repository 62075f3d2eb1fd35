//! SVG charts with titles and descriptions, and the tables that go with them.

use leptos::prelude::*;
use record::{FunnelStep, Task};

use crate::state::plane::{self, SIZE};
use crate::state::reason;
use crate::state::training::Learning;
use protocol::{Filtered, Thresholds};

/// Scatter plot of pairs by word overlap and entailment.
#[component]
pub(super) fn Plane(
    /// The pairs.
    pairs: RwSignal<Filtered>,
    /// The thresholds.
    thresholds: RwSignal<Option<Thresholds>>,
    /// The task whose pairs are shown.
    task: RwSignal<Task>,
) -> impl IntoView {
    let of = move |kept: bool| {
        pairs.with(|p| {
            let mine = p.points.iter().filter(|q| q.scored.task == task.get() && q.scored.kept() == kept);
            plane::dots(mine)
        })
    };
    let count = move |kept: bool| {
        pairs.with(|p| p.points.iter().filter(|q| q.scored.task == task.get() && q.scored.kept() == kept).count())
    };
    let described = move || {
        let how =
            if task.get() == Task::Paraphrase { "in the weaker direction" } else { "from the longer to the shorter" };
        format!(
            "{} kept pairs and {} others. Horizontal axis: words in common (ROUGE-L). Vertical axis: entailment {how}.",
            count(true),
            count(false)
        )
    };
    let window = move || {
        thresholds.with(|t| t.as_ref().map(|t| plane::window(t, task.get()))).map(|(left, top, width, height)| {
            view! { <rect class="window" x=left y=top width=width height=height></rect> }
        })
    };
    let ticks = [0.0_f32, 0.5, 1.0];
    let across =
        ticks.map(|t| view! { <text x=plane::x(t) y=SIZE - 18.0 text-anchor="middle">{format!("{t}")}</text> });
    let up = ticks.map(|t| view! { <text x="30" y=plane::y(t) + 4.0 text-anchor="end">{format!("{t}")}</text> });
    view! {
        <figure class="plane">
            <svg viewBox=format!("0 0 {SIZE} {SIZE}") role="img" aria-labelledby="plane-title plane-text" data-test="plane">
                <title id="plane-title">"Pairs by overlap and entailment"</title>
                <desc id="plane-text">{described}</desc>
                <rect class="ground" x=plane::x(0.0) y=plane::y(1.0) width=plane::x(1.0) - plane::x(0.0) height=plane::y(0.0) - plane::y(1.0)></rect>
                {window}
                <path class="dots" d=move || of(false)></path>
                <path class="dots kept" d=move || of(true)></path>
                {across.collect_view()}
                {up.collect_view()}
                <text x=SIZE / 2.0 y=SIZE - 3.0 text-anchor="middle">"words in common (ROUGE-L)"</text>
                <text x="0" y="0" transform=format!("translate(11 {}) rotate(-90)", SIZE / 2.0) text-anchor="middle">
                    "entailment"
                </text>
            </svg>
            <figcaption>{described}</figcaption>
        </figure>
    }
}

/// Table of the number of pairs that reach and pass each critic.
#[component]
pub(super) fn Funnel(
    /// The pairs.
    pairs: RwSignal<Filtered>,
    /// The task whose pairs are shown.
    task: RwSignal<Task>,
) -> impl IntoView {
    let steps = move || pairs.with(|p| p.funnel.steps(task.get()).to_vec());
    let rows = move || {
        let steps = steps();
        let most = steps.first().map_or(1, |s| s.seen.max(1));
        steps
            .into_iter()
            .map(|FunnelStep { critic, seen, passed }| {
                #[allow(clippy::cast_precision_loss)]
                let share = (passed.max(1) as f32).ln() / (most.max(2) as f32).ln();
                view! {
                    <tr style=format!("--value:{:.3}", if passed == 0 { 0.0 } else { share.clamp(0.02, 1.0) })>
                        <th scope="row">{critic.name()}</th>
                        <td class="number">{seen}</td>
                        <td class="number bar">{passed}</td>
                    </tr>
                }
            })
            .collect_view()
    };
    view! {
        <table class="funnel" data-test="funnel">
            <caption>"Funnel: the pairs that each critic received and passed (bars on a logarithmic scale)"</caption>
            <thead>
                <tr>
                    <th scope="col">"critic"</th>
                    <th scope="col" class="number">"received"</th>
                    <th scope="col" class="number">"passed"</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
}

/// Chart of the loss by step.
#[component]
pub(super) fn Curve(
    /// The state of the training.
    learning: RwSignal<Learning>,
) -> impl IntoView {
    const WIDTH: f32 = 600.0;
    const HEIGHT: f32 = 200.0;
    const LEFT: f32 = 40.0;
    const BELOW: f32 = 26.0;
    let frame = move || {
        learning.with(|l| {
            let all = l.losses.iter().chain(&l.held_out).map(|(_, loss)| *loss);
            let (least, most) = all.fold((f32::MAX, 0.0_f32), |(a, b), v| (a.min(v), b.max(v)));
            let least = if least > most { 0.0 } else { least };
            (l.total.max(1), least.min(most - 0.1).max(0.0), most.max(0.1))
        })
    };
    let place = move |step: u64, loss: f32| {
        let (total, least, most) = frame();
        #[allow(clippy::cast_precision_loss)]
        let x = LEFT + (WIDTH - LEFT - 8.0) * step as f32 / total as f32;
        let y = HEIGHT - BELOW - (HEIGHT - BELOW - 8.0) * (loss - least) / (most - least);
        (x, y)
    };
    let line = move |held_out: bool| {
        learning.with(|l| {
            let points = if held_out { &l.held_out } else { &l.losses };
            let text: Vec<String> = points
                .iter()
                .map(|&(step, loss)| {
                    let (x, y) = place(step, loss);
                    format!("{x:.1},{y:.1}")
                })
                .collect();
            text.join(" ")
        })
    };
    let marks = move || {
        let (total, least, most) = frame();
        view! {
            <text x=LEFT - 6.0 y="14" text-anchor="end">{format!("{most:.1}")}</text>
            <text x=LEFT - 6.0 y=HEIGHT - BELOW text-anchor="end">{format!("{least:.1}")}</text>
            <text x=WIDTH - 8.0 y=HEIGHT - 8.0 text-anchor="end">{format!("step {total}")}</text>
        }
    };
    let described = move || learning.with(Learning::told);
    view! {
        <figure class="curve">
            <svg viewBox=format!("0 0 {WIDTH} {HEIGHT}") role="img" aria-labelledby="curve-title curve-text" data-test="curve">
                <title id="curve-title">"Loss by step"</title>
                <desc id="curve-text">{described}</desc>
                <line class="axis" x1=LEFT y1=HEIGHT - BELOW x2=WIDTH - 8.0 y2=HEIGHT - BELOW></line>
                {marks}
                <polyline class="loss" points=move || line(false)></polyline>
                <polyline class="loss held-out" points=move || line(true)></polyline>
            </svg>
            <figcaption>
                <span class="key loss-key">"trained on"</span>
                <span class="key held-key">"held out"</span>
                " nats per token"
            </figcaption>
            <details>
                <summary>"The same as a table"</summary>
                <div class="scroll" tabindex="0" role="region" aria-label="Loss by step, as a table">
                    <table>
                        <thead>
                            <tr>
                                <th scope="col" class="number">"step"</th>
                                <th scope="col" class="number">"loss"</th>
                                <th scope="col" class="number">"held out"</th>
                            </tr>
                        </thead>
                        <tbody>
                            {move || {
                                learning
                                    .with(|l| {
                                        let every = l.losses.len().div_ceil(40).max(1);
                                        l.losses
                                            .iter()
                                            .filter(|(step, _)| step % every as u64 == 0 || l.held_out.iter().any(|(s, _)| s == step))
                                            .map(|&(step, loss)| {
                                                let held = l.held_out.iter().find(|(s, _)| *s == step).map(|(_, v)| format!("{v:.3}"));
                                                view! {
                                                    <tr>
                                                        <td class="number">{step}</td>
                                                        <td class="number">{format!("{loss:.3}")}</td>
                                                        <td class="number">{held.unwrap_or_default()}</td>
                                                    </tr>
                                                }
                                            })
                                            .collect_view()
                                    })
                            }}
                        </tbody>
                    </table>
                </div>
            </details>
        </figure>
    }
}

/// Table of refused pairs, most entailed first.
#[component]
pub(super) fn Refused(
    /// The pairs.
    pairs: RwSignal<Filtered>,
    /// The task whose pairs are shown.
    task: RwSignal<Task>,
) -> impl IntoView {
    const SHOWN: usize = 30;
    let rows = move || {
        pairs.with(|p| {
            let mut mine: Vec<_> =
                p.points.iter().filter(|q| q.scored.task == task.get() && !q.scored.kept()).collect();
            mine.sort_by(|a, b| plane::place(b).1.total_cmp(&plane::place(a).1));
            mine.into_iter()
                .take(SHOWN)
                .map(|q| {
                    let (overlap, entailment) = plane::place(q);
                    view! {
                        <tr>
                            <td dir="auto">{q.text.clone()}</td>
                            <td dir="auto">{q.target.clone()}</td>
                            <td class="number">{format!("{entailment:.2}")}</td>
                            <td class="number">{format!("{overlap:.2}")}</td>
                            <td>{reason(q.scored.refused_by)}</td>
                        </tr>
                    }
                })
                .collect_view()
        })
    };
    view! {
        <details>
            <summary>"Refused pairs, most entailed first"</summary>
            <div class="scroll" tabindex="0" role="region" aria-label="Refused pairs">
                <table class="pairs">
                    <thead>
                        <tr>
                            <th scope="col">"text"</th>
                            <th scope="col">"target"</th>
                            <th scope="col" class="number">"entailment"</th>
                            <th scope="col" class="number">"ROUGE-L"</th>
                            <th scope="col">"reason"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </details>
    }
}

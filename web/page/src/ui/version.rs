//! A version of a sentence: its changes and the critics' scores.

use leptos::prelude::*;
use record::Version;
use record::{Scored, Task};

use crate::state::diff::{Piece, words};
use crate::state::reason;

/// The differences between a version and its source.
#[component]
pub(super) fn Diff(
    /// The source.
    source: String,
    /// The version.
    version: String,
) -> impl IntoView {
    let piece = |piece: Piece| match piece {
        Piece::Same(text) => view! { <span>{text} " "</span> }.into_any(),
        Piece::Gone(text) => view! { <del>{text}</del> " " }.into_any(),
        Piece::New(text) => view! { <ins>{text}</ins> " " }.into_any(),
    };
    view! { <p class="diff" dir="auto">{words(&source, &version).into_iter().map(piece).collect_view()}</p> }
}

/// A score as a bar with its number.
#[component]
fn Score(
    /// Name of the score.
    name: &'static str,
    /// Value from 0 to 1; none if it was not computed.
    value: Option<f32>,
) -> impl IntoView {
    let shown = value.map_or_else(|| "not computed".to_owned(), |v| format!("{v:.2}"));
    let width = format!("--value:{:.3}", value.unwrap_or(0.0).clamp(0.0, 1.0));
    view! {
        <div class="score" style=width>
            <dt>{name}</dt>
            <dd>{shown}</dd>
        </div>
    }
}

/// The critics' scores of a pair.
#[component]
pub(super) fn Scores(
    /// The scores.
    scored: Scored,
) -> impl IntoView {
    let summary = scored.task == Task::Summary;
    let numbers = scored.numbers.map(|n| if n > 0.5 { "the same" } else { "different" });
    view! {
        <dl class="scores">
            <Score name="follows" value=scored.forward />
            {(!summary).then(|| view! { <Score name="and back" value=scored.backward /> })}
            <Score name="ROUGE-L" value=Some(scored.rouge_l) />
            <div class="score plain">
                <dt>"length"</dt>
                <dd>{format!("{:.0} %", 100.0 * scored.length_ratio)}</dd>
            </div>
            <div class="score plain">
                <dt>"numbers"</dt>
                <dd>{numbers.unwrap_or("not checked")}</dd>
            </div>
        </dl>
    }
}

/// A version with the critics' verdict.
#[component]
pub(super) fn Card(
    /// The source.
    source: String,
    /// The version.
    version: Version,
) -> impl IntoView {
    let kept = version.kept();
    let why = (!kept).then(|| format!("Refused: {}", reason(version.scored.refused_by)));
    let text = version.text.clone();
    // Rendered only when opened, since a page has hundreds of them.
    let open = RwSignal::new(false);
    let inside = move || {
        open.get().then(|| {
            view! {
                <Diff source=source.clone() version=version.text.clone() />
                <Scores scored=version.scored.clone() />
            }
        })
    };
    view! {
        <li class="version" class:refused=!kept data-test=if kept { "kept" } else { "refused" }>
            <p class="reads" dir="auto">{text}</p>
            <details on:toggle:target=move |ev| if ev.target().open() { open.set(true) }>
                <summary>{if kept { "Kept".to_owned() } else { why.unwrap_or_default() }}</summary>
                {inside}
            </details>
        </li>
    }
}

//! A labelled slider, and a button that turns into "Stop".

use leptos::prelude::*;

use protocol::Problem;

/// A slider with its value in words.
#[component]
pub(super) fn Slider(
    /// What it sets.
    #[prop(into)]
    label: String,
    /// Range and step.
    range: (f64, f64, f64),
    /// Its value.
    #[prop(into)]
    value: Signal<f64>,
    /// The value in words.
    #[prop(into)]
    words: Signal<String>,
    /// Called with every new value.
    set: impl Fn(f64) + 'static,
) -> impl IntoView {
    let (least, most, step) = range;
    view! {
        <label class="slider">
            <span class="what">{label}</span>
            <span class="value" aria-hidden="true">{words}</span>
            <input
                type="range"
                min=least
                max=most
                step=step
                prop:value=move || value.get().to_string()
                aria-valuetext=words
                on:input:target=move |ev| {
                    if let Ok(value) = ev.target().value().parse() {
                        set(value);
                    }
                }
            />
        </label>
    }
}

/// Starts something, or stops it.
#[component]
pub(super) fn StartStop(
    /// What it starts.
    #[prop(into)]
    start: Signal<String>,
    /// Whether it is going on.
    #[prop(into)]
    running: Signal<bool>,
    /// Whether it can be started.
    #[prop(into)]
    able: Signal<bool>,
    /// Starts or stops.
    press: impl Fn(bool) + 'static,
) -> impl IntoView {
    view! {
        <button
            type="button"
            class="primary"
            disabled=move || !running.get() && !able.get()
            on:click=move |_| press(running.get_untracked())
        >
            {move || if running.get() { "Stop".to_owned() } else { start.get() }}
        </button>
    }
}

/// What to do about a problem; the problem itself stands above.
#[component]
pub(super) fn Step(
    /// The problem.
    problem: Signal<Option<Problem>>,
) -> impl IntoView {
    move || problem.get().map(|problem| view! { <p class="step">{problem.step}</p> })
}

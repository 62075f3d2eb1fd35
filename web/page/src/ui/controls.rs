//! A labelled slider, a start button that becomes "Stop" while running, and advice on a problem.

use leptos::prelude::*;

use protocol::Problem;

/// A slider with its value as text.
#[component]
pub(super) fn Slider(
    /// What the slider sets.
    #[prop(into)]
    label: String,
    /// Minimum, maximum and step.
    range: (f64, f64, f64),
    /// The current value.
    #[prop(into)]
    value: Signal<f64>,
    /// The value as text.
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

/// A button that starts something or stops it.
#[component]
pub(super) fn StartStop(
    /// Label of the button that starts it.
    #[prop(into)]
    start: Signal<String>,
    /// Whether it is running.
    #[prop(into)]
    running: Signal<bool>,
    /// Whether it can be started.
    #[prop(into)]
    able: Signal<bool>,
    /// Called when pressed, with whether it is running.
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

/// What to do about a problem; the problem itself is shown above.
#[component]
pub(super) fn Step(
    /// The problem.
    problem: Signal<Option<Problem>>,
) -> impl IntoView {
    move || problem.get().map(|problem| view! { <p class="step">{problem.step}</p> })
}

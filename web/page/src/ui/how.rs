//! Explanation of the method, with examples from the visitor's own run if there is one.

use leptos::prelude::*;
use record::Task;

use super::store::store;
use crate::state::distilling::count;

#[component]
pub(super) fn Room() -> impl IntoView {
    let store = store();
    let context = move || store.distilling.with(|d| d.contexts.last().cloned());
    let siblings = move || store.distilling.with(|d| d.siblings.iter().rev().take(5).cloned().collect::<Vec<_>>());
    let pair = move |task: Task| store.pairs.with(|p| p.kept.iter().find(|k| k.scored.task == task).cloned());
    let counts = move || {
        store.pairs.with(|p| {
            let steps = p.funnel.steps(Task::Paraphrase);
            let seen = steps.first().map_or(0, |s| s.seen);
            (seen, Task::ALL.map(|task| count(&p.kept, task)))
        })
    };
    let yours = Memo::new(move |_| store.pairs.with(|p| p.contexts > 0));
    view! {
        <article class="room how">
            <h1>"How it works"</h1>
            <p class="lead">
                "A small language model cannot paraphrase when you ask it to. But it does "<em>"contains"</em>
                " paraphrases. The trick is to look where they are close together."
            </p>
            <Show
                when=move || yours.get()
                fallback=|| {
                    view! {
                        <p class="aside">
                            "This page tells the story with your own run. "<a href="#distil">"Make one"</a>
                            ": it takes less than a minute."
                        </p>
                    }
                }
            >
                <p class="aside">"The examples below are from your run."</p>
            </Show>
            <ol class="story">
                <li>
                    <h2>"One context"</h2>
                    <p>"The teacher writes the beginning of a report, or you provide one. That narrows down what can follow."</p>
                    {move || context().map(|text| view! { <blockquote dir="auto">{text}</blockquote> })}
                </li>
                <li>
                    <h2>"Many siblings"</h2>
                    <p>
                        "It continues the same context many times. The first sentences of these continuations are siblings: they are about the same thing, each in its own words."
                    </p>
                    <ul class="siblings-told">{move || siblings().into_iter().map(|s| view! { <li dir="auto">{s}</li> }).collect_view()}</ul>
                </li>
                <li>
                    <h2>"Critics"</h2>
                    <p>
                        "Any two siblings are a candidate pair. Rules drop pairs whose numbers, names or negations differ. An entailment critic checks both directions: does y follow from x, and x from y? If both hold, the pair is a paraphrase. If y follows from x and is shorter, it is a summary. Pairs with nearly the same words are dropped, as there is nothing to learn from them."
                    </p>
                    <Show when=move || yours.get()>
                        <p class="figures">
                            {move || {
                                let (seen, [p, s]) = counts();
                                format!("In your run: {seen} pairs in, {p} paraphrases and {s} summaries out.")
                            }}
                        </p>
                    </Show>
                    {move || {
                        Task::ALL
                            .into_iter()
                            .filter_map(pair)
                            .map(|k| {
                                view! {
                                    <figure class="pair">
                                        <p dir="auto">{k.text}</p>
                                        <p dir="auto" class="carbon">{k.target}</p>
                                        <figcaption>{format!("a {} pair", k.scored.task.name())}</figcaption>
                                    </figure>
                                }
                            })
                            .collect_view()
                    }}
                </li>
                <li>
                    <h2>"A student"</h2>
                    <p>
                        "A separate model learns from the pairs: read x, write y. It can then rewrite any sentence. Its output goes through the same critics, and the best of it becomes the training data of the next student. This needs no large model and no human labels."
                    </p>
                </li>
                <li>
                    <h2>"The scale"</h2>
                    <p>
                        "The three models of this page have 2.6, 1.2 and 1.9 million parameters and are made for the newswire of 1987. They demonstrate the method, but are not a practical tool. The native program does the same with models of any size, on your texts, and produces a dataset and a student."
                    </p>
                </li>
            </ol>
            <p>
                "The method: Jung et al., "
                <a href="https://arxiv.org/abs/2305.16635">"Impossible Distillation"</a>
                ", NAACL 2024. The program is written in Rust with burn; the page and the native program share one core."
                // The address of the source code is set when the page is built.
                {option_env!("IMPOSSIBLE_CODE_URL").map(|url| view! { " " <a href=url>"The code"</a> "." })}
            </p>
        </article>
    }
}

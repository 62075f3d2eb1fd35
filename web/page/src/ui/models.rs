//! The room for models: which model has which role, models that can be downloaded, and those stored on this device.

use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::DragEvent;

use super::browser;
use super::controls::Step;
use super::store::{Status, Store, store};
use crate::state::shelf::{self, KNOWN, Known, size};
use protocol::{Begun, Part, Source, Stored};

#[component]
pub(super) fn Room() -> impl IntoView {
    let store = store();
    let shelving = store.shelving;
    let told = Memo::new(move |_| shelving.with(shelf::Shelving::told));
    view! {
        <section class="room" aria-labelledby="room-title">
            <h1 id="room-title">"Other models, on this device"</h1>
            <p class="lead">
                "Three tiny models come with this site. Larger ones are better but slower. Models that you add are stored in this browser, work without a network, and are not sent anywhere."
            </p>
            <Cast />
            <p class="told" role="status" data-test="told">
                {move || told.get()}
            </p>
            <Step problem=Signal::derive(move || shelving.with(|s| s.work.problem.clone())) />
            <Show when=move || shelving.with(|s| s.work.running)>
                <Bringing />
            </Show>
            <div class="two">
                <div>
                    <h2>"Add a model"</h2>
                    <ul class="known">{KNOWN.map(|known| view! { <Choice known=known /> }).collect_view()}</ul>
                    <Other />
                </div>
                <div>
                    <h2>"On this device"</h2>
                    <Kept />
                    <Dropping />
                </div>
            </div>
        </section>
    }
}

fn busy(store: Store) -> bool {
    store.shelving.with(|s| s.work.running)
}

/// The choice of a model for each role.
#[component]
fn Cast() -> impl IntoView {
    let store = store();
    let able = move |part: Part| {
        store.shelving.with(|s| {
            let models = s.shelf.iter().flat_map(|shelf| &shelf.models);
            models.filter(|m| m.part == part).map(|m| m.name.clone()).collect::<Vec<_>>()
        })
    };
    let choice = move |part: Part| {
        let chosen = move |name: &str| store.cast.with(|c| c.of(part) == Some(name));
        view! {
            <label class="field">
                <span>{part.name()}</span>
                <select
                    data-test=format!("cast-{}", part.name())
                    // Choosing another model replaces the worker, which would end the download.
                    disabled=move || busy(store)
                    on:change:target=move |ev| {
                        let name = ev.target().value();
                        store.recast(part, (!name.is_empty()).then_some(name));
                    }
                >
                    <option value="" prop:selected=move || store.cast.with(|c| c.of(part).is_none())>
                        "of this site"
                    </option>
                    <For each=move || able(part) key=Clone::clone let:name>
                        <option
                            value=name.clone()
                            prop:selected={
                                let name = name.clone();
                                move || chosen(&name)
                            }
                        >
                            {name.clone()}
                        </option>
                    </For>
                </select>
            </label>
        }
    };
    let checked = move || match store.status.get() {
        Status::Ready(ready) if !ready.unchecked.is_empty() => {
            Some(format!("No values to check against came with {}.", ready.unchecked.join(", ")))
        }
        _ => None,
    };
    view! {
        <fieldset class="cast">
            <legend>"Roles"</legend>
            {Part::ALL.map(choice).collect_view()}
        </fieldset>
        <p class="count">{checked}</p>
    }
}

/// Progress of the model that is being downloaded.
#[component]
fn Bringing() -> impl IntoView {
    let store = store();
    let shelving = store.shelving;
    view! {
        <div class="bringing">
            <progress aria-label="Download progress of the model" prop:value=move || shelving.with(|s| s.share().unwrap_or(0.0))></progress>
            // Changes several times per second, so it is not announced.
            <p class="count" data-test="bringing">
                {move || shelving.with(shelf::Shelving::progress)}
            </p>
            <button type="button" class="quiet" on:click=move |_| store.stop(shelving.with_untracked(|s| s.work.run))>
                "Cancel"
            </button>
        </div>
    }
}

/// A suggested model, and whether it is on this device.
#[component]
fn Choice(
    /// The model.
    known: Known,
) -> impl IntoView {
    let store = store();
    let name = shelf::folder(known.model.repo);
    let mark = Memo::new(move |_| {
        store.shelving.with(|s| {
            let shelf = s.shelf.as_ref()?;
            if shelf.models.iter().any(|m| m.name == name) {
                return Some("on this device");
            }
            shelf.begun.iter().any(|b| b.name == name).then_some("incomplete")
        })
    });
    view! {
        <li>
            <p>
                <b>{known.model.repo}</b>
                ", a "
                {known.part.name()}
                ", "
                {size(known.model.bytes)}
                {move || mark.get().map(|mark| view! { " " <span class="mark">{mark}</span> })}
            </p>
            <p class="count">{known.quality}" Licence: "{known.model.licence}"."</p>
            <Show when=move || mark.get() != Some("on this device")>
                <button
                    type="button"
                    class="quiet"
                    disabled=move || busy(store)
                    on:click=move |_| {
                        let begun = store.shelving.with_untracked(|s| s.source_of(known.model.repo));
                        store.keep(begun.unwrap_or_else(|| known.source(&store.hub.get_untracked())));
                    }
                >
                    {move || if mark.get().is_some() { "Resume" } else { "Download" }}
                </button>
            </Show>
        </li>
    }
}

/// A form to download a model by its name or address.
#[component]
fn Other() -> impl IntoView {
    let store = store();
    let typed = RwSignal::new(String::new());
    let fetch = move || match shelf::source(&typed.get_untracked(), &store.hub.get_untracked()) {
        Ok(source) => store.keep(source),
        Err(problem) => store.keep_failed(problem),
    };
    view! {
        <form
            class="other"
            on:submit=move |ev| {
                ev.prevent_default();
                fetch();
            }
        >
            <label for="model">"Another model: OWNER/REPOSITORY on the hub, or the address of a folder"</label>
            <input
                id="model"
                type="text"
                autocomplete="off"
                spellcheck="false"
                prop:value=move || typed.get()
                on:input:target=move |ev| typed.set(ev.target().value())
            />
            <div class="act">
                <button type="submit" class="quiet" disabled=move || busy(store) || typed.with(|t| t.trim().is_empty())>
                    "Download it"
                </button>
            </div>
            <details class="settings">
                <summary>"Another hub"</summary>
                <label for="hub">"Address of a hub or a mirror"</label>
                <input
                    id="hub"
                    type="url"
                    prop:value=move || store.hub.get()
                    on:change:target=move |ev| {
                        let hub = ev.target().value().trim().trim_end_matches('/').to_owned();
                        let hub = if hub.is_empty() { shelf::HUB.to_owned() } else { hub };
                        browser::keep("hub", &hub);
                        store.hub.set(hub);
                    }
                />
            </details>
            <p class="count">
                "GPT-2, Llama and BioGPT models can be teachers; RoBERTa and DeBERTa entailment classifiers can be critics; models made by "
                <code>"impossible export"</code>" or this page can be students. At most 1 GB."
            </p>
        </form>
    }
}

/// The models stored on this device.
#[component]
fn Kept() -> impl IntoView {
    let store = store();
    let shelf = move || store.shelving.with(|s| s.shelf.clone());
    let whole = move |model: Stored| {
        let name = model.name.clone();
        let plays = {
            let (name, part) = (name.clone(), model.part);
            move || store.cast.with(|c| c.of(part) == Some(&name))
        };
        let licence = model.licence.as_ref().map(|l| format!(" Licence: {l}."));
        let weights = model.files.iter().max_by_key(|f| f.bytes).map(|f| format!("{} sha256 {}", f.name, f.sha256));
        let bytes = size(model.bytes());
        let label = format!("Delete {name}");
        view! {
            <li data-test="kept-model">
                <p>
                    <b>{model.name.clone()}</b>
                    ", a "
                    {model.part.name()}
                    ", "
                    {bytes}
                    {
                        let plays = plays.clone();
                        move || plays().then(|| view! { " " <span class="mark">"in use"</span> })
                    }
                </p>
                <p class="count">{model.origin.clone()}"."{licence}</p>
                <details>
                    <summary>"Hash"</summary>
                    <p class="hash">{weights}</p>
                </details>
                <button
                    type="button"
                    class="quiet"
                    aria-label=label
                    disabled=plays
                    on:click=move |_| store.remove(name.clone())
                >
                    "Delete"
                </button>
            </li>
        }
    };
    let begun = move |model: Begun| {
        let again = !matches!(model.source, Source::Dropped { .. });
        let (name, source, label) = (model.name.clone(), model.source.clone(), format!("Delete {}", model.name));
        view! {
            <li data-test="begun-model">
                <p>
                    <b>{model.name.clone()}</b>
                    ", "
                    {size(model.bytes)}
                    " so far "
                    <span class="mark">"incomplete"</span>
                </p>
                <div class="tools">
                    {again
                        .then(|| {
                            view! {
                                <button
                                    type="button"
                                    class="quiet"
                                    disabled=move || busy(store)
                                    on:click=move |_| store.keep(source.clone())
                                >
                                    "Resume"
                                </button>
                            }
                        })}
                    <button
                        type="button"
                        class="quiet"
                        aria-label=label
                        disabled=move || busy(store)
                        on:click=move |_| store.remove(name.clone())
                    >
                        "Delete"
                    </button>
                </div>
            </li>
        }
    };
    move || {
        let shelf = shelf()?;
        let none = shelf.models.is_empty() && shelf.begun.is_empty() && shelf.problem.is_none();
        let share = if shelf.quota > 0 { shelf.used as f64 / shelf.quota as f64 } else { 0.0 };
        Some(view! {
            {none.then(|| view! { <p class="count">"Nothing yet, apart from the site itself."</p> })}
            {shelf.problem.map(|problem| view! { <p class="step">{problem.what}" "{problem.step}</p> })}
            <ul class="known">
                {shelf.models.into_iter().map(whole).collect_view()} {shelf.begun.into_iter().map(begun).collect_view()}
            </ul>
            <p class="count" data-test="quota">
                <meter aria-label="Storage used by this site" value=share></meter>
                {format!(" This site uses {} of the {} that the browser grants it.", size(shelf.used), size(shelf.quota))}
            </p>
        })
    }
}

/// The area for dropping or choosing the visitor's own model.
#[component]
fn Dropping() -> impl IntoView {
    let store = store();
    let over = RwSignal::new(false);
    let take = move |source: Source| {
        if !store.shelving.with_untracked(|s| s.work.running) {
            store.keep(source);
        }
    };
    let dropped = move |ev: DragEvent| {
        ev.prevent_default();
        over.set(false);
        if let Some(data) = ev.data_transfer() {
            spawn_local(async move { take(browser::drop_of(&data).await) });
        }
    };
    let input = |id: &'static str, label: &'static str, folder: bool| {
        view! {
            <label class="quiet pick" for=id>
                {label}
                <input
                    id=id
                    type="file"
                    multiple=!folder
                    prop:webkitdirectory=folder
                    on:change:target=move |ev| {
                        let input = ev.target();
                        take(browser::chosen(input.files()));
                        // Allows the same folder to be chosen again.
                        input.set_value("");
                    }
                />
            </label>
        }
    };
    view! {
        <div
            class="drop"
            class:over=move || over.get()
            data-test="drop"
            on:dragover=move |ev| {
                ev.prevent_default();
                over.set(true);
            }
            on:dragleave=move |_| over.set(false)
            on:drop=dropped
        >
            <p>"Drop a model folder here (safetensors, config.json, tokenizer.json), or the zip of a student from this page."</p>
            <div class="tools">{input("folder", "Choose a folder", true)} {input("files", "Choose files or a zip", false)}</div>
        </div>
    }
}

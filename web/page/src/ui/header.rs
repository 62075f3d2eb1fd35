//! The header of the page: name, rooms and device; and notices.

use leptos::prelude::*;

use super::store::{Status, store};
use crate::state::Room;
use protocol::Wanted;

#[component]
pub(super) fn Header() -> impl IntoView {
    let store = store();
    view! {
        <header class="masthead">
            <p class="name"><a href="#paraphrase">"Impossible Distillation"</a></p>
            <nav aria-label="Rooms">
                <ul>
                    {Room::ALL
                        .map(|room| {
                            view! {
                                <li>
                                    <a
                                        href=format!("#{}", room.slug())
                                        aria-current=move || (store.room.get() == room).then_some("page")
                                    >
                                        {room.title()}
                                    </a>
                                </li>
                            }
                        })
                        .collect_view()}
                </ul>
            </nav>
            <Badge />
        </header>
    }
}

/// The device in use, details about it, and the choice of another.
#[component]
fn Badge() -> impl IntoView {
    let store = store();
    let words = move || match store.status.get() {
        Status::Loading { what, share } if share > 0.0 && share < 1.0 => format!("{what}, {:.0} %", 100.0 * share),
        Status::Loading { what, .. } => what,
        Status::Ready(ready) => match &ready.adapter {
            Some(a) => format!("{} on {}{}", ready.backend, a.name, if a.software { " (software)" } else { "" }),
            None => ready.backend.clone(),
        },
        Status::Down(_) => "Not running".to_owned(),
    };
    let detail = move || match store.status.get() {
        Status::Ready(r) => {
            let f16 =
                r.adapter.as_ref().map_or("", |a| if a.f16 { "16-bit shaders: yes. " } else { "16-bit shaders: no. " });
            let test = match r.golden {
                Some(off) => format!("Self-test: largest difference {off:.1e}, {:.2} s.", r.test_s),
                None => "These models came without reference values for the self-test.".to_owned(),
            };
            format!("{f16}Loaded in {:.1} s. {test}", r.load_s)
        }
        Status::Down(problem) => problem.what,
        Status::Loading { .. } => "You can read the page in the meantime.".to_owned(),
    };
    let state = move || match store.status.get() {
        Status::Loading { .. } => "loading",
        Status::Ready(_) => "ready",
        Status::Down(_) => "down",
    };
    view! {
        <details class="badge" data-state=state>
            <summary>
                <span class="lamp" aria-hidden="true"></span>
                <span data-test="device">{words}</span>
            </summary>
            <div class="sheet">
                <p>{detail}</p>
                <p>
                    {move || match store.devices.get().gpu {
                        Some(a) => format!("WebGPU adapter: {}{}.", a.name, if a.software { ", in software" } else { "" }),
                        None => "This browser offers no WebGPU adapter.".to_owned(),
                    }}
                </p>
                <label>
                    "Device "
                    <select disabled=move || store.shelving.with(|s| s.work.running) on:change:target=move |ev| {
                        store
                            .wanted
                            .set(
                                match ev.target().value().as_str() {
                                    "gpu" => Wanted::Gpu,
                                    "cpu" => Wanted::Cpu,
                                    _ => Wanted::Auto,
                                },
                            );
                        store.hire();
                    }>
                        {[("auto", "Choose for me", Wanted::Auto), ("gpu", "WebGPU", Wanted::Gpu), ("cpu", "CPU", Wanted::Cpu)]
                            .map(|(value, name, wanted)| {
                                view! {
                                    <option value=value prop:selected=move || store.wanted.get() == wanted>
                                        {name}
                                    </option>
                                }
                            })
                            .collect_view()}
                    </select>
                </label>
            </div>
        </details>
    }
}

/// A notice of a problem, with what to do about it.
#[component]
pub(super) fn Notice() -> impl IntoView {
    let store = store();
    let shown = move || match (store.status.get(), store.notice.get()) {
        (Status::Down(problem), _) => Some((problem, true)),
        (_, Some(problem)) => Some((problem, false)),
        _ => None,
    };
    view! {
        <div role="status">
            {move || {
                shown()
                    .map(|(problem, down)| {
                        view! {
                            <div class="notice" data-test="notice">
                                <p>{problem.what} " " {problem.step}</p>
                                <button
                                    type="button"
                                    class="quiet"
                                    on:click=move |_| if down { store.hire() } else { store.notice.set(None) }
                                >
                                    {if down { "Try again" } else { "Close" }}
                                </button>
                            </div>
                        }
                    })
            }}
        </div>
    }
}

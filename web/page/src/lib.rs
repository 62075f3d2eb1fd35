//! The page. What it knows without a browser is in [`state`], what it shows in `ui` (Leptos).

pub mod state;

#[cfg(target_family = "wasm")]
pub mod ui;

//! The page.

#[cfg(target_family = "wasm")]
fn main() {
    impossible_page::ui::start();
}

#[cfg(not(target_family = "wasm"))]
fn main() {
    eprintln!("This is a part of the web app; build it with web/build.sh.");
}

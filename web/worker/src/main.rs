//! The web worker that owns the models.

#[cfg(target_family = "wasm")]
mod engine;

#[cfg(target_family = "wasm")]
fn main() {
    use engine::{Engine, watch_over};
    use gloo::worker::Registrable;
    use protocol::Json;
    construct();
    watch_over();
    Engine::registrar().encoding::<Json>().register();
}

/// Runs the constructors that the GPU shader compiler registers to run before `main`. If the module did not call them,
/// the linker would treat it as a command and run all five thousand constructors at every call from JavaScript.
#[cfg(target_family = "wasm")]
#[allow(unsafe_code)]
fn construct() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: the linker makes this function; it is called once, before anything that it registers is used.
    unsafe { __wasm_call_ctors() }
}

#[cfg(not(target_family = "wasm"))]
fn main() {
    eprintln!("This is a part of the web app; build it with web/build.sh.");
}

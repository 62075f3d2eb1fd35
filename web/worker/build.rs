//! A browser has no use for the names of functions, which are a fifth of the file; the other sections are wasm-bindgen's.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        for arg in ["--strip-all", "--keep-section=__wasm_bindgen_unstable", "--keep-section=target_features"] {
            println!("cargo::rustc-link-arg-bins={arg}");
        }
    }
}

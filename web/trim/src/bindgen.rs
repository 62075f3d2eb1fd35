//! A replacement for the `wasm-bindgen` program with the calls that trunk makes: `wasm-bindgen --version` and
//! `wasm-bindgen --target=web --out-dir=DIR --out-name=NAME FILE [--no-typescript]`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let (mut file, mut out_dir, mut out_name, mut web) = (None, None, None, false);
    for arg in std::env::args().skip(1) {
        match arg.split_once('=').unwrap_or((&arg, "")) {
            ("--version", "") => {
                println!("wasm-bindgen {}", wasm_bindgen_shared::version());
                return Ok(());
            }
            ("--target", "web") => web = true,
            ("--out-dir", dir) if !dir.is_empty() => out_dir = Some(PathBuf::from(dir)),
            ("--out-name", name) if !name.is_empty() => out_name = Some(name.to_owned()),
            ("--no-typescript", "") => {}
            (path, "") if !path.starts_with('-') && file.is_none() => file = Some(PathBuf::from(path)),
            _ => {
                bail!("{arg}: not supported by this build of wasm-bindgen, which has only what `trunk build` needs")
            }
        }
    }
    let file = file.context("which file? wasm-bindgen --target=web --out-dir=DIR --out-name=NAME FILE")?;
    let (out_dir, out_name) =
        (out_dir.context("--out-dir=DIR is missing")?, out_name.context("--out-name=NAME is missing")?);
    if !web {
        bail!("--target=web is missing: no other target is built here");
    }
    let mut bindgen = Bindgen::new();
    bindgen.input_path(&file).web(true)?.typescript(false).out_name(&out_name);
    // The worker is loaded by a call without the path of its module.
    bindgen.omit_default_module_path(false);
    bindgen.generate(&out_dir).with_context(|| format!("{} cannot be bound", file.display()))
}

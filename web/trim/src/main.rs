//! `impossible-web-trim FILE..`: removes from wasm files, in place, the names of functions (a fifth of the file) and
//! the parsers of the GPU shader compiler's textual form. The compiler registers a parser for each of its operations,
//! types and attributes, so that the linker cannot drop them. The app never parses such text; a call would crash the
//! worker, which the page reports.

use std::path::Path;

use anyhow::{Context, Result, bail};
use walrus::{FunctionBuilder, FunctionId, FunctionKind, Module, ModuleConfig};

fn main() -> Result<()> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        bail!("which files? impossible-web-trim FILE..");
    }
    for file in &files {
        let wasm = std::fs::read(file).with_context(|| format!("{file} cannot be read"))?;
        let (trimmed, readers) = trim(&wasm).with_context(|| format!("{file} is no wasm module that this can trim"))?;
        println!("{file}: {} bytes, {} after {readers} readers and all names are gone", wasm.len(), trimmed.len());
        // Write to a temporary file and rename it, so that the file is never incomplete.
        let part = Path::new(file).with_extension("part");
        std::fs::write(&part, trimmed)
            .and_then(|()| std::fs::rename(&part, file))
            .with_context(|| format!("{file} cannot be written"))?;
    }
    Ok(())
}

/// Minimum number of instructions of a parser that is removed. The linker merges functions with identical code under
/// one name, so that a short one may be in use for something else.
const LONG: u64 = 50;

/// A module without names and parsers, and the number of parsers removed.
fn trim(wasm: &[u8]) -> Result<(Vec<u8>, usize)> {
    let mut module = ModuleConfig::new().generate_producers_section(false).generate_name_section(false).parse(wasm)?;
    let named = |id| module.funcs.get(id).name.as_deref().is_some_and(reads);
    let long = module.funcs.iter_local().filter(|(_, function)| function.size() >= LONG);
    let readers: Vec<FunctionId> = long.map(|(id, _)| id).filter(|&id| named(id)).collect();
    for &id in &readers {
        empty(&mut module, id);
    }
    // Also remove functions that only the parsers called.
    walrus::passes::gc::run(&mut module);
    Ok((module.emit_wasm(), readers.len()))
}

/// Whether a function, by its mangled name, parses the textual form.
fn reads(name: &str) -> bool {
    const READERS: [&str; 3] =
        [" as pliron::parsable::Parsable>::parse", "impl pliron::parsable::Parsable for ", "combine::parser::"];
    let name = format!("{:#}", rustc_demangle::demangle(name));
    // Functions of `core` and `alloc` that drop, move or compare a parser do not parse.
    !name.starts_with("core::") && !name.starts_with("alloc::") && READERS.iter().any(|reader| name.contains(reader))
}

/// Replaces a function by one of the same type that only traps.
fn empty(module: &mut Module, id: FunctionId) {
    let ty = module.types.get(module.funcs.get(id).ty());
    let (params, results) = (ty.params().to_vec(), ty.results().to_vec());
    let args: Vec<_> = params.iter().map(|&ty| module.locals.add(ty)).collect();
    let mut builder = FunctionBuilder::new(&mut module.types, &params, &results);
    builder.func_body().unreachable();
    module.funcs.get_mut(id).kind = FunctionKind::Local(builder.local_func(args));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module whose exported `main` calls `kept`, and whose table holds a function `named` of `long` instructions,
    /// the only caller of `helper`.
    fn module(named: &str, long: u64) -> Vec<u8> {
        let mut module = Module::default();
        let add = |module: &mut Module, name: &str, long: u64, calls: Option<FunctionId>| {
            let mut builder = FunctionBuilder::new(&mut module.types, &[], &[]);
            builder.name(name.to_owned());
            let mut body = builder.func_body();
            for _ in 0..long / 2 {
                body.i32_const(7).drop();
            }
            if let Some(callee) = calls {
                body.call(callee);
            }
            builder.finish(Vec::new(), &mut module.funcs)
        };
        let helper = add(&mut module, "helper", 2, None);
        let named = add(&mut module, named, long, Some(helper));
        let kept = add(&mut module, "kept", LONG, None);
        let main = add(&mut module, "main", LONG, Some(kept));
        module.exports.add("main", main);
        let table = module.tables.add_local(false, 1, Some(1), walrus::RefType::FUNCREF);
        let place = walrus::ElementKind::Active { table, offset: walrus::ConstExpr::Value(walrus::ir::Value::I32(0)) };
        let element = module.elements.add(place, walrus::ElementItems::Functions(vec![named]));
        module.tables.get_mut(table).elem_segments.insert(element);
        module.exports.add("table", table);
        module.emit_wasm()
    }

    #[test]
    fn readers_and_names_go_and_the_rest_stays() -> Result<()> {
        let reader = "<cubecl_ir::A as pliron::parsable::Parsable>::parse::h0123456789abcdef";
        for (name, long, gone) in [
            ("_ZN59_$LT$cubecl_ir..A$u20$as$u20$pliron..parsable..Parsable$GT$5parse17h0123456789abcdefE", LONG, 1),
            (reader, LONG, 1),
            (reader, LONG - 2, 0),
            (&format!("core::ptr::drop_in_place<{reader}::State>"), LONG, 0),
            ("text::parse", LONG, 0),
        ] {
            let (wasm, readers) = trim(&module(name, long))?;
            assert_eq!(readers, gone, "{name}");
            assert!(!wasm.windows(4).any(|w| w == b"kept"), "a name is left");
            let left = Module::from_buffer(&wasm)?;
            // main, kept, the function in the table, and helper if that function still calls it.
            assert_eq!(left.funcs.iter_local().count(), 4 - gone, "{name}");
        }
        Ok(())
    }

    #[test]
    fn what_is_no_module_is_refused() {
        assert!(trim(b"\0asm but not for long").is_err());
    }
}

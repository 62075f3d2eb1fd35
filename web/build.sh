#!/usr/bin/env bash
# Builds the web app into web/dist: static files for any host. `web/build.sh serve` serves it on port 8080 and builds it
# anew when a file changes; those files are not trimmed. What is missing is prepared: the wasm target (rustup's, else
# Debian's web toolchain where apt-get runs as root), trunk, and the tools of `web/trim`. Tools and target
# folder live in the user's cache folder.
# IMPOSSIBLE_CODE_URL, where it is set, is the address of the code that the page links to.
set -euo pipefail
cd "$(dirname "$0")"
cache="${IMPOSSIBLE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/impossible}"
tools="$cache/tools"
mkdir -p "$cache"
# Flags and target of the caller are not those of the tools, and would replace those of the wasm in `.cargo/config.toml`.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
# cargo itself may be Debian's below; tools are built with the one that is here now.
# trunk copies files and calls compilers: without its own release profile (one unit, whole-program optimisation) and its
# downloads it is built in a fifth of the time and does the same.
trunk=0.21.14
if [ "$("$tools/bin/trunk" --version 2>/dev/null)" != "trunk $trunk" ]; then
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=0 \
        CARGO_TARGET_DIR="$cache/tools-build" \
        cargo install --quiet --locked trunk --version "$trunk" --no-default-features --root "$tools"
    rm -rf "$cache/tools-build"
fi
# wasm-bindgen in the library's own version, and what trims.
CARGO_TARGET_DIR="$cache/native" cargo install --quiet --locked --path trim --root "$tools"
ln -sf impossible-web-bindgen "$tools/bin/wasm-bindgen"

export CARGO_TARGET_DIR="$cache/web"
if ! rustup target list --installed 2>/dev/null | grep -qx wasm32-unknown-unknown; then
    if command -v rustup >/dev/null && rustup target add wasm32-unknown-unknown 2>/dev/null; then
        :
    elif command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        if [ ! -x /usr/bin/rustc ] || ! dpkg -s rust-web-src lld-19 >/dev/null 2>&1; then
            apt-get update -qq
            apt-get install -y -qq --no-install-recommends rustc-web cargo-web rust-web-src lld-19 >/dev/null
        fi
        # Debian's compiler carries no std for the target: it is built from source, once.
        export PATH="/usr/bin:$PATH" RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_STD=std,panic_abort
        export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19
    else
        echo "The wasm target is not here and could not be added: rustup target add wasm32-unknown-unknown" >&2
        exit 4
    fi
fi
export PATH="$tools/bin:$PATH"
if [ "${1:-build}" = serve ]; then
    exec trunk serve
fi
trunk build
impossible-web-trim dist/*.wasm

#!/usr/bin/env bash
# Builds the web app as static files in web/dist. `web/build.sh serve` serves it on port 8080 and rebuilds it when a
# file
# changes, without trimming. Missing tools are installed: the wasm target (by rustup, or Debian's web toolchain if
# apt-get
# can run as root), trunk, and the tools of `web/trim`. Tools and target folder are in the user's cache folder.
# IMPOSSIBLE_CODE_URL, if set, is the URL of the source code that the page links to.
set -euo pipefail
cd "$(dirname "$0")"
cache="${IMPOSSIBLE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/impossible}"
tools="$cache/tools"
mkdir -p "$cache"
# The caller's flags and target must not apply to the tools, nor replace the wasm flags of `.cargo/config.toml`.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
# Tools are built with the current cargo; for the wasm target it may be Debian's, see below.
# trunk only copies files and calls compilers. Without its own release profile (one codegen unit, LTO) and its download
# features it builds in a fifth of the time.
trunk=0.21.14
if [ "$("$tools/bin/trunk" --version 2>/dev/null)" != "trunk $trunk" ]; then
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=0 \
        CARGO_TARGET_DIR="$cache/tools-build" \
        cargo install --quiet --locked trunk --version "$trunk" --no-default-features --root "$tools"
    rm -rf "$cache/tools-build"
fi
# wasm-bindgen in the version of the library, and the trimming tool.
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
        # Debian's compiler has no std for the target, which is therefore built from source, once.
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

#!/bin/sh
# The linker of every build here: `cc`, which is installed first where it is missing.
#
# Rust needs a C compiler to link anything, `cargo xtask` itself included, so no Rust program can be
# the one to install it on a bare Debian. Cargo calls this instead (.cargo/config.toml).
if ! command -v cc >/dev/null 2>&1; then
    install="apt-get install -y --no-install-recommends build-essential"
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "a C compiler (cc) is needed to link; install one (on Debian: build-essential) and run this again" >&2
        exit 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        printf 'a C compiler is needed to link; install it with\n\n    sudo %s\n\nand run this again\n' "$install" >&2
        exit 1
    fi
    # Cargo shows a linker's output only when it fails, and links several programs at once.
    { echo "Installing Debian's build-essential, to link with ..." >/dev/tty; } 2>/dev/null
    (
        flock 9
        command -v cc >/dev/null 2>&1 || {
            export DEBIAN_FRONTEND=noninteractive
            apt-get -q update && $install
        }
    ) 9>"${TMPDIR:-/tmp}/vereda-build-essential.lock" >&2 </dev/null || exit 1
fi
exec cc "$@"

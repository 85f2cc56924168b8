#!/usr/bin/env bash
# Installs the programs that `make lint` and `make test` call and this machine lacks.
# Says what it installs and why; installs nothing that is already there.
set -euo pipefail

have() { command -v "$1" >/dev/null 2>&1; }

cargo_install() { # NAME WHY
    have "$1" && return
    echo "tools: installing $1 ($2)" >&2
    cargo install --locked --quiet "$1"
}

cargo_install cargo-nextest "runs the tests"
cargo_install cargo-deny "checks licences, sources and banned crates"
have git || { echo "tools: git is missing: install git 2.38 or later" >&2; exit 1; }

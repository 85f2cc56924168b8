#!/usr/bin/env bash
# Installs the programs that `make lint` and `make test` call and this machine lacks; with `bench`,
# those that `make bench` compares with.
# Says what it installs and why; installs nothing that is already there.
set -euo pipefail

have() { command -v "$1" >/dev/null 2>&1; }

cargo_install() { # NAME WHY
    have "$1" && return
    echo "tools: installing $1 ($2)" >&2
    cargo install --locked --quiet "$1"
}

package() { # PROGRAM PACKAGE WHY
    have "$1" && return
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    if ! have apt-get; then
        echo "tools: $1 is missing ($3): install it by hand" >&2
        exit 1
    fi
    echo "tools: installing the package $2 ($3)" >&2
    "${as_root[@]}" apt-get update -qq
    # The server must not start by itself: it is run with a scratch folder, for minutes.
    RUNLEVEL=1 "${as_root[@]}" apt-get install -y -qq --no-install-recommends "$2" >/dev/null
}

# Namespaces are Linux's own; elsewhere nothing is cut.
[ "$(uname)" != Linux ] || package ip iproute2 "cuts hosts off in the fault tests"
package etcd etcd-server "keeps a fleet's state; what claims are measured against"
package protoc protobuf-compiler "builds the client of etcd"
# Google's own definitions lie in a package of their own where there is apt, elsewhere with protoc.
have_definitions() { compgen -G "/usr/*/google/protobuf/descriptor.proto" >/dev/null; }
! have apt-get || have_definitions ||
    package google.proto libprotobuf-dev "the definitions that the client of etcd builds on"
[ "${1:-}" = bench ] && exit

# Preloaded, not called: a file tells whether it is there. Elsewhere no clock is set.
have_library() { compgen -G "/usr/lib*/$1" >/dev/null || compgen -G "/usr/lib*/*/$1" >/dev/null; }
[ "$(uname)" != Linux ] || have_library faketime/libfaketime.so.1 ||
    package libfaketime libfaketime "sets the clocks of single programs in the fault tests"

cargo_install cargo-nextest "runs the tests"
cargo_install cargo-deny "checks licences, sources and banned crates"
have git || { echo "tools: git is missing: install git 2.38 or later" >&2; exit 1; }

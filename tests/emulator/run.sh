#!/usr/bin/env bash
# Takes the product's steps at a GitHub that others wrote. Its package is pinned with its digests in
# package-lock.json and installed below target/, where nothing else is.
set -euo pipefail
cd "$(dirname "$0")/../.."

# As package.json has it.
oldest=20
for tool in node npm; do
    if ! command -v "$tool" >/dev/null 2>&1; then
        echo "skipped: $tool not found"
        exit 0
    fi
done
version=$(node --version)
major=${version#v}
if [ "${major%%.*}" -lt "$oldest" ]; then
    echo "skipped: node $version is too old, it takes $oldest"
    exit 0
fi
place="${CARGO_TARGET_DIR:-target}/emulator"
mkdir -p "$place"
cp tests/emulator/package.json tests/emulator/package-lock.json "$place"
npm ci --prefix "$place" --ignore-scripts --no-audit --no-fund --loglevel=error
MOLT_EMULATOR="$(cd "$place" && pwd)/node_modules/emulate/dist/index.js"
export MOLT_EMULATOR
"${CARGO:-cargo}" nextest run --locked --workspace --test github --run-ignored only \
    -E 'test(=outside::emulator::what_others_take_github_to_be_is_what_we_do)'

#!/usr/bin/env bash
# The published package works: build, pack, install into an empty directory, run the demo from there.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export PATH="$root/node_modules/node/bin:$PATH" ONNXRUNTIME_NODE_INSTALL=skip
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$root"
npm run --silent build
tarball=$(npm pack --silent --pack-destination "$place")
cd "$place"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund "./$tarball"
MODELKEEP_HOME="$place/keep" npx --no-install modelkeep demo --exit
echo "the packed package runs its demo"

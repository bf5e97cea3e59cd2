#!/usr/bin/env bash
# tools/demo.sh CLEAVE: the main job on real data, in a store of its own that is gone at the end.
set -euo pipefail
cleave=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CLEAVE_STORE=$work/store
PATH=$(dirname "$cleave"):$PATH

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }

cp -a tests/data/demo/project "$work/v1"
cp -a "$work/v1" "$work/v2"
cp tests/data/demo/project-changes/* "$work/v2/"
cd "$work"
# The default chunks, 1 MiB on average, are for gigabytes; this project is small.
chunks=(--min 4KiB --avg 16KiB --max 64KiB)

say "Two versions of a small Blender project; between them an artist moved one object and saved."
run cleave add "${chunks[@]}" v1 v2
say "The second one took only what is new in it. Blender files, alone:"
run cleave add "${chunks[@]}" --name rock.blend v1/assets/rock.blend
run cleave add "${chunks[@]}" --name shot-v2.blend v2/shot.blend
say "Before and after:"
run cleave stats
say "Every byte comes back, checked:"
run cleave get v2 -o restored
run diff -r v2 restored && echo "no difference"
run cleave verify --all
say "A folder is kept as its Nix archive; nix-store would print the same hash:"
run cleave ls
printf '$ cleave ls --json | … v2 … nar_hash\n'
cleave ls --json | grep -o '"name":"v2".*"nar_hash":"[^"]*"' | grep -o 'sha256:[^"]*'
if command -v nix-hash > /dev/null; then run nix-hash --type sha256 --base32 v2; fi
say "Forget the first version and free what only it needed:"
run cleave rm v1
run cleave gc --max-unused 0
run cleave verify --all

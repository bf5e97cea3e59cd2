#!/bin/sh
# Installs BUILD into a scratch folder, then builds and runs the outside program in this folder against it: once through
# find_package(cleave), once through pkg-config.
# Usage: run.sh BUILD CXX [CXXFLAGS]
set -eu
build=$1 cxx=$2 flags=${3-}
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix

cmake --install "$build" --prefix "$prefix" > "$scratch/installed"
if find "$prefix/include" | grep -E '/internal(/|$)|_(test|bench)\.cpp$'; then
  echo "installed, but should not be" >&2
  exit 1
fi

echo "== find_package(cleave)"
cmake -G Ninja -S "$here" -B "$scratch/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$cxx" \
  -DCMAKE_CXX_FLAGS="$flags" > "$scratch/configured"
cmake --build "$scratch/build"
"$scratch/build/outside"

echo "== pkg-config"
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name cleave.pc)")
export PKG_CONFIG_PATH
# The flags are lists of words.
# shellcheck disable=SC2046,SC2086
"$cxx" -std=c++23 $flags "$here/outside.cpp" -o "$scratch/outside" $(pkg-config --cflags --libs cleave)
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH") "$scratch/outside"

if [ -x "$prefix/bin/cleave" ]; then
  "$prefix/bin/cleave" --version
fi

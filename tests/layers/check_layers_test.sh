#!/bin/sh
# tools/check_layers.sh is silent on a good tree, and reports each kind of violation.
set -eu
check=$(cd "$(dirname "$0")/../.." && pwd)/tools/check_layers.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cd "$tree"
failures=0

good_tree() {
  rm -rf "$tree/cleave"
  mkdir -p cleave/base/internal cleave/hash cleave/codec cleave/chunk/internal cleave/cli
  echo 'cleave_component(base SOURCES a.cpp HEADERS a.h)' > cleave/base/CMakeLists.txt
  printf 'cleave_component(hash\n  SOURCES b.cpp\n  DEPENDS base  # why\n  LINKS OpenSSL::Crypto)\n' > cleave/hash/CMakeLists.txt
  echo 'cleave_component(codec SOURCES c.cpp)' > cleave/codec/CMakeLists.txt
  printf 'cleave_component(chunk SOURCES d.cpp DEPENDS\n    base hash)\n' > cleave/chunk/CMakeLists.txt
  echo 'add_executable(cleave e.cpp)' > cleave/cli/CMakeLists.txt
  printf '#include <span>\n#include <sys/stat.h>\n' > cleave/base/a.h
  printf '#include "cleave/base/a.h"\n// prints nothing: printf(x) std::abort()\nint n = snprintf(a, b, "std::cout");\ntxn.abort(); mdb_txn_abort(t);\nvoid T::abort() {}\n' > cleave/base/a.cpp
  printf '#include <openssl/evp.h>\n#include "cleave/base/a.h"\n#include "cleave/base/internal/f.h"\n' > cleave/hash/b.cpp
  printf 'std::abort();\n' > cleave/hash/b_test.cpp
  printf '#include "cleave/base/a.h"\n#include "cleave/hash/b.h"\n' > cleave/chunk/d.h
  printf '#include "cleave/chunk/internal/g.h"\n#include "internal/g.h"\n' > cleave/chunk/d.cpp
  printf '#include <zstd.h>\n#include "cleave/base/internal/f.h"\n' > cleave/chunk/internal/g.h
  printf '#include <asio/post.hpp>\n' > cleave/chunk/async_chunk_stream.h
  printf '#include <CLI/CLI.hpp>\n#include "cleave/chunk/d.h"\nstd::cout << std::exit(1);\n' > cleave/cli/e.h
}

expect() { # WHAT-IS-REPORTED FILE LINE…: a good tree with the lines added to the file
  wanted=$1 file=$2
  shift 2
  good_tree
  mkdir -p "$(dirname "$file")"
  printf '%s\n' "$@" >> "$file"
  if output=$("$check" "$tree"); then
    echo "not caught: $* in $file"
    failures=$((failures + 1))
  elif ! printf '%s\n' "$output" | grep -qF "$wanted"; then
    printf 'caught, but not as "%s": %s\n' "$wanted" "$output"
    failures=$((failures + 1))
  fi
}

good_tree
if ! "$check" "$tree"; then
  echo "a good tree is reported"
  failures=$((failures + 1))
fi

expect 'base must not include hash' cleave/base/a.cpp '#include "cleave/hash/b.h"'
expect 'hash must not include codec' cleave/hash/b.cpp '#  include "cleave/codec/c.h"'
expect 'chunk must not include cli' cleave/chunk/d_test.cpp '#include <cleave/cli/e.h>'
expect 'unknown component moon' cleave/chunk/d.cpp '#include "cleave/moon/m.h"'
expect 'has no place in the order' cleave/moon/m.h '#include <span>'
expect 'third-party zstd.h' cleave/chunk/d.h '#include <zstd.h>'
expect 'third-party openssl/evp.h' cleave/chunk/d.h '#include <openssl/evp.h>'
expect 'third-party tbb/task_arena.h' cleave/base/a.h '#include <tbb/task_arena.h>'
expect 'third-party oneapi/tbb/task_arena.h' cleave/base/a.h '#include "oneapi/tbb/task_arena.h"'
expect 'third-party lmdb.h' cleave/base/v.h.in '#include <lmdb.h>'
expect 'third-party curl/curl.h' cleave/base/a.h '#include <curl/curl.h>'
expect 'third-party blake3.h' cleave/base/a.h '#include <blake3.h>'
expect 'third-party asio/post.hpp' cleave/chunk/d.h '#include <asio/post.hpp>'
expect 'would make the library need Asio' cleave/chunk/d.cpp '#include "cleave/chunk/async_chunk_stream.h"'
expect 'internal header of chunk' cleave/cli/e.cpp '#include "cleave/chunk/internal/g.h"'
expect 'internal header of base' cleave/chunk/d.h '#include "cleave/base/internal/f.h"'
expect 'public header includes an internal header' cleave/chunk/d.h '#include "internal/g.h"'
for call in 'std::exit(1);' 'if (x) { abort(); }' '  ::_exit(2);' 'std::printf("x");' 'printf("x");' 'std::cout << 1;' \
  'std::cerr << 1;' 'fprintf(stderr, "x");' 'fmt::print("x");' 'std::abort();'; do
  expect 'prints or ends the process' cleave/chunk/d.cpp "$call"
done
expect 'codec includes base, which its DEPENDS does not name' cleave/codec/c.cpp '#include "cleave/base/a.h"'
expect 'codec DEPENDS on base, but includes nothing' cleave/codec/CMakeLists.txt 'cleave_component(codec DEPENDS base)'

[ $failures = 0 ] && echo "all violations are caught"

#!/bin/sh
# Checks the rules between the components of the library; one line for each place that breaks one.
#   1. Includes point left in the order below; what stands in one line of it does not include each other.
#   2. internal/ headers are used only by their own component; base/internal/ by every component's private files.
#   3. Public headers include neither internal/ headers nor third-party ones; but the coroutines for Asio include Asio,
#      and nothing in the library includes them.
#   4. Nothing outside cli prints or ends the process.
#   5. DEPENDS in a component's CMakeLists.txt that declares a component names exactly the components its files include.
# Usage: check_layers.sh [ROOT]
set -eu
cd "${1:-$(dirname "$0")/..}"

order='base
observe
hash codec
chunk
nar blend
deps
store
remote serve
cli bindings'

folders=cleave
[ ! -d bindings ] || folders='cleave bindings'
# shellcheck disable=SC2086
find $folders -name '*.h' -o -name '*.h.in' -o -name '*.cpp' -o -name CMakeLists.txt | sort | ORDER=$order awk '
function report(what) { printf "%s:%d: %s\n", file, line_number, what; ++problems }

function include_of(line,   path) {  # the path between the quotes or brackets
  sub(/^[ \t]*#[ \t]*include[ \t]*["<]/, "", line)
  path = line
  sub(/[">].*$/, "", path)
  return path
}

function check_include(path,   parts, other) {
  if (path ~ /^cleave\//) {
    split(path, parts, "/")
    other = parts[2]
    if (other != component) {
      if (!(other in rank)) report("includes unknown component " other)
      else {
        used[component, other] = file ":" line_number
        if (rank[other] >= rank[component]) report(component " must not include " other)
      }
      if (path ~ /\/internal\// && !(other == "base" && is_private)) report("includes an internal header of " other)
    }
  }
  if (is_public && path ~ /(^|\/)internal\//) report("public header includes an internal header")
  if (path ~ for_asio "$" && !may_print) report("would make the library need Asio")
  if (is_public && path ~ third_party && file !~ for_asio "$") report("public header includes the third-party " path)
}

function check_calls(code) {
  gsub(/"([^"\\]|\\.)*"/, "\"\"", code)
  sub(/\/\/.*$/, "", code)
  if (code ~ /std::(exit|abort|quick_exit|_Exit|terminate|cout|cerr|clog|printf|fprintf|puts|print|println)([^a-zA-Z0-9_]|$)/ ||
      code ~ /(^|[^a-zA-Z0-9_])(printf|fprintf|vprintf|vfprintf|dprintf|puts|fputs|putchar)[ ]*\(/ ||
      code ~ /fmt::(print|println)[ ]*\(/ ||
      code ~ /(^|[;{})])[ \t]*(exit|_exit|abort)[ ]*\(/ || code ~ /(^|[^a-zA-Z0-9_])::(exit|_exit|abort)[ ]*\(/)
    report("prints or ends the process")
}

function read_depends(line,   words, n, i) {  # the words after DEPENDS, up to the next keyword
  sub(/#.*$/, "", line)
  gsub(/[()]/, " & ", line)
  n = split(line, words, /[ \t]+/)
  for (i = 1; i <= n; ++i) {
    if (words[i] == "DEPENDS") in_depends = 1
    else if (words[i] ~ /^[A-Z]+$/ || words[i] ~ /[()]/) in_depends = 0
    else if (in_depends && words[i] != "") depends[component, words[i]] = file ":" line_number
  }
}

BEGIN {
  lines = split(ENVIRON["ORDER"], tiers, "\n")
  for (i = 1; i <= lines; ++i) {
    n = split(tiers[i], names, " ")
    for (j = 1; j <= n; ++j) rank[names[j]] = i
  }
  for_asio = "cleave/chunk/async_chunk_stream[.]h"
  third_party = "^((CLI|asio|benchmark|boost|curl|fmt|gmock|gtest|nlohmann|oneapi|openssl|rapidcheck|sodium|tbb)/" \
                "|asio[.]hpp|(blake3|bzlib|libdeflate|liburing|lmdb|lz4|lz4hc|lz4frame|lzma|sodium|zconf|zdict|zlib|zstd|zstd_errors)[.]h)"
}

{
  file = $0
  split(file, parts, "/")
  component = parts[1] == "bindings" ? "bindings" : parts[2]
  if (component == "CMakeLists.txt") next
  line_number = 0
  if (!(component in rank)) { report("component " component " has no place in the order of tools/check_layers.sh"); next }
  is_cmake = file ~ /CMakeLists[.]txt$/
  is_header = file ~ /[.]h([.]in)?$/
  is_private = !is_header || file ~ /\/internal\//
  is_public = is_header && !is_private && component != "cli" && component != "bindings"
  may_print = component == "cli" || component == "bindings" || file ~ /_(test|bench)[.]cpp$/
  in_depends = 0
  while ((getline line < file) > 0) {
    ++line_number
    if (is_cmake) { if (line ~ /^[ \t]*cleave_component[ ]*\(/) declared[component] = 1; read_depends(line) }
    else if (line ~ /^[ \t]*#[ \t]*include[ \t]*["<]/) check_include(include_of(line))
    else if (!may_print) check_calls(line)
  }
  close(file)
}

END {
  for (key in used) {
    split(key, pair, SUBSEP)
    if (!(key in depends) && pair[1] in declared) { printf "%s: %s includes %s, which its DEPENDS does not name\n", used[key], pair[1], pair[2]; ++problems }
  }
  for (key in depends) {
    split(key, pair, SUBSEP)
    if (!(key in used) && pair[1] in declared) { printf "%s: %s DEPENDS on %s, but includes nothing of it\n", depends[key], pair[1], pair[2]; ++problems }
  }
  exit problems > 0
}'

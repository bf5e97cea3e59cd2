#!/usr/bin/env bash
# tools/bench.sh CLEAVE OUT: times whole commands on real data, each row beside the tool it is measured against, in one run.
# Writes OUT/commands.json and a table. Set CLEAVE_BENCH_TREE for another tree than /usr/lib, CLEAVE_BENCH_RUNS for more than
# 3 runs, CLEAVE_BENCH_DIR for where the stores go (default /dev/shm, so that the disk's speed stays out of it).
set -euo pipefail
cleave=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")/commands.json
tree=${CLEAVE_BENCH_TREE:-/usr/lib}
runs=${CLEAVE_BENCH_RUNS:-3}
cores=$(nproc)
fast=$(mktemp -d -p "${CLEAVE_BENCH_DIR:-/dev/shm}" cleave-bench.XXXXXX)
disk=$(mktemp -d -p "${TMPDIR:-/var/tmp}" cleave-bench.XXXXXX)
trap 'rm -rf "$fast" "$disk"' EXIT
nar=$disk/tree.nar

rows=()
declare -A seconds
# measure NAME BYTES BEFORE COMMAND: the median of the runs; BEFORE is run before each and not timed.
measure() {
  local name=$1 bytes=$2 before=$3 command=$4 times=() i
  for ((i = 0; i < runs; i++)); do
    eval "$before"
    times+=("$(TIMEFORMAT=%R; { time eval "$command" > /dev/null 2>&3; } 3> "$disk/errors" 2>&1)") || { cat "$disk/errors"; exit 1; }
  done
  seconds[$name]=$(printf '%s\n' "${times[@]}" | sort -n | sed -n "$(((runs + 1) / 2))p")
  rows+=("$(awk -v n="$name" -v b="$bytes" -v s="${seconds[$name]}" -v all="$(IFS=,; echo "${times[*]}")" \
    'BEGIN { printf "{\"name\":\"%s\",\"bytes\":%.0f,\"seconds\":%s,\"mb_per_s\":%.1f,\"runs\":[%s]}", n, b, s, b / s / 1e6, all }')")
  awk -v n="$name" -v b="$bytes" -v s="${seconds[$name]}" 'BEGIN { printf "%-44s %8.2f s %9.1f MB/s\n", n, s, b / s / 1e6 }'
}
# against NAME OTHER FACTOR: how fast NAME is, in percent of FACTOR times OTHER.
against() {
  awk -v n="$1" -v o="$2" -v f="$3" -v a="${seconds[$1]}" -v b="${seconds[$2]}" \
    'BEGIN { printf "  = %.0f %% of %s%s\n", 100 * b / a / f, f == 1 ? "" : f " x ", o }'
}

"$cleave" nar pack "$tree" -o "$nar"
size=$(stat -c %s "$nar")
echo "$tree as a NAR: $((size / 1000000)) MB; $cores cores; $runs runs, medians; stores in ${fast%/*}"
fresh="rm -rf $fast/store"
cat "$nar" > /dev/null

measure "zstd -3 -T$cores" "$size" "" "zstd -q -3 -T$cores -f $nar -o $fast/tree.zst"
measure "add NAR, new" "$size" "$fresh" "$cleave --store $fast/store add $nar"
against "add NAR, new" "zstd -3 -T$cores" 1
measure "add NAR, all stored already" "$size" "$cleave -q --store $fast/store rm again || true" "$cleave --store $fast/store add $nar -n again"
measure "add folder, all stored already" "$size" "$cleave -q --store $fast/store rm tree || true" "$cleave --store $fast/store add $tree -n tree"
measure "zstd -dc > /dev/null" "$size" "" "zstd -q -dc $fast/tree.zst"
measure "get -o - > /dev/null" "$size" "" "$cleave --store $fast/store get tree.nar -o -"
against "get -o - > /dev/null" "zstd -dc > /dev/null" "$cores"
measure "zstd -d to a file" "$size" "rm -f $fast/out" "zstd -q -d $fast/tree.zst -o $fast/out"
measure "get to a file" "$size" "rm -f $fast/out" "$cleave --store $fast/store get tree.nar -o $fast/out"
against "get to a file" "zstd -d to a file" "$cores"
rm -f "$fast/out"
measure "verify" "$size" "" "$cleave --store $fast/store verify"
measure "add folder, new" "$size" "$fresh" "$cleave --store $fast/store add $tree -n tree"
against "add folder, new" "zstd -3 -T$cores" 1
measure "get folder" "$size" "rm -rf $fast/out" "$cleave --store $fast/store get tree -o $fast/out"
rm -rf "$fast/out" "$fast/store" "$fast/tree.zst"
measure "zstd -3 -T$cores, then sync, on disk" "$size" "rm -f $disk/t.zst" "zstd -q -3 -T$cores $nar -o $disk/t.zst && sync $disk/t.zst"
measure "add NAR, new, store on disk" "$size" "rm -rf $disk/store" "$cleave --store $disk/store add $nar"
against "add NAR, new, store on disk" "zstd -3 -T$cores, then sync, on disk" 1
rm -rf "$disk/store" "$disk/t.zst"

# Peak memory: 10 GB that do not compress and are all new, on disk.
if [ "$(df --output=avail -B1 "$disk" | tail -1)" -gt 25000000000 ]; then
  openssl enc -aes-128-ctr -nosalt -pass pass:cleave -md sha256 < /dev/zero 2> /dev/null | head -c 10000000000 > "$disk/big" || true
  "$cleave" --store "$disk/store" add "$disk/big" &
  pid=$! peak=0
  while kill -0 $pid 2> /dev/null; do
    now=$(awk '/^VmHWM/ { print $2 }' /proc/$pid/status 2> /dev/null || echo 0)
    [ "${now:-0}" -le "$peak" ] || peak=$now
    sleep 0.2
  done
  wait $pid
  rows+=("{\"name\":\"add 10 GB, peak memory\",\"bytes\":10000000000,\"peak_bytes\":$((peak * 1024))}")
  printf '%-44s %8d MB\n' "add 10 GB, peak memory" $((peak * 1024 / 1000000))
fi

(IFS=,; printf '{"tree":"%s","cores":%d,"cpu":"%s","rows":[%s]}\n' "$tree" "$cores" \
  "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "${rows[*]}") > "$out"
echo "wrote $out"

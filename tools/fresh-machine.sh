#!/usr/bin/env bash
# Tries what the README promises on a machine where nothing is installed: makes a minimal Debian 12 in a folder, puts a
# clone of HEAD into it and runs the commands there as they stand. Needs root, and debootstrap.
# Usage: fresh-machine.sh [--dir FOLDER] [--keep] [COMMAND…]     (default: './dev demo' './dev test')
#   --dir   where to put the machine (default: a new folder in $TMPDIR); one made before is reset to its first state
#   --keep  leave the folder there, with what the commands built
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
folder="" keep=false
while [[ ${1-} == --* ]]; do
  case $1 in
    --dir) folder=$2; shift ;;
    --keep) keep=true ;;
    *) sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift
done
[ $# -gt 0 ] || set -- './dev demo' './dev test'
[ "$(id -u)" = 0 ] || { echo "needs root: sudo $0" >&2; exit 2; }
command -v debootstrap > /dev/null || { echo "needs debootstrap: apt-get install debootstrap" >&2; exit 2; }

folder=${folder:-$(mktemp -d "${TMPDIR:-/tmp}/fresh-machine.XXXXXX")}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
machine=$folder/machine first_state=$folder/first-state.tar
trap '$keep || rm -rf --one-file-system "$machine" "$first_state"; rmdir "$folder" 2> /dev/null || true' EXIT

# The mirror and the proxy that this machine's apt uses.
# shellcheck disable=SC2016
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' 'Label: Debian' | head -n 1)
mirror=${mirror:-http://deb.debian.org/debian/}
proxy=
eval "$(apt-config shell proxy Acquire::http::Proxy)"
[ -z "$proxy" ] || export http_proxy=$proxy

rm -rf --one-file-system "$machine"
if [ ! -e "$first_state" ]; then
  echo "=== a minimal Debian 12 in $machine"
  debootstrap --variant=minbase bookworm "$machine" "$mirror" > "$folder/debootstrap.log" ||
    { tail -n 20 "$folder/debootstrap.log"; exit 1; }
  rm "$folder/debootstrap.log"
  # It reaches packages the way this machine does.
  sources=$(cd /etc/apt; find . -name '*.list' -print0 -o -name '*.sources' -print0 | xargs -0r grep -lF "${mirror%/}" || true)
  if [ -n "$sources" ]; then
    rm "$machine/etc/apt/sources.list"
    # shellcheck disable=SC2086
    (cd /etc/apt && cp --parents $sources "$machine/etc/apt/")
  fi
  cp -r /etc/apt/keyrings /etc/apt/trusted.gpg.d "$machine/etc/apt/" 2> /dev/null || true
  grep -lE '^[^/#]*(Proxy|Acquire::(https?|Check))' /etc/apt/apt.conf.d/* | xargs -r cp -t "$machine/etc/apt/apt.conf.d/"
  [ ! -d /etc/ssl/certs ] || { mkdir -p "$machine/etc/ssl" && cp -rL /etc/ssl/certs "$machine/etc/ssl/"; }
  cp -L /etc/resolv.conf /etc/hosts "$machine/etc/"
  tar -C "$folder" -cf "$first_state" machine
else
  tar -C "$folder" -xf "$first_state"
fi

git -C "$repository" diff --quiet HEAD || echo "note: changes that are not committed are not tried"
git -c safe.directory='*' clone --quiet "file://$repository" "$machine/root/cleave"

for command; do
  printf '\n=== %s\n' "$command"
  start=$SECONDS
  # In namespaces of its own, so that mounts and processes go when the command ends.
  # shellcheck disable=SC2016
  unshare --mount --pid --fork --kill-child sh -c '
    mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount -t tmpfs tmpfs "$1/dev/shm" &&
      exec chroot "$1" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}" \
        sh -c "cd /root/cleave && $2"' sh "$machine" "$command" < /dev/null \
    || { echo "=== $command: FAILED after $((SECONDS - start)) s"; exit 1; }
  echo "=== $command: ok after $((SECONDS - start)) s"
done

#!/usr/bin/env bash
# scripts/image.sh [--keep]: build the container image for CPUs and run a node in it, without Docker and without a registry.
#
# An image made by debootstrap, with Debian's Python 3.11, replaces the base python:3.11-slim-bookworm; the rest is
# deploy/docker/Dockerfile, built by buildah. In a container, which runc runs without capabilities as the image's user, a node
# receives an exam from DCMTK, analyses it and delivers the results. Needs root and Debian's buildah, runc and dcmtk.
set -euo pipefail
source "$(dirname "$0")/root.sh"

keep=no
[ "${1:-}" != --keep ] || keep=yes
need buildah buildah
need runc runc
need dcmsend dcmtk
work=$ROOTS/image
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=${STORAGE_DRIVER:-vfs}
store=(--root "$work/storage" --runroot "$work/run")
base=docker.io/library/python:3.11-slim-bookworm

root=$(make_root bookworm bookworm-base)
if [ ! -e "$root/usr/local/bin/python" ]; then
    install_packages "$root" python3 python3-venv ca-certificates
    ln -sf /usr/bin/python3 "$root/usr/local/bin/python"
fi
rm -rf "$work"
mkdir -p "$work"
copy_checkout "$work/checkout"
echo "== making the base"
container=$(buildah "${store[@]}" from scratch)
buildah "${store[@]}" add --quiet "$container" "$root" / >/dev/null
buildah "${store[@]}" commit --quiet --rm "$container" "$base" >/dev/null

echo "== building deploy/docker/Dockerfile (log: $work.log)"
# The host's access to package indexes, for pip inside the build.
{ echo "[global]" && index_environment | sed -n 's/^PIP_\([A-Z_]*\)=/\L\1\E = /; T; s/_\(.*\)=/-\1=/; p' | grep -v '^cert'; } >"$work/pip.conf"
volumes=(--volume "$work/pip.conf:/etc/pip.conf:ro")
arguments=()
while read -r path; do
    [ "$path" = /etc/pip.conf ] || volumes+=(--volume "$path:$path:ro")
done < <(index_paths | sort -u)
# If the index of CPU builds cannot be reached, pip uses its own configuration.
python3 -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=5)' "${TORCH_INDEX:-https://download.pytorch.org/whl/cpu/}" \
    2>/dev/null || arguments+=(--build-arg TORCH_INDEX=https://pypi.org/simple)
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || volumes+=(--volume /etc/ssl/certs:/etc/ssl/certs:ro)
began=$SECONDS
buildah "${store[@]}" build --pull-never --network host --layers=false "${volumes[@]}" "${arguments[@]}" \
    --file "$work/checkout/deploy/docker/Dockerfile" --tag glam-node "$work/checkout" >"$work.log" 2>&1 ||
    fail "buildah could not build the image:" "$(tail -n 20 "$work.log")"
echo "   built in $((SECONDS - began)) s"

container=$(buildah "${store[@]}" from --pull-never localhost/glam-node)
started=$(buildah "${store[@]}" inspect --type image --format '{{.OCIv1.Config.Entrypoint}} {{.OCIv1.Config.Cmd}}' \
    localhost/glam-node | tr -d '[]')
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free_port)
archive_port=$(free_port)
mkdir -p "$work/archive" "$work/exam"
chown 10001 "$work/exam"
cat >"$work/node.toml" <<TOML
node = { ae_title = "GLAMNODE", host = "127.0.0.1", port = $port }
peers.pacs = { ae_title = "PACS", hosts = ["127.0.0.1"] }
destinations.archive = { ae_title = "ARCHIVE", host = "127.0.0.1", port = $archive_port }
console = { port = $(free_port) }
TOML
in_container=(buildah "${store[@]}" run --isolation oci --runtime runc --network host --cap-drop all
    --volume "$work/node.toml:/etc/glam-node/node.toml:ro" --volume "$work/exam:/exam" "$container" --)
# stop PROCESS: end the process after all of its children.
stop() {
    local child
    for child in $(pgrep -P "$1"); do stop "$child"; done
    kill "$1" 2>/dev/null || true
}

echo "== running '$started' in the container, as user $("${in_container[@]}" id -u)"
/usr/bin/storescp --fork --aetitle ARCHIVE --output-directory "$work/archive" "$archive_port" &
archive=$!
# shellcheck disable=SC2086 - two words, the entry point and its command
"${in_container[@]}" $started >"$work/node.log" 2>&1 &
node=$!
trap 'stop $archive; stop $node' EXIT
for _ in $(seq 240); do
    ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    kill -0 $node 2>/dev/null || fail "The container ended:" "$(tail -n 20 "$work/node.log")"
    sleep 0.5
done
"${in_container[@]}" glam-node phantom --out /exam >/dev/null
/usr/bin/dcmsend -aet PACS -aec GLAMNODE 127.0.0.1 "$port" "$work/exam/"*.dcm ||
    fail "The node in the container did not accept the exam:" "$(tail -n 20 "$work/node.log")"
for _ in $(seq 480); do
    [ "$(find "$work/archive" -type f | wc -l)" -lt 5 ] || break
    sleep 0.5
done
[ "$(find "$work/archive" -type f | wc -l)" -ge 5 ] || fail "No results arrived:" "$(tail -n 20 "$work/node.log")"
"${in_container[@]}" glam-node study list
echo "   the archive has $(find "$work/archive" -type f | wc -l) results"
stop $node
wait $node || true
echo "== The image works."
[ "$keep" = yes ] || rm -rf --one-file-system "$work" "$root"

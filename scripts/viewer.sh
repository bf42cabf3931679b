#!/usr/bin/env bash
# Fetches the viewer that the tests look through: OHIF as its makers ship it, built. Without npm or network it says so in
# one line; the tests that need it are then left out and named at the end of the run, which in CI is a failure.
set -euo pipefail

version=3.13.2
sha512=5997719a9986eeba85816f5924b71b82bdd70ad2e2d4a0cd3e831a798e4f3deea3e06e1f8c48e393271933a0ba664d85f3b04ac457e9abe8dde715d907d13c10
target=build/viewer/ohif

[ -f "$target/dist/index.html" ] && exit 0
echo "== fetching OHIF $version (the viewer of the tests, 50 MB)"
mkdir -p "$target"
if ! (cd "$target" && npm pack --silent "@ohif/app@$version" >/dev/null); then
    echo "npm could not fetch @ohif/app@$version; the tests that look through a viewer are left out." >&2
    exit 0
fi
archive="$target/ohif-app-$version.tgz"
echo "$sha512  $archive" | sha512sum --check --quiet
tar -xzf "$archive" -C "$target" --strip-components=1 package/dist
rm "$archive"

#!/usr/bin/env bash
# Fetch the packages of npm that the tests use as peers: OHIF's published build, the packages with which dwv and
# cornerstone3D read segmentations, and an HL7 engine. Without npm or a network, print one line; the tests that need a
# package are then skipped and named at the end of the run, which in CI is a failure.
set -euo pipefail

ohif=3.13.2
sha512=5997719a9986eeba85816f5924b71b82bdd70ad2e2d4a0cd3e831a798e4f3deea3e06e1f8c48e393271933a0ba664d85f3b04ac457e9abe8dde715d907d13c10
cornerstone=5.14.0
readers=(
    dwv@0.36.4 dcmjs@0.52.0 @babel/runtime@7
    @cornerstonejs/{adapters,core,metadata,tools}@"$cornerstone"
)
engine=4.5.2

fetch_ohif() {
    local target=build/viewer/ohif
    [ -f "$target/dist/index.html" ] && return
    echo "== fetching OHIF $ohif (a viewer for the tests, 50 MB)"
    mkdir -p "$target"
    if ! (cd "$target" && npm pack --silent "@ohif/app@$ohif" >/dev/null); then
        echo "npm could not fetch @ohif/app@$ohif; the tests with OHIF are left out." >&2
        return
    fi
    local archive="$target/ohif-app-$ohif.tgz"
    echo "$sha512  $archive" | sha512sum --check --quiet
    tar -xzf "$archive" -C "$target" --strip-components=1 package/dist
    rm "$archive"
}

# Fetch packages into a folder, once for each version: fetch_packages FOLDER VERSION CONTENT TESTS PACKAGE...
fetch_packages() {
    local target=$1 version=$2 content=$3 tests=$4
    shift 4
    [ -f "$target/.fetched-$version" ] && return
    echo "== fetching $content"
    mkdir -p "$target"
    echo '{"name": "packages", "private": true, "type": "module"}' >"$target/package.json"
    if ! (cd "$target" && npm install --silent --no-audit --no-fund --ignore-scripts --save-exact "$@"); then
        echo "npm could not fetch $*; $tests are left out." >&2
        return
    fi
    touch "$target/.fetched-$version"
}

fetch_ohif
fetch_packages build/viewer/readers "$cornerstone" "dwv and cornerstone3D (readers of segmentations for the tests, 100 MB)" \
    "the tests that read segmentations with them" "${readers[@]}"
fetch_packages build/hl7 "$engine" "@medplum/hl7 $engine (an HL7 engine for the tests, 10 MB)" \
    "the tests with it" "@medplum/hl7@$engine"

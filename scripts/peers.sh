#!/usr/bin/env bash
# Install the third-party programs that the tests use. Without root, print one line with the missing ones;
# the tests that need them are then skipped and named at the end of the run, which in CI is a failure.
set -euo pipefail

# Program or Java archive -> Debian package
peers=(
    /usr/sbin/Orthanc:orthanc
    /usr/bin/dcmsend:dcmtk
    /usr/bin/redis-server:redis-server
    /usr/bin/pg_ctlcluster:postgresql
    /usr/bin/javac:default-jdk-headless
    /usr/share/java/pixelmed.jar:libpixelmed-java
    /usr/share/orthanc/plugins/libOrthancDicomWeb.so:orthanc-dicomweb
    /usr/bin/chromium:chromium
    /usr/bin/npm:npm
    /usr/bin/promtool:prometheus
    /usr/bin/xmllint:libxml2-utils
    /usr/sbin/rsyslogd:rsyslog
    /usr/share/doc/rsyslog-openssl/copyright:rsyslog-openssl
    /usr/bin/systemd-analyze:systemd
    /usr/sbin/nginx:nginx-light
    /usr/bin/gcc:gcc
    /usr/include/dlfcn.h:libc6-dev
)

missing=()
for peer in "${peers[@]}"; do
    [ -e "${peer%%:*}" ] || missing+=("${peer##*:}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    else
        echo "Not root: could not install ${missing[*]}; the tests that need them are left out. Install them:" \
            "sudo apt-get install ${missing[*]}" >&2
        exit 0
    fi
fi

echo "== installing ${missing[*]} (third-party peers of the tests)"
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
if ! { "${as_root[@]}" apt-get update && "${as_root[@]}" apt-get install -y --no-install-recommends "${missing[@]}"; } \
    >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo "apt-get could not install ${missing[*]} (log: $log); the tests that need them are left out." >&2
fi

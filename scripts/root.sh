#!/usr/bin/env bash
# Functions of the scripts that test glam-node on a bare machine: root file systems made by debootstrap, and commands inside
# them. They need root, and the package debootstrap. fresh.sh, service.sh and image.sh source this file.

ROOTS=${ROOTS:-/var/tmp/glam-node-roots}
DEBIAN=${DEBIAN:-http://deb.debian.org/debian}
UBUNTU=${UBUNTU:-http://archive.ubuntu.com/ubuntu}
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# need PROGRAM PACKAGE: stop unless the program is installed.
need() {
    command -v "$1" >/dev/null || fail "The program $1 is missing. Install it:  sudo apt-get install $2"
}

# make_root RELEASE [NAME]: make a bare root file system of a release of Debian or Ubuntu, once, and print its directory.
make_root() {
    local release=$1 root=$ROOTS/${2:-$1} mirror=$DEBIAN options=() script=()
    [ "$(id -u)" -eq 0 ] || fail "Run this as root: it makes root file systems and enters them."
    need debootstrap debootstrap
    if [ ! -e "$root/.complete" ]; then
        case $release in
            bookworm | trixie | forky | sid) ;;
            *)
                mirror=$UBUNTU
                options=(--components=main,universe)
                # Ubuntu's releases share one script; an older debootstrap does not know the names of newer ones.
                script=(/usr/share/debootstrap/scripts/gutsy)
                ;;
        esac
        rm -rf "$root"
        mkdir -p "$ROOTS"
        echo "== debootstrap $release into $root" >&2
        debootstrap --variant=minbase "${options[@]}" "$release" "$root" "$mirror" "${script[@]}" >"$root.log" 2>&1 ||
            fail "debootstrap could not make $release from $mirror (log: $root.log): $(grep -m 1 '^E:' "$root.log")"
        touch "$root/.complete"
    fi
    echo "$root"
}

# This host's access to package indexes: environment, pip's configuration, the folders that it names, trusted certificates.
index_environment() {
    env | grep -E '^(PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|DEFAULT_TIMEOUT|TRUSTED_HOST)|https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY)=' || true
    [ ! -e /etc/ssl/certs/ca-certificates.crt ] ||
        printf '%s=/opt/host-certificates.crt\n' PIP_CERT SSL_CERT_FILE REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS
}

index_paths() {
    local files=() file path
    for file in /etc/pip.conf /etc/xdg/pip/pip.conf; do
        [ ! -e "$file" ] || files+=("$file")
    done
    [ ${#files[@]} -eq 0 ] || printf '%s\n' "${files[@]}"
    { index_environment && cat "${files[@]}" /dev/null; } | grep -oE '(file://)?/[^ :]+' | while read -r path; do
        [[ $path != file://* ]] || path=$(dirname "${path#file://}")
        [[ ! -e $path || $path == /etc/ssl/* ]] || echo "$path"
    done
}

# inside ROOT USER DIRECTORY COMMAND...: run a command in a root, in separate mount and process namespaces, so that all of its
# processes end with it. With NETWORK=no it has only a loopback interface.
inside() {
    local root=$1 user=$2 directory=$3 namespaces=(--mount --pid --fork --kill-child) environment=()
    shift 3
    [ "${NETWORK:-yes}" = yes ] || namespaces+=(--net)
    mapfile -t environment < <(index_environment)
    cp -L /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/opt/host-certificates.crt" 2>/dev/null || true
    ROOT=$root NETWORK=${NETWORK:-yes} PATHS=$(index_paths | sort -u) unshare "${namespaces[@]}" bash -euc '
        mount -t proc proc "$ROOT/proc"
        mount --rbind /dev "$ROOT/dev"
        [ "$NETWORK" = yes ] || ip link set lo up
        while read -r path; do
            [ -n "$path" ] || continue
            if [ -d "$path" ]; then mkdir -p "$ROOT$path"; else mkdir -p "$ROOT${path%/*}"; fi
            [ -e "$ROOT$path" ] || touch "$ROOT$path"
            mount --bind -o ro "$path" "$ROOT$path"
        done <<<"$PATHS"
        exec chroot "$@"
    ' inside --userspec="$user" "$root" /usr/bin/env -i HOME="$directory" USER="$user" LOGNAME="$user" TERM=dumb \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${environment[@]}" \
        /bin/bash -c 'cd "$HOME" && exec "$@"' inside "$@" </dev/null
}

# install_packages ROOT PACKAGE...: install Debian packages in a root.
install_packages() {
    local root=$1
    shift
    inside "$root" root /root bash -euc '
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"' apt "$@" >"$root.apt.log" 2>&1 ||
        fail "apt-get could not install $* in $root: $(tail -n 3 "$root.apt.log")"
}

# copy_checkout DIRECTORY: copy the files of this checkout, with uncommitted changes and without ignored files.
copy_checkout() {
    need git git
    rm -rf "$1"
    mkdir -p "$1"
    git -C "$checkout" -c safe.directory="$checkout" ls-files -z --cached --others --exclude-standard --deduplicate |
        (cd "$checkout" && xargs -0 sh -c 'for f; do [ -e "$f" ] && printf "%s\0" "$f"; done' sh) |
        tar -C "$checkout" --null --files-from=- -cf - | tar -C "$1" -xf -
}

#!/usr/bin/env bash
# scripts/fresh.sh [--as root|user]... [--test] [--keep] [RELEASE...]: run README's two commands on bare machines.
#
# Each machine is a root file system of Debian (bookworm and trixie, unless others are named) or Ubuntu (noble, ...) made by
# debootstrap. A new user and root each run `make demo` on a clean copy of this checkout, in a path with a space: before Python is
# installed, before venv is installed, then twice, the second time without a network.
# --test also runs `make test`, which takes half an hour; PYTEST_ARGS selects some of the tests.
# With --keep the roots stay in ROOTS (/var/tmp/glam-node-roots), so that debootstrap and pip need no downloads next time.
set -euo pipefail
source "$(dirname "$0")/root.sh"

people=()
releases=()
run_tests=no
keep=no
while [ $# -gt 0 ]; do
    case $1 in
        --as) people+=("${2:?root or user}") && shift ;;
        --test) run_tests=yes ;;
        --keep) keep=yes ;;
        -*) fail "Usage: scripts/fresh.sh [--as root|user]... [--test] [--keep] [RELEASE...]" ;;
        *) releases+=("$1") ;;
    esac
    shift
done
[ ${#people[@]} -gt 0 ] || people=(user root)
[ ${#releases[@]} -gt 0 ] || releases=(bookworm trixie)

# expect WORDS COMMAND...: check that the command fails with a message that contains these words.
expect() {
    local words=$1 said
    shift
    said=$("$@" 2>&1) && fail "This should have failed, and did not: $*" "$said"
    [[ $said == *"$words"* ]] || fail "This should have said '$words': $*" "$said"
    echo "   says: $(grep -m 1 -F "$words" <<<"$said")"
}

# step WORDS COMMAND...: run a step, and show its last lines if it fails.
step() {
    local words=$1 began=$SECONDS
    shift
    "$@" >>"$log" 2>&1 || fail "-- $words failed (log: $log):" "$(tail -n 25 "$log")"
    echo "   ok  $words ($((SECONDS - began)) s)"
}

try_as() {
    local release=$1 root=$2 person=$3 home=/root place
    [ "$person" = root ] || home=/home/$person
    place="$home/glam node"
    log=$ROOTS/$release-$person.log
    : >"$log"
    copy_checkout "$root$place"
    chroot "$root" chown -R "$person:" "$place"
    echo "== $release, $person: $(inside "$root" "$person" "$place" python3 --version) in '$place'"
    step "make demo" inside "$root" "$person" "$place" make demo
    NETWORK=no step "make demo again, without a network" inside "$root" "$person" "$place" make demo
    step "the virtual environment takes $(du -sh "$root$place/.venv" | cut -f 1), torch is $(
        inside "$root" "$person" "$place" .venv/bin/python -c 'import torch; print(torch.__version__)'
    )" true
    if [ "$run_tests" = yes ]; then
        step "make test ${PYTEST_ARGS:-}" inside "$root" "$person" "$place" make test PYTEST_ARGS="${PYTEST_ARGS:-}"
    fi
    [ "$keep" = yes ] || rm -rf "$root$place"
}

for release in "${releases[@]}"; do
    root=$(make_root "$release")
    chroot "$root" id visitor >/dev/null 2>&1 || chroot "$root" useradd --create-home visitor
    if [ ! -e "$root/usr/bin/make" ]; then
        install_packages "$root" make
        copy_checkout "$root/tmp/glam-node"
        echo "== $release: before Python and venv are installed"
        expect "sudo apt-get install python3 python3-venv" inside "$root" root /tmp/glam-node make demo
        install_packages "$root" python3
        expect "sudo apt-get install python3-venv" inside "$root" root /tmp/glam-node make demo
        rm -rf "$root/tmp/glam-node"
        install_packages "$root" python3-venv
    fi
    for person in "${people[@]}"; do
        try_as "$release" "$root" "${person/user/visitor}"
    done
    [ "$keep" = yes ] || rm -rf --one-file-system "$root"
done
echo "== README's commands work on ${releases[*]}."

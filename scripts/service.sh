#!/usr/bin/env bash
# scripts/service.sh [--keep] [RELEASE]: run the shipped systemd units under a real systemd.
#
# Make a root file system of RELEASE (bookworm) by debootstrap, follow the head of deploy/systemd/glam-node.service in it, and
# boot it by systemd-nspawn with a separate network. Inside, DCMTK sends an exam and receives the results; the node is reloaded,
# killed, moved to port 104 by the drop-in, and gets a second worker over Redis. Needs root and Debian's systemd-container.
set -euo pipefail
source "$(dirname "$0")/root.sh"

keep=no
[ "${1:-}" != --keep ] || { keep=yes && shift; }
release=${1:-bookworm}
need systemd-nspawn systemd-container
root=$(make_root "$release" "$release-service")
if [ ! -e "$root/usr/bin/storescp" ]; then
    echo "== installing systemd and DCMTK in it"
    install_packages "$root" make python3 python3-venv systemd systemd-sysv dcmtk redis-server
fi
echo "== make install"
copy_checkout "$root/opt/checkout"
inside "$root" root /opt/checkout make install >"$root.install.log" 2>&1 || fail "$(tail -n 20 "$root.install.log")"

cat >"$root/usr/local/sbin/try-glam-node" <<'INSIDE'
#!/bin/bash
# The program of the booted system: it exits with 0 on success. Otherwise the last line of its log names the failed step.
exec >/var/log/try-glam-node.log 2>&1
trap 'journalctl --no-pager -u "glam-node*" | tail -n 40; echo "FAILED: $step"; systemctl exit 1' ERR
set -Eeuo pipefail
# At the end of PATH, since pynetdicom installs its own storescp and other programs there.
export PATH=$PATH:/opt/glam-node/bin GLAM_NODE_SETTINGS=/etc/glam-node/node.toml HOME=/root
step() { step=$*; echo "== $step"; }
until_true() { for _ in $(seq 240); do "$@" && return; sleep 0.5; done; return 1; }
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
arrived() { [ "$(find /root/archive -type f | wc -l)" -ge "$1" ]; }
send() { glam-node phantom --out "/root/exam-$2" --seed "$2" && dcmsend -aet PACS -aec GLAMNODE 127.0.0.1 "$1" /root/exam-"$2"/*.dcm; }

step "follow the head of the unit"
cd /etc/glam-node
rm -f node.toml
glam-node --settings node.toml init --ae-title GLAMNODE --port 11112 --pacs PACS@127.0.0.1 --archive ARCHIVE@127.0.0.1:4242 \
    --storage /var/lib/glam-node </dev/null
chown root:glam-node node.toml && chmod 0640 node.toml
rm -rf /root/archive && mkdir /root/archive
storescp --fork --aetitle ARCHIVE --output-directory /root/archive 4242 &
systemctl enable --now glam-node
until_true listens 11112

step "a study sent to port 11112 leads to results in the archive"
send 11112 1
until_true arrived 5

step "systemctl reload is answered"
systemctl reload glam-node

step "the node restarts after all of its processes were killed"
systemctl kill --signal=KILL glam-node
until_true systemctl is-active --quiet glam-node
until_true listens 11112

step "port 104 is refused without the drop-in, and the log says so"
sed -i 's/^port = 11112/port = 104/' node.toml
systemctl restart glam-node || true
until_true sh -c 'journalctl -u glam-node | grep -q port-below-1024.conf'

step "port 104 works with the drop-in"
install -D -m 0644 /opt/checkout/deploy/systemd/port-below-1024.conf \
    /etc/systemd/system/glam-node.service.d/port-below-1024.conf
systemctl daemon-reload
systemctl restart glam-node
until_true listens 104
send 104 2
until_true arrived 10

step "a worker in a separate unit analyses a study that Redis announces"
sed -i '0,/^.*broker_url = .*/s//broker_url = "redis:\/\/127.0.0.1:6379\/0"/' node.toml
redis-server --daemonize yes --save ''
systemctl restart glam-node
systemctl enable --now glam-node-worker@1
until_true listens 104
send 104 3
until_true arrived 15
systemctl is-active --quiet glam-node-worker@1

step "systemctl stop ends every process within its time"
systemctl stop glam-node-worker@1 glam-node
! pgrep -u glam-node >/dev/null
systemd-analyze security --no-pager glam-node | tail -n 1
echo "== all steps succeeded"
systemctl exit 0
INSIDE
chmod +x "$root/usr/local/sbin/try-glam-node"
cat >"$root/etc/systemd/system/try-glam-node.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
ExecStart=/usr/local/sbin/try-glam-node
[Install]
WantedBy=multi-user.target
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -sf ../try-glam-node.service "$root/etc/systemd/system/multi-user.target.wants/try-glam-node.service"
rm -rf "$root/etc/systemd/system/glam-node.service.d" "$root"/etc/systemd/system/multi-user.target.wants/glam-node*
rm -rf "$root/var/lib/glam-node" "$root/var/log/try-glam-node.log" "$root/var/log/journal"

echo "== booting it ($(inside "$root" root / systemctl --version | head -n 1))"
# systemd 257 and later refuse the hybrid control groups that an older host has: the container mounts the unified ones itself.
boot=(systemd-nspawn --quiet --directory="$root" --machine="glam-node-$$" --register=no --keep-unit --private-network --boot)
if ! timeout 900 env SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 "${boot[@]}" >"$root.boot.log" 2>&1 </dev/null; then
    cat "$root/var/log/try-glam-node.log" 2>/dev/null || tail -n 20 "$root.boot.log"
    fail "The units failed (see above; log of the boot: $root.boot.log)."
fi
grep '^== \|exposure' "$root/var/log/try-glam-node.log"
[ "$keep" = yes ] || rm -rf --one-file-system "$root"

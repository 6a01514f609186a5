#!/bin/sh
# Installs Cairn from the unpacked release this script lies in. Opens no network connection.
# Safe to run again: versions lie side by side and one link is switched in one step.
set -eu

prefix=
start=yes
home=

usage() {
    cat <<'TEXT'
Usage: install.sh [--prefix DIR] [--home DIR] [--no-start]

  --prefix DIR  install below DIR without root: DIR/bin/cairn, data in DIR/home
  --home DIR    keep the data in DIR instead
  --no-start    as root: install the systemd unit but do not start it
  --help        this text

Without --prefix it must run as root and installs to /opt/cairn with a user `cairn`, data in
/var/lib/cairn, and a systemd unit if systemd runs. Nothing is installed before every file has been
checked against SHA256SUMS.
TEXT
}

say() { printf '%s\n' "$*"; }
fail() { printf 'install: %s\n' "$*" >&2; exit 1; }

while [ $# -gt 0 ]; do
    case $1 in
        --prefix | --home)
            if [ -z "${2:-}" ]; then
                usage >&2
                fail "$1 needs a folder"
            fi
            case $1 in --prefix) prefix=$2 ;; *) home=$2 ;; esac
            shift
            ;;
        --prefix=*) prefix=${1#*=} ;;
        --home=*) home=${1#*=} ;;
        --no-start) start= ;;
        --help | -h) usage; exit 0 ;;
        *) usage >&2; fail "unknown option $1" ;;
    esac
    shift
done

release=$(cd "$(dirname "$0")" && pwd)

check_files() {
    [ -r "$release/SHA256SUMS" ] || fail "SHA256SUMS is missing: the release is not complete"
    command -v sha256sum >/dev/null || fail "sha256sum is needed to check the release (package coreutils)"
    while read -r sum name; do
        [ -f "$release/$name" ] || fail "$name is missing: the release is not complete"
        found=$(sha256sum <"$release/$name") || fail "$name cannot be read"
        [ "${found%% *}" = "$sum" ] ||
            fail "$name does not match SHA256SUMS: the release is damaged or was changed; nothing was installed"
    done <"$release/SHA256SUMS"
    for name in cairn RELEASE; do
        grep -q "  $name\$" "$release/SHA256SUMS" || fail "SHA256SUMS does not list $name"
    done
}

# Value of a key in RELEASE.
released() { sed -n "s/^$1=//p" "$release/RELEASE"; }

check_machine() {
    [ "$(uname -s)" = Linux ] || fail "this release runs on Linux only"
    [ "$(uname -m)" = "$(released arch)" ] ||
        fail "this release is for $(released arch); this machine is $(uname -m)"
    wanted=$(released glibc)
    has=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/^glibc //') || has=
    [ -n "$has" ] || fail "the GNU C library is needed; this system does not seem to have it"
    if [ -n "$wanted" ]; then
        oldest=$(printf '%s\n%s\n' "$wanted" "$has" | sort -V | head -n 1)
        [ "$oldest" = "$wanted" ] || fail "glibc $wanted or newer is needed; this system has $has"
    fi
    "$release/cairn" version >/dev/null ||
        fail "the binary does not run on this machine; its message is above"
}

# Copies the release to $1/versions/<version> and points $1/bin/cairn at it.
install_files() {
    version=$(released version)
    target=$1/versions/$version
    mkdir -p "$target" "$1/bin"
    # Beside the old file and renamed over it: a running server keeps the file it has open.
    cp "$release/cairn" "$target/.cairn.new"
    chmod 755 "$target/.cairn.new"
    mv -f "$target/.cairn.new" "$target/cairn"
    cp "$release/LICENSE" "$release/RELEASE" "$target/"
    rm -rf "$target/licences"
    cp -R "$release/licences" "$target/licences"
    rm -f "$1/bin/.cairn.new"
    ln -s "../versions/$version/cairn" "$1/bin/.cairn.new"
    mv -f "$1/bin/.cairn.new" "$1/bin/cairn"
    say "installed cairn $version in $target"
}

install_for_user() {
    mkdir -p "$prefix"
    prefix=$(cd "$prefix" && pwd)
    home=${home:-$prefix/home}
    install_files "$prefix"
    [ -e "$home/system.db" ] || "$prefix/bin/cairn" init --home "$home"
    cat <<TEXT

Next:
  export CAIRN_HOME='$home' PATH='$prefix/bin':"\$PATH"
  cairn serve &                        # the page: https://127.0.0.1:8420
  cairn tls ca                         # how to make browsers trust its certificate
  cairn link                           # a one-time link that makes the first admin there
  cairn tenant create mine
  cairn add mine /path/to/your/files
  cairn ask mine "your question"
TEXT
}

install_for_system() {
    [ "$(id -u)" = 0 ] || fail "run it as root, or give --prefix DIR to install without root"
    home=${home:-/var/lib/cairn}
    if ! id cairn >/dev/null 2>&1; then
        command -v useradd >/dev/null || fail "useradd is needed to create the user cairn"
        useradd --system --user-group --home-dir "$home" --no-create-home \
            --shell /usr/sbin/nologin cairn
    fi
    install_files /opt/cairn
    ln -sfn /opt/cairn/bin/cairn /usr/local/bin/cairn
    # The key lies apart from the home; the server writes there when the key is changed.
    mkdir -p "$home" /etc/cairn
    chown cairn:cairn "$home" /etc/cairn
    chmod 700 "$home" /etc/cairn
    if [ "$home" != /var/lib/cairn ] && ! grep -qs '^\[keys\]' "$home/cairn.toml"; then
        printf '\n[keys]\nfile = "/etc/cairn/kek.key"\n' >>"$home/cairn.toml"
        chown cairn:cairn "$home/cairn.toml"
    fi
    [ -e "$home/system.db" ] ||
        setpriv --reuid cairn --regid cairn --clear-groups /opt/cairn/bin/cairn init --home "$home"
    if [ -d /run/systemd/system ]; then
        write_unit >/etc/systemd/system/cairn.service
        systemctl daemon-reload
        systemctl enable --quiet cairn
        if [ -n "$start" ]; then systemctl restart cairn; fi
        service="systemctl status cairn             # the page: https://127.0.0.1:8420"
    else
        say "systemd does not run here: no unit was installed"
        service="setpriv --reuid cairn --regid cairn --clear-groups cairn serve --home $home &"
    fi
    cat <<TEXT

Next, as root:
  $service
  export CAIRN_HOME='$home'
  cairn tls ca                         # how to make browsers trust the page's certificate
  cairn link                           # a one-time link that makes the first admin on the page
  cairn tenant create mine
  cairn add mine /path/to/your/files
TEXT
}

write_unit() {
    case $home in
        /home/* | /root/* | /run/user/*) protect_home=no ;;
        *) protect_home=yes ;;
    esac
    cat <<TEXT
[Unit]
Description=Cairn document appliance
After=local-fs.target

[Service]
User=cairn
Group=cairn
ExecStart=/opt/cairn/bin/cairn serve --home $home
EnvironmentFile=-/etc/cairn/cairn.env
Restart=on-failure
RestartSec=2
TimeoutStopSec=30
# A parser that is killed for want of memory must not take the server with it.
OOMPolicy=continue
LimitNOFILE=65536
UMask=0077

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ReadWritePaths=$home /etc/cairn
ProtectHome=$protect_home
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
TEXT
}

check_files
check_machine
if [ -n "$prefix" ]; then install_for_user; else install_for_system; fi

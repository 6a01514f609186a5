#!/usr/bin/env bash
# Installs and uses a bundle where there is no network at all, and proves that nothing asked for one.
#
#   netns.sh <tarball> <folder of documents> <question> <word of the answer's source>
#
# Runs itself again in a new network namespace that holds nothing but a loopback device, with an
# empty HOME and environment: unpack, install --prefix, serve, add, search, ask, ledger, stop.
# The kernel counts every packet for which there was no route (OutNoRoutes), so even an attempt to
# reach another host fails the run. Exit: 0 passed, 1 failed, 77 no namespace can be made here.
set -euo pipefail

limit_seconds=${NETNS_LIMIT_SECONDS:-240}
fail() { echo "netns: $*" >&2; exit 1; }

if [ "${1:-}" != --inside ]; then
    [ $# = 4 ] || { echo "usage: netns.sh <tarball> <documents> <question> <source>" >&2; exit 2; }
    tarball=$(realpath "$1") documents=$(realpath "$2") script=$(realpath "$0")
    command -v unshare >/dev/null || { echo "netns: unshare is missing (package util-linux)" >&2; exit 77; }
    command -v ip >/dev/null || { echo "netns: ip is missing (package iproute2)" >&2; exit 77; }
    if unshare --user --map-root-user --net true 2>/dev/null; then
        enter=(unshare --user --map-root-user --net)
    elif unshare --net true 2>/dev/null; then
        enter=(unshare --net)
    elif sudo -n unshare --net true 2>/dev/null; then
        enter=(sudo -n unshare --net)
    else
        echo "netns: this machine allows no network namespace, neither to a user nor to root" >&2
        exit 77
    fi
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/home" "$work/tmp"
    timeout --kill-after=10 "$limit_seconds" "${enter[@]}" \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$work/home" TMPDIR="$work/tmp" LANG=C.UTF-8 \
        bash "$script" --inside "$tarball" "$documents" "$3" "$4" "$work" && exit 0
    code=$?
    case $code in 124 | 137) fail "not finished after $limit_seconds s: something waits" ;; esac
    exit 1
fi

shift
tarball=$1 documents=$2 question=$3 expected=$4 work=$5
port=18420
step() { echo "netns: $(($(date +%s) - began)) s: $*" >&2; }
began=$(date +%s)

ip link set lo up
devices() { sed -n 's/^ *\([^:]*\):.*/\1/p' /proc/net/dev | sort | tr '\n' ' '; }
# Packets without a route, IPv4 and IPv6: lo carries what the server and its clients say.
unrouted() {
    awk '/^Ip:/ { if (n) { print $n } else { for (i = 1; i <= NF; i++) if ($i == "OutNoRoutes") n = i } }
         $1 == "Ip6OutNoRoutes" { print $2 }' /proc/net/snmp /proc/net/snmp6 2>/dev/null |
        awk '{ sum += $1 } END { print sum + 0 }'
}
[ "$(devices)" = "lo " ] || fail "the namespace is not empty: $(devices)"
[ "$(unrouted)" = 0 ] || fail "the namespace has already counted packets"

mkdir "$work/unpacked"
tar --extract --gzip --file "$tarball" --directory "$work/unpacked"
release=$(echo "$work"/unpacked/cairn-*)
step "unpacked $(basename "$release")"
"$release/install.sh" --prefix "$work/prefix" >"$work/install.log" || { cat "$work/install.log" >&2; fail "install.sh failed"; }
rm -rf "$work/unpacked"
step "installed"

export CAIRN_HOME=$work/prefix/home
cairn=$work/prefix/bin/cairn
"$cairn" serve --tls off --listen "127.0.0.1:$port" >"$work/serve.log" 2>&1 &
server=$!
stop() { kill -KILL "$server" 2>/dev/null || true; }
trap stop EXIT
ready() {
    { exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || return 1
    printf 'GET /ready HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nConnection: close\r\n\r\n' "$port" >&3
    local line
    IFS= read -r -t 5 line <&3 || line=
    exec 3>&-
    case $line in *' 200 '*) return 0 ;; *) return 1 ;; esac
}
for _ in $(seq 1 100); do
    if ready; then break; fi
    kill -0 "$server" 2>/dev/null || { cat "$work/serve.log" >&2; fail "the server ended"; }
    sleep 0.1
done
ready || { cat "$work/serve.log" >&2; fail "the server was not ready within 10 s"; }
step "serving"

"$cairn" tenant create lab >/dev/null
"$cairn" add lab "$documents" >"$work/add.log" 2>&1 || { cat "$work/add.log" >&2; fail "cairn add failed"; }
step "added $(find "$documents" -type f | wc -l) files"

"$cairn" ledger lab --json >"$work/ledger.json" || fail "cairn ledger failed"
flat() { tr -d ' \n' <"$1"; }
[[ $(flat "$work/ledger.json") == *'"waiting":0,'* ]] || fail "documents still wait: $(head -c 400 "$work/ledger.json")"
[[ $(flat "$work/ledger.json") != *'"indexed":0,'* ]] || fail "no document was indexed: $(head -c 400 "$work/ledger.json")"

for mode in keyword vector hybrid; do
    "$cairn" search lab "$question" --mode "$mode" --json >"$work/$mode.json" || fail "$mode search failed"
    grep -qF "$expected" "$work/$mode.json" || fail "$mode search does not find $expected: $(head -c 600 "$work/$mode.json")"
done
step "searched"
"$cairn" ask lab "$question" --json >"$work/ask.json" || fail "cairn ask failed"
[[ $(flat "$work/ask.json") == *'"found":true'* ]] || fail "no answer: $(head -c 600 "$work/ask.json")"
grep -qF "$expected" "$work/ask.json" || fail "the answer does not cite $expected: $(head -c 600 "$work/ask.json")"
step "asked"

kill -TERM "$server"
for _ in $(seq 1 100); do kill -0 "$server" 2>/dev/null || break; sleep 0.1; done
if kill -0 "$server" 2>/dev/null; then fail "the server did not stop within 10 s of SIGTERM"; fi
wait "$server" || fail "the server stopped with exit code $?"
trap - EXIT

[ "$(devices)" = "lo " ] || fail "another network device appeared: $(devices)"
[ "$(unrouted)" = 0 ] || fail "$(unrouted) packets were meant for another host"
[ -z "$(find "$HOME" -mindepth 1 -print -quit)" ] || fail "HOME was written to: $(find "$HOME" -mindepth 1 | head -n 3)"
step "stopped; no packet left, HOME is still empty"

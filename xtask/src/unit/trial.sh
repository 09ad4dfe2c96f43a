#!/bin/sh
# Runs inside the machine that `cargo xtask unit` boots, as root: once after each of two boots. What it has seen goes to
# the second serial port, a line each; the last is DONE or FAILED.
set -eu
cd /opt/trial
exec 3>/dev/ttyS1 2>&3
unit=vereda-server
state=/var/lib/vereda
settings=/etc/vereda/server.toml
branch="Sucursal Norte"

say() { echo "$*" >&3; }
fail() {
    say "FAILED: $*"
    { systemctl status --no-pager --full "$unit"; journalctl --no-pager --unit "$unit" --lines 30; } >&3 2>&1 || true
    end
}
end() {
    trap - EXIT
    sync
    systemctl --no-block poweroff
    exit 0
}
trap 'fail "an unexpected end, with status $?"' EXIT

show() { systemctl show --value --property "$1" "$unit"; }
must() { # WHAT WANTED SEEN
    [ "$2" = "$3" ] || fail "$1 is '$3', not '$2'"
    say "$1: $3"
}
# Seconds since boot, with hundredths.
now() { cut -d ' ' -f 1 /proc/uptime; }
since() { echo "$1 $(now)" | awk '{ printf "%.1f s", $2 - $1 }'; }
ready() {
    begun=$(now)
    tries=0
    until [ "$(curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}' http://127.0.0.1:8788/readyz)" = 200 ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || fail "/readyz does not answer 200"
        sleep 0.1
    done
    say "$1: /readyz answers 200 after $(since "$begun")"
}
as_operator() { runuser -u vereda -- vereda-server "$@" --config "$settings"; }
kept() { as_operator branch list | grep -q -F "$branch" || fail "$1: the branch is gone"; say "$1: the data is there"; }
status_of() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" | tr -s '[:space:]' ' ' | sed 's/ $//'; }

first_boot() {
    say "systemd: $(systemctl --version | head -n 1), Linux $(uname -r), booted in $(now) s"
    apt-get install --yes ./vereda-server.deb >install.log 2>&1 || { cat install.log >&3; fail "apt-get install"; }
    say "apt-get install: done $(now) s after the boot"
    must "apt-get install; the unit" "active" "$(systemctl is-active "$unit")"
    must "at boot" "enabled" "$(systemctl is-enabled "$unit")"
    ready "started by the package"
    curl --silent --fail --output /dev/null http://127.0.0.1:8787/api/openapi.json || fail "the API does not answer"

    pid=$(show MainPID)
    must "the process's user" "vereda:vereda" "$(stat -c %U:%G "/proc/$pid")"
    for set in CapEff CapPrm CapBnd CapAmb; do
        must "$set" 0000000000000000 "$(status_of "$pid" "$set")"
    done
    must "NoNewPrivs" 1 "$(status_of "$pid" NoNewPrivs)"
    must "Seccomp" 2 "$(status_of "$pid" Seccomp)"
    must "$state" "vereda:vereda 700" "$(stat -c '%U:%G %a' "$state")"
    # Before anything is added to the unit.
    say "systemd-analyze security: $(systemd-analyze security --no-pager "$unit" | tail -n 1)"

    # What the program itself could do: a script in its place, in the unit's own sandbox.
    mkdir -p "/run/systemd/system/$unit.service.d"
    printf '[Service]\nExecStartPre=/bin/sh /opt/trial/inside.sh\n' >"/run/systemd/system/$unit.service.d/trial.conf"
    systemctl daemon-reload
    systemctl restart "$unit" || fail "restart, with a script before it"
    while read -r line; do say "inside: $line"; done <"$state/inside.txt"
    ! grep -q '^FAILED' "$state/inside.txt" || fail "the sandbox"
    rm -r "$state/inside.txt" "/run/systemd/system/$unit.service.d"
    systemctl daemon-reload
    systemctl restart "$unit"
    ready "restarted"

    as_operator branch add "$branch" >/dev/null || fail "branch add"
    pid=$(show MainPID)
    systemctl reload "$unit" || fail "reload"
    must "reload (SIGHUP); the same process" "$pid" "$(show MainPID)"

    begun=$(now)
    systemctl kill --signal KILL --kill-whom main "$unit"
    tries=0
    while [ "$(show MainPID)" = "$pid" ] || [ "$(show MainPID)" = 0 ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || fail "SIGKILL: it does not come back"
        sleep 0.1
    done
    say "SIGKILL: another process after $(since "$begun")"
    must "restarts" 1 "$(show NRestarts)"
    ready "after SIGKILL"
    kept "after SIGKILL"

    begun=$(now)
    systemctl stop "$unit" || fail "stop"
    say "systemctl stop: $(since "$begun")"
    must "how it ended" "success 0 inactive" "$(show Result) $(show ExecMainStatus) $(show ActiveState)"
    must "left beside the database" "" "$(find "$state" -name '*-wal' -size +0)"
    systemctl start "$unit"
    ready "started again"
    touch rebooting
    say "reboot"
    trap - EXIT
    systemctl --no-block reboot
}

second_boot() {
    tries=0
    until [ "$(systemctl is-active "$unit")" = active ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || fail "it does not start at boot"
        sleep 0.1
    done
    ready "after a reboot, by itself"
    kept "after a reboot"
    say "audit verify: $(as_operator audit verify)"
    journalctl --boot -1 --unit "$unit" --output cat --no-pager | tail -n 5 | grep -q '"message":"stopped"' ||
        fail "the reboot did not let it stop"
    say "the reboot: it stopped by itself before"

    pid=$(show MainPID)
    apt-get install --yes --reinstall ./vereda-server.deb >install.log 2>&1 || { cat install.log >&3; fail "upgrade"; }
    [ "$(show MainPID)" != "$pid" ] || fail "an upgrade leaves the old process"
    ready "after an upgrade"
    kept "after an upgrade"

    dpkg --remove vereda-server >install.log 2>&1 || fail "dpkg --remove"
    must "dpkg --remove; the unit" "inactive" "$(systemctl is-active "$unit" || true)"
    ! pidof vereda-server >/dev/null || fail "dpkg --remove leaves a process"
    VEREDA_PURGE_DATA='' dpkg --purge vereda-server >install.log 2>&1 || fail "dpkg --purge"
    [ -d "$state/keys" ] || fail "dpkg --purge took the data, unasked"
    say "dpkg --purge: the data is kept"
    say "DONE"
    end
}

if [ -e rebooting ]; then second_boot; else first_boot; fi

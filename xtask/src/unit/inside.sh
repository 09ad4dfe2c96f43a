#!/bin/sh
# Runs where the server would, before it: as its user, with its mounts and its filter of system calls.
out=/var/lib/vereda/inside.txt
: >"$out" || exit 1
say() { echo "$*" >>"$out"; }

# Not by the mode of a folder alone: 0777 in the machine, by `cargo xtask unit`.
for folder in / /etc /usr/bin /var/log /var/lib /home /root /boot /opt/open; do
    if why=$( (: >"$folder/trial") 2>&1); then
        say "FAILED: $folder can be written"
    else
        say "no writing in $folder: ${why##*: }"
    fi
done
(: >/var/lib/vereda/trial) && rm /var/lib/vereda/trial && say "its own folder can be written"
[ -z "$(ls -A /tmp)" ] && say "/tmp is its own, and empty" || say "FAILED: /tmp has $(ls -A /tmp)"
[ "$(find /proc -maxdepth 1 -name '[0-9]*' -user 0 2>/dev/null | wc -l)" = 0 ] && say "no process of root to be seen" ||
    say "FAILED: processes of root to be seen"

refused() { # WHAT COMMAND...
    what=$1
    shift
    # A call that the filter does not let through ends the program, which then says nothing.
    if why=$("$@" 2>&1); then say "FAILED: $what"; else say "no $what: status $?${why:+, ${why##*: }}"; fi
}
# Each of them is open to any user of a Debian 12 that is not held back; 9 is mmap, for writing and executing.
refused "namespace of its own" unshare --user true
refused "socket of the machine's (AF_UNIX)" perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die "$!\n"'
refused "memory to write and to execute" perl -e 'syscall(9, 0, 4096, 7, 0x22, -1, 0) != -1 or die "$!\n"'
refused "other priority (@resources)" perl -e 'setpriority(0, 0, 5) or die "$!\n"'
refused "disk to be seen" ls /dev/vda
exit 0

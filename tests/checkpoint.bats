#!/usr/bin/env bats
# checkpoint and restore of running microVMs. Where this host's KVM cannot run Linux: inside tests/testbed.

bats_require_minimum_version 1.5.0
load lib

setup() { vm_setup; }
teardown() { strata_teardown; }

helpers='
	kept() { ls "$STRATA_ROOT/snapshots/$("$strata" ps -aq)" | grep ^machine; }
'

# What it holds: a counter in memory, a file made and open, one whose name is gone, one of the image changed, a folder renamed.
@test "a microVM goes on where it stood, on its top, once: memory, open files, time; warm and cold" {
	vm_host "$helpers"'
		for how in "" --cold; do
			"$strata" run -d --name v --vm $how small sh -c "
				echo made >/made; exec 3<>/made 4</etc/greeting 5>/gone; echo 1 >&5; rm /gone /etc/greeting; mv /etc /etc2
				trap \"end=1\" USR1; i=0
				while [ -z \"\$end\" ]; do i=\$((i + 1)); [ -e /go ] || echo tick \$i; sleep 0.2; done
				read a <&3; read b <&4; echo 2 >&5; cat /proc/self/fd/5 >/dev/null 2>&1; cat /etc2/passwd | head -n1
				echo \$a \$b; date +%s; exit 7" >/dev/null
			until_log v "tick 3"
			"$strata" checkpoint v
			"$strata" ps -a | grep checkpointed
			[ "$(kept)" = machine ]
			last=$("$strata" logs v | tail -n1 | tr -dc 0-9)
			"$strata" fsck -q
			sleep 3
			"$strata" restore v
			[ -z "$(kept)" ]
			until_log v "tick $((last + 3))"
			[ "$("$strata" logs v | grep -c "^tick $((last + 1))\$")" = 1 ]
			[ "$("$strata" exec v sh -c "cat /made; ls /; exit 0" | head -n1)" = made ]
			"$strata" checkpoint v # of one that was restored itself
			"$strata" restore v
			"$strata" kill -s USR1 v
			"$strata" wait v | grep "^7\$"
			"$strata" logs v | tail -n3 >"$work/end"; cat "$work/end"
			sed -n 1p "$work/end" | grep root:x:0
			[ "$(sed -n 2p "$work/end")" = "made hello" ]
			now=$(date +%s); guest=$(sed -n 3p "$work/end")
			[ $((now - guest)) -le 30 ]
			[ $guest -le $now ]
			not "$strata" restore v 2>"$work/err"
			grep "has no checkpoint" "$work/err"
			"$strata" rm v
		done'
}

@test "what cannot be kept is refused and runs on; a damaged one is refused; start begins anew; rm takes it all" {
	vm_host "$helpers"'
		vol=$(mktemp -d /tmp/strata-vol.XXXXXX); trap "rm -rf $vol" EXIT
		refuses() { ! "$strata" checkpoint v 2>"$work/err"; grep "$1" "$work/err"; [ "$(wc -l <"$work/err")" = 1 ]; }
		"$strata" run -d --name v --vm -v "$vol:/v" small sh -c "echo up; sleep 1000" >/dev/null
		until_log v up; refuses "has volumes"; "$strata" ps | grep running; "$strata" rm -f v
		"$strata" run -d --rm --name v --vm small sh -c "echo up; sleep 1000" >/dev/null
		until_log v up; refuses "removed when it ends"; "$strata" rm -f v
		"$strata" run -d --name v --vm small sh -c "echo up; read x </proc/sys/kernel/random/boot_id; echo \$x; while :; do sleep 0.1; done" >/dev/null
		until_log v up
		"$strata" pause v; refuses "paused"; "$strata" unpause v
		"$strata" checkpoint v
		refuses "not running"
		file=$STRATA_ROOT/snapshots/$("$strata" ps -aq)/machine
		printf "XYZ" | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") - 5000)) conv=notrunc 2>/dev/null
		not "$strata" restore v 2>"$work/err"
		grep "its memory is damaged" "$work/err"
		"$strata" start v
		[ ! -e "$file" ]
		for _ in $(seq 200); do [ "$("$strata" logs v | grep -c up)" = 2 ] && break; sleep 0.05; done
		[ "$("$strata" logs v | grep -c up)" = 2 ]
		"$strata" checkpoint v
		[ "$(kept)" = machine ]
		"$strata" rm v
		[ -z "$(ls "$STRATA_ROOT/snapshots")" ]'
}

@test "no room for it: one line, and the microVM runs on" {
	vm_host "$helpers"'
		mkdir "$work/little"; mount -t tmpfs -o size=20m little "$work/little"; trap "umount -l $work/little" EXIT
		cp -r "$STRATA_ROOT" "$work/little/store"; export STRATA_ROOT=$work/little/store
		"$strata" run -d --name v --vm --cold small sh -c "i=0; while :; do i=\$((i + 1)); echo tick \$i; sleep 0.2; done" >/dev/null
		until_log v "tick 3"
		not "$strata" checkpoint v 2>"$work/err"
		grep "No space left" "$work/err"
		[ -z "$(ls "$STRATA_ROOT/snapshots/$("$strata" ps -aq)" | grep ^machine)" ]
		until_log v "tick $(($("$strata" logs v | tail -n1 | tr -dc 0-9) + 3))"
		[ "$("$strata" exec v echo alive)" = alive ]
		"$strata" rm -f v'
}

@test "checkpoint: a container is refused" {
	"$strata" run -d --name c small sleep 100 >/dev/null
	fails 125 "is no microVM" "$strata" checkpoint c
}

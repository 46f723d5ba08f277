#!/usr/bin/env bats
# clone: microVMs from a running one and from a checkpoint. Where this host's KVM cannot run Linux: inside tests/testbed.

bats_require_minimum_version 1.5.0
load lib

setup() { vm_setup; }
teardown() { strata_teardown; }

# What the source holds: memory, a file that it made and has open, a second name of it, one whose name is gone, one of the
# image changed, a folder moved; each of them says at its end what is in them, and what it is called.
# shellcheck disable=SC2016 # expanded where the script runs
holder='
	hold() {
		"$strata" run -d --name v --vm "$@" small sh -c "
			echo 0123456789abcdef0123456789abcdef >/etc/machine-id
			mkdir /born; echo made >/born/made; ln /born/made /second; exec 3<>/born/made 4</etc/greeting 5<>/gone
			echo unnamed >&5; rm /gone; echo more >>/etc/group; mv /etc /etc2; ln -s etc2 /etc
			i=0; end=; trap \"end=1\" USR1
			while [ -z \"\$end\" ]; do i=\$((i + 1)); echo tick \$i; sleep 0.2; done
			read a <&3; read b <&4; echo mine >>/second; echo \"\$a \$b\"; cat /proc/self/fd/5; cat /born/made | tail -n1
			stat -c %i /born/made /second; cat /etc/group | tail -n1; hostname; cat /etc/machine-id; date +%s; exit 7" >/dev/null
		until_log v "tick 3"
	}
	ends() { # ends NAME: what it says then, in $work/NAME
		"$strata" kill -s USR1 $1
		[ "$("$strata" wait $1)" = 7 ]
		"$strata" logs $1 | grep -v ^tick >"$work/$1"
		cat "$work/$1"
		[ "$(sed -n 1p "$work/$1")" = "made hello" ]
		[ "$(sed -n 2p "$work/$1")" = unnamed ]
		[ "$(sed -n 3p "$work/$1")" = mine ]
		[ "$(sed -n 4p "$work/$1")" = "$(sed -n 5p "$work/$1")" ]
		[ "$(sed -n 6p "$work/$1")" = more ]
		guest=$(sed -n 9p "$work/$1"); now=$(date +%s)
		[ $((now - guest)) -le 60 ]
		[ $guest -le $now ]
	}
'

@test "clones of a running one, which runs on: memory, open files, names, tops and identities of their own" {
	vm_host "$holder"'
		hold
		"$strata" clone -n 2 --name w v >"$work/ids"
		[ "$(wc -l <"$work/ids")" = 2 ]
		last=$("$strata" logs v | grep -c ^tick)
		for name in v w-1 w-2; do until_log $name "tick $((last + 3))"; done
		"$strata" logs w-1 | not grep -q "tick 1\$" # what it printed before is its source'"'"'s
		[ -z "$(ls -d "$STRATA_ROOT"/snapshots/*/kept.* 2>/dev/null)" ]
		"$strata" exec w-1 sh -c "echo x >/only-here; cat /born/made"
		[ "$("$strata" exec w-2 ls / | grep -c only)" = 0 ]
		for name in w-1 w-2 v; do ends $name; done
		[ "$(sed -n 7p "$work/w-1")" = "$(sed -n 1p "$work/ids")" ]
		[ "$(sed -n 7p "$work/w-2")" = "$(sed -n 2p "$work/ids")" ]
		[ "$(sed -n 8p "$work/v")" = 0123456789abcdef0123456789abcdef ]
		[ "$(cat "$work/v" "$work/w-1" "$work/w-2" | grep -cE "^[0-9a-f]{32}\$")" = 3 ]
		[ "$(cat "$work/v" "$work/w-1" "$work/w-2" | grep -E "^[0-9a-f]{32}\$" | sort -u | wc -l)" = 3 ]
		[ "$(sed -n 4p "$work/v")" = "$(sed -n 4p "$work/w-1")" ] # the number of a file is what it was
		"$strata" fsck -q
		"$strata" rm v w-1 w-2
		[ -z "$(ls "$STRATA_ROOT/snapshots")" ]'
}

@test "clones of a checkpoint, which stays; a clone is checkpointed, restored and cloned itself" {
	vm_host "$holder"'
		hold --cold
		"$strata" checkpoint v
		"$strata" clone --name w v >/dev/null
		until_log w "tick"
		"$strata" checkpoint w
		"$strata" clone --name x w >/dev/null
		"$strata" ps -a | grep checkpointed
		"$strata" restore v
		for name in v x; do ends $name; done
		[ "$(cat "$work"/[vx] | grep -E "^[0-9a-f]{32}\$" | sort -u | wc -l)" = 2 ]
		not "$strata" clone v 2>"$work/err"
		grep "does not run and has no checkpoint" "$work/err"
		"$strata" restore w
		ends w'
}

@test "clone: what cannot be kept is refused in one line" {
	vm_host '
		vol=$(mktemp -d /tmp/strata-vol.XXXXXX); trap "rm -rf $vol" EXIT
		fails 125 "no such instance" "$strata" clone nosuch
		"$strata" run -d --name v --vm -v "$vol:/v" small sh -c "echo up; sleep 1000" >/dev/null
		until_log v up; fails 125 "has volumes" "$strata" clone v; "$strata" ps | grep running; "$strata" rm -f v
		"$strata" run -d --name v --vm small sh -c "echo up; sleep 1000" >/dev/null
		until_log v up
		fails 125 "1 to 1000" "$strata" clone -n 0 v
		"$strata" pause v; fails 125 "paused" "$strata" clone v; "$strata" unpause v
		fails 125 "has it already" "$strata" clone --name v v
		"$strata" checkpoint v
		file=$STRATA_ROOT/snapshots/$("$strata" ps -aq)/machine
		printf "XYZ" | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") - 5000)) conv=notrunc 2>/dev/null
		fails 125 "its memory is damaged" "$strata" clone v
		[ "$("$strata" ps -aq | wc -l)" = 1 ]
		[ "$(ls "$STRATA_ROOT/snapshots" | wc -l)" = 1 ]
		"$strata" start v # what was damaged goes
		[ ! -e "$file" ]'
}

@test "clone: a container is refused" {
	"$strata" run -d --name c small sleep 100 >/dev/null
	fails 125 "is no microVM" "$strata" clone c
	fails 125 "no such instance" "$strata" clone nosuch
}

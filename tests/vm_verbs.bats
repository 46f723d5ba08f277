#!/usr/bin/env bats
# The verbs of a container on a microVM: the same words, statuses and lines (tests/verbs.bats). Where this host's KVM
# cannot run Linux: inside tests/testbed.

bats_require_minimum_version 1.5.0
load lib

setup() { vm_setup; }
teardown() { strata_teardown; }

prelude='
	is() { [ "$("$strata" inspect $1 | jq -r ".[0].status")" = $2 ]; }
'

@test "kill, wait, rename, pause, unpause, stop and rm of a paused one" {
	vm_host "$prelude"'
		"$strata" run -d --name c --vm small sh -c "trap \"exit 9\" USR1; echo up; while :; do sleep 0.1; done"
		until_log c up
		"$strata" wait c >"$work/code" & wait=$!
		"$strata" kill -s USR1 c
		wait $wait
		[ "$(cat "$work/code")" = 9 ]; [ "$("$strata" wait c)" = 9 ]
		fails 125 "not running" "$strata" kill c
		fails 125 "no such signal" "$strata" kill -s NOSUCH c
		"$strata" rm c
		# Names that no id begins with.
		"$strata" run -d --name old --vm small sh -c "while :; do echo x >>/tmp/n; sleep 0.02; done"
		"$strata" rename old tough
		fails 125 "no such instance" "$strata" exec old true
		for _ in $(seq 400); do "$strata" exec tough test -s /tmp/n && break; done
		top=$(echo "$STRATA_ROOT"/snapshots/*/upper)
		"$strata" pause tough; is tough paused
		a=$(stat -c %s "$top/tmp/n"); sleep 0.7; [ "$(stat -c %s "$top/tmp/n")" = $a ]
		fails 125 "paused already" "$strata" pause tough
		"$strata" unpause tough; is tough running
		fails 125 "not paused" "$strata" unpause tough
		for _ in $(seq 400); do [ $(stat -c %s "$top/tmp/n") -gt $a ] && break; sleep 0.05; done
		[ $(stat -c %s "$top/tmp/n") -gt $a ]
		"$strata" pause tough
		"$strata" stop -t 1 tough; is tough stopped
		fails 125 "not running" "$strata" pause tough
		"$strata" start tough
		for _ in $(seq 400); do [ $(stat -c %s "$top/tmp/n") -gt $a ] && break; sleep 0.05; done
		"$strata" pause tough
		"$strata" rm -f tough
		fails 125 "no such instance" "$strata" wait tough
		[ -z "$(ls "$STRATA_ROOT/snapshots")" ]'
}

@test "inspect and stats show what its devices moved" {
	vm_host "$prelude"'
		mkdir /run/v
		"$strata" run -d --name c --vm --balloon -m 128m -v /run/v:/data small sh -c "while :; do sleep 1; done"
		"$strata" exec c sh -c "head -c 1000000 /dev/zero >/data/f"
		"$strata" inspect c | jq ".[0].devices" | tee "$work/devices"
		jq -e ".fs[0].target == \"/\" and .fs[0].requests > 10 and .fs[0].inBytes > .fs[0].outBytes" "$work/devices"
		jq -e ".fs[1].target == \"/data\" and .fs[1].outBytes > 1000000" "$work/devices"
		jq -e ".vsock.connections == 1 and .vsock.inBytes > 0 and .vsock.refused < 10" "$work/devices"
		jq -e ".balloon.total == 128 * 1048576 and .balloon.reported >= 0 and (has(\"net\") | not)" "$work/devices"
		jq -e ".console.outBytes > 0 and .console.inBytes > 100" "$work/devices" # STARTED; the config
		"$strata" stats --no-stream c
		"$strata" stats --no-stream --format json c | jq -e ".[0].devices | .balloon.available > 1000000 and .vsock.connections == 1"
		"$strata" pause c
		"$strata" inspect c | jq -e ".[0] | .status == \"paused\" and (has(\"devices\") | not)"
		"$strata" unpause c
		"$strata" rm -f c
		"$strata" create --name s --vm small true; "$strata" inspect s | jq -e ".[0] | has(\"devices\") | not"'
}

@test "create, start, restart, input of start -ai, a command that is not there, --timeout" {
	vm_host "$prelude"'
		"$strata" create --name c --vm small sh -c "echo x >>/root/lives; wc -l </root/lives; exit 3"
		is c created
		fails 125 "not running" "$strata" exec c true
		rc=0; out=$("$strata" start -a c) || rc=$?; [ $rc = 3 ] && [ "$out" = 1 ]
		rc=0; out=$("$strata" start -a c) || rc=$?; [ $rc = 3 ] && [ "$out" = 2 ]
		[ "$("$strata" start c)" = c ]; [ "$("$strata" wait c)" = 3 ]; [ "$("$strata" logs -n 1 c)" = 3 ]
		fails 127 "not found" "$strata" start "$("$strata" create --vm small nosuchcommand)"
		fails 126 "permission denied" "$strata" run --rm --vm small /etc/passwd
		"$strata" create -i --name in --vm small cat
		[ "$(echo typed | "$strata" start -ai in)" = typed ]
		"$strata" run -d --name r --vm --stop-signal USR1 --cidfile "$work/cid" -l a=b small \
			sh -c "trap \"exit 9\" USR1; echo up; while :; do sleep 0.1; done"
		until_log r up
		[ "$("$strata" ps -q --filter label=a=b)" = "$(cat "$work/cid")" ]
		before=$("$strata" inspect r | jq ".[0].pid")
		[ "$("$strata" start r)" = r ]; [ "$("$strata" inspect r | jq ".[0].pid")" = $before ]
		[ "$("$strata" restart -t 0 r)" = r ]
		after=$("$strata" inspect r | jq ".[0].pid"); [ $after != 0 ] && [ $after != $before ]
		"$strata" exec r true
		"$strata" stop r
		[ "$("$strata" wait r)" = 9 ]
		"$strata" rm -f r
		fails 137 "time-out" "$strata" run --rm --timeout 4 --vm small sleep 1000
		rc=0; "$strata" run --rm --timeout 100 --vm small sh -c "exit 4" || rc=$?; [ $rc = 4 ]'
}

@test "limits, capabilities and the size of the top: of the command, of exec" {
	vm_host "$prelude"'
		"$strata" run -d --name c --vm --ulimit nofile=123:456 --cap-drop NET_ADMIN --storage-opt size=4m small sh -c "
			ulimit -n; ulimit -Hn; grep ^Cap /proc/self/status; busybox ip link set lo down || echo refused
			cat /dev/zero >/big; stat -c %s /big; rm /big; echo room >/small && cat /small; exec sleep 1000"
		until_log c room
		"$strata" logs c
		[ "$("$strata" logs c | head -n 2 | xargs)" = "123 456" ]
		for set in CapPrm CapEff CapBnd; do "$strata" logs c | grep "^$set:.000001ffffffefff"; done
		for line in refused "No space left on device" room; do "$strata" logs c 2>&1 | grep -q "$line"; done
		[ "$("$strata" logs c | grep -x "[0-9]*" | tail -n 1)" -gt 3000000 ]
		[ "$("$strata" exec c sh -c "ulimit -n; grep ^CapBnd /proc/self/status" | tr -d "\t" | xargs)" = "123 CapBnd:000001ffffffefff" ]
		echo "$("$strata" exec -u user c grep ^CapEff /proc/self/status)" | grep 0000000000000000
		"$strata" rm -f c
		[ "$("$strata" run --rm --vm small grep ^CapEff /proc/self/status | tr -d "\t")" = CapEff:000001ffffffffff ]'
}

@test "a guest that panics, reboots, loops, or runs out of memory; a VMM that is killed: a clear end, and nothing else" {
	vm_host "$prelude"'
		"$strata" run -d --name other --vm small sh -c "echo up; exec sleep 1000"; until_log other up
		fails 125 "its kernel panicked: not syncing: Out of memory" \
			"$strata" run --rm --vm -m 64m small sh -c "echo 2 >/proc/sys/vm/panic_on_oom; busybox tail /dev/zero"
		fails 125 "the guest ended before its command: shut down" "$strata" run --name r --vm small busybox reboot -f
		"$strata" inspect r | jq -e ".[0] | .exitCode == 125 and .error == \"the guest ended before its command: shut down\""
		fails 125 "the guest ended before its command: shut down" "$strata" run --rm --vm small busybox poweroff -f
		fails 137 "time-out" "$strata" run --rm --timeout 15 --vm small sh -c "while :; do :; done"
		# What it writes to its console is bounded, or it would fill the memory that the state folder is in.
		"$strata" exec other sh -c "head -c 3000000 /dev/zero | tr \"\\\\0\" x >/dev/hvc0"
		log=$STRATA_RUNROOT/instances/$("$strata" inspect other | jq -r ".[0].id")/monitor.log
		[ $(stat -c %s "$log") -gt 1000000 ]
		[ $(stat -c %s "$log") -lt 1200000 ]
		# The guest kills whom it likes, and goes on.
		[ "$("$strata" run --rm --vm -m 64m small sh -c "busybox tail /dev/zero; echo \$?")" = 137 ]
		"$strata" run --name k --vm small sh -c "echo up; sleep 1000" 2>"$work/err" & run=$!
		until_log k up
		kill -9 "$("$strata" inspect k | jq ".[0].pid")"
		rc=0; wait $run || rc=$?; [ $rc = 137 ]
		grep "its VMM was killed by signal 9" "$work/err"; [ "$(wc -l <"$work/err")" = 1 ]
		"$strata" kill other; [ "$("$strata" wait other)" = 137 ]
		"$strata" inspect other | jq -e ".[0].error == null or .[0].error == \"\""'
}

@test "stats, diff, commit; what the image is afterwards, as a microVM and as a container" {
	vm_host "$prelude"'
		"$strata" run --name c --vm small sh -c "echo n >/root/new; rm /etc/greeting; echo more >>/etc/group; mkdir /made
			chown 12:34 /made; chmod 4755 /root/new; mknod /made/dev c 1 3; ln -s new /root/link; ln /root/new /made/hard"
		"$strata" diff c >"$work/diff"; cat "$work/diff"
		for line in "A /root/new" "D /etc/greeting" "C /etc/group" "A /made" "A /made/hard" "A /root/link"; do grep -x "$line" "$work/diff"; done
		not grep passwd "$work/diff"
		"$strata" commit -q -m why -c "CMD [\"cat\", \"/root/new\"]" c made:1
		[ "$("$strata" run --rm --vm made:1)" = n ]
		# In /tmp, which in the testbed is a tmpfs of its own: the shared folder takes no trusted xattrs.
		copy=$(mktemp -d /tmp/strata-copy.XXXXXX); trap "rm -rf $copy" EXIT
		cp -a "$STRATA_ROOT" $copy/store
		for how in --vm --driver=fuse; do
			root=$STRATA_ROOT; [ $how = --vm ] || root=$copy/store
			[ "$("$strata" --root $root run --rm $how made:1 sh -c "stat -c %u:%g:%a /made; stat -c %a:%h /root/new; readlink /root/link
				stat -c %t:%T /made/dev; test -e /etc/greeting || echo gone" | tr "\n" " ")" = "12:34:755 4755:2 new 1:3 gone " ]
		done
		"$strata" run -d --name d --vm small sh -c "echo up; exec sleep 1000"; until_log d up
		fails 125 "stop it first" "$strata" diff d
		fails 125 "stop it first" "$strata" commit d x
		"$strata" stats --no-stream d | tee "$work/stats"; grep "CPU %" "$work/stats"; grep d "$work/stats"
		"$strata" stats --no-stream --format json d | jq -e ".[0].memory > 10000000"
		"$strata" ps --format json | jq -e "map(select(.name == \"d\" and .kind == \"vm\" and .status == \"running\")) | length == 1"
		"$strata" update --cpus 0.5 d
		[ ! -e /sys/fs/cgroup/cgroup.controllers ] || grep "^50000 " /sys/fs/cgroup/strata/*/cpu.max
		fails 125 "own kernel" "$strata" update --pids-limit 9 d
		fails 125 "run with --balloon" "$strata" update --memory 80m d
		"$strata" stop -t 0 d
		fails 125 "not running" "$strata" stats --no-stream d
		"$strata" update --memory 96m --pids-limit 30 d
		"$strata" start d
		for _ in $(seq 400); do [ "$("$strata" logs d | grep -c up)" = 2 ] && break; sleep 0.05; done
		[ $("$strata" exec d grep MemTotal /proc/meminfo | tr -dc 0-9) -lt 98304 ]
		[ "$("$strata" exec d cat /sys/fs/cgroup/command/pids.max)" = 30 ]
		"$strata" stop -t 0 d
		"$strata" rm d c
		"$strata" fsck -q'
}

#!/usr/bin/env bats
# microVMs by the command line. Where this host's KVM cannot run Linux, each test runs inside tests/testbed.

bats_require_minimum_version 1.5.0
load lib

setup() { vm_setup; }
teardown() { strata_teardown; }

@test "exit codes, streams, environment, user, directory, host name: as a container has them" {
	vm_host '
		code() { want=$1; shift; rc=0; "$strata" run --rm --vm "$@" || rc=$?; [ $rc = $want ] || { echo "$*: $rc"; exit 1; }; }
		code 0 small true
		code 0 small sh -c "test -d /sys/kernel && test ! -e /sys/kernel/slab && test ! -e /sys/kernel/irq"
		code 7 small sh -c "exit 7"
		code 137 small sh -c "sh -c \"kill -9 \\\$\\\$\"; exit \$?"
		code 127 small nosuchcommand
		code 126 small /etc/passwd
		[ "$("$strata" run --rm --vm small sh -c "echo out; echo err >&2" 2>/dev/null)" = out ]
		[ "$(head -c 500000 /dev/zero | "$strata" run --rm --vm -i small wc -c)" = 500000 ]
		[ "$("$strata" run --rm --vm small sh -c "yes | head -c 500000" | wc -c)" = 500000 ]
		[ "$("$strata" run --rm --vm -e A=1 -w /made/new -u user --hostname box small sh -c "echo \$A \$(pwd) \$(id -u) \$(hostname)")" = "1 /made/new 1000 box" ]
		[ "$("$strata" run --rm --vm --entrypoint echo small a b)" = "a b" ]'
}

@test "writes stay in the top, the image stays as it was, and owners of the guest are data on the host" {
	vm_host '
		"$strata" run --name w --vm small sh -c "echo new >/etc/greeting; rm /etc/group; mkdir /fresh; chown 1234:5678 /fresh
			chmod 4755 /fresh; mknod /fresh/null c 1 3; ln /etc/passwd /fresh/link; mv /etc /etc2
			stat -c \"%u %g %a\" /fresh; cat /etc2/greeting-link; ls /etc2; cat /fresh/link | head -n1"
		id=$("$strata" ps -aq)
		find "$STRATA_ROOT/snapshots/$id/upper" -mindepth 1 -perm /6000 | not grep .
		find "$STRATA_ROOT/snapshots/$id/upper" -type b | not grep .
		"$strata" rm w
		[ "$("$strata" run --rm --vm small cat /etc/greeting)" = hello ]
		"$strata" fsck -q'
	[[ $output == *"1234 5678 4755"* ]]
	[[ $output == *new*greeting* ]]
	[[ $output == *root:x:0* ]]
}

@test "detached: ps, logs, stop; a deaf guest is killed; a killed VMM or supervisor leaves nothing" {
	vm_host '
		up() { for _ in $(seq 400); do [ "$("$strata" logs $1)" = up ] && return; sleep 0.05; done; return 1; }
		gone() { for _ in $(seq 400); do [ -d /proc/$1 ] || return 0; sleep 0.05; done; return 1; }
		"$strata" run -d --name bg --vm small sh -c "trap \"echo bye; exit 3\" TERM; echo up; while :; do sleep 0.1; done"
		up bg
		"$strata" ps | grep running
		"$strata" stop bg
		"$strata" logs bg | grep bye
		"$strata" ps -a | grep "exited (3)"
		"$strata" rm bg
		"$strata" run -d --name deaf --vm small sh -c "trap \"\" TERM; echo up; while :; do sleep 0.1; done"
		up deaf
		"$strata" stop -t 1 deaf
		"$strata" ps -a | grep "exited (137)"
		"$strata" rm deaf
		"$strata" run -d --name v --vm small sh -c "echo up; sleep 1000"
		up v
		vmm=$("$strata" inspect v | jq -r ".[0].pid"); monitor=$(awk "/^PPid:/ {print \$2}" /proc/$vmm/status)
		grep -q "^CapEff:.0000000000000000" /proc/$vmm/status
		grep -q "^Seccomp:.2" /proc/$vmm/status
		[ "$(awk "/^Uid:/ {print \$2}" /proc/$vmm/status)" -gt 2000000000 ]
		[ -z "$(ls /proc/$vmm/root/)" ]
		kill -9 $monitor; gone $vmm
		"$strata" rm -f v
		"$strata" run -d --name v --vm small sh -c "echo up; sleep 1000"
		up v
		vmm=$("$strata" inspect v | jq -r ".[0].pid"); kill -9 $vmm
		gone $vmm
		for _ in $(seq 200); do "$strata" ps -a | grep -q "exited (137)" && break; sleep 0.05; done
		"$strata" ps -a | grep "exited (137)"
		"$strata" rm v
		[ -z "$(ls "$STRATA_ROOT/snapshots")" ]'
}

# In /tmp, which in the testbed is a tmpfs of its own: ids of this machine's file system cannot be mapped there.
@test "volumes of a microVM: read-only and read-write, with the host's owner" {
	vm_host '
		vol=$(mktemp -d /tmp/strata-vol.XXXXXX); trap "rm -rf $vol" EXIT
		echo in >"$vol/file"; chmod 600 "$vol/file"; chown -R 1234:4321 "$vol"
		"$strata" run --rm --vm --init -v "$vol:/vol/in:ro" --tmpfs /vol:exec,mode=0711 --tmpfs /t:size=64k,ro --shm-size 1m small sh -c "
			cat /vol/in/file; cp /bin/busybox /vol/echo; /vol/echo runs; stat -c %a /vol; echo x >/t/f; ls -A /t
			head -c 2000000 /dev/zero >/dev/shm/x; wc -c </dev/shm/x; grep -c /t.tmpfs.ro,nosuid,nodev,noexec,relatime,size=64k /proc/mounts
			" >"$work/out" 2>"$work/err"
		cat "$work/out" "$work/err"
		[ "$(tr "\n" " " <"$work/out")" = "in runs 711 1048576 1 " ]
		grep Read-only "$work/err"
		not "$strata" run --rm --vm -v "$vol:/vol:ro" small sh -c "echo no >/vol/made" 2>/dev/null
		[ ! -e "$vol/made" ]
		"$strata" run --rm --vm -v "$vol:/vol" small sh -c "cat /vol/file; echo out >/vol/made; mkdir /vol/d; mv /vol/made /vol/d/
			exec 3</vol/file; rm /vol/file; cat <&3; stat -c owner:%u:%g /vol/d/made; chown 7 /vol/d || echo refused
			chmod 4755 /vol/d/made; ln -s /etc/passwd /vol/d/sym"
		[ "$(cat "$vol/d/made")" = out ]; [ ! -e "$vol/file" ]
		[ "$(stat -c %u:%g:%a "$vol/d/made")" = 1234:4321:755 ]
		[ "$(stat -c %u "$vol/d/sym")" = 1234 ]
		[ "$(ls -A "$vol")" = d ]
		not "$strata" run --rm --vm -v "$vol/d/made:/made" small true 2>"$vol/err"
		grep "must be a folder" "$vol/err"'
	[[ $output == *in*in*owner:0:0*refused* ]]
}

@test "memory and CPUs are what was asked for; a terminal" {
	need script
	vm_host '
		kib=$("$strata" run --rm --vm --memory 96m small grep MemTotal /proc/meminfo | tr -dc 0-9)
		[ $kib -gt 60000 ]
		[ $kib -lt 98304 ]
		[ "$("$strata" run --rm --vm --balloon small sh -c "ls /sys/bus/virtio/drivers/virtio_balloon | grep -c ^virtio")" = 1 ]
		"$strata" run --rm --vm --balloon --trace-boot small true
		"$strata" run --rm --vm --cold --trace-boot small true 2>"$work/phases"
		for phase in process "first instruction" "init runs" "root mounted" "command ended" freed "device register"; do
			grep "$phase" "$work/phases"
		done
		[ $(awk "/init runs/ { print \$3 }" "$work/phases") -lt 80 ]
		not "$strata" run --rm --balloon small true 2>"$work/err"
		grep "a balloon is a microVM" "$work/err"
		[ "$("$strata" run --rm --vm --vcpus 3 small grep -c ^processor /proc/cpuinfo)" = 3 ]
		"$strata" run --rm --vm --pids-limit 4 small sh -c "for i in 1 2 3 4 5 6; do sleep 1 & done; wait" 2>&1 | grep fork
		script -qec "stty rows 33 cols 77; \"$strata\" run --rm -it --vm small sh -c \"sleep 1; stty size; test -t 0 && echo yes; exit 5\"" /dev/null >"$work/tty" || rc=$?
		[ "$rc" = 5 ]
		grep "33 77" "$work/tty"; grep yes "$work/tty"'
}

# 32 CPUs take one emulated CPU a minute or more to boot (docs/BENCH.md): 20 have ids above 15 too.
@test "20 CPUs, each with an id of its own; 32 MiB, cold and warm" {
	vm_host '
		"$strata" run --rm --vm --cold --vcpus 20 small sh -c "grep -c ^processor /proc/cpuinfo
			grep ^apicid /proc/cpuinfo | sort -u | wc -l; cat /sys/devices/system/cpu/online" >"$work/out"
		cat "$work/out"
		[ "$(tr "\n" " " <"$work/out")" = "20 20 0-19 " ]
		"$strata" run --rm --vm -m 32m --cold small true
		"$strata" run --rm --vm -m 32m small true'
}

@test "update --memory: a running guest with a balloon gives memory up and gets it back; no other does" {
	vm_host '
		free() { "$strata" logs m | tail -n1; }
		until_free() { for _ in $(seq 300); do [ -n "$(free)" ] && [ "$(free)" "$@" ] && return; sleep 0.1; done; free; return 1; }
		"$strata" run -d --name m --vm --memory 160m --balloon small sh -c "while :; do
			while read k v u; do [ \$k != MemFree: ] || echo \$((v / 1024)); done </proc/meminfo; sleep 0.3; done"
		until_free -gt 90
		"$strata" update --memory 80m m
		until_free -lt 60
		"$strata" update --memory 160m m
		until_free -gt 90
		for bad in "400m:has not so much memory" "1k:must be 1m or more"; do
			not "$strata" update --memory ${bad%%:*} m 2>"$work/err"
			grep "${bad#*:}" "$work/err"
		done
		"$strata" rm -f m
		not "$strata" update --memory 80m m 2>/dev/null
		"$strata" run -d --name m --vm small sh -c "echo up; sleep 1000"
		not "$strata" update --memory 80m m 2>"$work/err"
		grep "run with --balloon" "$work/err"'
}

@test "the union suite over the guest's queue: the same assertions as over /dev/fuse" {
	[ -x "$build/tests/unionfs/attached" ] || skip "build the tests first: make tests"
	mkdir -p "$work/fixture/union"
	"$build/tests/unionfs/attached" --fixture "$work/fixture/union"
	cp "$build/tests/unionfs/attached" "$work/fixture/suite"
	"$strata" import -q "$work/fixture" fixture
	vm_host '"$strata" run --rm --vm -e UNION_DIR=/union fixture /suite'
	[[ $output != *"not ok"* ]]
	[ "$(grep -c "^ok .* - attached: " <<<"$output")" -gt 25 ]
	[[ $output == *1..* ]]
}

@test "where no microVM can run: one line that says why" {
	"$strata" doctor --format json | jq -e '.[] | select(.name == "kvm") | .verdict == "yes"' >/dev/null && skip "this host runs microVMs"
	fails 125 "no microVM here" "$strata" run --rm --vm --vmm kvm small true
	STRATA_KERNEL=$work/none fails 125 "$work/none" "$strata" run --rm --vm small true
	[ -z "$("$strata" ps -aq)" ]
}

#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2154 # $ is for the guest; lib.bash sets top, build, strata, work
# MicroVMs that QEMU emulates (--vmm qemu): what the others do, on this machine whatever its KVM can.

bats_require_minimum_version 1.5.0
load lib

setup() {
	need_fuse
	need qemu-system-x86_64
	strata_setup
	STRATA_KERNEL=$(cd "$top" && tools/kernel guest 2>/dev/null) || true
	export STRATA_KERNEL
	[ -e "$STRATA_KERNEL" ] || skip "no guest kernel: tools/kernel guest"
	small_image
}
teardown() { strata_teardown; }

vm() { timeout -k 5 120 "$strata" run --vm --vmm qemu "$@"; }

# emulators UID: the QEMUs that run as UID, which is an instance's alone.
emulators() {
	ps -eo pid=,uid=,stat=,comm= | awk -v u="$1" '$2 == u && $3 !~ /^Z/ && $4 ~ /^qemu-system/ { print $1 }'
}
uid_of() { echo $((0x7e000000 + 0x${1:0:6})); }

@test "emulated: output, status, input to its end, environment, user, volumes, CPUs" {
	mkdir "$work/v" && echo there >"$work/v/f"
	run --separate-stderr vm --rm -i -e A=b -u user -w /etc -v "$work/v:/v:ro" --vcpus 2 -m 200m \
		--tmpfs /t:size=64k,mode=0700 --shm-size 2m small \
		sh -c 'cat; stat -c %a /t; stat -fc "%b %s" /dev/shm; echo $A; pwd; id -u; cat /v/f greeting; echo no >/v/g; grep -c ^processor /proc/cpuinfo; exit 42' \
		< <(echo from outside)
	echo "$output $stderr"
	[ "$status" = 42 ]
	[ "${lines[*]}" = "from outside 700 512 4096 b /etc 1000 there hello 2" ]
	[[ $stderr == *"Read-only file system"* ]]
	[ ! -e "$work/v/g" ]
}

@test "emulated: what it reads and writes of the store's disk is held back by its cgroup" {
	vm -d --name eio --io-rate 3m small sleep 1000 2>"$work/err" || skip "$(cat "$work/err")"
	cat /sys/fs/cgroup/blkio/strata/*/blkio.throttle.read_bps_device /sys/fs/cgroup/strata/*/io.max 2>/dev/null | grep 3145728
	"$strata" rm -f eio
}

@test "emulated: all that was written comes, also when it is read slowly" {
	local sum
	sum=$(head -c 3000000 /dev/zero | tr '\0' y | md5sum)
	vm --rm small sh -c 'head -c 3000000 /dev/zero | tr "\0" y' >"$work/fifo.out" &
	wait $!
	[ "$(md5sum <"$work/fifo.out")" = "$sum" ]
	[ "$(vm --rm small sh -c 'head -c 3000000 /dev/zero | tr "\0" y' | (sleep 8; md5sum))" = "$sum" ]
	# Input that is over before there is a guest, and output that is over as soon as it is written.
	for _ in 1 2 3; do
		[ "$(vm --rm -i small sh -c 'cat; echo over' </dev/null)" = over ]
	done
}

@test "emulated: who reads no more ends the writer; a socket that others write to stays open" {
	need python3
	[ "$(vm --rm small sh -c 'while echo y; do :; done' | head -n 1)" = y ]
	run timeout -k 5 140 python3 - "$strata" <<'END'
import socket, subprocess, sys
here, there = socket.socketpair()
r = subprocess.run([sys.argv[1], "run", "--vm", "--vmm", "qemu", "--rm", "small", "echo", "guest"],
                   stdin=there, stdout=there, stderr=subprocess.DEVNULL, timeout=120)
there.sendall(b"after\n")
here.sendall(b"still read\n")
print(r.returncode, here.recv(4096), there.recv(4096))
END
	echo "$output"
	[ "$output" = "0 b'guest\\nafter\\n' b'still read\\n'" ]
}

@test "emulated: what cannot start says why" {
	fails 127 "/nosuch" vm --rm small /nosuch
	fails 126 "/etc/passwd" vm --rm small /etc/passwd
	fails 125 "use --vm" "$strata" run --vmm qemu small true
	fails 125 "for KVM" "$strata" run --vm --vmm qemu --trace-boot small true
	echo junk >"$work/junk"
	fails 125 "$work/junk: kernel: not a vmlinux; \`strata kernel import\`" vm --rm --kernel "$work/junk" small true
	head -c 5000000 "$STRATA_KERNEL" >"$work/cut"
	fails 125 "$work/cut: kernel: segment beyond the file" vm --rm --kernel "$work/cut" small true
	fails 125 "$build/strata-init: kernel: it has no PVH entry" vm --rm --kernel "$build/strata-init" small true
	fails 125 "64m of memory or more" vm --rm -m 48m small true
	mkdir -p "$work"/v/{1..5}
	fails 125 "at most 5 volumes, disks, network and balloon together, not 6" vm --rm --balloon \
		-v "$work/v/1:/1" -v "$work/v/2:/2" -v "$work/v/3:/3" -v "$work/v/4:/4" -v "$work/v/5:/5" small true
	fails 125 "QEMU ended before the command ran: unable to map" vm --rm -m 500g --huge-pages hugetlb small true
	fails 125 "33 vCPUs: a microVM has 1 to 32" vm --rm --vcpus 33 small true
	fails 125 "a microVM has 32m to 1024g" vm --rm -m 16m small true
	fails 125 "a microVM has 32m to 1024g" vm --rm -m 2t small true
	fails 125 "VMM 'other'" "$strata" run --vm --vmm other small true
	fails 125 "qemu-system-x86" env PATH="$build" "$strata" run --vm --vmm qemu small true
}

@test "emulated: limits, capabilities, the size of the top; a guest that panics says so" {
	run vm --rm -m 64m --ulimit nofile=123:456 --cap-drop NET_ADMIN --storage-opt size=4m small sh -c '
		ulimit -n; ulimit -Hn; grep ^CapEff /proc/self/status; busybox ip link set lo down || echo refused
		cat /dev/zero >/big; rm /big; echo room >/small && cat /small
		echo 2 >/proc/sys/vm/panic_on_oom; busybox tail /dev/zero'
	echo "$output"
	[ "$status" = 125 ]
	[ "${lines[*]:0:2}" = "123 456" ]
	[[ $output == *000001ffffffefff*refused*"No space left"*room*"its kernel panicked: not syncing: Out of memory"* ]]
}

@test "emulated: 32 CPUs; without memory for them the guest's kernel panics, and says so" {
	run vm --rm --vcpus 32 small sh -c 'grep -c ^processor /proc/cpuinfo
		grep ^apicid /proc/cpuinfo | sort -u | wc -l; cat /sys/devices/system/cpu/online'
	echo "$output"
	[ "$status" = 0 ]
	[ "${lines[*]}" = "32 32 0-31" ]
	fails 125 "its kernel panicked before the command ran: not syncing:" vm --rm --vcpus 32 -m 64m small true
}

@test "emulated: a guest that is turned off from inside ends, and a read-only root has what is mounted on it" {
	fails 125 "the guest ended before its command: shut down" vm --rm small busybox poweroff -f
	fails 125 "unable to find user nobody2: no matching entries in passwd file" vm --rm -u nobody2 small true
	mkdir "$work/v" && echo there >"$work/v/f"
	run --separate-stderr vm --rm --read-only -v "$work/v:/new/place" -w /made/here small sh -c '
		pwd; cat /new/place/f; echo x >/x; busybox mount -o remount,rw /; echo x >/x'
	echo "$output $stderr"
	[ "${lines[*]}" = "/made/here there" ]
	[ "$(grep -c "Read-only file system" <<<"$stderr")" = 2 ]
}

@test "emulated: as many volumes as it has places for, with least memory" {
	local i volumes=()
	for i in {1..5}; do
		mkdir -p "$work/v/$i" && echo "$i" >"$work/v/$i/f" && volumes+=(-v "$work/v/$i:/v/$i")
	done
	[ "$(vm --rm -m 64m -i "${volumes[@]}" small sh -c 'cat /v/*/f' </dev/null | tr -d '\n')" = 12345 ]
}

@test "emulated: exec, cp, top, pause, memory, stop; nothing is left" {
	local id uid qemu
	id=$(vm -d --balloon -m 256m --name e small \
		sh -c 'trap "echo bye; exit 3" TERM; echo up; while :; do sleep 1; done')
	uid=$(uid_of "$id")
	qemu=$(emulators "$uid")
	[ "$(wc -w <<<"$qemu")" = 1 ]
	[ "$("$strata" exec e cat /etc/greeting)" = hello ]
	run "$strata" exec e sh -c 'exit 9'
	[ "$status" = 9 ]
	[ "$(echo in | "$strata" exec -i e cat)" = in ]
	status=0
	timeout -s TERM 3 "$strata" exec e sh -c 'trap "echo told; exit 5" TERM; while :; do sleep 0.1; done' >"$work/out" ||
		status=$?
	[ "$(cat "$work/out")" = told ]
	[ "$status" = 124 ]
	echo file >"$work/f"
	"$strata" cp "$work/f" e:/root/
	[ "$("$strata" exec e cat /root/f)" = file ]
	[[ $("$strata" top e) == *"sleep 1"* ]]
	"$strata" exec e sh -c 'head -c 2000000 /dev/zero | tr "\0" x >/dev/hvc0'
	[ "$(stat -c %s "$STRATA_RUNROOT/instances/$id/monitor.log")" -lt 1200000 ]
	"$strata" pause e
	for _ in {1..50}; do # its threads stop when they are next seen by the kernel
		[[ $(cat "/proc/$qemu/stat") == *") T "* ]] && break
		sleep 0.1
	done
	[[ $(cat "/proc/$qemu/stat") == *") T "* ]]
	"$strata" unpause e
	"$strata" update --memory 128m e
	fails 125 "emulated" "$strata" checkpoint e
	fails 125 "is running" "$strata" restore e
	[ "$("$strata" start e)" = e ]
	[[ $("$strata" stats --no-stream e) == *" 2" ]] # strata-vmm and QEMU are in its group
	"$strata" stop e
	[[ $("$strata" logs e) == "up"*"bye" ]]
	[ "$("$strata" wait e)" = 3 ]
	[ -z "$(emulators "$uid")" ]
}

@test "emulated: inspect and stats show what its devices moved, as far as it is ours or QEMU tells" {
	local json
	mkdir "$work/v"
	vm -d -i --balloon -m 256m --name e -v "$work/v:/data" small sh -c 'read x; echo "$x $x"; while :; do sleep 1; done'
	echo 0123456789 | timeout 30 "$strata" attach --sig-proxy=false e >"$work/out" &
	until grep -q 9 "$work/out"; do sleep 0.1; done
	kill %1
	"$strata" exec e sh -c 'head -c 1000000 /dev/zero >/data/f'
	json=$("$strata" inspect e)
	jq .[0].devices <<<"$json"
	jq -e '.[0].devices |
		.fs[0].target == "/" and .fs[0].requests > 10 and .fs[0].inBytes > .fs[0].outBytes and
		.fs[1].target == "/data" and .fs[1].requests > 1 and .fs[1].outBytes > 1000000 and
		.console == { inBytes: 11, outBytes: 22 } and (has("rng") | not) and
		.vsock.connections == 1 and .vsock.inBytes > 0 and .vsock.outBytes > 0 and
		.balloon.total == 256 * 1048576 and .balloon.ballooned == 0 and
		(.balloon | has("reported") | not) and (has("disks") | not)' <<<"$json"
	json=$("$strata" stats --no-stream --format json e)
	jq -e '.[0].devices.fs[0].requests > 10 and (.[0] | has("blockIO") | not)' <<<"$json"
	"$strata" pause e
	"$strata" inspect e | jq -e '.[0] | has("devices") | not'
	"$strata" rm -f e
}

@test "emulated: a network whose rate is bounded, and whose frames are counted" {
	need passt ip unshare
	mkdir "$work/www"
	head -c 500000 /dev/urandom >"$work/www/x"
	export strata work
	# A namespace whose only route leads to a device that nobody answers behind.
	run timeout -k 5 200 unshare -n bash -c 'set -e
		ip link set lo up
		ip link add d0 type dummy 2>/dev/null || ip tuntap add dev d0 mode tap
		ip addr add 10.9.0.2/24 dev d0
		ip link set d0 up
		ip route add default via 10.9.0.1
		busybox httpd -f -p 10.9.0.2:8000 -h "$work/www" & trap "kill $!" EXIT
		"$strata" run -d --name n --vm --vmm qemu --network user --net-rate 100000 small sh -c "
			read a b </proc/uptime; busybox wget -qO- http://10.9.0.2:8000/x | md5sum
			read c d </proc/uptime; echo took \$((\${c%.*} - \${a%.*})); while :; do sleep 1; done" >/dev/null
		until "$strata" logs n | grep took; do sleep 0.2; done
		"$strata" logs n | tee "$work/out"
		grep -qx "$(md5sum <"$work/www/x")" "$work/out"
		[ "$(sed -n "s/^took //p" "$work/out")" -ge 4 ]
		"$strata" inspect n | jq -e ".[0].devices.net |
			.inBytes > 500000 and .inFrames > 8 and .outBytes > 1000 and .outFrames > 4 and .dropped == 0"
		"$strata" stats --no-stream --format json n | jq -e ".[0].netIO | .input > 500000 and .output > 1000"
		"$strata" stats --no-stream n | grep -E " kB / [0-9.]+ kB"
		"$strata" rm -f n'
	echo "$output"
	[ "$status" = 0 ]
}

@test "emulated: killed at any moment, it leaves no process; a VMM that dies ends QEMU" {
	local id uid moment
	for moment in 0.3 1 4; do
		vm --name k small sleep 1000 >/dev/null 2>&1 3>&- &
		sleep "$moment"
		id=$("$strata" ps -aq)
		uid=$(uid_of "$id")
		"$strata" rm -f k
		wait $! || true
		[ -z "$(emulators "$uid")" ]
	done
	id=$(vm -d --name v small sleep 1000)
	uid=$(uid_of "$id")
	kill -9 "$("$strata" inspect v | jq '.[0].pid')"
	run "$strata" wait v
	echo "$output"
	[ "$output" = 137 ]
	[ -z "$(emulators "$uid")" ]
	"$strata" rm v
	id=$(vm -d --name v --cpus 1 --pids-limit 100 small busybox poweroff -f)
	[ "$("$strata" wait v)" = 125 ]
	[ -z "$(find /sys/fs/cgroup -name "$id")" ]
}

# hung ARGUMENT...: a run whose machine stands still in its boot; its process is $run, its words are in $work/run.err.
hung() {
	local qemu='' i
	timeout -k 5 100 "$strata" run --vm --vmm qemu --name h "$@" small true >/dev/null 2>"$work/run.err" 3>&- &
	run=$!
	for ((i = 0; i < 300; i++)); do
		qemu=$(emulators "$(uid_of "$("$strata" ps -aq)")" 2>/dev/null) || true
		[ -z "$qemu" ] || break
		sleep 0.01
	done
	kill -STOP "$qemu"
}
ended() {
	local rc=0
	wait "$run" || rc=$?
	cat "$work/run.err"
	[ "$rc" = 125 ]
	[ "$(cat "$work/run.err")" = "strata: the microVM was ended before its command ran" ]
}

@test "a machine that never starts its command: Ctrl-C, stop, kill, rm -f and a time-out end it" {
	local verb
	hung
	kill -INT "$(ps -o pid= --ppid "$run")"
	ended
	"$strata" rm h
	for verb in stop kill "rm -f"; do
		hung
		# shellcheck disable=SC2086 # two words
		timeout 20 "$strata" $verb h
		ended
		"$strata" rm -f h
	done
	hung --timeout 2
	ended
}

@test "auto: KVM where it can, else QEMU and a line that says so" {
	if "$strata" doctor --format json | jq -e '.[] | select(.name == "kvm") | .verdict == "yes"' >/dev/null; then
		run --separate-stderr timeout -k 5 120 "$strata" run --vm --rm small echo out
		[ "$output$stderr" = out ]
	else
		run --separate-stderr timeout -k 5 120 "$strata" run --vm --rm small echo out
		[ "$output" = out ]
		[ "$(wc -l <<<"$stderr")" = 1 ]
		[[ $stderr == *"no microVM here"*"QEMU"* ]]
		fails 125 "no microVM here" "$strata" run --vm --vmm kvm --rm small true
		[ "$("$strata" doctor --format json | jq -r '.[] | select(.name == "kvm") | .verdict')" != yes ]
	fi
}

@test "emulated: a disk is mounted, written, let go; read-only it is not written" {
	local kernel
	need mke2fs debugfs
	kernel=$(cd "$top" && tools/kernel testbed 2>/dev/null) || skip "no kernel with disks: tools/kernel testbed"
	truncate -s 32M "$work/disk"
	mke2fs -q -t ext4 -F "$work/disk"
	vm --rm -m 512m --kernel "$kernel" --disk "$work/disk:/data" small sh -c 'echo kept >/data/f'
	[ "$(debugfs -R 'cat /f' "$work/disk" 2>/dev/null)" = kept ]
	e2fsck -fn "$work/disk" >/dev/null
	[ "$(dumpe2fs -h "$work/disk" 2>/dev/null | grep -c needs_recovery)" = 0 ]
	run --separate-stderr vm --rm -m 512m --kernel "$kernel" --disk "$work/disk:/data:ro" --disk-rate 8m small \
		sh -c 'cat /data/f; echo no >/data/g'
	echo "$output $stderr"
	[ "$output" = kept ]
	[[ $stderr == *"Read-only file system"* ]]
	fails 125 "--with blk" vm --rm --disk "$work/disk:/data" small true
	vm -d --name d -m 512m --kernel "$kernel" --disk "$work/disk:/data" small \
		sh -c 'head -c 1000000 /dev/zero >/data/z; sync; echo >/data/synced; while :; do sleep 1; done'
	until "$strata" exec d sh -c '[ -e /data/synced ]'; do sleep 0.1; done
	"$strata" inspect d | jq -e --arg path "$work/disk" '.[0].devices.disks[0] |
		.path == $path and .reads > 0 and .readBytes > 0 and .writeBytes > 1000000 and .flushes > 0 and .errors == 0'
	"$strata" stats --no-stream --format json d | jq -e '.[0].blockIO | .input > 0 and .output > 1000000'
	"$strata" rm -f d
}

@test "emulated: what has become a pipe is no disk, and nobody waits for it" {
	truncate -s 1M "$work/disk"
	"$strata" create --vm --vmm qemu --name c --disk "$work/disk:ro" small true
	rm "$work/disk"
	mkfifo "$work/disk"
	fails 125 "it must be a file" timeout -k 5 60 "$strata" start -a c
}

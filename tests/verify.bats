#!/usr/bin/env bats
# A byte that changed on the disk is an I/O error when it is read, and a line in the log: never wrong data.

bats_require_minimum_version 1.5.0
load lib

setup() {
	need_fuse
	strata_setup
	make_rootfs "$work/rootfs"
	mkdir "$work/rootfs/data"
	head -c 30000 /dev/zero | tr '\0' p >"$work/rootfs/data/packed"
	head -c 30000 /dev/zero | tr '\0' q >"$work/rootfs/data/other"
	head -c 300000 /dev/zero | tr '\0' o >"$work/rootfs/data/object"
	echo inline-content-of-a-file >"$work/rootfs/data/inline"
	"$strata" import -q "$work/rootfs" image
	mkdir "$work/m"
}
teardown() { strata_teardown; }

# Changes the first byte of the first place in FILE where the text TEXT stands.
flip() {
	local at
	at=$(grep -abom1 -F "$2" "$1" | head -1 | cut -d: -f1)
	chmod u+w "$1"
	printf X | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}
pack() { echo "$STRATA_ROOT"/layers/*/pack; }
object() { grep -lr ooooooo "$STRATA_ROOT/objects"; }
merged() { find "$STRATA_ROOT/merged" -type f ! -name '*.*'; }
log() { cat "$STRATA_RUNROOT"/instances/*/log* "$STRATA_RUNROOT"/instances/*/*.log 2>/dev/null; }

# Reads what is asked in a container; EIO is cat's status 1 and a line of its own.
fails_to_read() {
	run --separate-stderr "$strata" run --rm --driver fuse image cat "$1"
	echo "status $status; $stderr"
	[ "$status" = 1 ]
	[[ $stderr == *"Input/output error"* ]]
	[ -z "$output" ]
}

@test "a pack: EIO for the file that has the byte, all others are read" {
	flip "$(pack)" ppppppp
	fails_to_read /data/packed
	[ "$("$strata" run --rm --driver fuse image cat /data/other | tr -d q | wc -c)" = 0 ]
	[ "$("$strata" run --rm --driver fuse --verify never image cat /data/packed | head -c 1)" = X ]
	[ "$(STRATA_VERIFY=never "$strata" run --rm --driver fuse image cat /data/packed | head -c 1)" = X ]
	fails 125 "must be open or never" "$strata" run --rm --verify always image true
}

@test "an object, and copying what is damaged up into the top" {
	flip "$(object)" ooooooo
	fails_to_read /data/object
	run "$strata" run --rm --driver fuse image sh -c 'echo x >>/data/object'
	[ "$status" = 1 ]
	[[ $output == *"Input/output error"* ]]
	[ "$("$strata" run --rm --driver fuse image cat /data/inline)" = inline-content-of-a-file ]
}

@test "the merged index: contents in it and names" {
	flip "$(merged)" inline-content
	run "$strata" run --rm --driver fuse image cat /data/inline
	echo "$output"
	[ "$status" != 0 ]
	[[ $output == *"Input/output error"* ]]
	run "$strata" fsck
	[ "$status" = 1 ]
	[[ $output == *"dropped"* ]]
	[ "$("$strata" run --rm --driver fuse image cat /data/inline)" = inline-content-of-a-file ]
}

@test "driver overlay: a damaged index is not mounted; auto takes our union then" {
	"$strata" run --rm --driver overlay image true 2>/dev/null || skip "no driver overlay here"
	[ "$(ls "$STRATA_RUNROOT"/images/*.sound | wc -l)" = 1 ]
	flip "$(merged)" inline-content
	fails 125 "digest mismatch" "$strata" run --rm --driver overlay image true
	"$strata" run --rm --driver overlay --verify never image true
	run "$strata" run --rm image cat /data/inline
	[[ $output != inline-content* ]]
	"$strata" fsck -q || true
	[ "$("$strata" run --rm --driver overlay image cat /data/inline)" = inline-content-of-a-file ]
	"$strata" rmi image && "$strata" gc -q
	[ -z "$(ls "$STRATA_RUNROOT/images")" ]
}

@test "mount: an index or a pack that is cut off under it is EIO, not the server's end; the log says so once" {
	"$strata" mount --name kept image "$work/m" >/dev/null
	[ "$(head -c 3 "$work/m/data/packed")" = ppp ]
	chmod u+w "$(pack)" "$(merged)"
	truncate -s 4096 "$(pack)"
	run cat "$work/m/data/other"
	[ "$status" = 1 ]
	[[ $output == *"Input/output error"* ]]
	truncate -s 4096 "$(merged)"
	run ls -lR "$work/m/"
	[ "$status" != 0 ]
	[[ $output == *"Input/output error"* ]]
	mountpoint -q "$work/m"
	log
	[ "$(log | grep -c "pack of layer sha256:.*cut off")" = 1 ]
	log | grep -q "index.*I/O error"
	"$strata" umount "$work/m"
}

@test "mount --verify never: a cut index is EIO all the same" {
	"$strata" mount --verify never image "$work/m" >/dev/null
	chmod u+w "$(merged)"
	truncate -s 4096 "$(merged)"
	run ls -lR "$work/m/"
	[[ $output == *"Input/output error"* ]]
	mountpoint -q "$work/m"
	"$strata" umount "$work/m"
}

@test "a microVM's file server verifies too" {
	need jq
	[ -e "$build/vmlinux" ] || skip "no guest kernel: make kernel"
	flip "$(pack)" ppppppp
	for i in $(seq 400); do mkdir -p "$work/rootfs/many/d$i" && echo "$i" >"$work/rootfs/many/d$i/f"; done
	before=$(merged)
	"$strata" import -q "$work/rootfs" many
	merged=$(merged | grep -vxF "$before")
	chmod u+w "$merged"
	export strata work merged
	cat >"$work/script" <<-'END'
		set -e
		rc=0; "$strata" run --rm --vm image cat /data/packed >"$work/out" 2>"$work/err" || rc=$?
		[ $rc = 1 ]
		[ ! -s "$work/out" ]
		grep -q "Input/output error" "$work/err"
		[ "$("$strata" run --rm --vm --verify never image cat /data/packed | head -c 1)" = X ]
		# An index that is cut off under a running one: errors, and it goes on.
		v=$(mktemp -d /run/strata-test.XXXXXX)
		id=$("$strata" run -d --vm -v "$v:/v" many sh -c "true; : >/v/up; while [ ! -e /v/go ]; do sleep 0.1; done
			for i in 1 50 390; do cat </many/d\$i/f || echo failed; done; echo alive")
		for _ in $(seq 300); do [ -e "$v/up" ] && break; sleep 0.1; done
		truncate -s 8192 "$merged" && : >"$v/go"
		for _ in $(seq 300); do "$strata" ps -a | grep -q exited && break; sleep 0.1; done
		rm -r "$v"; "$strata" logs "$id"
		[ "$("$strata" logs "$id" | grep -c failed)" = 3 ]
		"$strata" logs "$id" | grep -q alive
		grep -q "strata-vmm: .*I/O error" "$STRATA_RUNROOT/instances/$id/monitor.log"
	END
	if "$strata" doctor --format json | jq -e '.[] | select(.name == "kvm") | .verdict == "yes"' >/dev/null; then
		run bash "$work/script"
	else
		"$top/tests/testbed" --probe || skip "no KVM that runs Linux here, and no testbed"
		run "$top/tests/testbed" -w "$work" -t 300 -- bash "$work/script"
	fi
	echo "$output"
	[ "$status" = 0 ]
}

@test "fs-verity: the kernel compares, and nothing of ours hashes" {
	need mkfs.ext4
	"$top/tests/testbed" --probe || skip "no testbed here"
	{
		echo "$strict"
		cat <<'EOF'
truncate -s 64m disk
mkfs.ext4 -q -O verity -b 4096 disk
mkdir fs
# mount -o loop has the device open for writing, which this kernel takes for another user.
attach() { dev=$(losetup -f --show disk) && mount "$dev" fs; }
detach() { umount fs && losetup -d "$dev"; }
attach
export STRATA_ROOT=$PWD/fs/store STRATA_RUNROOT=$PWD/run
"$strata" import -q "$work/rootfs" image
lsattr "$STRATA_ROOT"/objects/*/* | grep -q '^[^ ]*V' || exit 77
"$strata" run --rm --driver fuse image cat /data/object >/dev/null
detach
at=$(grep -abom1 ooooooooo disk | head -1 | cut -d: -f1)
printf X | dd of=disk bs=1 seek="$at" conv=notrunc status=none
attach
rc=0
"$strata" run --name r --driver fuse image cat /data/object >out 2>err || rc=$?
cat err
[ $rc = 1 ]
grep -q 'Input/output error' err
not grep -rq 'digest mismatch' run
"$strata" run --rm --driver fuse image cat /data/other | cmp - "$work/rootfs/data/other"
EOF
	} >"$work/script"
	export strata work
	run "$top/tests/testbed" -t 300 -- sh -c 'mkdir /run/t && cd /run/t && bash "$work/script"'
	echo "$output"
	[ "$status" != 77 ] || skip "the testbed's kernel has no SHA-256 for fs-verity"
	[ "$status" = 0 ]
}

#!/usr/bin/env bats
# Power loss: a disk that stops after any flush, with any part of the later writes on it, holds a sound store and all that
# was acknowledged. Recorded on ext4 and XFS under dm-log-writes in the testbed, replayed here. POWERLOSS=200 replays as
# many flushes of each (default 10).

bats_require_minimum_version 1.5.0
load lib

setup() {
	need_root
	need python3 dmsetup docker-registry curl
	"$top/tests/testbed" --probe || skip "no testbed here"
	strata_setup
	mkdir "$work/rootfs"
	make_rootfs "$work/rootfs"
}
teardown() {
	! mountpoint -q "$work/mnt" || umount "$work/mnt"
	strata_teardown
}

power_loss() {
	need "mkfs.$1"
	truncate -s 320M "$work/base.img"
	"mkfs.$1" -q "$work/base.img"
	mkdir -p "$work/mnt"
	mount -o loop "$work/base.img" "$work/mnt" || skip "this kernel mounts no $1 from a file"
	umount "$work/mnt"
	"$top/tests/testbed" -m 3500 -t 900 -w "$work" -- "$top/tests/powerloss/record" "$strata" "$work" "$1"
	"$top/tests/powerloss/replay" "$strata" "$work" "$1" "${POWERLOSS:-10}"
}

@test "ext4" { power_loss ext4; }
@test "XFS" { power_loss xfs; }

#!/usr/bin/env bats
# microVMs with a DAX window. Where this host's KVM cannot run Linux, each test runs inside tests/testbed.
# shellcheck disable=SC2154 # lib.bash sets work, strata

bats_require_minimum_version 1.5.0
load lib

setup() {
	vm_setup
	mkdir -p "$work/rootfs/data"
	yes 'sixty-four KiB and more are an object' | head -c 3000000 >"$work/rootfs/data/big"
	"$strata" import -q "$work/rootfs" big
}
teardown() { strata_teardown; }

@test "a window: stored files are mapped by the VMM, and what is written to them shows" {
	vm_host '
		sum=$(sha256sum <"$work/rootfs/data/big")
		"$strata" run -d --name d --vm --dax 32m big sh -c "sha256sum </data/big; echo summed; sleep 1000"
		until_log d summed
		"$strata" logs d | grep -qF "$sum"
		vmm=$(pgrep -x strata-vmm)
		# The file, and busybox: 2 MiB at a time, of which a file has what it is long.
		[ $(grep -c "r--s" /proc/$vmm/maps) -ge 3 ]
		"$strata" exec d sh -c "printf changed | dd of=/data/big bs=1 seek=4000 conv=notrunc 2>/dev/null
			dd if=/data/big bs=1 skip=4000 count=7 2>/dev/null; echo
			printf more >>/data/big; tail -c 4 /data/big; echo; stat -c %s /data/big
			printf short >/data/big; cat /data/big; echo; mv /data/big /data/b; rm /data/b; ls /data" >"$work/out"
		printf "%s\n" changed more 3000004 short | diff - "$work/out"
		fails 125 "has a DAX window" "$strata" checkpoint d
		"$strata" kill d
		"$strata" run --rm --vm --cold --dax 32m big sh -c "sha256sum /data/big" | grep -qF "${sum%% *}"
		"$strata" fsck -q'
}

@test "a window is a microVM's on KVM, and has a bound" {
	fails 125 "a DAX window is a microVM's" "$strata" run --rm --dax 32m small true
	fails 125 "at most 64g" "$strata" run --rm --vm --dax 65g small true
	fails 125 "--dax is for KVM" "$strata" run --rm --vm --vmm qemu --dax 32m small true
}

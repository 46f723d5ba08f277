#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2154 # $ is for the host of microVMs; lib.bash sets top, build, strata, work
# strata kernel: built, imported, listed, chosen, booted, removed.

bats_require_minimum_version 1.5.0
load lib

setup() {
	strata_setup
	vmlinux=$(cd "$top" && tools/kernel guest 2>/dev/null) || true
	[ -e "$vmlinux" ] || skip "no guest kernel: tools/kernel guest"
	unset STRATA_KERNEL
}
teardown() { strata_teardown; }

kernel() { "$strata" kernel "$@"; }
default() { kernel list --format json | jq -r '.[] | select(.default).name'; }

@test "kernel: import, list, use, rm" {
	need jq
	[ "$(kernel import --name one "$vmlinux")" = one ]
	[[ $(kernel import "$vmlinux") == 6.*-strata ]]
	kernel use one
	[ "$(default)" = one ]
	[ "$(kernel list --format json | jq -r '.[] | select(.name == "one") | "\(.acpi) \(.modules)"')" = "false false" ]
	[[ $(kernel list) == *one*6.*-strata* ]]
	[ "$("$strata" df --format json | jq .kernels.count)" = 1 ]
	"$strata" fsck
	[[ $("$strata" doctor) == *"$STRATA_ROOT/kernels/"*/vmlinux* ]]
	kernel use shipped
	[ "$(default)" != one ]
	kernel rm one
	fails 125 "no kernel one" kernel rm one
	kernel rm -f one
	fails 125 "no kernel one" kernel use one
	fails 125 "neither a vmlinux nor a bzImage" kernel import "$top/Makefile"
	fails 125 "shipped" kernel import --name shipped "$vmlinux"
	fails 125 "no verb" kernel other
	fails 125 "too few" kernel
	kernel --help | grep -q import
	kernel list -q | grep -v shipped | xargs -n 1 "$strata" kernel rm
	"$strata" gc -q
	[ -z "$(find "$STRATA_ROOT/tmp" "$STRATA_ROOT/trash" -mindepth 1)" ]
}

@test "kernel: fsck names a damaged one; --repair imports it again from where it came, or drops it" {
	need_root
	cp "$vmlinux" "$work/own"
	[ "$(kernel import --name one --use "$work/own")" = one ]
	stored=$(echo "$STRATA_ROOT"/kernels/*/vmlinux)
	damage() { chmod u+w "$stored" && printf X | dd of="$stored" bs=1 seek=5000 conv=notrunc status=none; }
	damage
	run "$strata" fsck
	[ "$status" = 1 ]
	[[ $output == *"digest mismatch"*"kernel one: "*"kernel import --name one"*"($work/own)"* ]]
	run "$strata" fsck --repair
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *"one: made again of $work/own"* ]]
	cmp "$vmlinux" "$stored"
	"$strata" fsck -q
	damage
	rm "$work/own"
	run "$strata" fsck --repair
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *"one: not to be made again: $work/own: No such file"*"dropped"*"kernel one: missing"* ]]
	small_image
	fails 125 "the default kernel is missing from the store" "$strata" run --rm --vm --vmm qemu small true
	fails 125 "kernel one is missing from the store" "$strata" run --rm --vm --vmm qemu --kernel one small true
	kernel rm one
	"$strata" fsck -q
}

@test "kernel: a package and its modules" {
	need dpkg-deb xz python3
	mkdir -p "$work/p/DEBIAN" "$work/p/boot" "$work/p/lib/modules/9.9-t/kernel"
	printf 'Package: linux-image-9.9-t\nVersion: 1\nArchitecture: amd64\nMaintainer: t\nDescription: t\n' \
		>"$work/p/DEBIAN/control"
	python3 - "$work/p" <<'END'
import struct, sys, zlib
top = sys.argv[1]
ident = b"\x7fELF\x02\x01\x01" + bytes(9)
vmlinux = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, 0, 0, 64, 0, 0, 64, 0, 0)
vmlinux += bytes(4096) + b"Linux version 9.9-t (x)\0"
z = zlib.compressobj(9, zlib.DEFLATED, 31)
payload = z.compress(vmlinux) + z.flush()
head = bytearray(1024)
head[0x1f1] = 1
head[0x1fe:0x200] = b"\x55\xaa"
head[0x202:0x208] = b"HdrS\x0f\x02"
head[0x236] = 1
head[0x248:0x250] = struct.pack("<II", 0, len(payload))
open(top + "/boot/vmlinuz-9.9-t", "wb").write(head + payload)
def module(name, depends):
    info = b"depends=" + depends + b"\0"
    names = b"\0.modinfo\0"
    off = 64 + len(info)
    sections = bytes(64)
    sections += struct.pack("<IIQQQQIIQQ", 1, 1, 0, 0, 64, len(info), 0, 0, 1, 0)
    sections += struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, off, len(names), 0, 0, 1, 0)
    h = ident + struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, off + len(names), 0, 64, 0, 0, 64, 3, 2)
    open(top + "/lib/modules/9.9-t/kernel/" + name, "wb").write(h + info + names + sections)
module("virtio_mmio.ko", b"virtio")
module("virtio.ko", b"")
module("virtio_console.ko", b"virtio")
module("virtiofs.ko", b"")
END
	xz "$work/p/lib/modules/9.9-t/kernel/virtio.ko"
	dpkg-deb --root-owner-group -b "$work/p" "$work/p.deb" >/dev/null
	[ "$(kernel import "$work/p.deb")" = 9.9-t ]
	[ "$(kernel import --name two "$work/p")" = two ]
	# The same kernel by both ways: one folder.
	[ "$(find "$STRATA_ROOT/kernels" -name modules | wc -l)" = 1 ]
	[[ $(cat "$STRATA_ROOT"/kernels/*/modules | tr '\0' '\n' | grep -a -x '.*\.ko') == *virtio.ko*virtio_mmio.ko* ]]
	head -c 700 "$work/p.deb" >"$work/cut.deb"
	fails 125 "package is damaged" kernel import --name cut "$work/cut.deb"
	rm "$work/p/lib/modules/9.9-t/kernel/virtio.ko.xz"
	fails 125 "it needs virtio" kernel import --name three "$work/p"
}

@test "kernel: installed strata builds one, from the cache" {
	need make
	make -s -C "$top" install BUILD="$build" PREFIX="$work/i" LIBEXECDIR="$work/i/bin" >/dev/null
	run --separate-stderr "$work/i/bin/strata" kernel build --name built --use
	echo "$output $stderr"
	[ "$output" = built ]
	[[ $(kernel list) == *built*yes* ]]
	cmp "$STRATA_ROOT"/kernels/*/vmlinux "$vmlinux"
}

@test "kernel: a microVM boots one by its name, which keeps it; QEMU" {
	need_fuse
	need qemu-system-x86_64 jq
	small_image
	kernel import --name k "$vmlinux" >/dev/null
	fails 125 "no kernel other" "$strata" run --vm --vmm qemu --kernel other small true
	"$strata" create --vm --vmm qemu --kernel k --name i small cat /proc/version >/dev/null
	fails 125 "instance $("$strata" inspect i | jq -r '.[0].id[:12]') boots it" kernel rm k
	run --separate-stderr timeout -k 5 120 "$strata" start -a i
	echo "$output $stderr"
	[[ $output == "Linux version 6."*-strata* ]]
	"$strata" rm i
	kernel rm k
}

@test "kernel: Debian's own boots, cold and warm, and tells of itself" {
	local image
	vm_setup
	for image in "${STRATA_CACHE:-${HOME:?}/.cache/strata}"/debian-kernels/*/boot/vmlinuz-*; do
		[ -e "$image" ] || skip 'no package was fetched: tests/debian_kernel true'
	done
	kernel import --name debian --use "$image"
	export KERNEL=${image##*/vmlinuz-}
	vm_host '
		vm() { timeout -k 5 150 "$strata" run --rm --vm -m 384m "$@"; }
		[ "$(vm --cold small cat /proc/sys/kernel/osrelease)" = "$KERNEL" ]
		[ "$(echo in | vm -i --vcpus 2 small cat)" = in ]
		mkdir /run/v && echo there >/run/v/f
		[ "$(vm -v /run/v:/v:ro small cat /v/f)" = there ]
	'
}

@test "disks: mounted, kept, read-only, locked, no faster than asked; by a distribution's kernel" {
	local image
	need mke2fs
	vm_setup
	for image in "${STRATA_CACHE:-${HOME:?}/.cache/strata}"/debian-kernels/*/boot/vmlinuz-*; do
		[ -e "$image" ] || skip 'no package was fetched: tests/debian_kernel true'
	done
	kernel import --name debian --use "$image"
	truncate -s 32M "$work/disk"
	mke2fs -q -t ext4 -F "$work/disk"
	fails 125 "use --vm" "$strata" run --disk "$work/disk" small true
	fails 125 "No such file" "$strata" run --vm --disk "$work/none" small true
	fails 125 "must be a file" "$strata" run --vm --disk /dev/null small true
	fails 125 "whole root" "$strata" run --vm --disk "$work/disk:/" small true
	fails 125 "needs a --disk" "$strata" run --vm --disk-rate 1m small true
	vm_host '
		vm() { timeout -k 5 150 "$strata" run --rm --vm -m 384m "$@"; }
		cp "$work/disk" /run/disk
		vm --disk /run/disk:/data small sh -c "echo kept >/data/f"
		e2fsck -fn /run/disk >/dev/null
		[ "$(dumpe2fs -h /run/disk 2>/dev/null | grep -c needs_recovery)" = 0 ]
		[ "$(vm --disk /run/disk:/data:ro small sh -c "cat /data/f; echo no >/data/g" 2>/dev/null)" = kept ]
		"$strata" run -d --name w --vm -m 384m --disk /run/disk small sleep 1000 >/dev/null
		fails 125 "another microVM has it" "$strata" run --rm --vm --disk /run/disk:ro small true
		fails 125 "has disks" "$strata" checkpoint w
		"$strata" exec w dd if=/dev/vda of=/dev/null bs=1M count=4 2>/dev/null
		"$strata" inspect w | jq -e ".[0].devices.disks |
			length == 1 and .[0].path == \"/run/disk\" and .[0].reads > 3 and .[0].readBytes >= 4194304 and .[0].errors == 0"
		"$strata" stats --no-stream --format json w | jq -e ".[0].blockIO.input >= 4194304"
		"$strata" stats --no-stream w | grep "MB / 0 B"
		"$strata" rm -f w >/dev/null
		began=$(date +%s%N)
		vm --disk /run/disk:ro --disk-rate 1m small dd if=/dev/vda of=/dev/null bs=1M count=4 2>/dev/null
		[ $((($(date +%s%N) - began) / 1000000)) -ge 3500 ]
	'
}

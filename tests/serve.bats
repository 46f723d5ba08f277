#!/usr/bin/env bats
# An image served to QEMU's vhost-user-fs: strata serve.
# shellcheck disable=SC2154 # lib.bash sets work, strata, build

bats_require_minimum_version 1.5.0
load lib

setup() {
	need_root
	strata_setup
	small_image
	socket=$work/vhost.sock
	server=
}
teardown() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || :
	strata_teardown
}

# serve OPTION...: in the background, until it listens.
serve() {
	"$strata" serve --vhost-user "$socket" "$@" 2>"$work/err" 3>&- &
	server=$!
	for _ in $(seq 300); do
		[ ! -S "$socket" ] || return 0
		sleep 0.1
	done
	return 1
}

# ended CODE: the server ends by itself with CODE, and leaves neither socket nor top.
ended() {
	local code=0
	wait "$server" || code=$?
	server=
	cat "$work/err"
	[ "$code" = "$1" ]
	[ ! -e "$socket" ]
	[ -z "$(ls "$STRATA_ROOT/snapshots")" ]
}

# boot rw|ro: QEMU with the socket as its root; what init prints is $output.
boot() {
	run timeout 240 qemu-system-x86_64 -M microvm,acpi=off,rtc=off -global virtio-mmio.force-legacy=false \
		-accel tcg -cpu max -m 256 -object memory-backend-memfd,id=m,size=256M,share=on \
		-machine memory-backend=m -nodefaults -no-user-config -display none -no-reboot -serial stdio \
		-kernel "$build/vmlinux" -chardev "socket,id=c,path=$socket" \
		-device vhost-user-fs-device,chardev=c,tag=strata \
		-append "console=ttyS0 loglevel=4 reboot=t panic=-1 rootfstype=virtiofs root=strata $1 init=/init"
	echo "$output"
	[ "$status" = 0 ]
}

bootable_image() {
	need qemu-system-x86_64
	[ -e "$build/vmlinux" ] || skip "no guest kernel: make kernel"
	ln -s busybox "$work/rootfs/bin/reboot"
	cat >"$work/rootfs/init" <<-'END'
		#!/bin/sh
		echo "init: $(cat /etc/greeting) $(md5sum </usr/lib/large)"
		if echo written >/new; then echo "new: $(cat /new)"; else echo "new: refused"; fi
		reboot -f
	END
	chmod +x "$work/rootfs/init"
	"$strata" import -q "$work/rootfs" boots
}

@test "a guest in QEMU boots from it and writes into its top" {
	bootable_image
	serve --once boots
	[ "$(stat -c %a "$socket")" = 600 ]
	boot rw
	[[ $output == *"init: hello $(md5sum <"$work/rootfs/usr/lib/large")"* ]]
	[[ $output == *"new: written"* ]]
	ended 0
}

@test "read-only: the guest's write is refused" {
	bootable_image
	serve --once --read-only boots
	boot rw
	[[ $output == *"init: hello"* ]]
	[[ $output == *"new: refused"* ]]
	ended 0
}

@test "a malformed message ends the connection with one line; SIGTERM ends the server" {
	need python3
	serve small
	for _ in 1 2; do
		python3 - "$socket" <<-'END'
			import socket, sys
			s = socket.socket(socket.AF_UNIX)
			s.connect(sys.argv[1])
			s.send(b"\xff" * 12)
			try:
			    assert s.recv(1) == b""
			except ConnectionResetError:
			    pass
		END
	done
	kill -TERM "$server"
	ended 0
	[ "$(grep -c "vhost-user: malformed message" "$work/err")" = 2 ]
}

@test "what cannot be served is refused in one line" {
	fails 125 "--vhost-user SOCK is missing" "$strata" serve small
	fails 125 "nothere" "$strata" serve --vhost-user "$socket" nothere
	fails 125 "too long" "$strata" serve --vhost-user "/$(printf '%0200d' 0)" small
	[ -z "$(ls "$STRATA_ROOT/snapshots")" ]
}

#!/usr/bin/env bats
# The testbed itself: what goes in and comes out of the emulated machine, and what it has inside.

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return
	export MISSING=
	MISSING=$(tests/testbed --probe 2>&1) && MISSING=
	if [ -z "$MISSING" ]; then
		MISSING=$(tools/kernel testbed 2>&1 >/dev/null) && MISSING=
	fi
	true
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
	[ -z "$MISSING" ] || skip "${MISSING##*$'\n'}"
	bed=$PWD/tests/testbed
}

@test "testbed: exit status and arguments pass" {
	cd "$BATS_TEST_TMPDIR"
	run "$bed" sh -c 'printf "%s|" "$@"; exit 42' - "it's" 'a  b' '' $'new\nline\n' "\$HOME"
	[ "$status" = 42 ]
	[ "$output" = "it's|a  b||"$'new\nline\n|$HOME|' ]
	run "$bed" 'kill -TERM $$'
	[ "$status" = 143 ]
}

@test "testbed: stdout and stderr are apart and byte for byte, stdin passes with -i" {
	head -c 300000 /dev/urandom >"$BATS_TEST_TMPDIR/in"
	"$bed" -i 'cat; head -c 100000 /dev/zero >&2; echo end >/dev/stderr' \
		<"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
	cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
	{ head -c 100000 /dev/zero; echo end; } | cmp - "$BATS_TEST_TMPDIR/err"
}

@test "testbed: environment, folder, and what is left running" {
	mkdir "$BATS_TEST_TMPDIR/a b"
	cd "$BATS_TEST_TMPDIR/a b"
	COLOUR='sea  green' run "$bed" 'sleep 1000 & echo "$COLOUR"; /bin/pwd'
	[ "$status" = 0 ]
	[ "${lines[0]}" = 'sea  green' ]
	[ "${lines[1]}" = "$(pwd -P)" ]
}

@test "testbed: writes stay inside, except below -w" {
	mkdir "$BATS_TEST_TMPDIR/kept" "$BATS_TEST_TMPDIR/lost"
	cd "$BATS_TEST_TMPDIR"
	run "$bed" -w kept 'echo new >kept/file && echo new >lost/file && cat lost/file && touch /etc/lost'
	[ "$output" = new ]
	[ "$(cat kept/file)" = new ]
	[ ! -e lost/file ]
	[ ! -e /etc/lost ]
}

@test "testbed: KVM, FUSE, vsock, TUN, cgroup v2 with its controllers" {
	run "$bed" 'set -e
		test -c /dev/kvm; test -c /dev/fuse; test -c /dev/vhost-vsock; test -c /dev/net/tun
		grep -qw svm /proc/cpuinfo
		for c in cpuset cpu io memory hugetlb pids; do grep -qw $c /sys/fs/cgroup/cgroup.controllers; done
		for f in overlay erofs ext4 xfs fuse; do grep -qw $f /proc/filesystems; done'
	echo "$output"
	[ "$status" = 0 ]
}

@test "testbed: /tmp is a tmpfs with user. and trusted. xattrs, a place for an upper" {
	run "$bed" 'set -e
		cd $(mktemp -d -p /tmp); mkdir l u w m; echo low >l/f
		setfattr -n user.a -v 1 u; setfattr -n trusted.a -v 1 u
		mount -t overlay -o lowerdir=l,upperdir=u,workdir=w o m
		rm m/f; stat -c %F u/f'
	[ "$output" = 'character special file' ]
}

@test "testbed: time-out" {
	run "$bed" -t 4 sleep 100
	[ "$status" = 124 ]
	[[ "$output" == *"time-out after 4 s" ]]
}

@test "testbed: ends when nobody reads its output" {
	run bash -c '"$0" -t 60 yes | head -n 1; echo "${PIPESTATUS[0]}"' "$bed"
	[ "${lines[0]}" = y ]
	[ "${lines[1]}" = 141 ]
}

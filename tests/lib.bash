# shellcheck shell=bash
# What the whole-program tests share: a store and a state folder of their own, small root file systems, clean-up.

top=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
build=${STRATA_BUILD:-$top/build}
strata=$build/strata

# A fresh store for the test at hand.
strata_setup() {
	work=$(mktemp -d "${TMPDIR:-/tmp}/strata-test.XXXXXX")
	export STRATA_ROOT=$work/store STRATA_RUNROOT=$work/run
	PATH=$build:$PATH
}

# Nothing may be left: whatever still runs is removed first, by strata itself.
strata_teardown() {
	[ -n "${work-}" ] || return 0
	[ ! -d "$STRATA_RUNROOT" ] || "$strata" ps -aq 2>/dev/null | xargs -r "$strata" rm -f >/dev/null 2>&1 || true
	# Once more for who was still writing there: other engines clean up behind their clients.
	rm -rf "$work" 2>/dev/null || { sleep 1 && rm -rf "$work"; }
}

# Takes a mount away if it is there: mountpoint(1) does not see that of a server that died.
# unmount_left DIR
unmount_left() {
	! grep -q " $1 " /proc/self/mountinfo || umount -l "$1"
}

need_root() {
	[ "$(id -u)" = 0 ] || skip "needs root"
}

need_fuse() {
	need_root
	[ -c /dev/fuse ] || skip "needs /dev/fuse"
}

need() {
	local tool
	for tool; do
		command -v "$tool" >/dev/null || skip "$tool is not installed"
	done
}

# A tar of a small root: busybox with links for the tools that tests call, links, a setuid file, a file capability.
# make_rootfs DIR
make_rootfs() {
	local name
	mkdir -p "$1"/{bin,etc,root,tmp,usr/lib,var/empty}
	cp "$(command -v busybox)" "$1/bin/busybox"
	for name in sh true false cat echo ls id env hostname sleep test mkdir rm mv ln touch stat dd head seq kill wc od \
		readlink chmod chown tr sort find md5sum printf stty yes grep; do
		ln -s busybox "$1/bin/$name"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n' >"$1/etc/passwd"
	printf 'root:x:0:\nuser:x:1000:\nextra:x:2000:user\n' >"$1/etc/group"
	chmod 1777 "$1/tmp"
	echo hello >"$1/etc/greeting"
	ln "$1/etc/greeting" "$1/etc/greeting-link"
	cp "$1/bin/busybox" "$1/bin/setuid" && chmod 4755 "$1/bin/setuid"
	head -c 200000 /dev/zero | tr '\0' x >"$1/usr/lib/large"
}

# An image "small" of that root.
small_image() {
	make_rootfs "$work/rootfs"
	"$strata" import -q "$work/rootfs" small
}

# What tests of microVMs begin with: root, the tools that are named, a store, a guest kernel, the image "small".
vm_setup() {
	need_root
	need jq "$@"
	strata_setup
	[ -e "$build/vmlinux" ] || skip "no guest kernel: make kernel"
	small_image
}

# fails CODE TEXT COMMAND...: exits with CODE, and prints one line on stderr that holds TEXT.
# shellcheck disable=SC2154 # run sets them
fails() {
	local code=$1 text=$2
	shift 2
	run -"$code" --separate-stderr "$@"
	echo "status $status; stderr: $stderr; stdout: $output"
	[ "$status" = "$code" ]
	[[ $stderr == *"$text"* ]]
	[ "$(grep -c . <<<"$stderr")" = 1 ]
}

# A command that has to fail: set -e, and so bats, goes on behind "! COMMAND", whatever it gives.
not() { ! "$@"; }

# What scripts begin with that a shell of its own runs.
# shellcheck disable=SC2016,SC2034 # expanded where the script runs; *.bats have it too
strict='set -e
not() { ! "$@"; }'

# What the scripts of vm_host have too: fails, as above; the log of an instance, waited for until it says something.
# shellcheck disable=SC2016 # expanded where the script runs
vm_helpers='
	fails() {
		want=$1; text=$2; shift 2
		rc=0; "$@" >/dev/null 2>"$work/err" </dev/null || rc=$?
		cat "$work/err"
		[ $rc = $want ] && grep -qF "$text" "$work/err" && [ $(wc -l <"$work/err") = 1 ] || { echo "$*: $rc"; exit 1; }
	}
	until_log() {
		for _ in $(seq 400); do "$strata" logs $1 | grep -q "$2" && return; sleep 0.05; done
		"$strata" logs $1; cat "$STRATA_RUNROOT"/instances/*/monitor.log; return 1
	}
'

# Runs a script where microVMs can run; $strata, $work and the store are there, and errors end it.
vm_host() {
	export strata work
	printf '%s\n' "$strict" "$vm_helpers" "$1" >"$work/script"
	if "$strata" doctor --format json | jq -e '.[] | select(.name == "kvm") | .verdict == "yes"' >/dev/null; then
		run bash "$work/script"
	else
		"$top/tests/testbed" --probe || skip "no KVM that runs Linux here, and no testbed"
		run "$top/tests/testbed" -w "$work" -t 300 -- bash "$work/script"
	fi
	echo "$output"
	[ "$status" = 0 ]
}

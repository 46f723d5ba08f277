#!/usr/bin/env bats
# The union on Debian 12's own kernel, Linux 6.1: what is missing there falls back (docs/KERNELS.md).

load lib

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return
	export MISSING=
	MISSING=$(tests/debian_kernel --probe 2>&1) && MISSING=
	true
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
	[ -z "$MISSING" ] || skip "${MISSING##*$'\n'}"
	tests=${STRATA_BUILD:-$PWD/build}/tests/unionfs
	[ -x "$tests/suite" ] || skip 'the tests are not built: make tests'
}

# all_ok COUNT PROGRAM: every case of it.
all_ok() {
	run tests/debian_kernel -t 900 "$tests/$2"
	[ "$status" = 0 ] || { echo "$output"; false; }
	[ "$(grep -c '^ok ' <<<"$output")" = "$1" ]
	not grep -q -e '^not ok' -e '# SKIP' <<<"$output"
}

@test "Linux 6.1: the union's suite, each kind of lower under each kind of top" {
	all_ok 120 suite
}

@test "Linux 6.1: ACLs, asked for once a file or not at all" {
	all_ok 9 acl
}

@test "Linux 6.1: changes of attributes copy no bytes" {
	all_ok 8 metacopy
}

@test "debian_kernel: exit status and output are the program's" {
	run tests/debian_kernel -t 300 /bin/sh -c 'read -r v </proc/sys/kernel/osrelease; echo $v; exit 7'
	[ "$status" = 7 ]
	[[ $output = 6.1.* ]]
}

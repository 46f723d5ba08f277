#!/usr/bin/env bats
# A microVM that boots Linux: here, where KVM can, else in the testbed.

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return
	export BUILD=${STRATA_BUILD:-$PWD/build}
	export STRATA_KERNEL=
	STRATA_KERNEL=$(tools/kernel guest 2>&1) || true
	export STRATA_INIT=$BUILD/strata-init CMOCKA_MESSAGE_OUTPUT=TAP
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
	[ -e "$STRATA_KERNEL" ] || skip "${STRATA_KERNEL##*$'\n'}"
}

# linux ARGUMENT...: the test program, on this KVM or in the testbed.
linux() {
	local here
	here=$("$BUILD/tests/microvm/linux") || true
	if [[ $here != *"# SKIP"* ]]; then
		echo "$here"
		return
	fi
	tests/testbed --probe >/dev/null 2>&1 || skip "${here#*# SKIP }, and no testbed"
	tests/testbed -t 500 "TMPDIR=/tmp $BUILD/tests/microvm/linux"
}

@test "microvm: Linux boots, runs commands and says how they ended" {
	run linux
	echo "$output"
	[[ $output == *"ok 1 - "* ]]
	[[ $output != *"not ok"* ]]
	[ "$status" = 0 ]
}

#!/usr/bin/env bats
# kill -9 at random moments: the store stays sound, the next command works, gc clears what is left.

bats_require_minimum_version 1.5.0
load lib

setup() {
	need_root
	strata_setup
}
teardown() { strata_teardown; }

# Kills COMMAND... and all that it started after a random part of a second; gives its status.
killed() {
	local pid rc=0
	setsid "$@" >/dev/null 2>&1 &
	pid=$!
	sleep "0.$(printf %03d $((RANDOM % 300)))"
	kill -9 -- "-$pid" 2>/dev/null || true
	wait $pid 2>/dev/null || rc=$?
	return $rc
}

sound() {
	run "$strata" fsck
	echo "$output"
	[ "$status" = 0 ]
	"$strata" gc -q
	[ -z "$(ls "$STRATA_ROOT/tmp" "$STRATA_ROOT/trash" 2>/dev/null | grep -v :$ | grep .)" ]
}

@test "import, tag, rmi, gc killed 40 times" {
	make_rootfs "$work/rootfs"
	for i in $(seq 10); do
		echo "$i" >"$work/rootfs/etc/number"
		killed "$strata" import "$work/rootfs" "image$i" && [ -n "$("$strata" inspect "image$i")" ]
		killed "$strata" tag "image$i" "other$i" || true
		killed "$strata" gc || true
		killed "$strata" rmi "image$i" || true
		sound
	done
	"$strata" import -q "$work/rootfs" last
	sound
}

@test "build and run killed 20 times" {
	need_fuse
	small_image
	mkdir "$work/ctx"
	printf 'FROM small\nARG N\nRUN echo $N >/n; dd if=/dev/urandom of=/big bs=1M count=3\nRUN echo $N >>/n\n' >"$work/ctx/Containerfile"
	for i in $(seq 10); do
		killed "$strata" build -q --build-arg "N=$i" -t built "$work/ctx" || true
		killed "$strata" run --rm small sh -c 'sleep 0.1; echo x >/y' || true
		"$strata" ps -aq | xargs -r "$strata" rm -f >/dev/null
		sound
	done
	[ -z "$(ls "$STRATA_ROOT/snapshots")" ]
	"$strata" build -q --build-arg N=last -t built "$work/ctx"
	[ "$("$strata" run --rm built cat /n)" = $'last\nlast' ]
}

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

# What was acknowledged is there. KILLS=50: as many rounds, so five times as many kills.
there() { "$strata" inspect "$1" >/dev/null && "$strata" save -o "$work/saved.tar" "$1"; }

@test "import, tag, rmi, gc killed 40 times" {
	make_rootfs "$work/rootfs"
	for i in $(seq "${KILLS:-10}"); do
		echo "$i" >"$work/rootfs/etc/number"
		killed "$strata" import "$work/rootfs" "image$i" && [ -n "$("$strata" inspect "image$i")" ]
		killed "$strata" tag "image$i" "other$i" && there "other$i"
		killed "$strata" gc || true
		killed "$strata" rmi "image$i" || true
		sound
	done
	"$strata" import -q "$work/rootfs" last
	sound
}

@test "build, run and commit killed 30 times" {
	need_fuse
	small_image
	mkdir "$work/ctx"
	printf 'FROM small\nARG N\nRUN echo $N >/n; dd if=/dev/urandom of=/big bs=1M count=3\nRUN echo $N >>/n\n' >"$work/ctx/Containerfile"
	for i in $(seq "${KILLS:-10}"); do
		killed "$strata" build -q --build-arg "N=$i" -t "built$i" "$work/ctx" && there "built$i"
		"$strata" run --name "c$i" small sh -c 'echo made >/made'
		killed "$strata" commit "c$i" "committed$i" && there "committed$i"
		killed "$strata" run --rm small sh -c 'sleep 0.1; echo x >/y' || true
		"$strata" ps -aq | xargs -r "$strata" rm -f >/dev/null
		sound
	done
	[ -z "$(ls "$STRATA_ROOT/snapshots")" ]
	"$strata" build -q --build-arg N=last -t built "$work/ctx"
	[ "$("$strata" run --rm built cat /n)" = $'last\nlast' ]
}

@test "load, save, dropped blobs, a repair killed 30 times: what was there before each is there after it" {
	local i pack
	make_rootfs "$work/rootfs"
	head -c 50000 /dev/urandom >"$work/rootfs/packed"
	"$strata" import -q "$work/rootfs" kept
	"$strata" save -o "$work/kept.tar" kept
	pack=$(echo "$STRATA_ROOT"/layers/*/pack)
	for i in $(seq "${KILLS:-10}"); do
		head -c 300000 /dev/urandom >"$work/rootfs/own"
		"$strata" import -q "$work/rootfs" other
		"$strata" save -o "$work/other.tar" other
		"$strata" rmi other
		killed "$strata" load -q --drop-blobs -i "$work/other.tar" && "$strata" inspect other >/dev/null
		killed "$strata" save -o "$work/out.tar" kept || true
		sound
		# A damaged layer: mended, or as damaged as it was, or gone and mended by the next.
		chmod u+w "$pack" && printf X | dd of="$pack" bs=1 seek=7 conv=notrunc status=none
		killed "$strata" fsck --repair || true
		"$strata" fsck --repair
		sound
		"$strata" save -o "$work/out.tar" kept
		cmp "$work/kept.tar" "$work/out.tar"
		"$strata" rmi -f other
	done
	"$strata" gc -q
	[ -z "$(ls "$STRATA_ROOT/partial")" ]
}

#!/usr/bin/env bats
# What demanding users do: closed streams, damaged state, races, busy mounts, many commands at once.

bats_require_minimum_version 1.5.0
load lib

setup() {
	need_fuse
	strata_setup
	small_image
}
teardown() { strata_teardown; }

nothing_left() {
	[ "$(grep -c "$work" /proc/self/mountinfo || true)" = 0 ]
	[ -z "$(ls "$STRATA_ROOT/tmp" "$STRATA_ROOT/trash" "$STRATA_ROOT/snapshots" | grep -v :$ | grep . || true)" ]
	[ -z "$(ls -A "$STRATA_RUNROOT/instances" "$STRATA_RUNROOT/names" 2>/dev/null | grep -v :$ | grep . || true)" ]
}

@test "a closed standard stream is /dev/null, never a folder of the store" {
	[ "$("$strata" run --rm -i small readlink /proc/self/fd/0 <&-)" = /dev/null ]
	"$strata" run --rm small readlink /proc/self/fd/2 2>&- >"$work/fd2"
	[ "$(cat "$work/fd2")" = /dev/null ]
	run -125 bash -c '"$0" images >&-' "$strata"
	run -125 bash -c '"$0" images >/dev/full' "$strata"
	nothing_left
}

@test "options: what is wrong is named" {
	fails 125 "unknown option -z" "$strata" ps -zq
	fails 125 "value is missing after --root" "$strata" --root
	fails 125 "6m or more" "$strata" run --rm --memory 1 small true
	fails 125 "whole root" "$strata" run --rm -v "$work:/" small true
	fails 125 "whole root" "$strata" run --rm -v "$work:/./:ro" small true
	fails 125 "UTF-8" "$strata" run --rm small echo $'\xff'
	fails 125 "UTF-8" "$strata" run --rm -e $'A=\xff' small true
	fails 125 "not a directory" "$strata" mount small "$work/rootfs/etc/passwd"
	for verb in $("$strata" --help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
		"$strata" "$verb" --help | grep -q "^usage: strata $verb"
	done
}

@test "--read-only: what is mounted on is made, the command writes nothing" {
	check() {
		run "$strata" run --rm --read-only "$@" small sh -c 'echo x >/x'
		[ "$status" = 1 ]
		[[ $output == *"Read-only"* ]]
		[ "$("$strata" run --rm --read-only -v "$work/rootfs/etc:/new/place" "$@" small cat /new/place/greeting)" = hello ]
	}
	check --driver fuse
	if "$strata" run --rm --driver overlay small true 2>/dev/null; then check --driver overlay; fi
	nothing_left
}

@test "long arguments and environments, names outside ASCII" {
	local big
	big=$(head -c 100000 /dev/zero | tr '\0' x)
	[ "$("$strata" run --rm small echo "$big" | wc -c)" = 100001 ]
	[ "$("$strata" run --rm -e "B=$big" small sh -c 'echo $B' | wc -c)" = 100001 ]
	[ "$("$strata" run --rm small echo 'ünï 日本')" = 'ünï 日本' ]
	fails 125 "name ü" "$strata" run --rm --name ü small true
}

@test "damaged state and config: the others are listed, rm -f clears" {
	local file
	for file in state config; do
		"$strata" run -d --name other small sleep 100
		id=$("$strata" run -d small sleep 100)
		echo '{bad' >"$STRATA_RUNROOT/instances/$id/$file.json"
		run "$strata" ps -a
		[ "$status" = 0 ]
		[[ $output == *other* && $output == *$id* ]]
		"$strata" rm -f "$id"
		"$strata" rm -f other
		nothing_left
	done
}

@test "without root: one line that says so; images can be handled (mounts: mount_user.bats)" {
	need setpriv
	local home=$work/home
	mkdir -p "$home/m" "$home/ctx" && echo 'FROM small' >"$home/ctx/Containerfile"
	chmod 755 "$work" && chown -R 65534:65534 "$home"
	as_nobody() {
		setpriv --reuid 65534 --regid 65534 --clear-groups env -u STRATA_ROOT -u STRATA_RUNROOT \
			HOME="$home" XDG_RUNTIME_DIR="$home/run" "$strata" "$@"
	}
	as_nobody images >/dev/null 2>&1 || skip "the programs are out of nobody's reach"
	as_nobody import -q "$work/rootfs" small
	fails 125 "needs root" as_nobody run --rm small true
	fails 125 "needs root" as_nobody build "$home/ctx"
	as_nobody fsck -q
}

@test "one image mounted 20 times; a busy one stays, and goes later" {
	local n pid
	for n in $(seq 20); do mkdir "$work/m$n" && "$strata" mount small "$work/m$n" >/dev/null; done
	(cd "$work/m3" && exec sleep 100) 3>&- &
	pid=$!
	for _ in $(seq 100); do [ "$(readlink "/proc/$pid/cwd")" = "$work/m3" ] && break; sleep 0.02; done
	fails 125 "busy" "$strata" umount "$work/m3"
	[ "$(cat "$work/m3/etc/greeting")" = hello ]
	kill $pid && wait $pid || true
	for n in $(seq 20); do "$strata" umount "$work/m$n"; done
	nothing_left
}

@test "a read-only store: images are seen, run says why not" {
	export strata
	run unshare -m bash -c '
		set -e
		mount --bind "$STRATA_ROOT" "$STRATA_ROOT" && mount -o remount,ro,bind "$STRATA_ROOT"
		"$strata" images | grep -q small; "$strata" inspect small >/dev/null; "$strata" history small >/dev/null
		rc=0; "$strata" run --rm small true 2>"$STRATA_RUNROOT/err" || rc=$?
		[ $rc = 125 ]; grep -q "Read-only" "$STRATA_RUNROOT/err"; [ "$(wc -l <"$STRATA_RUNROOT/err")" = 1 ]'
	echo "$output"
	[ "$status" = 0 ]
	nothing_left
}

@test "bench: a command that fails leaves no instance" {
	run "$strata" bench startup -n 1 small false
	[ "$status" = 125 ]
	[[ $output == *"ended with 1"* ]]
	[ -z "$("$strata" ps -aq)" ]
	nothing_left
}

@test "completion: verbs, options, images, instances" {
	"$strata" run --name seen small true
	"$strata" run small true
	# shellcheck disable=SC2034 # the completion reads them
	complete_words() {
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_strata
		echo "${COMPREPLY[*]}"
	}
	# shellcheck source=/dev/null
	source "$top/cli/completion.bash"
	[ "$(complete_words "$strata" ru)" = run ]
	[[ $(complete_words "$strata" run --na) == *--name* ]]
	[[ $(complete_words "$strata" run sma) == *small* ]]
	[[ $(complete_words "$strata" rm '') == *seen* ]]
	[[ $(complete_words "$strata" rm '') != *ago* ]]
}

# One of many at once: what it does may fail (names are taken and removed), but in time and never by a signal.
worker() {
	local end=$((SECONDS + ${SOAK_SECONDS:-20})) n rc
	RANDOM=$1
	while [ $SECONDS -lt $end ]; do
		n=$((RANDOM % 4)) rc=0
		case $((RANDOM % 13)) in
		0) timeout 60 "$strata" import -q "$work/rootfs" "im$n" ;;
		1) timeout 60 "$strata" tag small "t$n" ;;
		2 | 3) timeout 60 "$strata" run --rm small true || echo "run: $?" >>"$work/odd" ;;
		4) timeout 60 "$strata" run -d --name "r$n" small sleep 5 ;;
		5) timeout 60 "$strata" rm -f "r$n" || echo "rm -f: $?" >>"$work/odd" ;;
		6) timeout 60 "$strata" rmi "im$n" ;;
		7) timeout 60 "$strata" gc -q || echo "gc: $?" >>"$work/odd" ;;
		9) timeout 60 "$strata" load -q -i "$work/small.tar" || echo "load: $?" >>"$work/odd" ;;
		10) timeout 60 "$strata" load -q --drop-blobs -i "$work/small.tar" || echo "load: $?" >>"$work/odd" ;;
		11) timeout 60 "$strata" gc -q --keep-storage 100k || echo "gc: $?" >>"$work/odd" ;;
		12) timeout 60 "$strata" save small >/dev/null || echo "save: $?" >>"$work/odd" ;;
		8) timeout 60 "$strata" build -q --build-arg "N=$n" -t "b$n" "$work/ctx" || echo "build: $?" >>"$work/odd" ;;
		esac || rc=$?
		[ $rc = 0 ] || [ $rc = 125 ] || echo "status $rc" >>"$work/odd"
	done
}

# SOAK=32 SOAK_SECONDS=300: as many processes, as long.
@test "16 processes at random for 20 s: run, build, load, save, gc and rm -f never fail, the store is sound" {
	mkdir "$work/ctx"
	printf 'FROM small\nARG N\nRUN echo $N >/n\n' >"$work/ctx/Containerfile"
	: >"$work/odd"
	"$strata" save -o "$work/small.tar" small
	local n pids=()
	for n in $(seq "${SOAK:-16}"); do worker "$n" >/dev/null 2>"$work/err.$n" 3>&- & pids+=($!); done
	wait "${pids[@]}"
	sort "$work/odd" | uniq -c
	cat "$work"/err.* | grep -v 'has it already\|no image' || true
	[ ! -s "$work/odd" ]
	"$strata" ps -aq | xargs -r "$strata" rm -f >/dev/null
	"$strata" fsck
	"$strata" gc -q
	nothing_left
}

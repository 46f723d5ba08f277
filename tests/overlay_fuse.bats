#!/usr/bin/env bats
# The driver overlay where EROFS cannot be mounted: a store on tmpfs. overlayfs stands on one FUSE mount of the image then.

bats_require_minimum_version 1.5.0
load lib

# shellcheck disable=SC2154 # lib.bash sets them
setup() {
	need_fuse
	need jq
	[ "$(stat -f -c %T /dev/shm)" = tmpfs ] || skip "needs a tmpfs at /dev/shm"
	case $(uname -r) in [1-5].* | 6.[0-9].* | 6.1[0-4].*) skip "needs Linux 6.15" ;; esac
	TMPDIR=/dev/shm strata_setup
	small_image
	images=$STRATA_RUNROOT/images
	"$strata" run --rm --driver overlay small true 2>/dev/null || skip "this kernel has no driver overlay"
}
teardown() { strata_teardown; }

# The pids of the image's servers: keepers, then who serves.
keepers() { pgrep -f "^$build/strata-server none" | while read -r pid; do
	grep -q strata-server "/proc/$(awk '{print $4}' "/proc/$pid/stat")/comm" || echo "$pid"
done; }
serving() { keepers | while read -r pid; do cat "/proc/$pid/task/$pid/children"; done; }
supervisor() { awk '/^PPid:/ {print $2}' "/proc/$("$strata" inspect "$1" | jq '.[0].pid')/status"; }
up() { "$strata" run -d --name "$1" --driver overlay small sleep 100; }
# The image's pages are read anew: by the server.
cold() { "$strata" exec "$1" sh -c 'cat /usr/lib/large | md5sum'; }

@test "auto takes it, and the root is the image under a top of the kernel's" {
	run "$strata" --debug run --rm small sh -c 'grep " / / " /proc/self/mountinfo; cat /etc/greeting'
	[[ $output == *"over FUSE: "*"image mounted"*"root by the driver overlay"*" - overlay "*hello ]]
	for driver in fuse overlay; do
		"$strata" run --name $driver --driver $driver small sh -c '
			md5sum /usr/lib/large /bin/busybox; stat -c "%n %a %u %g %s %h" /bin/setuid /etc/* /tmp; cd /etc
			echo more >>greeting; chmod 600 passwd; mv group groups; rm -r /usr; mkdir /usr; ln passwd p2
			grep . * ; find / -xdev | sort | md5sum' >"$work/$driver"
		"$strata" diff $driver >>"$work/$driver"
	done
	# overlayfs takes two names of one lower file for two files; each has a name of its own in its /etc/hosts.
	same='/etc/greeting-link\|greeting-link:\|/etc/hosts\|hosts:'
	diff <(grep -v "$same" "$work/fuse") <(grep -v "$same" "$work/overlay")
}

@test "the instances of an image share one server, which goes with the last" {
	up one
	up two
	[ "$(keepers | wc -l)" = 1 ]
	# Of who started it nothing is needed.
	"$strata" rm -f one
	[ "$(keepers | wc -l)" = 1 ]
	[ "$("$strata" --debug run --rm --driver overlay small true 2>&1 | sed -n 's/.*: image //p')" = shared ]
	up three
	kill -9 "$(supervisor two)"
	cold three
	"$strata" run --rm --verify never --driver overlay small sh -c 'sleep 1' &
	sleep 0.5
	[ "$(keepers | wc -l)" = 2 ]
	wait
	[ "$(keepers | wc -l)" = 1 ]
	"$strata" ps -aq | xargs "$strata" rm -f
	for _ in $(seq 50); do [ -z "$(keepers)" ] && break || sleep 0.1; done
	[ -z "$(keepers)" ]
	[ -z "$(ls -I "*.sound" "$images")" ]
	not grep "$work" /proc/self/mountinfo
}

@test "kill -9 of its server: no instance sees it" {
	local before after sum
	up one
	up two
	sum=$(md5sum <"$work/rootfs/usr/lib/large")
	for _ in 1 2 3; do
		before=$(serving)
		# shellcheck disable=SC2086 # one pid
		kill -9 $before
		[ "$(cold one)" = "$sum" ]
		[ "$(cold two)" = "$sum" ]
		after=$(serving)
		[ "$before" != "$after" ]
	done
	grep -q "another takes over" "$images"/*.fuse.log
	# Its keeper is the mount: errors, no hang, and the next instance has another.
	kill -9 "$(keepers)"
	run timeout 20 "$strata" exec one sh -c 'cat /var/empty/* /usr/lib/large /bin/busybox | wc -c'
	[ "$status" != 124 ]
	[ "$("$strata" --debug run --rm --driver overlay small true 2>&1 | sed -n 's/.*: image //p')" = mounted ]
}

@test "what was copied up stays usable when all that is cached goes" {
	local deeds='chmod 600 /etc/passwd; echo >>/bin/setuid; echo >>/usr/lib/large; stat -c "%n %a %s" /etc/passwd /bin/setuid'
	up one
	up two
	for _ in 1 2 3; do
		"$strata" exec one sh -ec "$deeds" >"$work/one"
		echo 3 >/proc/sys/vm/drop_caches
		"$strata" exec two sh -ec "$deeds" >"$work/two"
		diff "$work/one" "$work/two"
	done
	"$strata" run --name three --driver overlay small sh -ec "$deeds" >/dev/null
	echo 3 >/proc/sys/vm/drop_caches
	"$strata" start -a three
}

@test "reads are verified; a damaged index is not mounted by it" {
	local pack merged
	head -c 20000 /dev/zero | tr '\0' m >"$work/rootfs/usr/lib/middle"
	"$strata" import -q "$work/rootfs" hurt
	pack=$(grep -l mmmmmmm "$STRATA_ROOT"/layers/*/pack)
	chmod u+w "$pack"
	printf X | dd of="$pack" bs=1 seek="$(grep -abom1 mmmmmmm "$pack" | head -1 | cut -d: -f1)" conv=notrunc status=none
	run "$strata" run --rm --driver overlay hurt cat /usr/lib/middle
	[ "$status" = 1 ]
	[[ $output == *"Input/output error"* ]]
	grep -h "digest mismatch" "$images"/*.fuse.log
	[ "$("$strata" run --rm --driver overlay --verify never hurt head -c 1 /usr/lib/middle)" = X ]
	merged=$(grep -l middle "$STRATA_ROOT"/merged/*)
	chmod u+w "$merged"
	printf X | dd of="$merged" bs=1 seek="$(grep -abom1 middle "$merged" | head -1 | cut -d: -f1)" conv=notrunc status=none
	fails 125 "digest mismatch" "$strata" run --rm --driver overlay hurt true
}

@test "doctor says what the driver overlay stands on" {
	"$strata" doctor --format json >"$work/doctor"
	[[ $(jq -r '.[] | select(.name == "erofs") | .verdict, .detail' "$work/doctor") == no*"not from a file of this store"* ]]
	[[ $(jq -r '.[] | select(.name == "overlay") | .verdict, .detail' "$work/doctor") == yes*"over FUSE"* ]]
}

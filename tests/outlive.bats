#!/usr/bin/env bats
# A mount outlives its server: real programs work on it while it is killed again and again. OUTLIVE_KILLS chooses how
# often for each (8).

bats_require_minimum_version 1.5.0
load lib

# shellcheck disable=SC2154 # lib.bash sets work and build
setup() {
	need_fuse
	need jq
	case $(uname -r) in [1-5].* | 6.[0-8].*) skip "needs Linux 6.9" ;; esac
	strata_setup
	small_image
	mkdir "$work/m"
}
teardown() {
	[ -z "${gun-}" ] || kill "$gun" 2>/dev/null || true
	unmount_left "$work/m"
	strata_teardown
}

keeper() {
	"$strata" inspect "$("$strata" ps -q)" | jq -r '.[0].pid'
}

serving() {
	cat "/proc/$1/task/$1/children"
}

kills_of() {
	grep -c 'another takes over' "$STRATA_RUNROOT"/instances/*/monitor.log || true
}

# under_fire COMMAND...: again and again, until the server was killed often enough.
under_fire() {
	local keeper n rc=0
	keeper=$(keeper)
	# Each answers something first: three that answer nothing are given up, as they should be.
	for ((n = 0; n < ${OUTLIVE_KILLS:-8}; n++)); do
		sleep "0.$((RANDOM % 30 + 10))"
		timeout 20 stat -f "$work/m" >/dev/null
		kill -9 "$(serving "$keeper")" 2>/dev/null || true
	done 3>&- &
	gun=$!
	while kill -0 $gun 2>/dev/null; do "$@" || { rc=$?; break; }; done
	wait $gun || true
	gun=
	[ $rc = 0 ]
	[ "$(kills_of)" -gt 0 ]
}

@test "git: commit, checkout and fsck while the server is killed" {
	need git
	"$strata" mount small "$work/m"
	cd "$work/m"
	export HOME=$work GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
	git init -q repo && cd repo
	git config user.name test && git config user.email test@localhost
	mkdir src && for n in $(seq 200); do echo "$n" >"src/f$n"; done
	git add . && git commit -qm one && git branch other
	for n in $(seq 100); do echo more >>"src/f$n"; done
	git commit -qam two
	work_on_it() {
		git checkout -q other && [ "$(cat src/f7)" = 7 ] && git checkout -q - && [ "$(tail -n 1 src/f7)" = more ] &&
			git fsck --strict >/dev/null 2>"$work/fsck" && git status --porcelain | wc -l | grep -qx 0
	}
	under_fire work_on_it
	cd /
	"$strata" umount "$work/m"
}

@test "tar, diff and rm -rf while the server is killed" {
	"$strata" mount small "$work/m"
	mkdir -p "$work/tree/deep/er" && for n in $(seq 300); do echo "$n" >"$work/tree/deep/f$n"; ln "$work/tree/deep/f$n" "$work/tree/deep/er/l$n"; done
	head -c 3000000 /dev/urandom >"$work/tree/large"
	tar -C "$work" -cf "$work/tree.tar" tree
	unpack_and_remove() {
		tar -C "$work/m" -xf "$work/tree.tar" && diff -r "$work/tree" "$work/m/tree" &&
			[ "$(find "$work/m/tree" -links 2 -type f | wc -l)" = 600 ] && rm -rf "$work/m/tree" && [ ! -e "$work/m/tree" ]
	}
	under_fire unpack_and_remove
	"$strata" umount "$work/m"
}

@test "sqlite in WAL mode while the server is killed" {
	need sqlite3
	"$strata" mount small "$work/m"
	sqlite3 "$work/m/db" 'pragma journal_mode=wal; create table t(n integer primary key, s text)' >/dev/null
	insert() {
		sqlite3 "$work/m/db" "begin; insert into t(s) values (hex(randomblob(200))),(hex(randomblob(3000))); commit;" &&
			echo >>"$work/count"
	}
	under_fire insert
	[ "$(sqlite3 "$work/m/db" 'pragma integrity_check')" = ok ]
	[ "$(sqlite3 "$work/m/db" 'select count(*) from t')" = $((2 * $(wc -l <"$work/count"))) ]
	"$strata" umount "$work/m"
}

@test "fsx, on a file of the image and on a new one, while the server is killed" {
	need python3
	"$strata" mount small "$work/m"
	echo 1 >"$work/seed"
	exercise() {
		local seed
		seed=$(($(cat "$work/seed") + 1)) && echo $seed >"$work/seed"
		"$top/tests/fsx" "$work/m/usr/lib/large" 100 $seed && "$top/tests/fsx" "$work/m/new" 100 $seed
	}
	under_fire exercise
	[ "$(cat "$work/seed")" -gt 2 ]
	"$strata" umount "$work/m"
}

@test "a container by the driver fuse while its server is killed" {
	# shellcheck disable=SC2016 # the container's shell expands it
	"$strata" run -d --name c --driver fuse small sh -c \
		'n=0; while [ ! -e /end ]; do n=$((n + 1)); echo $n >/f || exit 9; mv /f /g || exit 8; [ "$(cat /g)" = $n ] || exit 7; done'
	local pid keeper n
	pid=$("$strata" inspect c | jq '.[0].pid')
	keeper=$(for n in /proc/[0-9]*; do
		[ "$(awk '/^PPid:/ {print $2}' "$n/status" 2>/dev/null)" != "$(awk '/^PPid:/ {print $2}' "/proc/$pid/status")" ] ||
			[ "$(cat "$n/comm")" != strata-server ] || echo "${n#/proc/}"
	done)
	for n in $(seq "${OUTLIVE_KILLS:-8}"); do
		sleep 0.2
		kill -9 "$(serving "$keeper")"
	done
	touch "/proc/$pid/root/end"
	[ "$("$strata" wait c)" = 0 ]
	[ "$(kills_of)" = "${OUTLIVE_KILLS:-8}" ]
}

@test "an open file without a name, a shared map and a lock outlive the server" {
	need python3
	"$strata" mount small "$work/m"
	python3 - "$work/m" "$(keeper)" <<'END'
import fcntl, mmap, os, signal, sys, time
at, keeper = sys.argv[1], sys.argv[2]
def shoot():
    children = f"/proc/{keeper}/task/{keeper}/children"
    os.kill(int(open(children).read()), signal.SIGKILL)
f = open(at + "/gone", "w+b")
f.write(b"x" * 8192)
f.flush()
m = mmap.mmap(f.fileno(), 8192)
fcntl.flock(f, fcntl.LOCK_EX)
os.unlink(at + "/gone")
lower = open(at + "/usr/lib/large", "r+b")
shoot()
f.seek(0)
assert f.read() == b"x" * 8192
m[4096:4100] = b"mmap"
m.flush()
assert os.pread(f.fileno(), 4, 4096) == b"mmap"
lower.write(b"changed")
lower.flush()
shoot()
assert os.pread(lower.fileno(), 7, 0) == b"changed"
assert os.pread(f.fileno(), 4, 4096) == b"mmap"
assert open(at + "/usr/lib/large", "rb").read(7) == b"changed"
END
	"$strata" umount "$work/m"
}

@test "a request that comes in the moment of the kill comes again" {
	need python3
	"$strata" mount small "$work/m"
	python3 - "$work/m" "$(keeper)" <<'END'
import os, signal, sys
at, keeper = sys.argv[1], sys.argv[2]
for i in range(100):
    child = ""
    while not child:
        child = open(f"/proc/{keeper}/task/{keeper}/children").read()
    os.kill(int(child), signal.SIGKILL)
    try:
        os.stat(f"{at}/no{i}")
        sys.exit("it is there")
    except FileNotFoundError:
        pass
END
	"$strata" umount "$work/m"
}

@test "a server that cannot come up: an error for its users, one line in the log" {
	local keeper log
	"$strata" mount --name kept small "$work/m" >"$work/id"
	keeper=$(keeper)
	log=$STRATA_RUNROOT/instances/$(cat "$work/id")/monitor.log
	# Nobody else can open the top of a store that is damaged like this.
	rm -r "$STRATA_ROOT/snapshots/$(cat "$work/id")/work" && touch "$STRATA_ROOT/snapshots/$(cat "$work/id")/work"
	cd "$work/m"
	kill -9 "$(serving "$keeper")"
	run timeout 20 ls .
	cd /
	[ "$status" != 0 ]
	[ "$status" != 124 ]
	cat "$log"
	[ "$(grep -c 'union: work' "$log")" = 1 ]
}

@test "servers that die at once are given up" {
	local keeper log n child
	"$strata" mount small "$work/m" >"$work/id"
	keeper=$(keeper)
	log=$STRATA_RUNROOT/instances/$(cat "$work/id")/monitor.log
	tail -n +1 -f "$log" >"$work/log" 2>/dev/null 3>&- &
	n=$!
	# Faster than it comes up.
	for _ in $(seq 2000); do
		child=$(serving "$keeper" 2>/dev/null) || break
		[ -z "$child" ] || kill -9 "${child% }" 2>/dev/null || true
	done
	run timeout 20 ls "$work/m"
	[ "$status" != 124 ]
	for _ in $(seq 100); do
		! grep -q 'before they answered anything: the mount has ended' "$work/log" || break
		sleep 0.1
	done
	kill $n
	cat "$work/log"
	grep -q 'before they answered anything: the mount has ended' "$work/log"
}

@test "mount --reload: another program, the same mount" {
	# Programs of its own, to be replaced.
	# shellcheck disable=SC2154
	mkdir "$work/bin" && cp "$build"/strata* "$work/bin/"
	strata=$work/bin/strata
	"$strata" mount small "$work/m"
	exec 8<"$work/m/etc/greeting"
	local keeper exe
	keeper=$(keeper)
	exe=$(stat -L -c %i "/proc/$keeper/exe")
	cp "$build/strata-server" "$work/bin/new" && mv "$work/bin/new" "$work/bin/strata-server"
	"$strata" mount --reload "$work/m"
	[ "$(keeper)" = "$keeper" ]
	[ "$(stat -L -c %i "/proc/$keeper/exe")" != "$exe" ]
	[ "$(cat <&8)" = hello ]
	exec 8<&-
	# One that cannot be started: the old one goes on.
	echo nonsense >"$work/bin/new" && mv "$work/bin/new" "$work/bin/strata-server"
	"$strata" mount --reload "$work/m"
	[ "$(cat "$work/m/etc/greeting")" = hello ]
	grep -q 'the old program goes on' "$STRATA_RUNROOT"/instances/*/monitor.log
	fails 125 "no \`strata mount\` is there" "$strata" mount --reload "$work"
	fails 125 "takes one folder" "$strata" mount --reload small "$work/m"
	fails 125 "DIR is missing" "$strata" mount small
	"$strata" umount "$work/m"
}

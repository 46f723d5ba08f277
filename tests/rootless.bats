#!/usr/bin/env bats
# Containers and microVMs of an ordinary user: root of a user namespace, whose other ids are those of /etc/subuid.

bats_require_minimum_version 1.5.0
load lib
load ordinary

# shellcheck disable=SC2154 # lib.bash and ordinary.bash set them
setup() {
	need_fuse
	need_ordinary
	strata_setup
	make_rootfs "$work/rootfs"
	ordinary_setup 65536
}
teardown() { strata_teardown; }

# Processes of his or of his ids, tops and instances that the user left.
# shellcheck disable=SC2154 # ordinary.bash sets them
leftovers() {
	local pid owner left
	for pid in /proc/[0-9]*; do
		owner=$(stat -c %u "$pid" 2>/dev/null) || continue
		[ "$owner" != "$uid" ] && { [ "$owner" -lt "$ids_base" ] || [ "$owner" -ge $((ids_base + 65536)) ]; } ||
			echo "$pid $(tr '\0' ' ' <"$pid/cmdline")"
	done
	for left in "$work"/home/.local/share/strata/snapshots/* "$work"/xdg/strata/instances/*; do
		[ ! -e "$left" ] || ls -lR "$left"
	done
}

# A process that was told to end, or has just told its end, takes a moment.
nothing_is_left() {
	local left
	for _ in $(seq 100); do
		left=$(leftovers)
		[ -n "$left" ] || return 0
		sleep 0.05
	done
	echo "$left"
	return 1
}

# The same where the script on stdin is root in the emulated machine, and makes a user of its own there.
testbed_does() {
	"$top/tests/testbed" --probe || skip "no testbed"
	{
		cat <<'END'
set -e
. "$top/tests/lib.bash"
. "$top/tests/ordinary.bash"
export TMPDIR=/run
strata_setup
make_rootfs "$work/rootfs"
ordinary_setup 65536
END
		cat
		echo 'echo done'
	} >"$work/inside"
	export top build work strict
	run "$top/tests/testbed" -t 300 -- bash "$work/inside"
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *done ]]
}

# The script on stdin does what it says to the end, and leaves nothing.
ordinary_does() {
	run as_ordinary
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *done ]]
	nothing_is_left
}

@test "a container has users of its own, each with files of its own" {
	ordinary_does <<'END'
strata import -q "$rootfs" small
[ "$(strata run --rm small id -u)" = 0 ]
[ "$(strata run --rm --user user small id -u)" = 1000 ]
[ "$(strata run --rm small sh -c 'touch /x; chown 33:44 /x; stat -c %u:%g /x /etc/greeting' | tr '\n' ' ')" = "33:44 0:0 " ]
[ "$(strata run --rm --user user small sh -c 'touch /tmp/mine; stat -c %u /tmp/mine; cat /bin/setuid >/x 2>&1 || echo no')" = $'1000\nno' ]
strata run --rm small sh -c 'rm /etc/greeting; mv /usr/lib/large /usr/lib/big; chmod 600 /usr/lib/big; echo x >>/usr/lib/big'
status=0; strata run --rm small sh -c 'exit 7' || status=$?; [ $status = 7 ]
status=0; strata run --rm small nonesuch 2>/dev/null || status=$?; [ $status = 127 ]
echo text | strata run -i --rm small cat | grep -qx text
echo done
END
}

@test "each driver: exec, cp, top, logs, stop, diff, commit, start, rm" {
	ordinary_does <<'END'
strata import -q "$rootfs" small
for driver in fuse overlay; do
	strata run -d --driver $driver --name one small sh -c 'echo begun; exec sleep 100' >/dev/null
	[ "$(strata ps --format json | jq -r '.[].driver')" = $driver ]
	strata exec one sh -c 'touch /y; chown 5:6 /y; mkdir /d; ln -s y /link; rm /etc/greeting; echo more >>/usr/lib/large'
	[ "$(strata exec --user user one id -u)" = 1000 ]
	strata exec -d one touch /detached
	echo from-host >"$HOME/f"
	strata cp "$HOME/f" one:/f
	strata cp one:/etc/passwd "$HOME/passwd"
	cmp -s "$HOME/passwd" "$rootfs/etc/passwd"
	strata top one | grep -q 'sleep 100'
	strata logs one | grep -qx begun
	for try in $(seq 100); do strata exec one test -e /detached && break; sleep 0.05; done
	strata stop -t 1 one >/dev/null
	strata diff one >"$HOME/diff"
	grep -qx 'D /etc/greeting' "$HOME/diff"
	grep -qx 'A /y' "$HOME/diff"
	grep -qx 'C /usr/lib/large' "$HOME/diff"
	strata cp one:/f "$HOME/g"
	cmp -s "$HOME/f" "$HOME/g"
	strata commit -q one changed:$driver
	[ "$(strata run --rm changed:$driver sh -c 'stat -c %u:%g /y; readlink /link; cat /f; tail -n 1 /usr/lib/large | grep -o more
		ls /etc')" = $'5:6\ny\nfrom-host\nmore\ngreeting-link\ngroup\nhosts\npasswd' ]
	strata start one >/dev/null
	strata exec one test -e /y
	strata restart -t 1 one >/dev/null
	strata exec one test -e /y
	strata rm -f one >/dev/null
done
strata gc >/dev/null
strata fsck -q
strata df >/dev/null
echo done
END
}

@test "the drivers take turns at one top" {
	ordinary_does <<'END'
strata import -q "$rootfs" small
id=$(strata run -d --driver fuse --name one small sh -c 'chmod 700 /usr/lib/large; mv /etc /conf 2>/dev/null; exec sleep 100')
for driver in overlay fuse overlay; do
	strata stop -t 1 one >/dev/null
	sed -i "s/\"driver\": *\"[a-z]*\"/\"driver\": \"$driver\"/" "$XDG_RUNTIME_DIR"/strata/instances/$id/config.json
	strata start one >/dev/null
	[ "$(strata ps --format json | jq -r '.[].driver')" = $driver ]
	[ "$(strata exec one stat -c %a:%s /usr/lib/large)" = 700:200000 ]
	[ "$(strata exec one sh -c 'tr -d x </usr/lib/large | wc -c; cat /conf/greeting; ls /etc')" = $'0\nhello\nhosts' ]
done
strata rm -f one >/dev/null
echo done
END
}

@test "build: RUN and COPY with owners" {
	ordinary_does <<'END'
strata import -q "$rootfs" small
mkdir -p "$HOME/ctx"
printf 'FROM small\nRUN touch /a && chown 7:8 /a\nCOPY --chown=9:10 Containerfile /c\nUSER user\nCMD ["id","-u"]\n' \
	>"$HOME/ctx/Containerfile"
strata build -q -t built "$HOME/ctx" >/dev/null
[ "$(strata run --rm built)" = 1000 ]
[ "$(strata run --rm built stat -c %u:%g /a /c | tr '\n' ' ')" = "7:8 9:10 " ]
echo done
END
}

@test "volumes are the user's own files; a terminal" {
	need script
	ordinary_does <<'END'
strata import -q "$rootfs" small
mkdir -p "$HOME/v" && echo mine >"$HOME/v/file"
[ "$(strata run --rm -v "$HOME/v:/v" small sh -c 'cat /v/file; touch /v/new; stat -c %u /v/new')" = $'mine\n0' ]
[ "$(stat -c %u "$HOME/v/new")" = "$(id -u)" ]
not strata run --rm -v "$HOME/v:/v:ro" small touch /v/no 2>/dev/null
[ "$(strata run --rm --init small cat /proc/1/comm)" = strata-reap ]
[ "$(strata run --rm --tmpfs /t:size=1m,mode=700 --shm-size 1m small sh -c 'echo x >/t/f; stat -c %a /t; stat -fc %b /t /dev/shm' |
	tr '\n' ' ')" = "700 256 256 " ]
script -qec 'strata run --rm -it small readlink /proc/self/fd/0' /dev/null </dev/null | grep -q /dev/pts/0
echo done
END
}

@test "files of the environment and of labels, filters, a file for the id, stop signals" {
	ordinary_does <<'END'
strata import -q "$rootfs" small
echo A=b >"$HOME/pairs"
[ "$(strata run --rm --env-file "$HOME/pairs" small sh -c 'echo $A')" = b ]
strata run -d --label-file "$HOME/pairs" -l c=d --cidfile "$HOME/cid" --stop-signal USR1 --stop-timeout 20 small \
	sh -c 'trap "exit 9" USR1; echo up; while :; do sleep 0.1; done' >"$HOME/printed"
cmp "$HOME/cid" <(tr -d '\n' <"$HOME/printed")
[ "$(stat -c %u "$HOME/cid")" = "$(id -u)" ]
id=$(cat "$HOME/cid")
[ "$(strata ps -q -f label=A=b -f label=c)" = "$id" ]
[ "$(strata ps -q -f ancestor=small -n 1)" = "$id" ]
until [ "$(strata logs "$id")" = up ]; do sleep 0.05; done
strata stop "$id"
[ "$(strata wait "$id")" = 9 ]
strata rm "$id"
echo done
END
}

@test "a network of its own by pasta, and the host's" {
	need pasta
	[ -c /dev/net/tun ] || skip "needs /dev/net/tun"
	ordinary_does <<'END'
strata import -q "$rootfs" small
[ "$(strata run --rm small sh -c 'ls /sys/class/net')" = lo ]
strata run --rm --network user --dns-search x.y --add-host me:1.2.3.4 small \
	sh -c 'ls /sys/class/net; cat /etc/resolv.conf /etc/hosts; echo mine >>/etc/hosts' >"$HOME/said"
grep -qx eth0 "$HOME/said"
grep -q nameserver "$HOME/said"
grep -qx "search x.y" "$HOME/said"
grep -q "^1.2.3.4.me$" "$HOME/said"
grep -q "^10.0.2.15" "$HOME/said"
strata run --rm --network host small true
echo done
END
}

@test "what is root's alone is refused in one line" {
	ordinary_does <<'END'
strata import -q "$rootfs" small
refused() {
	local text=$1; shift
	! strata run --rm "$@" small true 2>"$HOME/said" || return 1
	cat "$HOME/said"
	[ "$(wc -l <"$HOME/said")" = 1 ]
	grep -q "$text" "$HOME/said"
}
refused "network 'bridge' needs root" --network bridge
refused "user 70000: this user namespace has no such id" --user 70000:0
case $(stat -fc %T /sys/fs/cgroup) in tmpfs) refused "limit: no group" --memory 64m ;; esac
strata doctor | grep -q '^root .*partly .*65537 ids'
echo done
END
}

@test "without ids of his own, or newuidmap: one line with the remedy; images and mounts go on" {
	: >"$work/subids"
	run as_ordinary <<'END'
strata import -q "$rootfs" small
for verb in "run --rm small true" "create small true" "build $HOME"; do
	! strata $verb 2>"$HOME/said" || exit 1
	cat "$HOME/said"
	[ "$(wc -l <"$HOME/said")" = 1 ]
	grep -q "needs root, or ids for user ordinary in /etc/subuid: .usermod" "$HOME/said"
done
strata gc >/dev/null; strata fsck -q; strata df >/dev/null
strata doctor | grep -q '^root .* no .*usermod'
echo done
END
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *done ]]
	echo "ordinary:$ids_base:65536" >"$work/subids"
	: >"$work/no-newuidmap"
	run as_ordinary <<'END'
not strata run --rm small true 2>"$HOME/said"
cat "$HOME/said"
grep -q 'install the package uidmap' "$HOME/said"
echo done
END
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *done ]]
}

@test "kill -9 of its programs: the next command works, rm -f clears" {
	ordinary_does <<'END'
strata import -q "$rootfs" small
for victim in strata-monitor strata-server; do
	strata run -d --driver fuse --name one small sleep 100 >/dev/null
	pgrep -u "$(id -u)" -x $victim | xargs kill -9
	strata ps -a >/dev/null
	strata rm -f one >/dev/null
	strata run --rm small true
done
echo done
END
}

@test "a microVM, emulated: its users, exec, cp, diff" {
	need jq
	[ -e "$build/vmlinux" ] || skip "no guest kernel: make kernel"
	command -v qemu-system-x86_64 >/dev/null || skip "no QEMU"
	cp -L "$build/vmlinux" "$work/bin/vmlinux"
	ORDINARY_SECONDS=250 ordinary_does <<'END'
export STRATA_KERNEL=$HOME/../bin/vmlinux
strata import -q "$rootfs" small
strata run -d --vm --vmm qemu --name vm small sleep 1000 >/dev/null
strata exec vm sh -c 'touch /y; chown 5:6 /y'
[ "$(strata exec vm stat -c %u:%g /y)" = 5:6 ]
[ "$(strata exec --user user vm id -u)" = 1000 ]
strata cp vm:/etc/passwd "$HOME/passwd"
cmp -s "$HOME/passwd" "$rootfs/etc/passwd"
strata stop -t 5 vm >/dev/null
strata diff vm | grep -qx 'A /y'
strata rm vm >/dev/null
echo done
END
}

# The emulated machine has cgroup v2 alone, and nobody's systemd: it is given the group that logging in would give.
@test "limits are kept in the group that systemd delegates, and refused outside of it" {
	testbed_does <<'END'
slice=/sys/fs/cgroup/user.slice/user-$uid.slice
group=$slice/user@$uid.service
mkdir -p "$group/shell"
for dir in /sys/fs/cgroup /sys/fs/cgroup/user.slice "$slice"; do echo '+memory +pids' >"$dir/cgroup.subtree_control"; done
chown "$uid" "$group" "$group"/cgroup.{procs,subtree_control} "$group"/shell "$group"/shell/cgroup.procs
export ORDINARY_UID=$uid
sh -c 'echo $$ >"$0"; exec "$@"' "$group/shell/cgroup.procs" bash -ec '. "$top/tests/ordinary.bash"; as_ordinary' <<'IN'
strata import -q "$rootfs" small
[ "$(strata run --rm --memory 32m --pids-limit 20 small cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max)" = $'33554432\n20' ]
strata run -d --memory 32m --name one small sleep 100 >/dev/null
strata stats --no-stream one | grep -q '33.6 MB'
strata update --memory 48m one >/dev/null
[ "$(strata exec one cat /sys/fs/cgroup/memory.max)" = 50331648 ]
strata pause one
strata unpause one
strata rm -f one >/dev/null
IN
[ "$(find "$group/strata" -mindepth 1 -type d | wc -l)" = 0 ]
as_ordinary <<'IN'
not strata run --rm --memory 32m small true 2>"$HOME/said"
cat "$HOME/said"
[ "$(wc -l <"$HOME/said")" = 1 ]
grep -q 'systemd-run --user --scope' "$HOME/said"
strata run --rm small true
IN
END
}

@test "a microVM by KVM: boots, goes on from a machine, is checkpointed" {
	[ -e "$build/vmlinux" ] || skip "no guest kernel: make kernel"
	testbed_does <<'END'
cp -L "$build/vmlinux" "$work/bin/vmlinux"
ORDINARY_SECONDS=280 as_ordinary <<'IN'
export STRATA_KERNEL=$HOME/../bin/vmlinux
strata import -q "$rootfs" small
[ "$(strata run --rm --vm --vmm kvm --cold small id -u)" = 0 ]
strata run -d --vm --vmm kvm --name vm small sleep 1000 >/dev/null
[ "$(ls "$HOME"/.local/share/strata/machines | wc -l)" = 1 ]
strata exec vm sh -c 'touch /y; chown 5:6 /y'
strata checkpoint vm >/dev/null
strata restore vm >/dev/null
[ "$(strata exec vm stat -c %u:%g /y)" = 5:6 ]
strata clone --name other vm >/dev/null
[ "$(strata exec other stat -c %u:%g /y)" = 5:6 ]
strata rm -f vm other >/dev/null
IN
END
}

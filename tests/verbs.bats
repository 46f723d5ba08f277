#!/usr/bin/env bats
# The verbs of instances that run: each with a good use, a wrong name and a wrong state.

bats_require_minimum_version 1.5.0
load lib

setup() {
	need_fuse
	strata_setup
	small_image
}
teardown() { strata_teardown; }

status_of() { "$strata" ps -a --format json | grep -A20 "\"name\": \"$1\"" | sed -n 's/.*"status": "\(.*\)".*/\1/p' | head -n1; }

@test "exec: streams, exit codes, environment, user, working directory, both drivers" {
	local driver
	for driver in fuse auto; do
		"$strata" run -d --name "c$driver" -e A=1 --driver $driver small sleep 1000
		run --separate-stderr "$strata" exec "c$driver" sh -c 'echo out; echo err >&2; exit 7'
		[ "$status" = 7 ]
		[ "$output" = out ]
		[ "$stderr" = err ]
		[ "$(echo typed | "$strata" exec -i "c$driver" cat)" = typed ]
		[ "$(echo typed | "$strata" exec "c$driver" cat)" = "" ]
		[ "$("$strata" exec -e B=2 "c$driver" sh -c 'echo $A$B')" = 12 ]
		[ "$(C=3 "$strata" exec -e C "c$driver" sh -c 'echo $C')" = 3 ]
		printf 'A=file\nB=file\n' >"$work/env"
		[ "$("$strata" exec --env-file "$work/env" -e B=2 "c$driver" sh -c 'echo $A$B')" = file2 ]
		fails 125 "$work/none: No such file" "$strata" exec --env-file "$work/none" "c$driver" true
		[ "$("$strata" exec -u user -w /tmp "c$driver" sh -c 'id -u; pwd')" = $'1000\n/tmp' ]
		run "$strata" exec "c$driver" sh -c 'kill -9 $$'; [ "$status" = 137 ]
		fails 127 "not found" "$strata" exec "c$driver" nosuchcommand
		fails 126 "" "$strata" exec "c$driver" /etc/passwd
	done
}

@test "exec: sees what the container sees, and may no more" {
	"$strata" run -d --name c small sh -c 'echo here >/tmp/made; exec sleep 1000'
	until "$strata" exec c test -s /tmp/made; do sleep 0.1; done
	[ "$("$strata" exec c cat /tmp/made)" = here ]
	[ "$("$strata" exec c readlink /proc/self/ns/net)" = "$("$strata" exec c readlink /proc/1/ns/net)" ]
	[ "$("$strata" exec c readlink /proc/self/ns/net)" != "$(readlink /proc/self/ns/net)" ]
	[ "$("$strata" exec c grep -E '^(CapBnd|CapEff|Seccomp):' /proc/self/status)" = \
		"$("$strata" exec c grep -E '^(CapBnd|CapEff|Seccomp):' /proc/1/status)" ]
}

# CVE-2019-5736: a container that keeps hold of /proc/PID/exe of who joins it.
@test "exec: who joins a container is no file that it could write" {
	mkdir "$work/bin"
	cp "$build"/strata* "$work/bin"
	"$strata" run -d --name c small sleep 1000
	"$work/bin/strata" exec c sh -c 'touch /tmp/in; exec sleep 1000' &
	until "$strata" exec c test -e /tmp/in; do sleep 0.1; done
	exec 5</proc/$!/exe
	kill -9 $!
	wait $! || true
	run bash -c ': >>/proc/self/fd/5'
	[ "$status" = 1 ]
	[[ $output == *"Read-only file system"* ]]
	exec 5<&-
}

@test "exec -d: goes on without us, and ends with the container" {
	"$strata" run -d --name c small sleep 1000
	run "$strata" exec -d c sh -c 'echo $$ >/tmp/pid; exec sleep 1000'
	[ "$status" = 0 ]
	[ -z "$output" ]
	until "$strata" exec c test -s /tmp/pid; do sleep 0.1; done
	"$strata" exec c sh -c 'kill -0 $(cat /tmp/pid)'
	fails 127 "not found" "$strata" exec -d c nosuchcommand
	"$strata" rm -f c
}

@test "exec -t: a terminal of our size" {
	need script
	"$strata" run -d --name c small sleep 1000
	fails 125 "terminal" "$strata" exec -t c true </dev/null
	run script -qec "stty rows 33 cols 77; $strata exec -it c sh -c 'test -t 0 && stty size; exit 5'" /dev/null
	echo "$output"
	[ "$status" = 5 ]
	[[ $output == *"33 77"* ]]
}

@test "exec: wrong name, wrong state, no container" {
	fails 125 "no such instance" "$strata" exec nosuch true
	"$strata" run --name ended small true
	fails 125 "not running" "$strata" exec ended true
	"$strata" run -d --name c small sleep 1000
	"$strata" pause c
	fails 125 "paused" "$strata" exec c true
}

@test "kill and wait" {
	"$strata" run -d --name c small sh -c 'trap "exit 9" USR1; while :; do sleep 0.1; done'
	sleep 0.5
	"$strata" wait c >"$work/code" &
	"$strata" kill -s USR1 c
	wait $!
	[ "$(cat "$work/code")" = 9 ]
	[ "$("$strata" wait c)" = 9 ]
	fails 125 "not running" "$strata" kill c
	fails 125 "no such instance" "$strata" kill nosuch
	fails 125 "no such instance" "$strata" wait nosuch
	fails 125 "no such signal" "$strata" kill -s NOSUCH c
	"$strata" run -d --name d small sleep 1000
	"$strata" kill d
	[ "$("$strata" wait d)" = 137 ]
}

@test "pause: nothing runs until unpause; stop and rm -f end a paused one" {
	local a b
	"$strata" run -d --name c small sh -c 'while :; do echo x >>/tmp/n; sleep 0.02; done'
	"$strata" pause c || skip "no cgroup v2 freezer here"
	[ "$(status_of c)" = paused ]
	top=$(echo "$STRATA_ROOT"/snapshots/*/upper)
	a=$(stat -c %s "$top/tmp/n" 2>/dev/null || echo 0); sleep 0.5
	b=$(stat -c %s "$top/tmp/n" 2>/dev/null || echo 0)
	[ "$a" = "$b" ]
	fails 125 "paused already" "$strata" pause c
	"$strata" unpause c
	[ "$(status_of c)" = running ]
	fails 125 "not paused" "$strata" unpause c
	until [ "$(stat -c %s "$top/tmp/n")" -gt "$b" ]; do sleep 0.1; done
	"$strata" pause c
	"$strata" stop -t 1 c
	[ "$(status_of c)" = stopped ]
	fails 125 "not running" "$strata" pause c
	fails 125 "no such instance" "$strata" pause nosuch
	"$strata" run -d --name held small sleep 1000
	"$strata" pause held
	"$strata" rm -f held
	fails 125 "no such instance" "$strata" wait held
}

@test "create and start: the same instance, again and again, on its own top" {
	"$strata" create --name c small sh -c 'echo x >>/root/lives; wc -l </root/lives; exit 3'
	[ "$(status_of c)" = created ]
	fails 125 "not running" "$strata" exec c true
	run "$strata" start -a c
	[ "$status" = 3 ]
	[ "$output" = 1 ]
	run "$strata" start -a c
	[ "$status" = 3 ]
	[ "$output" = 2 ]
	[ "$("$strata" start c)" = c ]
	[ "$("$strata" wait c)" = 3 ]
	[ "$("$strata" logs -n 1 c)" = 3 ]
	fails 125 "no such instance" "$strata" start nosuch
	fails 125 "one instance" "$strata" start -a c c
	"$strata" create --name d small true
	[ "$("$strata" rm d)" = d ]
	fails 127 "not found" "$strata" start "$("$strata" create small nosuchcommand)"
}

@test "start of one that runs is no error, restart is another life" {
	"$strata" run -d --name c small sleep 1000
	before=$("$strata" exec c stat -c %i /proc/1/ns/pid 2>/dev/null; "$strata" ps --format json | grep '"pid"')
	[ "$("$strata" start c)" = c ]
	[ "$("$strata" restart -t 0 c)" = c ]
	after=$("$strata" ps --format json | grep '"pid"')
	[ -n "$after" ]
	[[ $before != *$after* ]]
	fails 125 "no such instance" "$strata" restart nosuch
}

@test "input of start -ai" {
	"$strata" create -i --name c small cat
	[ "$(echo typed | "$strata" start -ai c)" = typed ]
}

@test "--timeout: killed, said, 137" {
	fails 137 "time-out" "$strata" run --rm --timeout 1 small sleep 1000
	run "$strata" run --rm --timeout 100 small sh -c 'exit 4'; [ "$status" = 4 ]
	"$strata" run -d --name c --timeout 1 small sleep 1000
	[ "$("$strata" wait c)" = 137 ]
	[[ $("$strata" inspect c) == *time-out* ]]
}

@test "top and stats" {
	"$strata" run -d --name c small sh -c 'sleep 1000 & sleep 2000'
	"$strata" exec -d c sleep 3000
	until [ "$("$strata" top c | grep -c 'sleep [123]000')" -ge 3 ]; do sleep 0.1; done
	[ "$("$strata" top c | grep -c "$$")" = 0 ]
	[[ $("$strata" top --format json c) == *'"command": "sleep 1000"'* ]]
	[[ $("$strata" stats --no-stream c) == *"CPU %"*c* ]]
	run "$strata" stats --no-stream --format json
	[[ $output == *'"pids": '[3-9]* && $output != *devices* ]]
	need strace
	id=$("$strata" ps -q)
	strace -e trace=openat -o "$work/trace" "$strata" stats --no-stream "$id"
	[ "$(grep -c "\"instances/$id\"" "$work/trace")" = 3 ] # after a reboot?, and once a look
	"$strata" stop -t 0 c
	fails 125 "not running" "$strata" top c
	fails 125 "not running" "$strata" stats --no-stream c
	fails 125 "no such instance" "$strata" top nosuch
}

# Pure cgroup v2, a disk of its own under the store, and nobody who gives groups controllers but this script.
@test "stats: BLOCK IO of a container, by cgroup v2, where its root has io for who is below" {
	need jq mke2fs
	"$top/tests/testbed" --probe || skip "no testbed here"
	export strata work
	{
		echo "$strict"
		cat <<-'END'
			truncate -s 100m /run/disk; mke2fs -q -t ext4 /run/disk; mkdir /run/m
			mount "$(losetup -f --show /run/disk)" /run/m
			export STRATA_ROOT=/run/m/store STRATA_RUNROOT=/run/r
			"$strata" import -q "$work/rootfs" small
			cd /sys/fs/cgroup
			up() { "$strata" run -d --name "$1" --driver overlay small sleep 1000 >/dev/null; }
			stats() { "$strata" stats --no-stream --format json "$1" | jq -e ".[0] | $2"; }
			up none
			stats none '.blockIO | not'
			not grep -w io cgroup.subtree_control strata/cgroup.subtree_control
			"$strata" rm -f none
			echo "+io +memory" >cgroup.subtree_control
			up c
			"$strata" exec c dd if=/dev/zero of=/x bs=64k count=32 conv=fsync
			stats c '.blockIO.output >= 2097152 and .memoryLimit == 0'
			"$strata" stats --no-stream c | grep -E "[0-9.]+ MB +[0-9]+$"
			"$strata" rm -f c
		END
	} >"$work/script"
	run "$top/tests/testbed" -w "$work" -t 200 -- bash "$work/script"
	echo "$output"
	[ "$status" = 0 ]
}

@test "diff and commit" {
	"$strata" run --name c small sh -c 'echo n >/root/new; rm /etc/greeting; echo more >>/etc/group; mkdir /made; true'
	run "$strata" diff c
	echo "$output"
	[[ $output == *"A /root/new"* && $output == *"D /etc/greeting"* && $output == *"C /etc/group"* && $output == *"A /made"* ]]
	[[ $output != *"passwd"* ]]
	[[ $output != *"hosts"* ]] # the image has none: a place was made for it, which is no change
	"$strata" commit -q -m why -a me -c 'CMD ["cat", "/root/new"]' c made:1
	[ "$("$strata" run --rm made:1)" = n ]
	run "$strata" run --rm made:1 test -e /etc/greeting; [ "$status" = 1 ]
	[[ $("$strata" inspect made:1) == *'"comment": "why"'* ]]
	mkdir "$work/made"
	"$strata" mount --read-only made:1 "$work/made"
	run ls "$work/made/etc"
	"$strata" umount "$work/made"
	[[ $output == *group* ]]
	[[ $output != *hosts* ]]
	echo 1.2.3.4 own >"$work/hosts"
	"$strata" cp "$work/hosts" c:/etc/hosts
	"$strata" diff c | grep -x "A /etc/hosts"
	fails 125 "no such instance" "$strata" commit nosuch x
	fails 125 "no such instance" "$strata" diff nosuch
	fails 125 "CHANGE" "$strata" commit -c 'CHANGE x' c y
	"$strata" run -d --name d small sleep 1000
	fails 125 "stop it first" "$strata" diff d
	fails 125 "stop it first" "$strata" commit d x
}

@test "commit: the image runs what the instance ran, as podman's does" {
	need jq
	"$strata" import -q -c 'ENTRYPOINT ["/bin/echo"]' -c 'CMD ["image"]' -c 'ENV A=image B=image' "$work/rootfs" said
	config() { "$strata" inspect "$1" | jq -c '.[0].config.config | [.Entrypoint, .Cmd, .WorkingDir, .User, .Env]'; }
	path=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	"$strata" create --name c -e B=own -w /tmp -u user said a b
	"$strata" commit -q c made
	[ "$(config made)" = "[[\"/bin/echo\"],[\"a\",\"b\"],\"/tmp\",\"user\",[\"A=image\",\"B=own\",\"$path\"]]" ]
	[ "$("$strata" run --rm made)" = "a b" ]
	[ "$("$strata" run --rm made c)" = c ]
	# Its own words, though the name is another image's by now; a mount runs what its image does.
	"$strata" tag small said
	"$strata" commit -q c again
	[ "$(config again)" = "$(config made)" ]
	mkdir "$work/mnt"
	"$strata" mount --name m made "$work/mnt"
	"$strata" umount "$work/mnt"
	"$strata" commit -q m mounted
	[ "$(config mounted)" = "$(config made)" ]
	"$strata" create --name n --entrypoint "" said true
	"$strata" commit -q -c 'CMD ["false"]' n plain
	[ "$(config plain | jq -c '.[0:2]')" = '[null,["false"]]' ]
}

@test "ps --filter: of one key any, of labels all, of different keys all; --last, --latest, --no-trunc" {
	need jq
	names() { "$strata" ps --format json "$@" | jq -r '[.[].name] | join(" ")'; }
	printf 'FROM small\nRUN echo x >/x\n' >"$work/Containerfile"
	"$strata" build -q -t child -f "$work/Containerfile" "$work"
	"$strata" create --name web-1 -l app=web -l tier=a small true
	"$strata" create --name web-2 -l app=web -l tier=b child sh -c 'exit 3'
	"$strata" create --name db -l app= small sleep 1000 and a command that is longer than what a table shows unless it is asked to
	"$strata" start -a web-1
	run "$strata" start -a web-2; [ "$status" = 3 ]
	[ "$(names)" = db ]
	[ "$(names -a)" = "web-1 web-2 db" ]
	[ "$(names -a -f label=app)" = "web-1 web-2 db" ]
	[ "$(names -a -f label=app=web)" = "web-1 web-2" ]
	[ "$(names -a -f label=app=)" = db ]
	[ "$(names -a -f label=app=web --filter label=tier=b)" = web-2 ]
	[ "$(names -a -f label=nosuch)" = "" ]
	[ "$(names -a -f name=web)" = "web-1 web-2" ]
	[ "$(names -a -f name='^(db|web-2)$')" = "web-2 db" ]
	[ "$(names -a -f name=db -f name=1)" = "web-1 db" ]
	[ "$(names -a -f name=web -f exited=3)" = web-2 ]
	[ "$(names -f exited=3 -f exited=0)" = "web-1 web-2" ]
	[ "$(names -f status=exited)" = "web-1 web-2" ]
	[ "$(names -f status=created)" = db ]
	[ "$(names -a -f ancestor=small)" = "web-1 web-2 db" ]
	[ "$(names -a -f ancestor=child:latest)" = web-2 ]
	[ "$(names -a -f ancestor="$("$strata" inspect child | jq -r '.[0].id')")" = web-2 ]
	"$strata" rmi child
	[ "$(names -a -f ancestor=child)" = web-2 ]
	[ "$(names -a -f ancestor=nosuch)" = "" ]
	id=$("$strata" ps -aq -f name=db)
	[ "$(names -a -f id="${id:0:6}")" = db ]
	[ "$(names -a -f id="x$id")" = "" ]
	[ "$(names -n 2)" = "web-2 db" ]
	[ "$(names -l)" = db ]
	[ "$("$strata" ps -q --latest)" = "$id" ]
	[ "$(names -n 1 -f name=web)" = web-2 ]
	"$strata" ps -a | not grep "asked to"
	"$strata" ps -a --no-trunc | grep "asked to"
	fails 125 "must be KEY=VALUE with one of label, name, id, status, exited, ancestor" "$strata" ps -f colour=red
	fails 125 "must be KEY=VALUE" "$strata" ps -f label
	fails 125 "must be created, running" "$strata" ps -f status=dead
	fails 125 "must be an exit code" "$strata" ps -f exited=x
	fails 125 "filter 'name=(': " "$strata" ps -f 'name=('
}

@test "--stop-signal and --stop-timeout: over the image's, of stop, restart and rm -f; --cidfile" {
	local start
	"$strata" import -q -c 'STOPSIGNAL USR1' "$work/rootfs" usr1
	listening() { for _ in $(seq 100); do [ "$("$strata" logs -n 1 "$1")" = up ] && return; sleep 0.05; done; return 1; }
	code='trap "exit 1" USR1; trap "exit 2" USR2; trap "" TERM; echo up; while :; do sleep 0.1; done'
	"$strata" run -d --name image usr1 sh -c "$code"
	"$strata" run -d --name option --stop-signal SIGUSR2 --cidfile "$work/cid" usr1 sh -c "$code"
	[ "$("$strata" ps -q -f name=option)" = "$(cat "$work/cid")" ]
	listening image
	listening option
	"$strata" stop image option
	[ "$("$strata" wait image option)" = $'1\n2' ]
	"$strata" start option
	listening option
	"$strata" restart option
	[ "$(status_of option)" = running ]
	[[ $("$strata" inspect option) == *'"stopSignal": 12'* ]]
	# One that does not listen.
	"$strata" create --name deaf --stop-timeout 1 small sh -c "$code"
	"$strata" start deaf
	listening deaf
	start=$SECONDS
	"$strata" stop deaf
	[ $((SECONDS - start)) -le 6 ]
	[ "$("$strata" wait deaf)" = 137 ]
	# rm -f kills at once, unless a time was said: by it or to it.
	"$strata" run -d --name said --stop-timeout 20 --stop-signal USR2 -v "$work:/w" small sh -c "trap 'echo kindly >/w/said; exit' USR2; echo up; while :; do sleep 0.1; done"
	listening said
	"$strata" rm -f said
	[ "$(cat "$work/said")" = kindly ]
	"$strata" run -d --name told --stop-signal USR2 -v "$work:/w" small sh -c "trap 'echo kindly >/w/told; exit' USR2; echo up; while :; do sleep 0.1; done"
	listening told
	"$strata" rm -f -t 20 told
	[ "$(cat "$work/told")" = kindly ]
	start=$SECONDS
	"$strata" rm -f option
	[ $((SECONDS - start)) -le 5 ]
	# The file stays, and no other is overwritten; without an instance there is none.
	fails 125 "cidfile $work/cid: File exists" "$strata" run --rm --cidfile "$work/cid" small true
	fails 125 "nosuchimage" "$strata" create --cidfile "$work/none" nosuchimage true
	[ ! -e "$work/none" ]
	"$strata" run --rm --cidfile "$work/gone" small true
	[ "$(wc -c <"$work/gone")" = 12 ]
	[ "$("$strata" create --cidfile "$work/created" small true)" = "$(cat "$work/created")" ]
	fails 125 "stop signal 'NOSUCH': no such signal" "$strata" run --rm --stop-signal NOSUCH small true
	fails 125 "stop timeout '-1': must be 0 to 86400" "$strata" run --rm --stop-timeout -1 small true
	fails 125 "must be 0 to 86400" "$strata" stop -t x option
	fails 125 "must be 0 to 86400" "$strata" rm -f -t 86401 option
}

@test "rename" {
	"$strata" run -d --name old small sleep 1000 # no id begins so
	"$strata" run -d --name taken small sleep 1000
	"$strata" rename old better
	[ "$(status_of better)" = running ]
	"$strata" exec better true
	fails 125 "no such instance" "$strata" exec old true
	fails 125 "has it already" "$strata" rename better taken
	fails 125 "must be" "$strata" rename better 'a/b'
	fails 125 "no such instance" "$strata" rename nosuch x
	"$strata" run --rm --name old small true
}

@test "cp: files and folders, both directions, running and stopped, docker's rules" {
	local state
	mkdir -p "$work/in/sub"; echo one >"$work/in/one"; echo two >"$work/in/sub/two"; ln -s one "$work/in/link"
	chmod 4750 "$work/in/one"
	for state in running stopped; do
		"$strata" run -d --name "$state" small sleep 1000
		[ $state = running ] || "$strata" stop -t 0 $state
		"$strata" cp "$work/in" $state:/tmp        # a folder into one that is there
		"$strata" cp "$work/in/." $state:/made     # content into a new one
		"$strata" cp "$work/in/one" $state:/made/file
		"$strata" cp "$work/in/one" $state:/made/sub
		fails 125 "no such directory" "$strata" cp "$work/in/one" $state:/nosuch/
		fails 125 "no directory" "$strata" cp "$work/in" $state:/made/file
		fails 125 "nosuch" "$strata" cp $state:/nosuch "$work/out"
		fails 125 "one of both" "$strata" cp $state:/made $state:/other
		rm -rf "$work/out"
		"$strata" cp $state:/made "$work/out"
		[ "$(cd "$work/out" && find . | sort | xargs)" = ". ./file ./link ./one ./sub ./sub/one ./sub/two" ]
		[ "$(cat "$work/out/file" "$work/out/sub/two")" = $'one\ntwo' ]
		[ "$(readlink "$work/out/link")" = one ]
		[ "$(stat -c %a "$work/out/one")" = 750 ]
		rm -rf "$work/out"
		"$strata" cp $state:/tmp/in/sub/. "$work/out"
		[ "$(cat "$work/out/two")" = two ]
		"$strata" cp $state:/etc/greeting "$work/out"
		[ "$(cat "$work/out/greeting")" = hello ]
	done
	[ "$("$strata" exec running stat -c %a:%u /tmp/in/one)" = 4750:0 ]
	"$strata" start stopped
	[ "$("$strata" exec stopped cat /made/sub/two)" = two ]
	fails 125 "no such instance" "$strata" cp nosuch:/etc "$work/out"
}

@test "cp: links of a hostile container lead nowhere on the host" {
	echo secret >"$work/secret"
	mkdir "$work/target"
	"$strata" run -d --name c small sh -c "ln -s $work/secret /evil; ln -s $work/target /dir; ln -s ../../../../.. /up; mkdir /d; mkfifo /d/f 2>/dev/null; exec sleep 1000"
	until "$strata" exec c test -d /d; do sleep 0.1; done
	"$strata" cp c:/evil "$work/copied"
	[ "$(readlink "$work/copied")" = "$work/secret" ]
	rm "$work/copied"
	fails 125 "" "$strata" cp c:/evil/ "$work/copied"
	echo data >"$work/data"
	fails 125 "" "$strata" cp "$work/data" c:/dir/x
	[ -z "$(ls "$work/target")" ]
	"$strata" cp "$work/data" c:/up/arrived
	[ "$("$strata" exec c cat /arrived)" = data ]
	[ ! -e /arrived ]
	"$strata" cp "$work/data" c:/evil
	[ "$(cat "$work/secret")" = secret ]
}

@test "update: limits of one that runs, at once and for its next start" {
	local group=/sys/fs/cgroup file id
	id=$("$strata" run -d --name c --cpus 1.5 --memory 64m --pids-limit 50 small sleep 1000)
	for file in cpu.max cpu/cpu.cfs_quota_us cpu,cpuacct/cpu.cfs_quota_us; do
		file=$(ls -d $group/${file%/*}/strata/"$id/${file##*/}" $group/strata/"$id/${file##*/}" 2>/dev/null | head -n1)
		[ -z "$file" ] || break
	done
	[ -n "$file" ] || skip "no cgroup controller cpu here"
	"$strata" update --cpus 0.5 --memory 128m --pids-limit 7 c
	[[ $(cat "$file") == 50000* ]]
	[ "$("$strata" inspect c | jq -c '.[0].config.limits | [.nanoCpus, .memory, .pids]')" = "[500000000,134217728,7]" ]
	"$strata" stats --no-stream --format json c | jq -e '.[0].memoryLimit == 134217728'
	"$strata" update --memory 32m c
	"$strata" stop -t 0 c
	"$strata" update --pids-limit 9 c
	"$strata" start c
	"$strata" stats --no-stream --format json c | jq -e '.[0].memoryLimit == 33554432'
	[ "$("$strata" inspect c | jq '.[0].config.limits.pids')" = 9 ]
	fails 125 "say what" "$strata" update c
	fails 125 "6m or more" "$strata" update --memory 1m c
	fails 125 "no such instance" "$strata" update --cpus 1 nosuch
}

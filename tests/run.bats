#!/usr/bin/env bats
# Containers by the command line: exit codes, streams, environment, limits, volumes, drivers, and nothing left behind.

bats_require_minimum_version 1.5.0
load lib

setup() {
	need_fuse
	strata_setup
	small_image
}
teardown() { strata_teardown; }

# What a run could leave behind on this host.
leftovers() {
	grep -c "$work" /proc/self/mountinfo || true
	find "$STRATA_RUNROOT/instances" "$STRATA_ROOT/snapshots" -mindepth 1 -maxdepth 1 2>/dev/null
}

both_drivers() {
	local driver
	for driver in fuse overlay; do
		if [ $driver = overlay ] && ! "$strata" run --rm --driver overlay small true 2>/dev/null; then
			echo "# overlay: not on this host" >&3
			continue
		fi
		echo "driver $driver"
		"$@" --driver $driver
	done
}

@test "exit codes are docker's" {
	check() {
		run "$strata" run --rm "$@" small true; [ "$status" = 0 ]
		run "$strata" run --rm "$@" small sh -c 'exit 7'; [ "$status" = 7 ]
		run "$strata" run --rm "$@" small sh -c 'sh -c "kill -9 \$\$"; exit $?'; [ "$status" = 137 ]
		fails 127 "not found" "$strata" run --rm "$@" small nosuchcommand
		fails 126 "" "$strata" run --rm "$@" small /etc/passwd
		fails 125 "nosuchimage" "$strata" run --rm "$@" nosuchimage true
	}
	both_drivers check
	[ "$(leftovers)" = 0 ]
}

@test "a file server that dies without a word is no server that is up" {
	need_fuse
	mkdir "$work/bin" "$work/mnt"
	cp "$build/strata" "$build/strata-monitor" "$work/bin"
	printf '#!/bin/sh\nexit 0\n' >"$work/bin/strata-server"
	chmod +x "$work/bin/strata-server"
	fails 125 "strata-server ended before it served" timeout 60 "$work/bin/strata" run --rm --driver fuse small true
	fails 125 "strata-server ended before it served" timeout 60 "$work/bin/strata" mount small "$work/mnt"
	[ -z "$("$strata" ps -aq)" ]
}

@test "an image whose layer is lost is refused, and leaves no instance; the name is free" {
	local layer
	layer=$(find "$STRATA_ROOT/layers" -name index)
	mv "$layer" "$work/index"
	rm -rf "$STRATA_ROOT"/merged/*
	fails 125 "is not in the store: pull or load its image again" "$strata" run --name lost small true
	fails 125 "is not in the store: pull or load its image again" "$strata" create --name lost small true
	[ "$(leftovers)" = 0 ]
	mv "$work/index" "$layer"
	[ "$("$strata" run --rm --name lost small echo back)" = back ]
}

@test "standard streams: separate, whole, in both directions" {
	run --separate-stderr "$strata" run --rm small sh -c 'echo out; echo err >&2'
	[ "$output" = out ]
	[ "$stderr" = err ]
	[ "$(head -c 3000000 /dev/zero | "$strata" run --rm -i small wc -c)" = 3000000 ]
	[ "$("$strata" run --rm small sh -c 'yes | head -c 3000000' | wc -c)" = 3000000 ]
	[ "$("$strata" run small sh -c 'yes | head -c 3000000' | wc -c)" = 3000000 ]
}

@test "environment, working directory, user, host name, entrypoint" {
	run "$strata" run --rm -e A=1 -e HOME=/x small env
	[[ $output == *A=1* && $output == *HOME=/x* && $output == *PATH=* ]]
	B=2 run "$strata" run --rm -e B small env
	[ "$(B=2 "$strata" run --rm -e B small sh -c 'echo $B')" = 2 ]
	[ "$("$strata" run --rm -w /made/new small sh -c pwd)" = /made/new ]
	[ "$("$strata" run --rm -u user small id)" = "uid=1000(user) gid=1000(user) groups=1000(user),2000(extra)" ]
	[ "$("$strata" run --rm -u 5:6 small sh -c 'id -u; id -g')" = $'5\n6' ]
	[ "$("$strata" run --rm --hostname box small hostname)" = box ]
	[ "$("$strata" run --rm --entrypoint echo small a b)" = "a b" ]
	fails 125 "nobodyhere" "$strata" run --rm -u nobodyhere small true
}

@test "--env-file: lines of NAME=VALUE, those of -e win, a bad line is named; create has it too" {
	printf '# none\n\nA=file\n  B=two words # and more\nC=file\nOURS\nNOBODYS\n' >"$work/env"
	printf 'A=second\r\n' >"$work/more"
	OURS=1 "$strata" create --name c --env-file "$work/env" --env-file "$work/more" -e C=option small \
		sh -c 'echo "$A,$B,$C,$OURS,${NOBODYS-unset}"'
	[ "$("$strata" start -a c)" = "second,two words # and more,option,1,unset" ]
	[ "$("$strata" start -a c)" = "second,two words # and more,option,1,unset" ]
	printf 'A=1\nA B=2\n' >"$work/bad"
	fails 125 "$work/bad:2: a blank in the name" "$strata" run --rm --env-file "$work/bad" small true
	printf '=x\n' >"$work/bad"
	fails 125 "$work/bad:1: there is no name" "$strata" run --rm --env-file "$work/bad" small true
	printf 'A=\0\n' >"$work/bad"
	fails 125 "$work/bad:1: it holds a NUL" "$strata" create --env-file "$work/bad" small true
	fails 125 "$work/none: No such file" "$strata" run --rm --env-file "$work/none" small true
	fails 125 "Is a directory" "$strata" run --rm --env-file "$work" small true
}

@test "labels: over the image's; inspect shows them, commit hands them on" {
	need jq
	"$strata" import -q -c 'LABEL a=image b=image' "$work/rootfs" labelled
	printf 'b=file\nfile\n' >"$work/labels"
	"$strata" create --name l --label-file "$work/labels" -l b=option --label 'c=x=y' -l bare labelled true
	want='{"a":"image","b":"option","bare":"","c":"x=y","file":""}'
	[ "$("$strata" inspect l | jq -cS '.[0].config.labels')" = "$want" ]
	"$strata" start -a l
	[ "$("$strata" inspect l | jq -cS '.[0].config.labels')" = "$want" ]
	[ "$("$strata" ps -a --format json | jq -cS '.[0].labels')" = "$want" ]
	"$strata" commit l made
	[ "$("$strata" inspect made | jq -cS '.[0].config.config.Labels')" = "$want" ]
	fails 125 "label '=x': must be NAME=VALUE" "$strata" run --rm -l =x small true
	fails 125 "label 'a=" "$strata" run --rm -l $'a=\xff' small true
	printf "a b\n" >"$work/labels"
	fails 125 "$work/labels:1: a blank" "$strata" run --rm --label-file "$work/labels" small true
}

@test "writes go to the top, the image stays as it was" {
	check() {
		"$strata" run --name w "$@" small sh -c 'echo new >/etc/greeting; rm /etc/greeting-link; mkdir /fresh; chmod 700 /root'
		[ "$("$strata" run --rm "$@" small cat /etc/greeting)" = hello ]
		[ "$("$strata" run --rm "$@" small cat /etc/greeting-link)" = hello ]
		"$strata" rm w
		"$strata" fsck -q
	}
	both_drivers check
}

@test "the tree is the same by both drivers, and as it was imported" {
	check() {
		"$strata" run --rm "$@" small sh -c 'cd / && find bin etc usr root var ! -path etc/hosts -exec stat -c "%n %F %a %u %g %h %s" {} + | sort' >"$work/seen"
		(cd "$work/rootfs" && find bin etc usr root var -exec busybox stat -c "%n %F %a %u %g %h %s" {} + | LC_ALL=C sort) >"$work/want"
		LC_ALL=C sort -o "$work/seen" "$work/seen"
		# sizes and links of directories are a file system's own business
		diff <(sed '/directory/s/ [0-9]* [0-9]*$//' "$work/want") <(sed '/directory/s/ [0-9]* [0-9]*$//' "$work/seen")
		[ "$("$strata" run --rm "$@" small md5sum /usr/lib/large)" = "$(md5sum <"$work/rootfs/usr/lib/large" | sed 's/-/\/usr\/lib\/large/')" ]
	}
	both_drivers check
}

@test "driver overlay: the instances of an image share one mount of it, which goes with the last" {
	"$strata" run --rm --driver overlay small true 2>/dev/null || skip "this kernel has no driver overlay"
	case $(uname -r) in [1-5].* | 6.[0-9].* | 6.1[0-4].*) skip "needs Linux 6.15" ;; esac
	need jq
	local images=$STRATA_RUNROOT/images
	how() {
		"$strata" --debug run --rm --driver overlay small true 2>&1 | sed -n 's/.*: image //p'
	}
	[ "$(how)" = mounted ]
	"$strata" run -d --name one --driver overlay small sleep 100
	"$strata" run -d --name two --driver overlay small sleep 100
	[ "$(how)" = shared ]
	# The first goes, the mount stays.
	"$strata" rm -f one
	# Where EROFS cannot mount the files (they are on a tmpfs, say) a server does, and has a log beside.
	mounts() { find "$images" -type f ! -name "*.sound" ! -name "*.log"; }
	[ "$(mounts | wc -l)" = 1 ]
	[ "$(how)" = shared ]
	"$strata" run -d --name three --driver overlay small sleep 100
	# A supervisor that was killed is not asked.
	kill -9 "$(awk '/^PPid:/ {print $2}' "/proc/$("$strata" inspect three | jq '.[0].pid')/status")"
	[ "$(how)" = shared ]
	"$strata" ps -aq | xargs "$strata" rm -f
	[ "$(how)" = mounted ]
	[ -z "$(mounts)" ]
}

@test "volumes: read-write and read-only, files and folders" {
	mkdir "$work/vol" && echo in >"$work/vol/file"
	"$strata" run --rm -v "$work/vol:/vol" small sh -c 'cat /vol/file && echo out >/vol/made'
	[ "$(cat "$work/vol/made")" = out ]
	run "$strata" run --rm -v "$work/vol:/vol:ro" small sh -c 'echo no >/vol/made'
	[ "$status" != 0 ]
	[ "$(cat "$work/vol/made")" = out ]
	[ "$("$strata" run --rm -v "$work/vol/file:/etc/greeting:ro" small cat /etc/greeting)" = in ]
	fails 125 "$work/none" "$strata" run --rm -v "$work/none:/vol" small true
}

@test "--tmpfs and --shm-size: empty, of that size and mode, above and below volumes, gone with the end" {
	check() {
		mkdir -p "$work/vol/in"
		"$strata" create --name t "$@" --tmpfs /vol/in/t:size=64k,mode=0700 --tmpfs /vol:exec --tmpfs /etc/ro:ro -v "$work/vol/in:/vol/in" \
			--tmpfs /root --shm-size 1m small sh -c '
				stat -c "%n %a" /vol /vol/in/t /etc/ro; ls -A /root; echo x >/root/f; cp /bin/busybox /vol/echo; /vol/echo runs
				cp /bin/busybox /root/echo; /root/echo runs 2>/dev/null; echo x >/etc/ro/f; grep -c "^tmpfs /root tmpfs rw,nosuid,nodev,noexec," /proc/mounts
				head -c 100000 /dev/zero >/vol/in/t/x; wc -c </vol/in/t/x; dd if=/dev/zero of=/dev/shm/x bs=1k count=2000 2>/dev/null; wc -c </dev/shm/x'
		for _ in 1 2; do
			run --separate-stderr "$strata" start -a t
			echo "$output / $stderr"
			[ "$output" = "$(printf '%s\n' "/vol 1777" "/vol/in/t 700" "/etc/ro 1777" runs 1 65536 1048576)" ]
			[[ $stderr == *"Read-only"* ]]
		done
		[ -z "$(ls -A "$work/vol/in/t")" ]
		"$strata" inspect t | jq -e '.[0].config | .shmSize == 1048576 and (.tmpfs | length) == 4 and .tmpfs[0].mode == 448'
		"$strata" rm t
	}
	need jq
	both_drivers check
	[ "$("$strata" run --rm small sh -c 'grep " /dev/shm " /proc/mounts | grep -c size=65536k')" = 1 ]
	"$strata" run --rm --shm-size 0 small sh -c 'head -c 70000000 /dev/zero >/dev/shm/x'
	"$strata" run --rm --read-only --tmpfs /new/place small sh -c 'echo x >/new/place/f'
	fails 125 "tmpfs 'x': must be /TARGET" "$strata" run --rm --tmpfs x small true
	fails 125 "'dev' is none of size=" "$strata" run --rm --tmpfs /x:dev small true
	fails 125 "something else is mounted there" "$strata" run --rm -v "$work:/x" --tmpfs /x small true
	fails 125 "in place of the whole root" "$strata" run --rm --tmpfs / small true
	fails 125 "size of /dev/shm 'x'" "$strata" run --rm --shm-size x small true
}

@test "--init: a process 1 that reaps and hands signals on; the command's status, terminal and user stay its own" {
	check() {
		# What a shell that ends leaves running becomes a child of process 1, and then a zombie where that does not wait.
		local orphan='sh -c "sleep 0.3 & exit"; sleep 1; grep -l "^State:.Z" /proc/[0-9]*/status | wc -l; cat /proc/1/comm'
		[ "$("$strata" run --rm --init "$@" small sh -c "$orphan")" = $'0\nstrata-reap' ]
		[ "$("$strata" run --rm --init "$@" -u user small id -u)" = 1000 ]
		[ "$(echo typed | "$strata" run --rm -i --init "$@" small cat)" = typed ]
		run "$strata" run --rm --init "$@" small sh -c 'exit 7'; [ "$status" = 7 ]
		run "$strata" run --rm --init "$@" small sh -c 'kill -9 $$'; [ "$status" = 137 ]
		fails 127 "not found" "$strata" run --rm --init "$@" small nosuchcommand
		fails 126 "" "$strata" run --rm --init "$@" small /etc/passwd
		"$strata" run -d --name i --init "$@" small sh -c 'trap "exit 9" TERM; echo up; while :; do sleep 0.1; done'
		for _ in $(seq 100); do [ "$("$strata" logs i)" = up ] && break; sleep 0.05; done
		# Not its own program either.
		run "$strata" exec i sh -c 'echo x >>/proc/1/exe'
		[ "$status" != 0 ]
		"$strata" stop i
		[ "$("$strata" wait i)" = 9 ]
		"$strata" rm i
	}
	need script
	both_drivers check
	# A command without a handler ends by TERM when it is not process 1, however early that comes.
	for _ in $(seq 20); do
		"$strata" run -d --name plain --init small sleep 1000
		"$strata" stop -t 20 plain
		[ "$("$strata" wait plain)" = 143 ]
		"$strata" rm plain
	done
	# In the background of its terminal it would be stopped for that. So would strata, where timeout makes a group of its
	# own: as it does when the shell does not become it.
	script -qec "timeout --foreground 30 $strata run --rm -it --init small sh -c 'stty -echo && echo here; exit 5'" /dev/null </dev/null >"$work/tty" || [ $? = 5 ]
	grep here "$work/tty"
}

@test "network: none has only a loopback, host has the host's" {
	[ "$("$strata" run --rm small ls /sys/class/net)" = lo ]
	[ "$("$strata" run --rm --network host small ls /sys/class/net | sort)" = "$(ls /sys/class/net | sort)" ]
	[ "$("$strata" run --rm --hostname box --name n --add-host a:1.2.3.4 small cat /etc/hosts)" = \
		$'1.2.3.4\ta\n127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.0.1\tbox n' ]
	fails 125 "must be none, host, user or bridge" "$strata" run --rm --network nosuch small true
}

@test "isolation: own pids, masked kernel files, few capabilities, seccomp, no new mounts" {
	[ "$("$strata" run --rm small sh -c 'echo $$')" = 1 ]
	run "$strata" run --rm small sh -c 'wc -c </proc/kcore'
	[ "$output" = 0 ] || [ "$status" != 0 ]
	run "$strata" run --rm small sh -c 'echo 1 >/proc/sys/kernel/panic'
	[ "$status" != 0 ]
	"$strata" run --rm small grep -E 'CapEff:.00000000a80425fb' /proc/self/status
	"$strata" run --rm small grep -E 'Seccomp:.2' /proc/self/status
	run "$strata" run --rm small busybox mount -t tmpfs none /tmp
	[ "$status" != 0 ]
}

@test "limits: memory kills and says so, pids stop a fork" {
	fails_or_skip() { "$strata" run --rm --memory 64m small true 2>"$work/err" || skip "$(cat "$work/err")"; }
	fails_or_skip
	run "$strata" run --name oom --memory 16m small sh -c 'head -c 200000000 /dev/zero | tail -c 150000000 | wc -c'
	run "$strata" run --name oom2 --memory 16m small busybox tail /dev/zero
	[ "$status" = 137 ]
	run "$strata" ps -a
	[[ $output == *"out of memory"* ]]
	run "$strata" run --rm --pids-limit 4 small sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait'
	[[ $output == *"fork"* ]]
	fails 125 "memory" "$strata" run --rm --memory nonsense small true
}

@test "limits: --io-rate holds back what goes to the store's disk" {
	local began
	need jq
	"$strata" run --rm --driver overlay --io-rate 1m small true 2>"$work/err" || skip "$(cat "$work/err")"
	began=$(date +%s%N)
	"$strata" run --rm --driver overlay --io-rate 1m small dd if=/dev/zero of=/x bs=64k count=32 oflag=direct
	(($(date +%s%N) - began > 1000000000)) # 2 MiB
	fails 125 "by fuse a server" "$strata" run --rm --driver fuse --io-rate 1m small true
	"$strata" run -d --name io --driver overlay --io-rate 1m small sleep 1000
	"$strata" exec io dd if=/dev/zero of=/x bs=64k count=16 oflag=direct
	"$strata" stats --no-stream --format json io | jq -e '.[0].blockIO | .output >= 1048576 and .input >= 0'
	"$strata" update --io-rate 2m io
	[ "$("$strata" inspect io | jq '.[0].config.limits.ioRate')" = 2097152 ]
	cat /sys/fs/cgroup/blkio/strata/*/blkio.throttle.write_bps_device /sys/fs/cgroup/strata/*/io.max 2>/dev/null | grep 2097152
	"$strata" run -d --name free --driver overlay small sleep 1000
	fails 125 "start it with such a limit" "$strata" update --io-rate 2m free
	[ "$("$strata" stats --no-stream --format json io free | jq -c 'map(has("netIO"))')" = "[false,false]" ]
}

@test "ulimits and capabilities: of the command and of exec; what there is not is refused" {
	need jq
	"$strata" run -d --name c --ulimit nofile=123:456 --ulimit core=0 --cap-drop all --cap-add chown --cap-add CAP_KILL \
		small sh -c 'ulimit -n; ulimit -Hn; ulimit -c; grep ^Cap /proc/self/status; exec sleep 1000'
	until [ "$("$strata" logs c | wc -l)" = 8 ]; do sleep 0.05; done
	[ "$("$strata" exec c sh -c 'ulimit -n; ulimit -Hn; ulimit -c; grep ^Cap /proc/self/status')" = "$("$strata" logs c)" ]
	[ "$("$strata" logs c | head -n 3 | xargs)" = "123 456 0" ]
	for set in CapPrm CapEff CapBnd; do
		[[ $("$strata" logs c) == *"$set:"*0000000000000021* ]]
	done
	[[ $("$strata" exec -u user c grep ^CapEff /proc/self/status) == *0000000000000000 ]]
	[ "$("$strata" inspect c | jq -c '.[0].config | [.capAdd, .capDrop, .ulimits[0].hard]')" = '[["CHOWN","KILL"],["ALL"],456]' ]
	# Its own network is its to arrange, or not.
	run "$strata" run --rm small busybox ip link set lo down
	[ "$status" != 0 ]
	"$strata" run --rm --cap-add NET_ADMIN small busybox ip link set lo down
	fails 125 "no limit is called nosuch" "$strata" run --ulimit nosuch=1 small true
	fails 125 "NAME=SOFT" "$strata" run --ulimit nofile small true
	fails 125 "above the hard" "$strata" run --ulimit nofile=5:4 small true
	fails 125 "capability 'NOSUCH'" "$strata" run --cap-add NOSUCH small true
	fails 125 "added and dropped" "$strata" run --cap-add KILL --cap-drop KILL small true
}

@test "--storage-opt size: what the top may hold, for the command and for cp; room that was made can be used" {
	need jq
	head -c 8000000 /dev/zero >"$work/big"
	run "$strata" run --name q --storage-opt size=4m small sh -c 'cat /dev/zero >/big; stat -c %s /big; rm /big
		echo room >/small && cat /small; busybox df -k / | busybox tail -n 1'
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *"No space left on device"* && $output == *room* && $output == *" 4096 "* ]]
	[ "$(grep -x '[0-9]*' <<<"$output")" -gt 3000000 ]
	[ "$("$strata" inspect q | jq -c '.[0].config | [.topSize, .driver]')" = '[4194304,"fuse"]' ]
	fails 125 "No space left" "$strata" cp "$work/big" q:/again
	"$strata" start -a q | grep -x room
	fails 125 "bounds no top" "$strata" run --rm --driver overlay --storage-opt size=4m small true
	fails 125 "leaves no top" "$strata" run --rm --read-only --storage-opt size=4m small true
	fails 125 "must be size=" "$strata" run --rm --storage-opt inodes=4 small true
	fails 125 "must be size=" "$strata" run --rm --storage-opt size=x small true
}

@test "detached: ps, logs, stop, rm" {
	id=$("$strata" run -d --name bg small sh -c 'trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.1; done')
	for _ in $(seq 100); do [ "$("$strata" logs bg)" = ready ] && break; sleep 0.05; done
	run "$strata" ps
	[[ $output == *"$id"* && $output == *running* && $output == *bg* ]]
	fails 125 "running" "$strata" rm bg
	fails 125 "bg" "$strata" run -d --name bg small true
	[ "$("$strata" stop bg)" = bg ]
	[ "$("$strata" logs bg)" = $'ready\nbye' ]
	[ "$("$strata" logs -n 1 bg)" = bye ]
	"$strata" logs -t bg | grep -E '^20[0-9-]+T.*Z ready'
	run "$strata" ps; [[ $output != *bg* ]]
	run "$strata" ps -a; [[ $output == *"exited (3)"* ]]
	"$strata" rm bg
	[ -z "$("$strata" ps -aq)" ]
	[ "$(leftovers)" = 0 ]
}

@test "--rm: when the end is told the instance is gone, and its name is free" {
	local n
	for n in $(seq 20); do
		"$strata" run --rm --name again small true
		"$strata" run -d --rm --name again small sleep 100
		"$strata" stop -t 0 again
		"$strata" run -d --rm --name again small true
		"$strata" wait again || true # it may be gone already
	done
	[ -z "$(leftovers | grep -v '^0$')" ]
}

@test "stop kills what does not listen" {
	"$strata" run -d --name deaf small sh -c 'trap "" TERM; echo up; while :; do sleep 0.1; done'
	for _ in $(seq 100); do [ "$("$strata" logs deaf)" = up ] && break; sleep 0.05; done
	"$strata" stop -t 1 deaf
	run "$strata" ps -a; [[ $output == *"exited (137)"* ]]
}

@test "a terminal: tty, size, raw relay, exit code" {
	need script
	run script -qec "stty rows 33 cols 77; '$strata' run --rm -it small sh -c 'sleep 0.2; stty size; test -t 0 && echo yes; exit 5'" /dev/null
	[ "$status" = 5 ]
	[[ $output == *"33 77"* && $output == *yes* ]]
	fails 125 "terminal" "$strata" run --rm -t small true </dev/null
}

@test "signals reach the command in the foreground" {
	"$strata" run --name sig small sh -c 'trap "exit 9" TERM; echo up; while :; do sleep 0.1; done' >"$work/out" &
	pid=$!
	for _ in $(seq 100); do grep -q up "$work/out" && break; sleep 0.05; done
	kill -TERM $pid
	rc=0; wait $pid || rc=$?
	[ $rc = 9 ]
}

@test "mount and umount: the image as a folder, with a top that can be kept" {
	mkdir "$work/m"
	"$strata" mount small "$work/m"
	[ "$(cat "$work/m/etc/greeting")" = hello ]
	echo changed >"$work/m/etc/greeting"
	[ "$(cat "$work/m/etc/greeting-link")" = changed ]
	"$strata" umount "$work/m"
	[ -z "$(ls "$work/m")" ]
	"$strata" mount small "$work/m"
	[ "$(cat "$work/m/etc/greeting")" = hello ]
	umount "$work/m"
	for _ in $(seq 100); do [ "$(leftovers)" = 0 ] && break; sleep 0.05; done
	[ "$(leftovers)" = 0 ]
	fails 125 "$work/none" "$strata" mount small "$work/none"
	fails 125 "$work/m" "$strata" umount "$work/m"
}

@test "umount and rm -f of a mount end it, whoever has a copy of the mount" {
	local other
	mkdir "$work/m" "$work/a b"
	"$strata" mount small "$work/m"
	"$strata" mount --name killed small "$work/a b"
	# A supervisor by the driver overlay has a mount namespace of its own.
	"$strata" run -d --name c --driver overlay small sleep 1000 2>/dev/null || "$strata" run -d --name c small sleep 1000
	timeout 10 "$strata" umount "$work/m"
	# shellcheck disable=SC2016 # of the shell that is started
	unshare --mount --propagation private sh -c ': >"$0"; exec sleep 1000' "$work/copied" 3>&- &
	other=$!
	until [ -e "$work/copied" ]; do kill -0 $other; sleep 0.1; done
	grep -q "a\\\\040b" "/proc/$other/mountinfo"
	timeout 10 "$strata" rm -f killed
	kill $other
	not mountpoint -q "$work/a b"
	[ "$("$strata" exec c echo on)" = on ]
}

@test "a server that is killed is an error, not a hang" {
	mkdir "$work/m"
	"$strata" mount small "$work/m"
	server=$("$strata" inspect "$("$strata" ps -q)" | jq -r '.[0].pid')
	kill -9 "$server"
	run timeout 20 cat "$work/m/etc/greeting"
	[ "$status" != 124 ]
	umount -l "$work/m" 2>/dev/null || true
}

@test "kill -9 of the supervisor: its processes go, the next command works, rm clears the rest" {
	need jq
	id=$("$strata" run -d small sleep 1000)
	pid=$("$strata" inspect "$id" | jq -r '.[0].pid')
	monitor=$(awk '/^PPid:/ {print $2}' "/proc/$pid/status")
	kill -9 "$monitor"
	for _ in $(seq 100); do [ -d "/proc/$pid" ] || break; sleep 0.05; done
	[ ! -d "/proc/$pid" ]
	run "$strata" ps -a; [[ $output == *"stopped (killed)"* ]]
	"$strata" rm -f "$id"
	[ "$(leftovers)" = 0 ]
	[ "$("$strata" run --rm small echo fine)" = fine ]
}

@test "after a reboot the tops are still known" {
	need jq
	"$strata" run --name kept small sh -c 'echo x >/x'
	rm -rf "$STRATA_RUNROOT"
	run "$strata" ps -a
	[[ $output == *kept* && $output == *stopped* ]]
	"$strata" rm kept
	[ -z "$("$strata" ps -aq)" ]
}

@test "the run path loads no heavy library" {
	for lib in libcurl libarchive libcrypto libjansson libzstd libseccomp; do
		run ldd "$strata"
		[[ $output != *$lib* ]]
	done
	run ldd "$build/strata-monitor"
	[[ $output == *"not a dynamic executable"* || $output == *"statically linked"* ]]
}

@test "--debug tells what goes on, on stderr" {
	run --separate-stderr "$strata" --debug run --rm --driver fuse small echo x
	[ "$output" = x ]
	[[ $stderr == *"driver fuse"* && $stderr == *"process "* ]]
}

@test "bench startup and doctor" {
	need jq
	run "$strata" bench startup -n 2 small true
	[ "$status" = 0 ]
	[[ $output == *container/fuse* && $output == *MEDIAN* ]]
	run "$strata" bench startup -n 2 --tsv small true
	[[ $output == *$'\t'* ]]
	"$strata" doctor
	"$strata" doctor --format json | jq -e 'map(.name) | contains(["fuse","kvm","cgroups"])'
}

#!/usr/bin/env bats
# strata-oci beneath the engines that call a runtime: podman as root and as an ordinary user; containerd, where it is
# installed (100 MB, so it is in no set of tools/deps).
# shellcheck disable=SC2154 # run, lib.bash and ordinary.bash set them
# shellcheck disable=SC2016 # scripts expand elsewhere

bats_require_minimum_version 1.5.0
load lib
load ordinary

setup() {
	need_root
	strata_setup
	make_rootfs "$work/rootfs"
	tar -C "$work/rootfs" -cf "$work/root.tar" .
}

teardown() {
	[ ! -d "${work-}/podman" ] || p rm -fa -t 0 >/dev/null 2>&1 || true
	[ ! -d "${work-}/podman" ] || umount "$work"/podman/root/overlay 2>/dev/null || true
	[ -z "${daemon-}" ] || kill "$daemon" || true
	[ -z "${daemon-}" ] || wait "$daemon" || true
	strata_teardown
}

containers_conf='[containers]
default_ulimits=["nofile=4096:4096","nproc=4096:4096"]
[engine]
runtime_supports_json=["strata-oci"]'

p() {
	CONTAINERS_CONF=$work/containers.conf timeout -k 5 60 podman --root "$work/podman/root" --runroot "$work/podman/run" \
		--tmpdir "$work/podman/tmp" --storage-driver overlay --cgroup-manager cgroupfs --events-backend file \
		--runtime "$build/strata-oci" "$@"
}

podman_setup() {
	need podman conmon jq
	echo "$containers_conf" >"$work/containers.conf"
	mkdir "$work/podman"
	p import -q "$work/root.tar" box
	p run --rm --network none box true
}

@test "podman: run: status, 126, 127, stdin, users, privileges" {
	podman_setup
	run -5 p run --rm --network none box sh -c 'echo hi; exit 5'
	[ "$output" = hi ]
	run -127 p run --rm --network none box nosuch
	[[ $output == *"executable file not found in"* ]]
	run -126 p run --rm --network none box /etc/passwd
	run -127 p run --rm --network none box /nosuch
	[ "$(echo in | p run -i --rm --network none box cat)" = in ]
	run -0 p run --rm --network none --user user --read-only box sh -c 'exec 2>&1; id; touch /x; cat /proc/self/attr/current >/dev/null; grep CapEff /proc/self/status'
	[[ $output == *"uid=1000(user)"*"Read-only"*"0000000000000000"* ]]
	run -0 p run --rm --network none --privileged box sh -c 'readlink /dev/ptmx; ls /dev/null; grep CapBnd /proc/self/status'
	[[ $output == *"/dev/null"* && $output != *00000000a80425fb* ]]
	run -0 p run --rm --network none --uidmap 0:100000:1000 box sh -c 'cat /proc/self/uid_map; echo x >/dev/null'
	[[ $output == *100000* ]]
	run -0 p run --rm --network none --sysctl kernel.msgmax=9999 --tmpfs /etc/x:rw,size=1m -v "$work:/host:ro" box \
		sh -c 'exec 2>&1; cat /proc/sys/kernel/msgmax; ls /host/root.tar; touch /host/x; true'
	[[ $output == *9999*root.tar*Read-only* ]]
	[ -z "$(p ps -aq)" ]
}

@test "podman: a container's days: exec, top, pause, logs, stats, update, stop, start, rm" {
	podman_setup
	p run -d --name a --memory 64m --pids-limit 50 --network none box sh -c 'trap "exit 0" TERM; echo started; while :; do sleep 0.1; done' >/dev/null
	run -3 p exec -e A=b a sh -c 'echo $A; exit 3'
	[ "$output" = b ]
	run -127 p exec a nosuch
	[ "$(p exec -u 1000:1000 a id -u)" = 1000 ]
	p exec -d a sh -c 'echo done >/tmp/done; sleep 100'
	until p exec a test -e /tmp/done; do sleep 0.1; done
	p top a | grep -q 'sleep 100'
	p pause a
	[ "$(p inspect a -f '{{.State.Status}}')" = paused ]
	p unpause a
	[[ $(p stats --no-stream --format '{{.MemUsage}}' a) == *67.11MB ]]
	p logs a | grep -q started
	p stop -t 5 a
	[ "$(p inspect a -f '{{.State.ExitCode}} {{.State.Status}}')" = "0 exited" ]
	p start a
	p kill -s KILL a
	p wait a | grep -q 137
	full=$(p inspect a -f '{{.Id}}')
	p rm a
	[ -z "$(find /sys/fs/cgroup -name "libpod-$full")" ]
	[ ! -e "/run/strata-oci/$full" ]
}

@test "podman: terminals, pods, build" {
	podman_setup
	need script
	export CONTAINERS_CONF=$work/containers.conf
	mkfifo "$work/keys"
	on_terminal() {
		echo "$1" >"$work/words"
		# A terminal that ends at once makes podman lose what the container prints, with any runtime (5 of 40, crun).
		timeout 60 script -qec "bash $work/words" /dev/null <>"$work/keys"
	}
	common="podman --root $work/podman/root --runroot $work/podman/run --tmpdir $work/podman/tmp --storage-driver overlay --cgroup-manager cgroupfs --events-backend file --runtime $build/strata-oci"
	run on_terminal "$common run -it --rm --network none box sh -c 'test -t 0 && test -c /dev/console && echo terminal'"
	[[ $output == *terminal* ]]
	p run -d --name a --network none box sleep 100 >/dev/null
	run on_terminal "$common exec -it a sh -c 'test -t 1 && echo tty'"
	[[ $output == *tty* ]]
	p pod create --name pod --infra-image box --infra-command "sleep 100" --network none --share pid,ipc,uts,net >/dev/null
	p run -d --pod pod --name m box sleep 99 >/dev/null
	[ "$(p exec m hostname)" = pod ]
	p exec m sh -c 'cat /proc/[0-9]*/cmdline' | tr '\0' ' ' | grep -q 'sleep 100'
	p pod rm -f -t 0 pod
	printf 'FROM box\nRUN echo built >/built && test "$(id -u)" = 0\n' >"$work/Containerfile"
	mkdir "$work/context"
	p build -q --network none -t built -f "$work/Containerfile" "$work/context"
	[ "$(p run --rm --network none built cat /built)" = built ]
}

@test "podman: an ordinary user's containers" {
	need podman conmon
	need_ordinary
	ordinary_setup 65536
	mkdir -p "$work/home/.config/containers"
	echo "$containers_conf" >"$work/home/.config/containers/containers.conf"
	chown -R "$uid:$uid" "$work/home"
	run as_ordinary <<-'END'
		p() { podman --root "$HOME/c" --runroot "$XDG_RUNTIME_DIR/c" --tmpdir "$XDG_RUNTIME_DIR/t" --storage-driver vfs \
			--cgroup-manager cgroupfs --events-backend file --runtime "$HOME/../bin/strata-oci" "$@"; }
		p import -q "$HOME/../root.tar" box >/dev/null
		rc=0; p run --rm --network none box sh -c 'id -u; cat /proc/self/uid_map; echo x >/dev/null; exit 6' || rc=$?
		[ $rc = 6 ]
		p run -d --name a --network none box sleep 100 >/dev/null
		p exec a echo inside
		p exec --user 1000 a id -u
		p rm -f -t 0 a >/dev/null
		rc=0; p run --rm --network none box nosuch || rc=$?
		echo "none $rc"
		# What podman leaves to hold its user namespace.
		find "$XDG_RUNTIME_DIR" -name pause.pid -exec cat {} + | xargs kill
	END
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *65536*inside*1000*"none 127"* ]]
	ordinary_gone
}

@test "containerd: ctr run, task exec, pause, metrics, kill" {
	need containerd ctr containerd-shim-runc-v2
	mkdir "$work/ctrd"
	printf 'version = 2\nroot = "%s/root"\nstate = "%s/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "%s/sock"\n' \
		"$work/ctrd" "$work/ctrd" "$work/ctrd" >"$work/ctrd/config.toml"
	containerd -c "$work/ctrd/config.toml" >"$work/ctrd/log" 2>&1 3>&- &
	daemon=$!
	c() { timeout -k 5 60 ctr --address "$work/ctrd/sock" "$@"; }
	for _ in $(seq 100); do ! c version >/dev/null 2>&1 || break; sleep 0.1; done
	run_args=(--runc-binary "$build/strata-oci" --rootfs "$work/rootfs")
	run -4 c run --rm "${run_args[@]}" one /bin/sh -c 'echo hi; exit 4'
	[ "$output" = hi ]
	run c run --rm "${run_args[@]}" none /nosuch
	[[ $output == *'exec "/nosuch": no such file or directory'* ]]
	c run -d "${run_args[@]}" two /bin/sleep 1000
	run -3 c task exec --exec-id x two /bin/sh -c 'echo exec; exit 3'
	[ "$output" = exec ]
	c task pause two
	c task ls | grep -q PAUSED
	c task resume two
	c task metrics two | grep -qE 'memory|cpu'
	c task kill -s KILL two
	for _ in $(seq 50); do ! c task ls | grep -q RUNNING || { sleep 0.1; continue; }; break; done
	c task rm two || [ $? = 137 ]
	c containers rm two
	[ -z "$(c task ls -q)" ]
}

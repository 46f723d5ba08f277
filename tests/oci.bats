#!/usr/bin/env bats
# strata-oci as an engine calls it: bundles of busybox, each verb, what a hostile image tries. Needs root.
# shellcheck disable=SC2154 # run and lib.bash set them
# shellcheck disable=SC2016 # scripts expand in the container

bats_require_minimum_version 1.5.0
load lib

setup() {
	need_root
	need jq busybox
	strata_setup
	oci=$build/strata-oci
	export OCI_ROOT=$work/oci
	mkdir -p "$work/bundle"
	make_rootfs "$work/bundle/rootfs"
	(cd "$work/bundle" && "$oci" spec)
	mv "$work/bundle/config.json" "$work/default.json"
	id=t$$-$BATS_TEST_NUMBER
	config .
}

teardown() {
	[ ! -d "${OCI_ROOT-}" ] || o list -q | xargs -r -n 1 "$oci" --root "$OCI_ROOT" delete --force
	[ -z "${holder-}" ] || kill "$holder" || true
	rmdir /sys/fs/cgroup/{*/,}strata-oci-test 2>/dev/null || true
	strata_teardown
}

o() {
	timeout -k 5 30 "$oci" --root "$OCI_ROOT" "$@"
}

# The default config without a terminal, changed by a filter of jq.
config() {
	jq '.process.terminal = false | .linux.cgroupsPath = "/strata-oci-test/'"$id"'" | '"$1" \
		"$work/default.json" >"$work/bundle/config.json"
}

# sh_config SCRIPT [FILTER]
sh_config() {
	jq --arg script "$1" '.process.terminal = false | .linux.cgroupsPath = "/strata-oci-test/'"$id"'" |
		.process.args = ["sh", "-c", $script] | '"${2:-.}" "$work/default.json" >"$work/bundle/config.json"
}

# run_sh SCRIPT [FILTER]: in a container of its own
run_sh() {
	sh_config "$@"
	run o run --bundle "$work/bundle" "$id"
	echo "$status: $output"
}

# A container that sleeps.
sleeper() {
	sh_config 'echo up; exec sleep 1000' "${1:-.}"
	o create --bundle "$work/bundle" --pid-file "$work/pid" "$id" >"$work/out" 2>&1
	o start "$id"
	until grep -q up "$work/out"; do sleep 0.02; done
}

@test "oci: run gives the command's exit status, 126 and 127 what did not run; nothing stays" {
	run_sh 'id; hostname; exit 7'
	[ "$status" = 7 ]
	[[ $output == *"uid=0(root) gid=0(root)"*strata* ]]
	config '.process.args = ["nosuch"]'
	run -127 o run --bundle "$work/bundle" "$id"
	[[ $output == *'exec "nosuch": executable file not found in $PATH'* ]]
	config '.process.args = ["/etc/passwd"]'
	run -126 o run --bundle "$work/bundle" "$id"
	[[ $output == *"permission denied"* ]]
	[ -z "$(o list -q)" ]
	[ -z "$(find /sys/fs/cgroup -name "$id")" ]
}

@test "oci: paths of options are relative to where it is called, those of a config to the bundle" {
	mkdir "$work/bundle/data"
	echo data >"$work/bundle/data/file"
	cd "$work"
	# With the host's processes it executes itself anew.
	for filter in . '.linux.namespaces |= map(select(.type != "pid"))'; do
		sh_config 'cat /data/file' '.mounts += [{destination: "/data", source: "data", options: ["bind"]}] | '"$filter"
		run -0 timeout -k 5 30 "$oci" --root oci run --bundle bundle --pid-file pid "$id"
		[ "$output" = data ]
		[ "$(find . -name pid -print)" = ./pid ]
		rm pid
		[ ! -e bundle/oci ]
	done
}

@test "oci: create, state, start, kill, delete; each refuses what comes at the wrong time" {
	config '.process.args = ["sleep", "1000"] | .annotations = {"a": "b"}'
	o create --bundle "$work/bundle" --pid-file "$work/pid" "$id" >/dev/null 2>&1
	o state "$id" | jq -e --argjson pid "$(cat "$work/pid")" \
		'.status == "created" and .pid == $pid and .annotations.a == "b" and .ociVersion == "1.2.0"'
	run -1 o create --bundle "$work/bundle" "$id"
	[[ $output == *"already exists"* ]]
	o start "$id"
	[ "$(o state "$id" | jq -r .status)" = running ]
	run -1 o start "$id"
	[[ $output == *"cannot start a container that is running"* ]]
	run -1 o delete "$id"
	[[ $output == *"not stopped: running"* ]]
	o kill "$id" KILL
	until [ "$(o state "$id" | jq -r .status)" = stopped ]; do sleep 0.02; done
	run -1 o kill "$id" 15
	[[ $output == *"container not running"* ]]
	o delete "$id"
	run -1 o state "$id"
	[[ $output == *"does not exist"* ]]
	run -1 o delete "$id"
	o delete --force "$id"
	[ -z "$(find /sys/fs/cgroup -name "$id")" ]
}

@test "oci: a create or start that was killed is cleaned up, a reboot leaves a stopped one" {
	need python3
	mkdir -p "$OCI_ROOT/$id"
	chmod 700 "$OCI_ROOT"
	[ "$(o state "$id" | jq -r .status)" = creating ]
	o delete --force "$id"
	[ ! -e "$OCI_ROOT/$id" ]
	# A start that was killed at the gate leaves a stopped one.
	sh_config 'echo never'
	o create --bundle "$work/bundle" "$id" >"$work/out" 2>&1
	(cd "$OCI_ROOT/$id" && python3 -c 'import socket; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect("gate")')
	until [ "$(o state "$id" | jq -r .status)" = stopped ]; do sleep 0.02; done
	[ ! -s "$work/out" ]
	run -1 o start "$id"
	o delete "$id"
	sleeper
	jq '.boot = "00000000-0000-0000-0000-000000000000"' "$OCI_ROOT/$id/state.json" >"$work/state"
	cp "$OCI_ROOT/$id/state.json" "$work/saved"
	cp "$work/state" "$OCI_ROOT/$id/state.json"
	[ "$(o state "$id" | jq -r .status)" = stopped ]
	run -1 o kill "$id" KILL
	cp "$work/saved" "$OCI_ROOT/$id/state.json"
	[ "$(o state "$id" | jq -r .status)" = running ]
}

@test "oci: delete takes no other container of that name, and waits for no command of the image" {
	need python3
	# One that waits for the lock while the container goes, and another comes by that name.
	mkdir -p -m 700 "$OCI_ROOT/$id"
	timeout 20 python3 -c '
import fcntl, os, subprocess, sys, time
folder = sys.argv[-1]
lock = open(folder + "/lock", "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
waits = ":%d " % os.stat(lock.fileno()).st_ino
p = subprocess.Popen(sys.argv[1:-1], stderr=subprocess.PIPE, text=True)
while not any("->" in l and waits in l for l in open("/proc/locks")): time.sleep(0.02)
os.rename(folder, folder + ".old")
os.mkdir(folder)
lock.close()
said = p.communicate()[1]
sys.exit(None if p.returncode == 1 and "does not exist" in said else "%d %s" % (p.returncode, said))
' "$oci" --root "$OCI_ROOT" delete "$id" "$OCI_ROOT/$id"
	rmdir "$OCI_ROOT/$id"
	rm -r "$OCI_ROOT/$id.old"
	# The hook is the image's, and start has the lock until it has ended.
	sh_config true '.hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", "echo hook >&2; exec sleep 1000"]}]'
	o create --bundle "$work/bundle" "$id" >"$work/out" 2>&1
	o start "$id" &
	until grep -q hook "$work/out"; do sleep 0.02; done
	timeout 10 "$oci" --root "$OCI_ROOT" delete --force "$id"
	[ -z "$(o list -q)" ]
}

@test "oci: exec: status, environment, folder, user, a document, detached" {
	sleeper
	run -5 o exec -e A=b --cwd /tmp --user 1000:1000 "$id" sh -c 'echo $A $PWD $(id -u):$(id -g); exit 5'
	[ "$output" = "b /tmp 1000:1000" ]
	# What becomes of the bundle's config is nothing to a container that is there.
	jq '.process.env += ["LATE=1"]' "$work/bundle/config.json" >"$work/late"
	mv "$work/late" "$work/bundle/config.json"
	run -0 o exec "$id" sh -c 'echo "<$LATE>"'
	[ "$output" = "<>" ]
	jq '.process | .args = ["sh", "-c", "grep -c . /proc/self/status >/dev/null; pwd; echo $B"] | .env += ["B=c"] | .cwd = "/etc"' \
		"$work/bundle/config.json" >"$work/process.json"
	run -0 o exec --process "$work/process.json" "$id"
	[ "$output" = $'/etc\nc' ]
	o exec --detach --pid-file "$work/pid2" "$id" sleep 500
	grep -q "$id" "/proc/$(cat "$work/pid2")/cgroup"
	[ "$(o ps --format json "$id" | jq length)" = 2 ]
	run -0 o ps "$id" -o pid,args
	[[ $output == *"sleep 500"* ]]
	run -127 o exec "$id" nosuch
	[[ $output == *"executable file not found in"* ]]
	o pause "$id"
	run -1 o exec "$id" true
	o resume "$id"
	o kill "$id" 9
	until [ "$(o state "$id" | jq -r .status)" = stopped ]; do sleep 0.02; done
	run -1 o exec "$id" true
	[[ $output == *"container not running"* ]]
}

@test "oci: terminals: handed over a socket, or relayed" {
	need python3 script
	sh_config 'test -t 0 && test -t 1 && stty size </dev/console && ls -la /dev/console' \
		'.process.terminal = true | .process.consoleSize = {"height": 24, "width": 80}'
	python3 -c '
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1)
c, _ = s.accept()
data, anc, _, _ = c.recvmsg(64, 64)
fd = array.array("i", anc[0][2])[0]
out = b""
try:
	while True:
		d = os.read(fd, 1000)
		if not d: break
		out += d
except OSError: pass
print(out.decode(), end="")
' "$work/console" >"$work/tty" &
	until [ -S "$work/console" ]; do sleep 0.02; done
	o create --bundle "$work/bundle" --console-socket "$work/console" "$id"
	o start "$id"
	wait $!
	grep -q '^24 80' "$work/tty"
	grep -q 136, "$work/tty"
	o delete --force "$id"
	run timeout 30 script -qec "$oci --root $OCI_ROOT run --bundle $work/bundle $id" /dev/null </dev/null
	[[ $output == *136,* ]]
	run -1 o create --bundle "$work/bundle" "$id"
	[[ $output == *console-socket* ]]
}

# Who shows much before it reads what was typed holds up nobody but itself.
@test "oci: a terminal carries both ways at once" {
	need python3
	sh_config 'stty raw -echo; echo ready; head -c 300000 /dev/zero | tr "\0" +; echo; echo took $(head -c 300000 | wc -c)' \
		'.process.terminal = true'
	run -0 python3 -c '
import os, pty, select, sys, tty
pid, fd = pty.fork()
if not pid:
	os.execvp(sys.argv[1], sys.argv[1:])
tty.setraw(fd)
os.set_blocking(fd, False)
shown, left = b"", 300000
while True:
	r, w, _ = select.select([fd], [fd] if b"ready" in shown and left else [], [], 10)
	if not r and not w:
		os.kill(pid, 9)
		sys.exit("stuck: %d bytes typed, %d shown" % (300000 - left, len(shown)))
	if w:
		left -= os.write(fd, b"i" * min(left, 4096))
	if r:
		try: shown += os.read(fd, 65536)
		except OSError: break
print(shown.count(b"+"), shown.split()[-1].decode())
' "$oci" --root "$OCI_ROOT" run --bundle "$work/bundle" "$id"
	[ "$output" = "300000 300000" ]
}

@test "oci: hooks in their places, the state on stdin; a failing one ends it" {
	printf '#!/bin/sh\necho "$1 $(jq -r "\\"\\(.id) \\(.status)\\"") $(test -e /etc/greeting && echo inside)" >>%s\nexit ${2:-0}\n' \
		"$work/log" >"$work/hook"
	chmod 755 "$work/hook"
	cp "$work/hook" "$work/bundle/rootfs/hook"
	filter=$(jq -n --arg h "$work/hook" '[["prestart","createRuntime","createContainer","poststart","poststop"][] |
		{(.): [{path: $h, args: ["hook", .], env: ["PATH=/usr/bin:/bin"], timeout: 10}]}] | add')
	sh_config 'cat /started' ".hooks = $filter | .hooks.startContainer = [{path: \"/bin/sh\", args: [\"sh\", \"-c\", \"cat >/started\"]}] | .root.readonly = false"
	run -0 o run --bundle "$work/bundle" "$id"
	[[ $output == *'"status":"created"'* ]]
	cat "$work/log"
	[ "$(cut -d' ' -f1 "$work/log" | tr '\n' ' ')" = "prestart createRuntime createContainer poststop " ]
	grep -q "prestart $id creating" "$work/log"
	: >"$work/log"
	o create --bundle "$work/bundle" "$id" >/dev/null 2>&1
	o start "$id"
	grep -q "poststart $id running" "$work/log"
	o delete --force "$id"
	sh_config true ".hooks.createRuntime = [{path: \"$work/hook\", args: [\"hook\", \"x\", \"3\"], env: [\"PATH=/usr/bin:/bin\"]}]"
	run -1 o run --bundle "$work/bundle" "$id"
	[[ $output == *"exit status 3"* ]]
	[ -z "$(o list -q)" ]
	sh_config true '.hooks.prestart = [{path: "/bin/sleep", args: ["sleep", "100"], timeout: 1}]'
	run -1 o run --bundle "$work/bundle" "$id"
}

@test "oci: mounts: binds with their attributes, copied-up tmpfs, read-only root, in order" {
	mkdir -p "$work/host/sub"
	echo data >"$work/host/file"
	mount -t tmpfs sub "$work/host/sub"
	run_sh 'cat /m/file /n; touch /m/x; echo $?; touch /m/sub/y && echo sub; touch /r/sub/z; touch /x; ls /etc/greeting; touch /etc/new && echo new; mount' \
		'.mounts += [{destination: "/m", source: "'"$work"'/host", options: ["rbind", "ro", "nosuid"]},
			{destination: "/n", type: "bind", source: "'"$work"'/host/file"},
			{destination: "/r", source: "'"$work"'/host", options: ["rbind", "rro"]},
			{destination: "/etc", type: "tmpfs", options: ["tmpcopyup"]}]'
	umount "$work/host/sub"
	[ "$status" = 0 ]
	[[ $output == "data"$'\n'"data"* ]]
	[[ $output == *"touch: /m/x: Read-only"* && $output == *sub* && $output == *"touch: /r/sub/z: Read-only"* ]]
	[[ $output == *"touch: /x: Read-only"* && $output == */etc/greeting* && $output == *new* ]]
	run_sh true '.mounts += [{destination: "/m", type: "bind", source: "/nosuch"}]'
	[ "$status" = 1 ]
	[[ $output == *"/nosuch"* ]]
}

@test "oci: an image's links lead nowhere: mounts, devices, folders and /proc" {
	rootfs=$work/bundle/rootfs
	mkdir "$work/outside"
	ln -s "$work/outside" "$rootfs/link"
	ln -s / "$rootfs/up"
	run_sh 'echo x >/link/file; ls /link/' '.root.readonly = false |
		.mounts += [{destination: "/link", type: "tmpfs"}, {destination: "/up/../../y", type: "tmpfs"}] | .process.cwd = "/link/deep"'
	[ "$status" = 0 ]
	[ -z "$(ls -A "$work/outside")" ]
	# One to the root would have `exec` enter another than the first process has.
	run_sh true '.mounts += [{destination: "/up", type: "bind", source: "/tmp"}]'
	[ "$status" = 1 ]
	[[ $output == *"the root itself"* ]]
	# A procfs over a link is refused, as is a folder over a part of one.
	rmdir "$rootfs/proc"
	ln -s /tmp "$rootfs/proc"
	run_sh true '.root.readonly = false'
	[ "$status" = 1 ]
	[[ $output == *"/proc is not a directory of the image's root"* ]]
	rm "$rootfs/proc"
	run_sh true '.mounts += [{destination: "/proc/sys", type: "bind", source: "/tmp"}]'
	[ "$status" = 1 ]
	run_sh pwd '.process.cwd = "/proc/self/fd/5"'
	[ "$status" != 0 ]
}

@test "oci: paths are masked and read-only; capabilities, no_new_privs and a filter hold" {
	run_sh 'head -c1 /proc/kcore | wc -c; ls /sys/firmware /proc/acpi 2>/dev/null | grep -c ^[a-z]; echo 1 >/proc/sys/kernel/panic; grep -E "Cap(Eff|Bnd|Amb)|NoNew" /proc/self/status; chown 5 /tmp; mkdir /tmp/d' \
		'.root.readonly = false | .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 95}]}'
	[[ $output == *"Read-only file system"* && $output == *"NoNewPrivs:"*1* ]]
	[[ $output == *"CapEff:"*"0000000020000420"* && $output == *"CapBnd:"*"0000000020000420"* ]]
	[[ $output == *"chown: /tmp: Operation not permitted"* || $output == *"Operation not supported"* ]]
	[[ $output == *"mkdir: can't create directory '/tmp/d': "*"not supported"* ]]
	# Without no_new_privs, for another user, whose profile allows little more than the command.
	run_sh 'id -u; grep CapEff /proc/self/status' '.process.noNewPrivileges = false | .process.user = {uid: 1000, gid: 1000} |
		.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["setresuid", "setgroups", "accept4", "umask", "close_range", "setsid"], action: "SCMP_ACT_KILL_PROCESS"}]}'
	[ "$status" = 0 ]
	[[ $output == *1000*0000000000000* ]]
}

@test "oci: a container that may mknod opens no device but those it is given" {
	[ -c /dev/fuse ] || skip "needs /dev/fuse"
	run_sh 'mknod /tmp/fuse c 10 229 && (: </tmp/fuse); mknod /tmp/null c 1 3 && : >/tmp/null && echo null' \
		'.root.readonly = false | .process.capabilities[] += ["CAP_MKNOD"] |
			.mounts += [{destination: "/tmp", type: "tmpfs", options: ["mode=1777"]}]'
	[[ $output == *"Operation not permitted"* && $output == *null* ]]
	run_sh ': </dev/fuse; ls -la /dev/fuse' '.linux.devices = [{path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 384}] |
		.linux.resources.devices += [{allow: true, type: "c", major: 10, minor: 229, access: "r"}]'
	[[ $output == *"crw-------"* && $output != *"Operation not permitted"* ]]
}

@test "oci: a control group that holds others is not taken: they would be killed with the container" {
	sleeper
	for path in "/strata-oci-test/$id" /strata-oci-test; do
		config ".linux.cgroupsPath = \"$path\" | .process.args = [\"true\"]"
		run -1 o run --bundle "$work/bundle" "$id-other"
		[[ $output == *"holds other processes already"* ]]
		[ ! -e "$OCI_ROOT/$id-other" ]
	done
	[ "$(o state "$id" | jq -r .status)" = running ]
	o delete --force "$id"
	# An empty one is, and stays.
	find /sys/fs/cgroup -maxdepth 2 -name strata-oci-test -exec mkdir {}/"$id" \;
	run_sh 'echo up'
	[ "$output" = up ]
	find /sys/fs/cgroup -name "$id" | grep -q .
	find /sys/fs/cgroup -depth -name "$id" -exec rmdir {} \;
}

@test "oci: limits, changed while it runs; pause and resume; stats" {
	find /sys/fs/cgroup -maxdepth 2 -name 'memory.*' | grep -q . || skip "no memory controller"
	sleeper '.linux.resources.memory = {limit: 33554432} | .linux.resources.pids = {limit: 20} | .linux.resources.cpu = {shares: 512}'
	limit() { cat /sys/fs/cgroup/{memory/,}strata-oci-test/"$id"/memory.{limit_in_bytes,max} 2>/dev/null; }
	[ "$(limit)" = 33554432 ]
	# 0 and what is absent stay as they are.
	echo '{"memory":{"limit":67108864,"swap":0},"cpu":{"shares":0}}' | o update --resources - "$id"
	[ "$(limit)" = 67108864 ]
	o update --memory 16m "$id"
	[ "$(limit)" = 16777216 ]
	o events --stats "$id" | jq -e '.data.memory.usage.limit == 16777216 and .data.pids.limit == 20'
	o pause "$id"
	[ "$(o state "$id" | jq -r .status)" = paused ]
	run -1 o pause "$id"
	o resume "$id"
	[ "$(o state "$id" | jq -r .status)" = running ]
	o pause "$id"
	o delete --force "$id"
	[ -z "$(find /sys/fs/cgroup -name "$id")" ]
}

@test "oci: namespaces by path, and the sysctls of its own" {
	unshare -n sleep 1000 &
	holder=$!
	until [ "$(readlink /proc/$holder/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
	run_sh 'readlink /proc/self/ns/net; cat /proc/sys/kernel/msgmax' '.linux.sysctl = {"kernel.msgmax": "12345"} |
		(.linux.namespaces[] | select(.type == "network")).path = "/proc/'"$holder"'/ns/net"'
	[ "$output" = "$(readlink /proc/$holder/ns/net)"$'\n'12345 ]
	[ "$(cat /proc/sys/kernel/msgmax)" != 12345 ]
	run_sh true '(.linux.namespaces[] | select(.type == "network")).path = "/proc/'"$holder"'/ns/uts"'
	[ "$status" = 1 ]
	[[ $output == *"not a namespace of that type"* ]]
	# What is the host's by another name is not written to.
	run_sh true '.linux.sysctl = {"net.ipv4.ip_default_ttl": "65"} |
		(.linux.namespaces[] | select(.type == "network")).path = "/proc/'$$'/ns/net"'
	[ "$status" = 1 ]
	[[ $output == *"is the host's"* ]]
	run_sh true '(.linux.namespaces[] | select(.type == "uts")).path = "/proc/'$$'/ns/uts"'
	[ "$status" = 1 ]
	run_sh true 'del(.hostname) | (.linux.namespaces[] | select(.type == "uts")).path = "/proc/'$$'/ns/uts"'
	[ "$status" = 0 ]
	# The host's processes; what it leaves is ended by delete.
	run_sh 'sleep 777 & readlink /proc/self/ns/pid' '.linux.namespaces |= map(select(.type != "pid"))'
	[ "$output" = "$(readlink /proc/self/ns/pid)" ]
	run -1 pgrep -f '^sleep 777'
}

@test "oci: user namespaces: new, and one that is there with new ones within" {
	chmod 755 "$work" "$work/bundle"
	chown -R 100000:100000 "$work/bundle/rootfs"
	mappings='.linux.uidMappings = [{containerID: 0, hostID: 100000, size: 1000}] | .linux.gidMappings = .linux.uidMappings'
	run_sh 'cat /proc/self/uid_map; id -u; echo x >/dev/null && echo null' ".linux.namespaces += [{type: \"user\"}] | $mappings"
	[ "$status" = 0 ]
	[[ $output == *"100000"*1000*0*null* ]]
	unshare -U sleep 1000 &
	holder=$!
	until [ "$(readlink /proc/$holder/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.02; done
	echo '0 100000 1000' >/proc/$holder/gid_map
	echo '0 100000 1000' >/proc/$holder/uid_map
	run_sh 'readlink /proc/self/ns/user; echo $$' ".linux.namespaces += [{type: \"user\", path: \"/proc/$holder/ns/user\"}]"
	[ "$output" = "$(readlink /proc/$holder/ns/user)"$'\n'1 ]
}

@test "oci: descriptors: those to be kept are, others are not; and there are none too few" {
	echo kept >"$work/kept"
	sh_config 'cat <&3; ls /proc/self/fd | tr "\n" " "' .
	run -0 o run --preserve-fds 1 --bundle "$work/bundle" "$id" 3<"$work/kept" 7</etc/passwd
	# The fourth is that of ls itself.
	[ "$output" = "kept"$'\n'"0 1 2 3 4 " ]
	run -1 o run --preserve-fds 3 --bundle "$work/bundle" "$id" 3<"$work/kept" 4>&-
	[[ $output == *"not open"* ]]
}

# An image that has us execute ourselves: it waits for a reader of its log, is held, and written to when it has ended.
@test "oci: the runtime is no file that a container could write" {
	printf '#!/proc/self/exe --log=/fifo\n' >"$work/bundle/rootfs/bin/self"
	chmod 755 "$work/bundle/rootfs/bin/self"
	mkfifo "$work/bundle/rootfs/fifo"
	sleeper '.root.readonly = false'
	o exec --detach "$id" /bin/self 2>/dev/null
	o exec --detach "$id" sh -c 'for p in /proc/[0-9]*; do
		case $(tr "\\0" " " <$p/cmdline) in "/proc/self/exe "*) exec 5<$p/exe ;; esac
	done
	cat /fifo >/said
	for i in $(seq 9); do
		sleep 0.1
		(: >>/proc/self/fd/5) 2>&1 && echo written
	done >/tried 2>&1
	echo ended >>/tried'
	until grep -qs ended "$work/bundle/rootfs/tried"; do sleep 0.05; done
	cat "$work/bundle/rootfs"/{said,tried}
	grep -q "unknown verb" "$work/bundle/rootfs/said"
	grep -q "Read-only file system" "$work/bundle/rootfs/tried"
	run -1 grep -q written "$work/bundle/rootfs/tried"
}

@test "oci: errors go to the log too, as JSON or text" {
	run -1 o --log "$work/log" --log-format json state nosuch
	jq -e '.level == "error" and (.msg | contains("does not exist")) and .time' "$work/log"
	run -1 o --log "$work/text" --log-format text state 'a"b\'
	grep -q '^time="20[^"]*Z" level=error msg="' "$work/text"
	sed 's/.* msg=//' "$work/text" | jq -e 'contains("a\"b\\")'
	run -1 o state ../x
	[[ $output == *"invalid container ID"* ]]
	run -1 o nosuch
	run -1 o state
	[[ $output == *usage* ]]
	run -1 o --nosuch
	"$oci" --version | grep -q '^spec: 1'
	"$oci" features | jq -e '.ociVersionMax == "1.2.0" and (.linux.seccomp.actions | length > 5)'
	"$oci" create --help | grep -q console-socket
}

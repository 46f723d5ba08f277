#!/usr/bin/env bats
# Further commands in a running microVM, and its processes. Where this host's KVM cannot run Linux: inside tests/testbed.

bats_require_minimum_version 1.5.0
load lib

setup() { vm_setup; }
teardown() { strata_teardown; }

# What each script begins with: a microVM "v" that runs.
prelude='
	gone() { for _ in $(seq 400); do "$strata" top v | grep -q "$1" || return 0; sleep 0.05; done; return 1; }
	"$strata" run -d --name v -e A=1 --vm small sh -c "echo up; exec sleep 1000"
	until_log v up
'

@test "exec in a microVM: streams, statuses, environment, user, folder, input, a terminal: as in a container" {
	need script
	vm_host "$prelude"'
		rc=0; "$strata" exec v sh -c "echo out; echo err >&2; exit 7" >"$work/out" 2>"$work/err" || rc=$?
		[ $rc = 7 ]; [ "$(cat "$work/out")" = out ]; [ "$(cat "$work/err")" = err ]
		[ "$(echo typed | "$strata" exec -i v cat)" = typed ]
		[ "$(echo typed | "$strata" exec v cat)" = "" ]
		[ "$("$strata" exec -e B=2 v sh -c "echo \$A\$B")" = 12 ]
		[ "$(C=3 "$strata" exec -e C v sh -c "echo \$C")" = 3 ]
		[ "$("$strata" exec -u user -w /tmp v sh -c "id -u; pwd" | tr "\n" :)" = 1000:/tmp: ]
		rc=0; "$strata" exec v sh -c "kill -9 \$\$" || rc=$?; [ $rc = 137 ]
		fails 127 "exec \"nosuchcommand\": executable file not found in \$PATH" "$strata" exec v nosuchcommand
		fails 126 "exec \"/etc/passwd\": permission denied" "$strata" exec v /etc/passwd
		fails 125 "terminal" "$strata" exec -t v true
		fails 125 "unable to find user nobodyhere" "$strata" exec -u nobodyhere v true
		# Megabytes both ways at once, byte for byte.
		head -c 5000000 /dev/urandom >"$work/random"
		"$strata" exec -i v cat <"$work/random" | cmp - "$work/random"
		# Who reads goes: the command hears of it, as in a pipe.
		[ "$("$strata" exec v sh -c "yes; echo status \$? >&2" 2>"$work/err" | head -n1)" = y ]
		grep "status 141" "$work/err"
		# More is printed than is read here: what is typed is heard all the same.
		slow() { n=0; while m=$(head -c 8192 | wc -c); [ $m -gt 0 ]; do n=$((n + m)); sleep 0.05; done; echo $n; }
		timeout 60 "$strata" exec -i v sh -c "yes & read x; kill \$!; wait; exit 6" < <(sleep 3; echo stop) > >(slow) || rc=$?
		[ $rc = 6 ]
		# What it leaves behind prints on, to nobody.
		timeout 60 "$strata" exec v sh -c "yes & sleep 2; exit 3" | { sleep 5; slow >"$work/n"; }
		[ ${PIPESTATUS[0]} = 3 ]; cat "$work/n"; [ "$(cat "$work/n")" -lt 1000000 ]
		# A terminal, of our size and with its changes.
		script -qec "stty rows 33 cols 77; \"$strata\" exec -it v sh -c \"test -t 0 && stty size; exit 5\"" /dev/null >"$work/tty" || rc=$?
		[ $rc = 5 ]; grep "33 77" "$work/tty"
		# It sees what the first command sees.
		"$strata" exec v sh -c "echo here >/tmp/made"
		[ "$("$strata" exec v cat /tmp/made)" = here ]'
}

@test "top of a microVM; exec -d; a command ends with who asked for it, and with its microVM" {
	vm_host "$prelude"'
		"$strata" top v >"$work/top"; cat "$work/top"
		grep -q "sleep 1000" "$work/top"; ! grep -q "kthread\|init" "$work/top"
		"$strata" exec -d -u user v sleep 2000
		"$strata" top --format json v | jq -e "length == 2 and (map(select(.command == \"sleep 2000\" and .uid == 1000)) | length == 1)"
		fails 127 "not found" "$strata" exec -d v nosuchcommand
		"$strata" exec v sleep 3000 & pid=$!
		for _ in $(seq 400); do "$strata" top v | grep -q "sleep 3000" && break; sleep 0.05; done
		"$strata" top v | grep -q "sleep 3000"
		kill -9 $pid; wait $pid || :
		gone "sleep 3000"
		# Many at once; none holds up another.
		for i in $(seq 20); do "$strata" exec v sh -c "echo $i" >"$work/many.$i" & done
		wait
		[ "$(cat "$work"/many.* | sort -n | tr "\n" " ")" = "$(seq 20 | tr "\n" " ")" ]
		# Held, it answers nothing; let go, it does.
		"$strata" pause v
		fails 125 "paused" "$strata" exec v true
		fails 125 "paused" "$strata" top v
		"$strata" unpause v
		"$strata" exec v true
		rc=0; "$strata" exec v sh -c "echo ready; exec sleep 4000" >"$work/ready" 2>"$work/err" & pid=$!
		for _ in $(seq 400); do grep -q ready "$work/ready" && break; sleep 0.05; done
		"$strata" kill v
		wait $pid || rc=$?
		cat "$work/err"; [ $rc = 137 ]; [ $(wc -l <"$work/err") = 1 ]
		"$strata" wait v
		fails 125 "not running" "$strata" exec v true
		fails 125 "not running" "$strata" top v
		"$strata" start v
		for _ in $(seq 400); do [ "$("$strata" logs v | grep -c up)" = 2 ] && break; sleep 0.05; done
		"$strata" exec v true
		"$strata" rm -f v'
}

@test "cp with a microVM, running and stopped: docker's rules, modes, links; what lies on the host stays data" {
	mkdir -p "$work/in/sub" "$work/target"
	echo one >"$work/in/one" && chmod 4750 "$work/in/one"
	echo two >"$work/in/sub/two"
	ln -s one "$work/in/link"
	mkfifo "$work/in/fifo"
	head -c 3000000 /dev/urandom >"$work/in/big"
	echo secret >"$work/secret"
	vm_host "$prelude"'
		"$strata" run -d --name created --vm small true >/dev/null; "$strata" wait created
		same() { [ "$(cd "$1" && find . -type f | sort | xargs md5sum)" = "$(cd "$work/in" && find . -type f | sort | xargs md5sum)" ]; }
		for state in v stopped; do
			[ $state = v ] || { "$strata" create --name stopped --vm small sh -c "find /made /tmp/in | sort; cat /tmp/in/sub/two; stat -c %a:%u /tmp/in/one; echo more >>/made/one; rm -r /tmp/in"; }
			"$strata" cp "$work/in" $state:/tmp
			"$strata" cp "$work/in/." $state:/made
			"$strata" cp -a "$work/in/one" $state:/etc/renamed
			rm -rf "$work/out"; mkdir "$work/out"
			"$strata" cp $state:/made "$work/out"; same "$work/out/made"
			"$strata" cp $state:/tmp/in/. "$work/out/new"; same "$work/out/new"
			[ "$(readlink "$work/out/new/link")" = one ]; [ -p "$work/out/new/fifo" ]
			[ "$(stat -c %a "$work/out/new/one")" = 750 ]
			"$strata" cp $state:/etc/greeting "$work/out"; [ "$(cat "$work/out/greeting")" = hello ]
			fails 125 "cp: /nosuch: No such file" "$strata" cp $state:/nosuch "$work/out"
			fails 125 "cp: /etc/passwd is no directory" "$strata" cp "$work/in" $state:/etc/passwd
		done
		[ "$("$strata" exec v stat -c %a:%u /tmp/in/one)" = 4750:0 ]
		# A link of the guest leads to its own files, in both directions.
		"$strata" exec v sh -c "ln -s $work/secret /evil; ln -s $work/target /dir"
		"$strata" cp v:/evil "$work/copied"; [ "$(readlink "$work/copied")" = "$work/secret" ]
		fails 125 "" "$strata" cp "$work/in/one" v:/dir/x
		[ -z "$(ls "$work/target")" ]
		"$strata" cp "$work/in/one" v:/evil
		[ "$(cat "$work/secret")" = secret ]
		# A full file system in the guest: one line.
		"$strata" exec v busybox mount -t tmpfs -o size=1m small /var/empty
		fails 125 "No space left" "$strata" cp "$work/in" v:/var/empty
		"$strata" exec v true
		id=$("$strata" inspect stopped | jq -r ".[0].id")
		find "$STRATA_ROOT/snapshots/$id/upper" -mindepth 1 -perm /6000 | not grep .
		[ -z "$(find "$STRATA_ROOT/snapshots/$id/upper" -uid 0)" ]
		"$strata" start -a stopped
		"$strata" diff stopped >"$work/diff"; grep "A /made/one" "$work/diff"; ! grep /tmp/in "$work/diff"
		"$strata" pause v
		fails 125 "paused" "$strata" cp v:/etc "$work/out"
		"$strata" rm -f v'
	[[ $output == *"/tmp/in/sub/two"*two*4750:0* ]]
}

# A guest that says what it likes: whoever answers at the socket of the microVM stands for it.
@test "a hostile guest: garbage, lies, silence, a flood: one clear line, and exec, top and cp end" {
	need python3
	cat >"$work/hostile.py" <<-'END'
		import os, socket, struct, sys
		path, kinds = sys.argv[1], sys.argv[2:]
		os.unlink(path)
		s = socket.socket(socket.AF_UNIX); s.bind(path); s.listen(5)
		message = lambda t, body=b"": struct.pack("<II", t, len(body)) + body
		record = lambda k, mode, name: struct.pack("<IIIIqIIQ", k, mode, 0, 0, 0, 0, len(name), 0) + name
		words = {
		    "closed": b"", "line": b"x" * 100, "hello": b"OK 1\n",
		    "garbage": b"OK 1\n" + bytes(range(256)) * 100,
		    "length": b"OK 1\n" + struct.pack("<II", 16, 0xffffffff),
		    "early": b"OK 1\n" + message(64, b"output"),
		    "gone": b"OK 1\n" + message(16),
		    "escape": b"OK 1\n" + message(17, struct.pack("<II", 5, 125) + b"\x1b[31mred\n\nlines"),
		    "taken": b"OK 1\n" + message(16) + message(66, struct.pack("<I", 1 << 31)),
		    "flood": b"OK 1\n" + message(67, b"\0" * 24) * 70000,
		    "walk": b"OK 1\n" + message(16, struct.pack("<I", 1)) + message(50, record(1, 0o40755, b"")) +
			message(50, record(3, 0o100644, b"../../escaped")),
		    "half": b"OK 1\n" + message(16, struct.pack("<I", 1)) + message(50, record(1, 0o40755, b"")),
		}
		print("ready", flush=True)
		for kind in kinds:
		    c, _ = s.accept()
		    c.recv(100)
		    try:
		        c.sendall(words[kind])
		        c.shutdown(socket.SHUT_WR)
		        while c.recv(65536): pass
		    except OSError:
		        pass
	END
	vm_host "$prelude"'
		socket=$("$strata" inspect v | jq -r ".[0].vsock"); [ -S "$socket" ]
		python3 "$work/hostile.py" "$socket" closed line hello garbage length early gone escape taken flood early walk half \
			garbage >"$work/ready" & server=$!
		until grep -q ready "$work/ready"; do sleep 0.1; done
		mkdir "$work/to"
		fails 125 "nothing in the microVM answers" "$strata" exec v true
		fails 125 "nothing in the microVM answers" "$strata" exec v true
		fails 125 "let go of the command" "$strata" exec v true
		fails 125 "no message of it" "$strata" exec v true
		fails 125 "no message of it" "$strata" exec v true
		fails 125 "no message of it" "$strata" exec v true
		fails 137 "let go of the command" "$strata" exec v true
		fails 125 "\\x1b[31mred" "$strata" exec v true
		fails 125 "no message of it" "$strata" exec -i v true
		fails 125 "have no end" "$strata" top v
		fails 125 "no message of it" "$strata" top v
		fails 125 "a name" "$strata" cp v:/x "$work/to"
		fails 125 "let go of the copy" "$strata" cp v:/x "$work/to"
		fails 125 "no message of it" "$strata" cp "$work/script" v:/x
		wait $server
		[ ! -e "$work/escaped" ]
		[ ! -e "$work/../escaped" ]
		[ "$("$strata" inspect v | jq -r ".[0].status")" = running ]
		"$strata" rm -f v'
}

# A program of the guest's and one of the host's, over the vsock that inspect shows.
@test "vsock: the host connects to a port of the guest, the guest to one of the host; nobody there is an end" {
	need python3 gcc
	cat >"$work/client.c" <<-'END'
		#include <linux/vm_sockets.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <sys/socket.h>
		#include <unistd.h>

		/* client PORT: what the host has there, copied to standard output; client -PORT: a server of one, which sends back. */
		int main(int argc, char **argv)
		{
			int port = atoi(argv[1]), fd = socket(AF_VSOCK, SOCK_STREAM, 0);
			struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = port < 0 ? VMADDR_CID_ANY : VMADDR_CID_HOST,
				.svm_port = abs(port) };
			char buf[65536];
			ssize_t n;

			if (port < 0 && (bind(fd, (void *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0))
				return 2;
			if (port < 0 && (puts("listening"), fflush(stdout), fd = accept(fd, NULL, NULL)) < 0)
				return 3;
			if (port > 0 && connect(fd, (void *)&a, sizeof(a)) < 0)
				return 4;
			while ((n = read(fd, buf, sizeof(buf))) > 0)
				for (ssize_t at = 0, m; at < n; at += m)
					if ((m = write(port < 0 ? fd : 1, buf + at, n - at)) <= 0)
						return 5;
			return n < 0 ? 6 : argc != 2;
		}
	END
	gcc -static -O2 -o "$work/client" "$work/client.c"
	cat >"$work/host.py" <<-'END'
		import os, socket, sys, threading
		path = sys.argv[1]
		data = os.urandom(3000000)
		server = socket.socket(socket.AF_UNIX); server.bind(path + "_5000"); server.listen(1)
		def serve():
		    c, _ = server.accept(); c.sendall(data); c.close()
		threading.Thread(target=serve).start()
		open("given", "wb").write(data)
		def connect(port):
		    s = socket.socket(socket.AF_UNIX); s.connect(path); s.sendall(b"CONNECT %d\n" % port)
		    return s, s.makefile("rb")
		assert connect(9)[1].read() == b""
		s, f = connect(7000)
		assert f.readline().startswith(b"OK ")
		def send():
		    s.sendall(data); s.shutdown(socket.SHUT_WR)
		threading.Thread(target=send).start()
		assert f.read() == data
		print("echoed", flush=True)
	END
	vm_host "$prelude"'
		cd "$work"
		"$strata" cp client v:/bin/client
		"$strata" exec -d v sh -c "client -7000 >/tmp/state"
		for _ in $(seq 400); do "$strata" exec v grep -q listening /tmp/state && break; done
		rc=0; "$strata" exec v client 4999 || rc=$?; [ $rc = 4 ]
		python3 host.py "$("$strata" inspect v | jq -r ".[0].vsock")" >said &
		for _ in $(seq 400); do grep -q echoed said && break; sleep 0.1; done
		"$strata" exec v client 5000 >got
		wait
		cmp got given; grep echoed said
		"$strata" rm -f v'
}

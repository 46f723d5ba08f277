#!/usr/bin/env bats
# attach: the streams of a command that runs already, from several at once, with and without a terminal.

bats_require_minimum_version 1.5.0
load lib

setup() {
	need_fuse
	strata_setup
	small_image
}
teardown() { strata_teardown; }

# Runs a Python program in which `attach(*options)` gives strata attach on a terminal of its own, and
# `until(fd, text)` reads until that is there.
terminal() {
	need python3
	cat >"$work/terminal.py" <<-END
	import fcntl, os, pty, select, signal, struct, subprocess, sys, termios, time
	strata = sys.argv[1]
	class attach:
	    def __init__(self, *words, rows=33, cols=77):
	        self.fd, slave = pty.openpty()
	        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
	        self.before = termios.tcgetattr(slave)
	        self.slave = slave
	        self.p = subprocess.Popen([strata, "attach", *words], stdin=slave, stdout=slave, stderr=slave,
	                                  start_new_session=True)
	        self.seen = b""
	    def type(self, text):
	        os.write(self.fd, text)
	    def until(self, text):
	        end = time.time() + 20
	        while text not in self.seen:
	            assert time.time() < end, (text, self.seen)
	            if select.select([self.fd], [], [], 0.2)[0]:
	                self.seen += os.read(self.fd, 65536)
	        self.seen = self.seen[self.seen.index(text) + len(text):]
	    def end(self):
	        code = self.p.wait(20)
	        assert termios.tcgetattr(self.slave)[:4] == self.before[:4], "the terminal was left raw"
	        return code
	END
	# shellcheck disable=SC2001 # each line's
	sed 's/^\t*//' >>"$work/terminal.py" <<<"$1"
	timeout -k 5 60 python3 "$work/terminal.py" "$strata"
}

@test "what it prints, on both streams, and its exit status" {
	"$strata" run -d --name c small sh -c 'sleep 1; for i in $(seq 200); do echo out $i; echo err $i >&2; done; exit 7'
	run -7 --separate-stderr "$strata" attach --no-stdin c
	[ "$output" = "$(seq -f 'out %g' 200)" ]
	[ "$stderr" = "$(seq -f 'err %g' 200)" ]
	[ "$("$strata" logs c 2>/dev/null)" = "$output" ]
	fails 125 "not running" "$strata" attach c
}

@test "several at once: each has all, and the log too" {
	local i
	"$strata" run -d --name c small sh -c 'sleep 1; yes 0123456789 | head -n 100000; sleep 0.2; exit 3'
	for i in 1 2 3 4; do
		{ rc=0; "$strata" attach --no-stdin c || rc=$?; echo "rc $rc"; } >"$work/out$i" &
	done
	# One that is slow, and one that is killed.
	{ "$strata" attach --no-stdin c | { sleep 2; cat; } >"$work/slow"; } &
	"$strata" attach --no-stdin c >"$work/killed" &
	sleep 1.1
	kill -9 $!
	wait
	yes 0123456789 | head -n 100000 >"$work/want"
	cmp "$work/slow" "$work/want"
	"$strata" logs c | cmp - "$work/want"
	echo "rc 3" >>"$work/want"
	for i in 1 2 3 4; do cmp "$work/out$i" "$work/want"; done
}

@test "who does not read holds it back for ten seconds, and is let go" {
	local began=$SECONDS
	"$strata" run -d --name c small sh -c 'sleep 0.5; yes | head -c 3000000'
	{ rc=0; "$strata" attach --no-stdin c 2>"$work/err" || rc=$?; echo $rc >"$work/code"; } | { sleep 13; wc -c >"$work/count"; } &
	[ "$("$strata" wait c)" = 0 ]
	[ $((SECONDS - began)) -ge 9 ]
	[ "$("$strata" logs c | wc -c)" = 3000000 ]
	wait
	[ "$(cat "$work/code")" = 125 ]
	grep -q 'detached: what c printed was not read for 10 s' "$work/err"
	[ "$(cat "$work/count")" -lt 3000000 ]
}

@test "stop does not wait for who does not read" {
	"$strata" run -d --name c small sh -c 'exec yes'
	"$strata" attach --no-stdin c | { sleep 12; cat >/dev/null; } &
	sleep 1
	timeout 6 "$strata" stop -t 0 c
	wait
}

@test "run -d -i: input, its end, its end of one who left" {
	"$strata" run -d -i --name c small sh -c 'while read x; do echo "got $x"; done; echo over; exit 4'
	# Who is killed, or has none to give, ends nothing.
	{ sleep 100 & echo $! >"$work/pid"; wait; } | "$strata" attach c &
	sleep 0.5
	kill -9 $!
	kill "$(cat "$work/pid")"
	run -4 "$strata" attach c < <(seq 3)
	[ "$output" = $'got 1\ngot 2\ngot 3\nover' ]
	[ "$("$strata" logs c)" = "$output" ]
	# More than a pipe holds, to a command that takes its time.
	"$strata" run -d -i --name d small sh -c 'sleep 1; md5sum'
	[ "$(head -c 3000000 /dev/zero | "$strata" attach d)" = "$(head -c 3000000 /dev/zero | md5sum)" ]
	# One that reads nothing and ends.
	"$strata" run -d -i --name e small sh -c 'sleep 1; exit 5'
	run -5 "$strata" attach e < <(head -c 3000000 /dev/zero)
	# Nor all that has been handed on.
	"$strata" run -d -i --name f small sh -c 'sleep 1; exit 6'
	run -6 "$strata" attach f < <(head -c 200000 /dev/zero; sleep 2)
}

@test "without -i nothing that is typed gets there, and none is taken" {
	"$strata" run -d --name c small sh -c 'sleep 1; cat; exit 6'
	printf 'one\ntwo\n' >"$work/in"
	{
		rc=0
		"$strata" attach c || rc=$?
		[ $rc = 6 ]
	} <"$work/in"
}

@test "signals are handed on, or end attach alone" {
	"$strata" run -d --name c small sh -c 'trap "echo caught; exit 9" INT; while :; do sleep 0.1; done'
	sleep 0.5
	{ rc=0; timeout -s INT 1 "$strata" attach --sig-proxy=false --no-stdin c || rc=$?; echo $rc >"$work/code"; } &
	wait $!
	[ "$(cat "$work/code")" = 124 ]
	run -9 timeout --preserve-status -s INT 1 "$strata" attach --no-stdin c
	[ "$output" = caught ]
	fails 125 "--sig-proxy cannot be" "$strata" attach --sig-proxy=no c
}

@test "-t: typed, size, keys that detach, the terminal as it was, exit status" {
	"$strata" run -d -it --name c small sh
	fails 125 "--no-stdin" "$strata" attach c </dev/null
	terminal '
	a = attach("c")
	a.type(b"stty size\n"); a.until(b"33 77")
	b = attach("c", rows=20, cols=50)
	b.type(b"echo $((6 * 7))\n"); a.until(b"\r\n42\r\n"); b.until(b"\r\n42\r\n")
	b.type(b"stty size\n"); b.until(b"20 50"); a.until(b"20 50")
	b.type(b"\x10\x11"); assert b.end() == 0
	a.p.kill(); a.p.wait()
	c = attach("--detach-keys", "a,b", "c")
	c.type(b"\necho still $((1 + 1))\n"); c.until(b"still 2")
	c.type(b"ab"); assert c.end() == 0
	d = attach("--detach-keys", "", "c")
	d.type(b"\nexit 5\n"); assert d.end() == 5'
	"$strata" logs c | grep -q 42
	fails 125 "--detach-keys cannot be ctrl-" "$strata" attach --detach-keys ctrl- c
}

@test "run -it whose client is killed: its terminal is let alone, the command runs on" {
	need python3
	cat >"$work/killed.py" <<-'END'
	import os, pty, select, subprocess, sys, time
	fd, slave = pty.openpty()
	p = subprocess.Popen([sys.argv[1], "run", "-it", "--name", "c", "small", "sh"], stdin=slave, stdout=slave,
	                     stderr=slave, start_new_session=True)
	seen = b""
	while b"/ # " not in seen:
	    assert select.select([fd], [], [], 20)[0], seen
	    seen += os.read(fd, 65536)
	p.kill()
	p.wait()
	time.sleep(0.5)
	os.write(fd, b"typed\n")
	assert select.select([slave], [], [], 5)[0], "what is typed was taken"
	assert b"typed" in os.read(slave, 100)
	END
	timeout -k 5 60 python3 "$work/killed.py" "$strata"
	terminal '
	a = attach("c")
	a.type(b"\nexit $((3 + 4))\n"); assert a.end() == 7'
	run -1 grep typed <("$strata" logs c)
}

@test "run -it and start -ai are left by the keys, and attached to again" {
	need python3
	cat >"$work/left.py" <<-'END'
	import os, pty, select, subprocess, sys, termios
	def left(words, keys, want):
	    fd, slave = pty.openpty()
	    before = termios.tcgetattr(slave)
	    p = subprocess.Popen([sys.argv[1], *words], stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
	    seen = b""
	    while b"/ # " not in seen:
	        assert select.select([fd], [], [], 20)[0], seen
	        seen += os.read(fd, 65536)
	    os.write(fd, keys)
	    assert p.wait(20) == want
	    assert termios.tcgetattr(slave)[:4] == before[:4], "the terminal was left raw"
	left(["run", "-it", "--name", "c", "small", "sh"], b"echo be\x27\x27fore\n\x10\x11", 0)
	left(["run", "-it", "--detach-keys", "q,q", "--name", "d", "small", "sh"], b"\x10\x11qq", 0)
	left(["run", "--rm", "-it", "--detach-keys", "", "small", "sh"], b"exit 6\n", 6)
	subprocess.run([sys.argv[1], "stop", "-t", "0", "d"], check=True)
	left(["start", "-ai", "d"], b"\x10\x11", 0)
	END
	timeout -k 5 90 python3 "$work/left.py" "$strata"
	terminal '
	for name in "c", "d":
	    a = attach(name)
	    a.type(b"\nexit $((3 + 4))\n"); assert a.end() == 7'
	# Typed in one go with the keys, and there all the same.
	"$strata" logs c | grep -q "^before"
	fails 125 "--detach-keys cannot be x," "$strata" run --detach-keys x, small true
}

@test "wrong state, wrong kind" {
	fails 125 "no such instance" "$strata" attach nosuch
	"$strata" create --name made small true
	fails 125 "not running" "$strata" attach made
	"$strata" run --rm --name front small sleep 3 &
	until "$strata" ps | grep -q front; do sleep 0.1; done
	fails 125 "its streams are its client's" "$strata" attach front
	wait
	mkdir "$work/m"
	"$strata" mount --name m small "$work/m"
	fails 125 "is a mount" "$strata" attach m
	"$strata" run -d --name c small sleep 1000
	! "$strata" pause c || fails 125 "unpause" "$strata" attach c
}

@test "a supervisor that is killed ends who attached" {
	local monitor
	need jq
	"$strata" run -d --name c small sleep 1000
	monitor=$(jq .strata.monitor "$STRATA_RUNROOT"/instances/*/state.json)
	{ sleep 1; kill -9 "$monitor"; } &
	fails 125 "supervisor of c was killed" "$strata" attach --no-stdin c
}

# shellcheck disable=SC2016 # expanded where the script runs
@test "a microVM: streams, input, exit status, a terminal" {
	[ -e "$build/vmlinux" ] || skip "no guest kernel: make kernel"
	need jq script
	vm_host '
		"$strata" run -d -i --name c --vm small sh -c "echo up; while read x; do echo \"got \$x\"; echo err >&2; done; exit 4"
		until_log c up
		rc=0; printf "one\ntwo\n" | "$strata" attach c >"$work/out" 2>"$work/err" || rc=$?
		[ $rc = 4 ]
		printf "got one\ngot two\n" | cmp - "$work/out"
		printf "err\nerr\n" | cmp - "$work/err"
		"$strata" run -d -it --name t --vm small sh -c "echo up; read x; stty size; exit 5"
		until_log t up
		rc=0; (sleep 1; echo) | script -qec "stty rows 33 cols 77; \"$strata\" attach t" /dev/null >"$work/tty" || rc=$?
		cat "$work/tty"
		[ $rc = 5 ]
		grep "33 77" "$work/tty"'
}

#!/usr/bin/env bats
# Networks, each in a network namespace of the test's own whose only route leads to a device that nobody answers behind.

bats_require_minimum_version 1.5.0
load lib

setup() {
	need_root
	strata_setup
	small_image
}
teardown() { strata_teardown; }

# The namespace's own part; 10.9.0.2 is the host's address there.
# shellcheck disable=SC2016 # expanded where the script runs
host_network='
	set -e
	ip link set lo up
	ip link add d0 type dummy 2>/dev/null || ip tuntap add dev d0 mode tap
	ip addr add 10.9.0.2/24 dev d0
	ip link set d0 up
	ip route add default via 10.9.0.1
	exec bash "$work/inner"'

# Runs a script as vm_host() does, in such a namespace.
vm_netns() {
	[ -e "$build/vmlinux" ] || skip "no guest kernel: make kernel"
	need jq passt ip unshare
	printf 'set -e\n%s\n' "$1" >"$work/inner"
	printf '%s\n' "$host_network" >"$work/outer"
	vm_host 'unshare -n bash "$work/outer"'
}

# Those that serve containers of this namespace.
# shellcheck disable=SC2016
ctr_helpers='
	pastas() { pgrep --ns $$ --nslist net -f "^pasta --userns" || true; }
'

# The same for containers, which run here.
ctr_netns() {
	need jq pasta ip ss unshare nsenter python3
	export strata work
	printf 'set -e\n%s\n%s\n%s\n' "$vm_helpers" "$ctr_helpers" "$1" >"$work/inner"
	run timeout -k 5 120 unshare -n bash -c "$host_network"
	echo "$output"
	[ "$status" = 0 ]
}

@test "a microVM has no network unless asked" {
	[ -e "$build/vmlinux" ] || skip "no guest kernel: make kernel"
	need jq
	vm_host '[ "$("$strata" run --rm --vm small busybox ls /sys/class/net)" = lo ]'
}

@test "network user: address, route, resolver, the host's address but not its loopback" {
	vm_netns '
		mkdir "$work/www" "$work/local"; head -c 3000000 /dev/urandom >"$work/www/x"; echo no >"$work/local/x"
		busybox httpd -f -p 10.9.0.2:8000 -h "$work/www" & public=$!
		busybox httpd -f -p 127.0.0.1:8001 -h "$work/local" & local=$!
		trap "kill $public $local" EXIT
		"$strata" run --name n --vm --network user small sh -c "
			busybox ip -4 addr show eth0; busybox ip route; cat /etc/resolv.conf; cat /sys/class/net/eth0/mtu
			busybox wget -qO- http://10.9.0.2:8000/x | md5sum
			! busybox wget -T 3 -qO- http://10.0.2.2:8001/x 2>/dev/null || echo reached the loopback
			! busybox wget -T 3 -qO- http://127.0.0.1:8001/x 2>/dev/null || echo reached the loopback" >"$work/out"
		cat "$work/out"
		grep -q "inet 10.0.2.15/24" "$work/out"; grep -q "default via 10.0.2.2 dev eth0" "$work/out"
		grep -qx "nameserver 10.0.2.3" "$work/out"; grep -qx 65520 "$work/out"
		grep -qx "$(md5sum <"$work/www/x")" "$work/out"
		! grep "reached the loopback" "$work/out"
		# The image and the top know nothing of the resolver, but for the place that it was bound to.
		id=$("$strata" ps -aq)
		[ ! -s "$STRATA_ROOT/snapshots/$id/upper/etc/resolv.conf" ]
		"$strata" rm n
		! pgrep -f "^passt.*--runas.*--address 10.0.2.15" | grep .'
}

@test "a checkpointed microVM has its network again; two from one machine have two addresses" {
	vm_netns '
		mkdir "$work/www"; echo answer >"$work/www/x"
		busybox httpd -f -p 10.9.0.2:8000 -h "$work/www" & public=$!
		trap "kill $public" EXIT
		mac() { "$strata" exec $1 busybox cat /sys/class/net/eth0/address; }
		for v in n m; do "$strata" run -d --name $v --vm --network user small sh -c "while :; do sleep 1; done" >/dev/null; done
		mac=$(mac n)
		[[ $mac == 02:* ]] && [ "$mac" != "$(mac m)" ]
		"$strata" checkpoint n
		"$strata" restore n
		[ "$("$strata" exec n busybox wget -qO- http://10.9.0.2:8000/x)" = answer ]
		[ "$(mac n)" = "$mac" ]
		"$strata" rm -f n m'
}

@test "a rate: 500,000 bytes at 100,000 a second, a tenth of them at once, take four seconds or more" {
	vm_netns '
		mkdir "$work/www"; head -c 500000 /dev/urandom >"$work/www/x"
		busybox httpd -f -p 10.9.0.2:8000 -h "$work/www" & public=$!
		trap "kill $public" EXIT
		"$strata" run --rm --vm --network user --net-rate 100000 small sh -c "
			read a b </proc/uptime; busybox wget -qO- http://10.9.0.2:8000/x | md5sum
			read c d </proc/uptime; echo took \$((\${c%.*} - \${a%.*}))" >"$work/out"
		cat "$work/out"
		grep -qx "$(md5sum <"$work/www/x")" "$work/out"
		[ "$(sed -n "s/^took //p" "$work/out")" -ge 4 ]'
}

@test "published ports: on all addresses, on one, in both directions; freed when the VM is killed" {
	vm_netns '
		head -c 2000000 /dev/urandom >"$work/data"
		"$strata" run -d --name srv --vm -p 18080:80 -p 127.0.0.1:18081:81 small sh -c "
			echo up; busybox nc -l -p 81 -e cat & busybox nc -l -p 80 -e md5sum; wait" >/dev/null
		for _ in $(seq 400); do [ "$("$strata" logs srv)" = up ] && break; sleep 0.05; done
		sleep 1 # until it listens: nothing tells
		sum=$(md5sum <"$work/data")
		! busybox nc 10.9.0.2 18081 </dev/null
		[ "$(timeout 60 busybox nc 127.0.0.1 18081 <"$work/data" | md5sum)" = "$sum" ]
		[ "$(timeout 60 busybox nc 10.9.0.2 18080 <"$work/data")" = "$sum" ]
		"$strata" rm -f srv
		"$strata" run -d --name k --vm -p 18080:80 small sh -c "echo up; sleep 1000" >/dev/null
		for _ in $(seq 400); do [ "$("$strata" logs k)" = up ] && break; sleep 0.05; done
		ss -ltn | grep -q :18080
		kill -9 "$("$strata" inspect k | jq -r ".[0].pid")"
		for _ in $(seq 200); do ss -ltn | grep -q :18080 || break; sleep 0.05; done
		! ss -ltn | grep :18080
		"$strata" rm -f k'
}

@test "network user: without passt, without a route: one line, and nothing stays" {
	[ -e "$build/vmlinux" ] || skip "no guest kernel: make kernel"
	need jq passt ip unshare
	vm_host 'rc=0; PATH=$work "$strata" run --rm --vm --network user small true 2>"$work/err" || rc=$?
		[ $rc = 125 ]; grep "install the package passt" "$work/err"
		rc=0; unshare -n "$strata" run --rm --vm --network user small true 2>"$work/err" || rc=$?
		cat "$work/err"; [ $rc = 125 ]; [ "$(wc -l <"$work/err")" = 1 ]; grep "passt made no network" "$work/err"
		[ -z "$("$strata" ps -aq)" ]'
}

@test "a container, network user: address, route, resolver, the host's address but not its loopback; nothing stays" {
	ctr_netns '
		mkdir "$work/www" "$work/local"; head -c 3000000 /dev/urandom >"$work/www/x"; echo no >"$work/local/x"
		busybox httpd -f -p 10.9.0.2:8000 -h "$work/www" & public=$!
		busybox httpd -f -p 127.0.0.1:8001 -h "$work/local" & local=$!
		trap "kill $public $local" EXIT
		"$strata" run --name n --network user small sh -c "
			busybox ip -4 addr show eth0; busybox ip route; cat /etc/resolv.conf; ls /sys/class/net
			cat /sys/class/net/eth0/mtu /sys/class/net/eth0/address
			busybox wget -qO- http://10.9.0.2:8000/x | md5sum
			! busybox wget -T 3 -qO- http://10.0.2.2:8001/x 2>/dev/null || echo reached the loopback
			! busybox wget -T 3 -qO- http://127.0.0.1:8001/x 2>/dev/null || echo reached the loopback
			! busybox ip link set eth0 down 2>/dev/null || echo may arrange its network" >"$work/out"
		cat "$work/out"
		grep -q "inet 10.0.2.15/24" "$work/out"; grep -q "default via 10.0.2.2 dev eth0" "$work/out"
		grep -qx "nameserver 10.0.2.3" "$work/out"; grep -qx 65520 "$work/out"; grep -qx "02:.*" "$work/out"
		grep -qx "$(md5sum <"$work/www/x")" "$work/out"
		! grep "reached the loopback\|may arrange" "$work/out"
		id=$("$strata" ps -aq)
		[ ! -s "$STRATA_ROOT/snapshots/$id/upper/etc/resolv.conf" ]
		"$strata" rm n
		[ -z "$(pastas)" ]'
}

@test "a container, two of them: the same address, each its own; exec is in the same network" {
	ctr_netns '
		for c in n m; do "$strata" run -d --name $c --network user small sh -c "while :; do sleep 1; done" >/dev/null; done
		for c in n m; do "$strata" exec $c busybox ip -4 addr show eth0 | grep -q "inet 10.0.2.15/24"; done
		[ "$("$strata" exec n cat /sys/class/net/eth0/address)" != "$("$strata" exec m cat /sys/class/net/eth0/address)" ]
		# Each pasta is its own user, without a capability of the host'"'"'s.
		[ "$(pastas | wc -l)" = 2 ]
		[ "$(for p in $(pastas); do stat -c %u /proc/$p; done | sort -u | wc -l)" = 2 ]
		for p in $(pastas); do [ "$(readlink /proc/$p/ns/user)" != "$(readlink /proc/self/ns/user)" ]; done
		"$strata" rm -f n m
		[ -z "$(pastas)" ]'
}

@test "a container, published ports: on all addresses, on one, udp; freed when it ends and when it is killed" {
	ctr_netns '
		head -c 2000000 /dev/urandom >"$work/data"; sum=$(md5sum <"$work/data")
		"$strata" run -d --name srv -p 18080:80 -p 127.0.0.1:18081:81 -p 18082:82/udp small sh -c "
			echo up; busybox nc -l -p 81 -e cat & busybox nc -l -p 80 -e md5sum; sleep 1000" >/dev/null
		until_log srv up
		nsenter -t "$("$strata" inspect srv | jq -r ".[0].pid")" -n timeout 60 python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((\"\", 82))
s.sendto(*s.recvfrom(100))" >/dev/null 2>&1 &
		for _ in $(seq 100); do [ "$("$strata" exec srv busybox netstat -lntu | grep -c :8)" = 3 ] && break; sleep 0.1; done
		! busybox nc 10.9.0.2 18081 </dev/null
		[ "$(timeout 60 busybox nc 10.9.0.2 18080 <"$work/data")" = "$sum" ]
		[ "$(timeout 60 busybox nc 127.0.0.1 18081 <"$work/data" | md5sum)" = "$sum" ]
		python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
s.sendto(b\"datagram\", (\"10.9.0.2\", 18082))
assert s.recv(100) == b\"datagram\""
		ss -ltn | grep -q ":18080 "; fails 125 "pasta made no network" "$strata" run --rm -p 18080:80 small true
		"$strata" rm -f srv
		! ss -ltn | grep :1808
		"$strata" run -d --name k -p 18080:80 small sleep 1000 >/dev/null
		ss -ltn | grep -q :18080
		kill -9 $(ps -o ppid= -p "$("$strata" inspect k | jq -r ".[0].pid")")
		for _ in $(seq 200); do ss -ltn | grep -q :18080 || break; sleep 0.05; done
		! ss -ltn | grep :18080
		[ -z "$(pastas)" ]
		"$strata" start k >/dev/null
		ss -ltn | grep -q :18080
		"$strata" rm -f k'
}

@test "a container, network user: without pasta, without a route: one line, and nothing stays" {
	need pasta unshare
	fails 125 "install the package passt" env PATH="$work" "$strata" run --rm --network user small true
	fails 125 "pasta made no network" unshare -n "$strata" run --rm --network user small true
	[ -z "$("$strata" ps -aq)" ]
}

@test "what cannot be a network or a port is refused" {
	fails 125 "network 'bridge': must be none, host or user" "$strata" run --rm --network bridge small true
	fails 125 "ports are published with --network user alone" "$strata" run --rm --network host -p 1:2 small true
	fails 125 "a rate of the network is a microVM's, by --network user" "$strata" run --rm --vm --net-rate 1m small true
	fails 125 "a rate of the network is a microVM's" "$strata" run --rm --network user --net-rate 1m small true
	fails 125 "a microVM has no host network" "$strata" run --rm --vm --network host small true
	for p in 80 a:80 80:a 0:80 80:65536 1.2.3:80:80 1.2.3.4.5:80:80 80:80/sctp :80 80: '80:80/' '::80'; do
		fails 125 "must be [ADDRESS:]HOST:GUEST" "$strata" run --rm --vm -p "$p" small true
	done
	[ -z "$("$strata" ps -aq)" ]
}

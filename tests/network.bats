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
	printf '%s\n' "$strict" "$1" >"$work/inner"
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
	printf '%s\n' "$strict" "$vm_helpers" "$ctr_helpers" "$1" >"$work/inner"
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
		"$strata" run --name n --vm --network user --hostname box --dns-search x.y --add-host me:10.9.0.2 small sh -c "
			cat /etc/hosts; busybox ip -4 addr show eth0; busybox ip route; cat /etc/resolv.conf; cat /sys/class/net/eth0/mtu
			busybox wget -qO- http://me:8000/x | md5sum
			! busybox wget -T 3 -qO- http://10.0.2.2:8001/x 2>/dev/null || echo reached the loopback
			! busybox wget -T 3 -qO- http://127.0.0.1:8001/x 2>/dev/null || echo reached the loopback" >"$work/out"
		cat "$work/out"
		grep -q "inet 10.0.2.15/24" "$work/out"; grep -q "default via 10.0.2.2 dev eth0" "$work/out"
		grep -qx "nameserver 10.0.2.3" "$work/out"; grep -qx 65520 "$work/out"
		grep -qx "$(md5sum <"$work/www/x")" "$work/out"
		not grep "reached the loopback" "$work/out"
		grep -qx "search x.y" "$work/out"; grep -q "^10.9.0.2.me$" "$work/out"; grep -q "^10.0.2.15.box n$" "$work/out"
		grep -q "^127.0.0.1.localhost$" "$work/out"
		# The image and the top know nothing of the resolver, but for the place that it was bound to.
		id=$("$strata" ps -aq)
		[ ! -s "$STRATA_ROOT/snapshots/$id/upper/etc/resolv.conf" ]
		[ ! -s "$STRATA_ROOT/snapshots/$id/upper/etc/hosts" ]
		"$strata" rm n
		pgrep -f "^passt.*--runas.*--address 10.0.2.15" | not grep .'
}

@test "a checkpointed microVM has its network again; two from one machine have two addresses" {
	vm_netns '
		mkdir "$work/www"; echo answer >"$work/www/x"
		busybox httpd -f -p 10.9.0.2:8000 -h "$work/www" & public=$!
		trap "kill $public" EXIT
		mac() { "$strata" exec $1 busybox cat /sys/class/net/eth0/address; }
		for v in n m; do "$strata" run -d --name $v --vm --network user small sh -c "while :; do sleep 1; done" >/dev/null; done
		mac=$(mac n)
		[[ $mac == 02:* ]]
		[ "$mac" != "$(mac m)" ]
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
		not busybox nc 10.9.0.2 18081 </dev/null
		[ "$(timeout 60 busybox nc 127.0.0.1 18081 <"$work/data" | md5sum)" = "$sum" ]
		[ "$(timeout 60 busybox nc 10.9.0.2 18080 <"$work/data")" = "$sum" ]
		"$strata" rm -f srv
		"$strata" run -d --name k --vm -p 18080:80 small sh -c "echo up; sleep 1000" >/dev/null
		for _ in $(seq 400); do [ "$("$strata" logs k)" = up ] && break; sleep 0.05; done
		ss -ltn | grep -q :18080
		kill -9 "$("$strata" inspect k | jq -r ".[0].pid")"
		for _ in $(seq 200); do ss -ltn | grep -q :18080 || break; sleep 0.05; done
		ss -ltn | not grep :18080
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
		not grep "reached the loopback\|may arrange" "$work/out"
		id=$("$strata" ps -aq)
		[ ! -s "$STRATA_ROOT/snapshots/$id/upper/etc/resolv.conf" ]
		"$strata" rm n
		[ -z "$(pastas)" ]'
}

@test "a container, network user: --dns, --dns-search, --dns-option, --add-host; its own name; none of it is kept in the top" {
	ctr_netns '
		"$strata" create --name n --hostname box --network user --dns 10.9.0.2 --dns 2001:db8::1 --dns-search x.y --dns-search z \
			--dns-option ndots:3 --add-host me:10.9.0.2 --add-host "six:[2001:db8::2]" small \
			sh -c "cat /etc/resolv.conf /etc/hosts; echo mine >>/etc/hosts; tail -n1 /etc/hosts" >/dev/null
		printf "%s\n" "nameserver 10.9.0.2" "nameserver 2001:db8::1" "search x.y z" "options ndots:3" "10.9.0.2	me" \
			"2001:db8::2	six" "127.0.0.1	localhost" "::1	localhost" "10.0.2.15	box n" mine >"$work/want"
		for life in 1 2; do
			"$strata" start -a n >"$work/out"
			diff "$work/want" "$work/out"
		done
		"$strata" inspect n | jq -e ".[0].config | .dnsSearch == [\"x.y\", \"z\"] and .hosts[1] == \"six:2001:db8::2\""
		id=$("$strata" ps -aq)
		[ ! -s "$STRATA_ROOT/snapshots/$id/upper/etc/hosts" ]
		"$strata" rm n
		"$strata" run --rm --network user --dns-search . small cat /etc/resolv.conf >"$work/out"
		[ "$(cat "$work/out")" = "nameserver 10.0.2.3" ]
		# By the network of the host its files, but for what is said.
		[ "$("$strata" run --rm --network host small cat /etc/hosts)" = "$(cat /etc/hosts)" ]
		[ "$("$strata" run --rm --network host --add-host a:1.2.3.4 small cat /etc/hosts)" = "1.2.3.4	a
$(cat /etc/hosts)" ]
		"$strata" run --rm --network host --dns 1.2.3.4 small grep nameserver /etc/resolv.conf >"$work/out"
		[ "$(cat "$work/out")" = "nameserver 1.2.3.4" ]'
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
		not busybox nc 10.9.0.2 18081 </dev/null
		[ "$(timeout 60 busybox nc 10.9.0.2 18080 <"$work/data")" = "$sum" ]
		[ "$(timeout 60 busybox nc 127.0.0.1 18081 <"$work/data" | md5sum)" = "$sum" ]
		"$strata" stats --no-stream --format json srv | jq -e ".[0].netIO | .input > 2000000 and .output > 1000" # what came by the loopback went by its own
		python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
s.sendto(b\"datagram\", (\"10.9.0.2\", 18082))
assert s.recv(100) == b\"datagram\""
		ss -ltn | grep -q ":18080 "; fails 125 "pasta made no network" "$strata" run --rm -p 18080:80 small true
		"$strata" rm -f srv
		ss -ltn | not grep :1808
		"$strata" run -d --name k -p 18080:80 small sleep 1000 >/dev/null
		ss -ltn | grep -q :18080
		kill -9 $(ps -o ppid= -p "$("$strata" inspect k | jq -r ".[0].pid")")
		for _ in $(seq 200); do ss -ltn | grep -q :18080 || break; sleep 0.05; done
		ss -ltn | not grep :18080
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

# A script in a namespace that stands for the host, joined by a veth to another one which is the outside: the host is
# 10.9.0.2 there, and a server at 10.9.0.1:8000 says who asked. `outside COMMAND` runs one there.
bridge_script() {
	need jq ip ss unshare nsenter python3 nft
	export strata work
	printf '%s\n' "$strict" "$vm_helpers" "$bridge_helpers" "$1" >"$work/inner"
}
bridge_netns() {
	bridge_script "$1"
	run timeout -k 5 200 unshare -n bash -c "$bridge_host"
	echo "$output"
	[ "$status" = 0 ]
}

# shellcheck disable=SC2016
bridge_host='
	set -e
	unshare -n sleep 300 & out=$!
	until [ "$(readlink /proc/$out/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
	ip link set lo up
	ip link add up0 type veth peer name eth0 netns $out
	ip addr add 10.9.0.2/24 dev up0; ip link set up0 up; ip route add default via 10.9.0.1
	nsenter -t $out -n sh -c "ip link set lo up; ip addr add 10.9.0.1/24 dev eth0; ip link set eth0 up"
	nsenter -t $out -n python3 -c "
import socket
s = socket.create_server((\"\", 8000))
while True:
    c, who = s.accept()
    c.sendall((\"you are \" + who[0] + chr(10)).encode())
    c.close()" </dev/null >/dev/null 2>&1 & server=$!
	trap "kill $server $out; wait" EXIT
	until nsenter -t $out -n ss -ltn | grep -q :8000; do sleep 0.05; done
	export out; bash "$work/inner"'

# shellcheck disable=SC2016
bridge_helpers='
	outside() { nsenter -t $out -n "$@"; }
	address() { "$strata" inspect $1 | jq -r ".[0].network.address"; }
	# Whatever a namespace that stands for a host has of the bridge.
	nothing_left() { [ -z "$(nft list ruleset)" ] && [ "$(ip -br link | cut -d" " -f1 | sort | tr "\n" " ")" = "lo up0@if2 " ] &&
		[ "$(ls "$STRATA_RUNROOT/network")" = lock ]; }
	serving() { for _ in $(seq 200); do "$strata" exec $1 busybox netstat -ltn | grep -q ":$2 " && return; sleep 0.05; done; return 1; }
	supervisor() { ps -o ppid= -p "$("$strata" inspect $1 | jq -r ".[0].pid")"; }
'

@test "network bridge, containers: an address each, the world by NAT, one another; gone with the last" {
	bridge_netns '
		for c in a b; do "$strata" run -d --name $c --network bridge small sh -c "while :; do sleep 1; done" >/dev/null; done
		a=$(address a) b=$(address b)
		[[ $a == 10.77.* && $b == 10.77.* ]]
		[ $a != $b ]
		"$strata" inspect a | jq -e ".[0].network | .mode == \"bridge\" and .gateway == \"10.77.0.1\" and .prefix == 22"
		[ "$("$strata" inspect a | jq -r ".[0].network.mac")" = "$("$strata" exec a cat /sys/class/net/eth0/address)" ]
		"$strata" exec a busybox ip -4 addr show eth0 | grep -q "inet $a/22"
		"$strata" exec a busybox ip route | grep -q "default via 10.77.0.1 dev eth0"
		"$strata" exec a grep -q 127.0.0 /etc/resolv.conf && exit 1
		[ "$("$strata" exec a sh -c "grep a\$ /etc/hosts")" = "$a	$("$strata" exec a hostname) a" ]
		"$strata" exec a grep -qx "10.77.0.1	host.containers.internal" /etc/hosts
		"$strata" run --rm --network bridge --add-host up:host-gateway small grep -qx "10.77.0.1	up" /etc/hosts
		# The world sees the host; it does not reach an instance by itself.
		[ "$("$strata" exec a busybox nc 10.9.0.1 8000)" = "you are 10.9.0.2" ]
		"$strata" stats --no-stream --format json a | jq -e ".[0].netIO | .input > 100 and .output > 100"
		"$strata" stats --no-stream a | grep -Eq "[0-9.]+ k?B / [0-9.]+ k?B"
		outside ip route add 10.77.0.0/22 via 10.9.0.2
		"$strata" exec b busybox nc -ll -p 80 -e echo from b & srv=$!
		serving b 80
		[ "$("$strata" exec a busybox nc $b 80)" = "from b" ]
		[ "$(busybox nc $b 80)" = "from b" ]
		not outside timeout 2 busybox nc $b 80
		"$strata" rm -f a
		[ "$(busybox nc $b 80)" = "from b" ]
		"$strata" rm -f b
		nothing_left
		[ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ]'
}

@test "network bridge, containers: published ports, from outside, from the host, its loopback, an instance; udp" {
	bridge_netns '
		"$strata" run -d --name s --network bridge -p 8080:80 -p 127.0.0.1:8081:80 -p 8082:82/udp small busybox nc -ll -p 80 -e echo hit >/dev/null
		serving s 80
		[ "$(outside busybox nc 10.9.0.2 8080)" = hit ]
		[ "$(busybox nc 10.9.0.2 8080)" = hit ]
		[ "$(busybox nc 127.0.0.1 8080)" = hit ]
		[ "$(busybox nc 127.0.0.1 8081)" = hit ]
		not outside timeout 2 busybox nc 10.9.0.2 8081
		"$strata" run -d --name c --network bridge small sh -c "while :; do sleep 1; done" >/dev/null
		[ "$("$strata" exec c busybox nc 10.9.0.2 8080)" = hit ]
		[ "$("$strata" exec s busybox nc 10.77.0.1 8080)" = hit ]
		nsenter -t "$("$strata" inspect s | jq -r ".[0].pid")" -n timeout 60 python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((\"\", 82))
s.sendto(*s.recvfrom(100))" >/dev/null 2>&1 &
		for _ in $(seq 200); do "$strata" exec s busybox netstat -lun | grep -q ":82 " && break; sleep 0.05; done
		python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
s.sendto(b\"datagram\", (\"127.0.0.1\", 8082))
assert s.recv(100) == b\"datagram\""
		# Taken by another instance, by another program.
		fails 125 "port 8080: Address already in use" "$strata" run --rm --network bridge -p 8080:1 small true
		busybox nc -ll -p 9000 -e echo host >/dev/null & other=$!
		until ss -ltn | grep -q :9000; do sleep 0.05; done
		fails 125 "port 9000: Address already in use" "$strata" run --rm --network bridge -p 9000:1 small true
		kill $other
		"$strata" rm -f s
		not outside timeout 2 busybox nc 10.9.0.2 8080
		"$strata" rm -f c
		nothing_left'
}

@test "network bridge, containers: no spoofing, no host loopback, no arranging of the network" {
	bridge_netns '
		mkdir "$work/local"; echo loopback >"$work/local/x"
		busybox httpd -f -p 127.0.0.1:8001 -h "$work/local" & local=$!
		for c in a d; do "$strata" run -d --name $c --network bridge small sh -c "while :; do sleep 1; done" >/dev/null; done
		not "$strata" exec a busybox ip link set eth0 down
		not "$strata" exec a busybox ip addr add 10.77.0.9/22 dev eth0
		# As root of the host, in the container'"'"'s namespace: what a container with more rights could try.
		in_a() { nsenter -t "$("$strata" inspect a | jq -r ".[0].pid")" -n "$@"; }
		in_a busybox ping -c1 -W2 "$(address d)" >/dev/null
		in_a ip route add 127.0.0.1/32 via 10.77.0.1 table 7; in_a ip rule add to 127.0.0.1 table 7 pref 0; in_a ip rule del pref 0 table local || true
		in_a sysctl -qw net.ipv4.conf.eth0.route_localnet=1 2>/dev/null || true
		in_a timeout 2 busybox wget -qO- http://127.0.0.1:8001/x | not grep loopback
		# A foreign address, and a foreign MAC.
		in_a ip addr add 10.77.0.9/22 dev eth0
		not in_a busybox ping -c1 -W1 -I 10.77.0.9 "$(address d)" >/dev/null
		in_a ip link set eth0 down; in_a ip link set eth0 address 02:00:00:00:00:09; in_a ip link set eth0 up
		not in_a busybox ping -c1 -W1 "$(address d)" >/dev/null
		kill $local
		"$strata" rm -f a d
		nothing_left'
}

# vmm_bridge WHICH: a script for both: our VMM where it runs, else QEMU.
bridge_vm='
	"$strata" run -d --name v --vm --vmm $vmm --network bridge -p 8080:80 small busybox nc -ll -p 80 -e echo guest >/dev/null
	"$strata" run -d --name c --network bridge small busybox nc -ll -p 80 -e echo container >/dev/null
	v=$(address v)
	"$strata" exec v grep -qx "$v	$("$strata" exec v hostname) v" /etc/hosts
	"$strata" exec v busybox ip -4 addr show eth0 | grep -q "inet $v/22"
	"$strata" exec v busybox ip route | grep -q "default via 10.77.0.1 dev eth0"
	[ "$("$strata" exec v cat /sys/class/net/eth0/mtu)" = 1500 ]
	[ "$("$strata" inspect v | jq -r ".[0].network.mac")" = "$("$strata" exec v cat /sys/class/net/eth0/address)" ]
	[ "$("$strata" exec v busybox nc 10.9.0.1 8000)" = "you are 10.9.0.2" ]
	serving v 80; serving c 80
	[ "$("$strata" exec v busybox nc $(address c) 80)" = container ]
	[ "$("$strata" exec c busybox nc $v 80)" = guest ]
	[ "$(outside busybox nc 10.9.0.2 8080)" = guest ]
	[ "$(busybox nc 127.0.0.1 8080)" = guest ]
	# As root of the guest: another address, another MAC.
	"$strata" exec v busybox ip addr add 10.77.0.9/22 dev eth0
	not "$strata" exec v busybox ping -c1 -W1 -I 10.77.0.9 "$(address c)" >/dev/null
	"$strata" exec v busybox sh -c "busybox ip link set eth0 down; busybox ip link set eth0 address 02:00:00:00:00:09; busybox ip link set eth0 up"
	not "$strata" exec v busybox ping -c1 -W1 "$(address c)" >/dev/null
	fails 125 "has an address at the bridge" "$strata" clone v
	fails 125 "has an address at the bridge" "$strata" checkpoint v
	kill -9 $(supervisor v)
	for _ in $(seq 100); do ip -br link | grep -q "^stra-$("$strata" inspect v | jq -r ".[0].id[:10]")" || break; sleep 0.05; done
	"$strata" rm -f v c
	# The rate holds: half a megabyte at a fifth of that a second.
	mkdir "$work/www"; head -c 500000 /dev/urandom >"$work/www/x"
	nsenter -t $out -n busybox httpd -f -p 10.9.0.1:8003 -h "$work/www" >/dev/null 2>&1 & web=$!
	"$strata" run --rm --vm --vmm $vmm --network bridge --net-rate 100000 small sh -c "
		read a b </proc/uptime; busybox wget -qO- http://10.9.0.1:8003/x | md5sum
		read c d </proc/uptime; echo took \$((\${c%.*} - \${a%.*}))" >"$work/out"
	kill $web
	grep -qx "$(md5sum <"$work/www/x")" "$work/out"
	[ "$(sed -n "s/^took //p" "$work/out")" -ge 4 ]
	nothing_left'

@test "network bridge, a microVM by QEMU: address, the world, a container, a published port; no spoofing" {
	[ -e "$build/vmlinux" ] || skip "no guest kernel: make kernel"
	need qemu-system-x86_64
	bridge_netns "vmm=qemu; $bridge_vm"
}

@test "network bridge, a microVM by KVM: the same" {
	[ -e "$build/vmlinux" ] || skip "no guest kernel: make kernel"
	bridge_script "vmm=kvm; $bridge_vm"
	printf '%s\n' "$bridge_host" >"$work/host"
	# A container's top wants trusted xattrs, which the testbed has on its own /run alone.
	vm_host '
		[ ! -e /run/testbed ] || { cp -a "$STRATA_ROOT" /run/store && export STRATA_ROOT=/run/store; }
		unshare -n bash "$work/host"'
}

@test "network bridge: what a killed supervisor leaves is cleared by the next instance, by rm -f, by start" {
	bridge_netns '
		run() { "$strata" run -d --name $1 --network bridge -p $2:80 small busybox nc -ll -p 80 -e echo $1 >/dev/null; }
		run a 8080
		was=$(address a)
		kill -9 $(supervisor a)
		for _ in $(seq 100); do ip -br link | grep -q ^stra-[^t] || break; sleep 0.05; done
		ip -br link | not grep ^stra-[^t]
		[ "$(ls "$STRATA_RUNROOT/network" | wc -l)" = 2 ]
		run b 8080
		[ "$(ls "$STRATA_RUNROOT/network" | wc -l)" = 2 ]
		serving b 80; [ "$(busybox nc 127.0.0.1 8080)" = b ]
		"$strata" rm -f b
		"$strata" start a >/dev/null
		[ "$(address a)" = "$was" ]
		kill -9 $(supervisor a)
		"$strata" rm -f a
		nothing_left'
}

@test "network bridge: a net that the host has, a bridge of somebody else, a wrong word: one line, and nothing is made" {
	bridge_netns '
		ip route add 10.77.2.0/24 via 10.9.0.1
		fails 125 "the host has a route into 10.77.0.0/22, by up0: STRATA_BRIDGE=ADDRESS/PREFIX" "$strata" run --rm --network bridge small true
		[ "$(STRATA_BRIDGE=10.99.1.1/24 "$strata" run --rm --network bridge small busybox ip route | grep -c "default via 10.99.1.1")" = 1 ]
		ip route del 10.77.2.0/24
		nothing_left
		for w in 10.99.1.1 10.99.1.0/24 10.99.1.255/24 10.99.1.1/30 10.99.1.1/7 x 10.99.1.1/24x; do
			STRATA_BRIDGE=$w fails 125 "bridge '"'"'$w'"'"':" "$strata" run --rm --network bridge small true
		done
		ip link add strata0 type bridge
		fails 125 "an interface strata0, which is not strata'"'"'s" "$strata" run --rm --network bridge small true
		ip link del strata0
		"$strata" run -d --name a --network bridge small sh -c "while :; do sleep 1; done" >/dev/null
		mkdir "$work/run2"
		fails 125 "another run directory'"'"'s" "$strata" --runroot "$work/run2" run --rm --network bridge small true
		STRATA_BRIDGE=10.99.1.1/24 fails 125 "another address while it is in use" "$strata" run --rm --network bridge small true
		"$strata" rm -f a
		nothing_left'
}

@test "what cannot be a network or a port is refused" {
	fails 125 "network 'mesh': must be none, host, user or bridge" "$strata" run --rm --network mesh small true
	fails 125 "ports are published with --network user or bridge" "$strata" run --rm --network host -p 1:2 small true
	fails 125 "a rate of the network is a microVM's, by --network user or bridge" "$strata" run --rm --vm --net-rate 1m small true
	fails 125 "a rate of the network is a microVM's" "$strata" run --rm --network user --net-rate 1m small true
	fails 125 "a microVM has no host network" "$strata" run --rm --vm --network host small true
	fails 125 "need a network" "$strata" run --rm --dns 1.2.3.4 small true
	fails 125 "need a network" "$strata" run --rm --vm --dns-search x small true
	fails 125 "DNS server 'dns.example': must be an address" "$strata" run --rm --network user --dns dns.example small true
	fails 125 "host 'a=1.2.3.4': must be NAME:ADDRESS" "$strata" run --rm --add-host a=1.2.3.4 small true
	fails 125 "only by --network bridge" "$strata" run --rm --network user --add-host a:host-gateway small true
	for p in 80 a:80 80:a 0:80 80:65536 1.2.3:80:80 1.2.3.4.5:80:80 80:80/sctp :80 80: '80:80/' '::80'; do
		fails 125 "must be [ADDRESS:]HOST:GUEST" "$strata" run --rm --vm -p "$p" small true
	done
	[ -z "$("$strata" ps -aq)" ]
}

#!/usr/bin/env bats
# Lazy pulls: Debian's docker-registry, and one before it that holds back, lies and counts (tests/lazy_registry.py).

bats_require_minimum_version 1.5.0
load lib
load registries

setup() {
	need_fuse
	need docker-registry skopeo jq python3 zstd
	strata_setup
	registries_setup
	mkdir "$work/knobs"
}

teardown() {
	[ -z "${work-}" ] || rm -f "$work/knobs/hold"
	[ ! -s "${work-}/proxy.pid" ] || kill "$(cat "$work/proxy.pid")" 2>/dev/null || true
	registries_end
	# What brings the rest is nobody's child.
	for _ in $(seq 50); do
		[ -n "${work-}" ] && pgrep -f "root $work/" >/dev/null || break
		sleep 0.1
	done
	strata_teardown
}

# The one before it, at $host; it holds back whatever is no piece.
proxy() {
	python3 "$top/tests/lazy_registry.py" "$work/knobs" "$host" 3>&- &
	echo $! >"$work/proxy.pid"
	for _ in $(seq 100); do
		[ ! -s "$work/knobs/host" ] || break
		sleep 0.1
	done
	behind=$host
	host=$(cat "$work/knobs/host")
	echo "{\"connect\": 5, \"silence\": 20, \"attempts\": 2,
		\"registries\": {\"$host\": {\"insecure\": true}, \"$behind\": {\"insecure\": true}}}" >"$STRATA_CONFIG"
	touch "$work/knobs/hold"
}

# An image of two layers at $host/lazy:1, in a registry that holds back; the store is empty then.
# Contents of every kind: in the index, in the pack, objects; links within and across layers, a whiteout.
lazy_image() {
	registry
	insecure
	make_rootfs "$work/rootfs"
	head -c 3000000 /dev/urandom >"$work/rootfs/usr/lib/random"
	for i in $(seq 40); do
		seq "$i" $((i * 60)) >"$work/rootfs/var/file$i"
	done
	printf 'FROM small\nCOPY add /add\nRUN ln /var/file3 /var/linked && rm /var/file4\n' >"$work/Containerfile"
	mkdir "$work/add"
	seq 5000 >"$work/add/pack"
	echo tiny >"$work/add/tiny"
	"$strata" import -q "$work/rootfs" small
	"$strata" build -q -t two -f "$work/Containerfile" "$work" >/dev/null
	"$strata" push -q --compression zstd:chunked two "$host/lazy:1"
	mv "$STRATA_ROOT" "$work/made"
	proxy
}

arriving() { [ -n "$(ls "$STRATA_ROOT/arriving" 2>/dev/null)" ]; }

# Whatever brings the rest of this test's image: its pids.
fetchers() { pgrep -f "strata-image --root $STRATA_ROOT fetch" || true; }

until_gone() {
	for _ in $(seq 200); do
		arriving || return 0
		sleep 0.1
	done
	ls -R "$STRATA_ROOT/arriving"
	return 1
}

# What the store has of layers and objects is what a whole pull makes.
same_as_whole() {
	local store=$STRATA_ROOT
	STRATA_ROOT=$work/whole "$strata" pull -q "$host/lazy:1"
	diff -r "$store/layers" "$work/whole/layers"
	diff -r "$store/objects" "$work/whole/objects"
	diff -r "$store/merged" "$work/whole/merged"
	diff -r "$store/blobs" "$work/whole/blobs"
}

@test "it runs while its layers are not here; when they are, they are those of any pull" {
	lazy_image
	"$strata" pull -q --lazy "$host/lazy:1"
	"$strata" images | grep -E "/lazy .* arriving"
	[ -z "$(ls "$STRATA_ROOT/layers")" ]
	run -0 "$strata" run --rm "$host/lazy:1" sh -c 'cat /etc/greeting /add/tiny; md5sum /usr/lib/large /add/pack /var/file7 /var/linked'
	echo "$output"
	[ "${lines[0]}" = hello ]
	[ "${lines[1]}" = tiny ]
	for file in rootfs/usr/lib/large add/pack rootfs/var/file7; do
		[[ $output == *"$(md5sum <"$work/$file" | cut -d' ' -f1)"* ]]
	done
	[ -z "$(ls "$STRATA_ROOT/layers")" ]
	not grep -E "rest [0-9]+ [0-9]{5}" "$work/knobs/log" # its configuration came
	"$strata" fsck
	rm "$work/knobs/hold"
	until_gone
	"$strata" images | grep /lazy
	"$strata" images | not grep arriving
	"$strata" fsck
	same_as_whole
}

@test "an image without tables of contents is pulled whole, and a line says so; run can begin with the pull" {
	registry
	insecure
	small_image
	"$strata" push -q small "$host/plain:1"
	"$strata" push -q --compression zstd:chunked small "$host/lazy:1"
	export STRATA_ROOT=$work/second
	run -0 --separate-stderr "$strata" pull -q --lazy "$host/plain:1"
	[[ $stderr == *"has no table of contents"*"pulled whole"* ]]
	not arriving
	"$strata" run --rm "$host/plain:1" true
	fails 125 "exclude one another" "$strata" pull --lazy --drop-blobs "$host/lazy:1"
	fails 125 "must be keep or zstd:chunked" "$strata" push --compression gzip "$host/plain:1"
	export STRATA_ROOT=$work/third
	[ "$("$strata" run --pull lazy --rm "$host/lazy:1" cat /etc/greeting 2>/dev/null)" = hello ]
	"$strata" pull -q "$host/lazy:1"
	# All of it is here: lazy is the pull of a name.
	"$strata" pull -q --lazy "$host/lazy:1"
	not arriving
	"$strata" fsck
}

@test "tables of contents of more than memory should hold: the image is pulled whole" {
	registry
	insecure
	small_image
	printf 'FROM small\nRUN echo 1 >/1\nRUN echo 2 >/2\n' >"$work/Containerfile"
	"$strata" build -q -t three -f "$work/Containerfile" "$work" >/dev/null
	"$strata" push -q --compression zstd:chunked three "$host/z:1"
	curl -sf -H "Accept: application/vnd.oci.image.manifest.v1+json" "http://$host/v2/z/manifests/1" >"$work/manifest"
	# Each says the most that is read of one; no more than the third is refused for it.
	jq -c '.layers[].annotations."io.github.containers.zstd-chunked.manifest-position" |= sub(":[0-9]+:1$"; ":67108864:1")' \
		"$work/manifest" >"$work/other"
	curl -sf -X PUT -H "Content-Type: application/vnd.oci.image.manifest.v1+json" --data-binary "@$work/other" \
		"http://$host/v2/z/manifests/2"
	export STRATA_ROOT=$work/second
	run -0 --separate-stderr "$strata" pull -q --lazy "$host/z:2"
	[[ $stderr == *"tables of contents have over 128 MiB"*"pulled whole"* ]]
	not arriving
	[ "$("$strata" run --rm "$host/z:2" cat /1 /2 | tr -d '\n')" = 12 ]
	"$strata" fsck
}

# put_blob FILE: its digest in the repository z.
put_blob() {
	local d where
	d=sha256:$(sha256sum <"$1" | cut -d' ' -f1)
	where=$(curl -sf -X POST -D - -o /dev/null "http://$host/v2/z/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
	curl -sf -X PUT -H "Content-Type: application/octet-stream" --data-binary "@$1" "$where&digest=$d"
	echo "$d"
}

@test "layers by skopeo; an image that comes and is refused is not brought again" {
	registry
	insecure
	small_image
	skopeo copy -q --dest-decompress "oci:$STRATA_ROOT:small:latest" "dir:$work/plain"
	skopeo copy -q --dest-tls-verify=false --dest-compress-format zstd:chunked "dir:$work/plain" "docker://$host/z:1"
	# The same with another diffID in its config.
	skopeo inspect --raw --tls-verify=false "docker://$host/z:1" >"$work/manifest"
	curl -sf "http://$host/v2/z/blobs/$(jq -r .config.digest "$work/manifest")" |
		jq -c '.rootfs.diff_ids[0] = "sha256:" + "0" * 64' >"$work/config"
	digest=$(put_blob "$work/config")
	jq -c --arg d "$digest" --argjson s "$(stat -c %s "$work/config")" '.config.digest = $d | .config.size = $s' \
		"$work/manifest" >"$work/other"
	curl -sf -X PUT -H "Content-Type: application/vnd.oci.image.manifest.v1+json" --data-binary "@$work/other" \
		"http://$host/v2/z/manifests/2"
	proxy
	export STRATA_ROOT=$work/second
	for tag in 1 2; do
		"$strata" pull -q --lazy "$host/z:$tag"
		run -0 "$strata" run --rm "$host/z:$tag" sh -c 'cat /etc/greeting; md5sum /usr/lib/large'
		[ "${lines[0]}" = hello ]
		[[ ${lines[1]} == "$(md5sum <"$work/rootfs/usr/lib/large" | cut -d' ' -f1)"* ]]
	done
	rm "$work/knobs/hold"
	"$strata" pull -q "$host/z:1"
	fails 125 "digest mismatch" "$strata" pull -q "$host/z:2"
	for _ in $(seq 200); do
		[ ! -e "$(echo "$STRATA_ROOT"/arriving/*/bad)" ] || break
		sleep 0.1
	done
	ls "$STRATA_ROOT"/arriving/*/bad
	"$strata" images | grep -E "/z +2 .*arriving"
	: >"$work/knobs/log"
	[ "$("$strata" run --rm "$host/z:2" cat /etc/greeting)" = hello ]
	not grep -E "rest [0-9]+ [0-9]{5}" "$work/knobs/log"
	"$strata" rmi "$host/z:2"
	until_gone
	"$strata" fsck
}

@test "layers by podman push, in its older annotations" {
	need podman
	lazy_image
	cat >"$work/podman" <<-E
		#!/bin/sh
		CONTAINERS_CONF=/dev/null exec podman --root "$work/p/root" --runroot "$work/p/run" --tmpdir "$work/p/tmp" \
			--storage-driver vfs --cgroup-manager cgroupfs --events-backend file "\$@"
	E
	chmod +x "$work/podman"
	echo '{}' >"$REGISTRY_AUTH_FILE"
	STRATA_ROOT=$work/made "$strata" save --format docker-archive -o "$work/two.tar" two
	"$work/podman" load -q -i "$work/two.tar"
	"$work/podman" push -q --tls-verify=false --compression-format zstd:chunked localhost/two "$behind/pod:1"
	"$strata" pull -q --lazy "$host/pod:1"
	arriving
	run -0 "$strata" run --rm "$host/pod:1" sh -c 'cat /etc/greeting /add/tiny; md5sum /usr/lib/random /add/pack'
	[ "${lines[0]}" = hello ]
	[ "${lines[1]}" = tiny ]
	[[ ${lines[2]} == "$(md5sum <"$work/rootfs/usr/lib/random" | cut -d' ' -f1)"* ]]
	[[ ${lines[3]} == "$(md5sum <"$work/add/pack" | cut -d' ' -f1)"* ]]
	[ -z "$(ls "$STRATA_ROOT/layers")" ]
	rm "$work/knobs/hold"
	"$strata" pull -q "$host/pod:1"
	until_gone
	"$strata" fsck
}

@test "a registry that lies gives errors, never other bytes; one that fails for a time, too" {
	lazy_image
	"$strata" pull -q --lazy "$host/lazy:1"
	"$strata" run -d --name c "$host/lazy:1" sleep 300
	"$strata" exec c md5sum /bin/busybox
	touch "$work/knobs/lie"
	run "$strata" exec c cat /usr/lib/random
	[ "$status" != 0 ]
	grep "answered with an I/O error" "$STRATA_RUNROOT"/instances/*/monitor.log
	rm "$work/knobs/lie"
	[ "$("$strata" exec c md5sum /usr/lib/random | cut -d' ' -f1)" = "$(md5sum <"$work/rootfs/usr/lib/random" | cut -d' ' -f1)" ]
	touch "$work/knobs/down"
	run "$strata" exec c cat /add/pack
	[ "$status" != 0 ]
	grep "status 503" "$STRATA_RUNROOT"/instances/*/monitor.log
	rm "$work/knobs/down"
	[ "$("$strata" exec c md5sum /add/pack | cut -d' ' -f1)" = "$(md5sum <"$work/add/pack" | cut -d' ' -f1)" ]
	# All of a piece is here, whatever becomes of the connection behind it.
	touch "$work/knobs/more"
	errors=$(cat "$STRATA_RUNROOT"/instances/*/monitor.log | grep -c "answered with an I/O error")
	[ "$("$strata" exec c md5sum /var/file7 | cut -d' ' -f1)" = "$(md5sum <"$work/rootfs/var/file7" | cut -d' ' -f1)" ]
	[ "$(cat "$STRATA_RUNROOT"/instances/*/monitor.log | grep -c "answered with an I/O error")" = "$errors" ]
	rm "$work/knobs/more"
	# A rest that is not the layer is refused, as by any pull.
	"$strata" rm -f c
}

@test "of a piece that breaks off in its middle, the next server is asked for the rest alone" {
	local mirror
	lazy_image
	mkdir "$work/mirror"
	touch "$work/mirror/hold"
	python3 "$top/tests/lazy_registry.py" "$work/mirror" "$behind" 3>&- &
	echo $! >"$work/mirror.pid"
	until [ -s "$work/mirror/host" ]; do sleep 0.1; done
	mirror=$(cat "$work/mirror/host")
	"$strata" pull -q --lazy "$host/lazy:1"
	echo "{\"connect\": 5, \"silence\": 20, \"attempts\": 1, \"registries\": {
		\"$host\": {\"insecure\": true, \"mirrors\": [\"$mirror\"]}, \"$mirror\": {\"insecure\": true}}}" >"$STRATA_CONFIG"
	until [ -z "$(fetchers)" ]; do pkill -f "strata-image --root $STRATA_ROOT fetch" || true; sleep 0.1; done
	"$strata" run -d --name c "$host/lazy:1" sleep 300
	"$strata" exec c md5sum /bin/busybox
	: >"$work/knobs/log"
	: >"$work/mirror/log"
	touch "$work/mirror/lie"
	# A read from the middle of one chunk (128 KiB) into the next.
	"$strata" exec c dd if=/usr/lib/random bs=196608 skip=1 count=1 2>/dev/null >"$work/read"
	dd if="$work/rootfs/usr/lib/random" bs=196608 skip=1 count=1 2>/dev/null | cmp - "$work/read"
	cat "$work/mirror/log"
	echo then
	cat "$work/knobs/log"
	rm -f "$work/mirror/hold"
	kill "$(cat "$work/mirror.pid")"
	"$strata" rm -f c
	# Of two chunks the first was as it should be. (Another thread may want the same two, from the other server.)
	[ -n "$(awk '$3 > 200000' "$work/mirror/log" | sort -u | comm -23 - <(sort -u "$work/knobs/log"))" ]
}

@test "killed fetchers are a pause; the instance goes on when all is here, and starts again" {
	lazy_image
	"$strata" pull -q --lazy "$host/lazy:1"
	"$strata" run -d --name c "$host/lazy:1" sleep 300
	"$strata" exec c sh -c 'for i in 7 8 9; do md5sum /var/file$i; sleep 0.2; done; md5sum /usr/lib/random' >"$work/out" &
	reader=$!
	for _ in $(seq 5); do
		fetchers | xargs -r kill -9
		sleep 0.1
	done
	wait $reader
	for i in 7 8 9; do
		grep "$(md5sum <"$work/rootfs/var/file$i" | cut -d' ' -f1)" "$work/out"
	done
	grep "$(md5sum <"$work/rootfs/usr/lib/random" | cut -d' ' -f1)" "$work/out"
	grep "another is started" "$STRATA_RUNROOT"/instances/*/monitor.log
	# The server, too.
	server=$(pgrep -f "strata-server native 8 $STRATA_ROOT" | tail -1)
	kill -9 "$server"
	[ "$("$strata" exec c md5sum /var/file11 | cut -d' ' -f1)" = "$(md5sum <"$work/rootfs/var/file11" | cut -d' ' -f1)" ]
	# It writes to what arrived, and to what did not.
	"$strata" exec c sh -c 'echo more >>/var/file12; chmod 600 /var/file13; mv /var/file14 /var/moved'
	rm "$work/knobs/hold"
	"$strata" pull -q "$host/lazy:1"
	[ "$("$strata" exec c md5sum /var/file20 | cut -d' ' -f1)" = "$(md5sum <"$work/rootfs/var/file20" | cut -d' ' -f1)" ]
	"$strata" stop -t 1 c
	until_gone
	"$strata" start c
	run -0 "$strata" exec c sh -c 'tail -1 /var/file12; stat -c %a /var/file13; md5sum /var/moved; ls /var/file14 2>&1 || true'
	[ "${lines[0]}" = more ]
	[ "${lines[1]}" = 600 ]
	[[ ${lines[2]} == "$(md5sum <"$work/rootfs/var/file14" | cut -d' ' -f1)"* ]]
	[[ ${lines[3]} == *"No such file"* ]]
	"$strata" rm -f c
	"$strata" fsck
	same_as_whole
}

@test "gc and fsck know what arrives; who needs it whole is told; rmi takes it away" {
	lazy_image
	"$strata" pull -q --lazy "$host/lazy:1"
	"$strata" gc
	"$strata" fsck
	arriving
	fails 125 "still arriving" "$strata" inspect "$host/lazy:1"
	fails 125 "still arriving" "$strata" tag "$host/lazy:1" other
	fails 125 "still arriving" "$strata" push "$host/lazy:1" "$host/b:1"
	fails 125 "still arriving" "$strata" save "$host/lazy:1" -o "$work/saved"
	fails 125 "needs all of it" "$strata" run --driver overlay "$host/lazy:1" true
	"$strata" rm -f "$("$strata" ps -aq)"
	"$strata" run -d --name c "$host/lazy:1" sleep 300
	fails 125 "an instance stands on it" "$strata" rmi "$host/lazy:1"
	"$strata" gc
	[ "$("$strata" exec c cat /add/tiny)" = tiny ]
	"$strata" stop -t 1 c
	fails 125 "still arriving" "$strata" commit c other
	fails 125 "an instance stands on it" "$strata" rmi "$host/lazy:1"
	# What an instance stands on may not be known.
	base=$(echo "$STRATA_ROOT"/snapshots/*/base)
	cp -p "$base" "$work/base"
	echo rubbish >"$base"
	fails 125 "the file is damaged" "$strata" rmi "$host/lazy:1"
	arriving
	cat "$work/base" >"$base"
	"$strata" gc
	"$strata" fsck
	"$strata" df | grep -E "downloads +[1-9]"
	index=$(echo "$STRATA_ROOT"/arriving/*/index)
	cp "$index" "$work/index"
	chmod 644 "$index"
	printf x | dd of="$index" bs=1 seek=5000 conv=notrunc status=none
	run "$strata" fsck
	[ "$status" != 0 ]
	[[ $output == *"still arriving: "*"strata rmi"* ]]
	cat "$work/index" >"$index"
	"$strata" start c
	[ "$("$strata" exec c cat /etc/greeting)" = hello ]
	"$strata" rm -f c
	"$strata" rmi "$host/lazy:1"
	not arriving
	# Who brought the rest gives up.
	rm "$work/knobs/hold"
	for _ in $(seq 100); do
		[ -n "$(fetchers)" ] || break
		sleep 0.1
	done
	[ -z "$(fetchers)" ]
	[ -z "$("$strata" images -q)" ]
	"$strata" gc
	"$strata" fsck
}

@test "what the first run read is fetched first the next time, by few requests" {
	lazy_image
	"$strata" pull -q --lazy "$host/lazy:1"
	"$strata" run --rm "$host/lazy:1" sh -c 'cat /var/file* /add/* >/dev/null'
	[ "$(grep -c piece "$work/knobs/log")" -gt 10 ]
	sleep 1
	fetchers | xargs -r kill -9
	"$strata" rmi "$host/lazy:1"
	: >"$work/knobs/log"
	"$strata" pull -q --lazy "$host/lazy:1"
	for _ in $(seq 50); do
		[ "$(grep -c piece "$work/knobs/log")" -lt 4 ] || break
		sleep 0.1
	done
	sleep 0.5
	before=$(grep -c piece "$work/knobs/log")
	[ "$before" -lt 12 ]
	"$strata" run --rm "$host/lazy:1" sh -c 'cat /var/file* /add/* >/dev/null'
	[ "$(grep -c piece "$work/knobs/log")" = "$before" ]
}

@test "a killed pull leaves nothing or all, and the next one goes on" {
	lazy_image
	for delay in 0.01 0.03 0.05 0.08 0.12 0.2; do
		timeout -s KILL "$delay" "$strata" pull -q --lazy "$host/lazy:1" || true
		"$strata" fsck
		"$strata" images >/dev/null
	done
	"$strata" pull -q --lazy "$host/lazy:1"
	"$strata" run --rm "$host/lazy:1" cat /add/tiny
	fetchers | xargs -r kill -9
	"$strata" fsck
	rm "$work/knobs/hold"
	"$strata" pull -q "$host/lazy:1"
	until_gone
	[ -z "$(find "$STRATA_ROOT/partial" "$STRATA_ROOT/tmp" -mindepth 1)" ]
	"$strata" fsck
	same_as_whole
}

@test "a table that says other things than its layer is found out" {
	lazy_image
	fails 125 "no digest" "$build/strata-image" fetch nothing
	"$strata" pull -q --lazy "$host/lazy:1"
	"$strata" run -d --name c "$host/lazy:1" sleep 300
	[ "$("$strata" exec c cat /add/tiny)" = tiny ]
	# As a publisher might have it: what was read by the table is not what the tar has.
	data=$(echo "$STRATA_ROOT"/arriving/*/data)
	python3 - "$data" <<-'E'
		import sys
		f = open(sys.argv[1], "r+b")
		at = f.read().find(b"tiny\n")
		f.seek(at)
		f.write(b"TINY\n")
	E
	rm "$work/knobs/hold"
	"$strata" pull -q "$host/lazy:1"
	run "$strata" exec c cat /add/pack
	[ "$status" != 0 ]
	grep "say other things than" "$STRATA_RUNROOT"/instances/*/monitor.log
	"$strata" rm -f c
	"$strata" fsck
	"$strata" run --rm "$host/lazy:1" cat /add/tiny
}

@test "layers that are here already are taken as they are, and stay; a mount reads too" {
	registry
	insecure
	make_rootfs "$work/rootfs"
	"$strata" import -q "$work/rootfs" small
	"$strata" push -q small "$host/small:1"
	mkdir "$work/add"
	seq 5000 >"$work/add/pack"
	printf 'FROM small\nCOPY add /add\n' >"$work/Containerfile"
	"$strata" build -q -t two -f "$work/Containerfile" "$work" >/dev/null
	"$strata" push -q --compression zstd:chunked two "$host/lazy:1"
	export STRATA_ROOT=$work/second
	"$strata" pull -q "$host/small:1"
	proxy
	# The table of the layer that is not here, and nothing of the other.
	"$strata" pull -q --lazy "$host/lazy:1"
	"$strata" rmi "$behind/small:1"
	"$strata" gc
	mkdir "$work/mnt"
	"$strata" mount "$host/lazy:1" "$work/mnt"
	cmp "$work/mnt/usr/lib/large" "$work/rootfs/usr/lib/large"
	cmp "$work/mnt/add/pack" "$work/add/pack"
	[ "$(cat "$work/mnt/etc/greeting")" = hello ]
	"$strata" umount "$work/mnt"
	# After a boot of the host what came before counts for nothing.
	state=$(echo "$STRATA_ROOT"/arriving/*/state)
	printf 'another boot' | dd of="$state" bs=1 seek=8 conv=notrunc status=none
	: >"$work/knobs/log"
	run -0 "$strata" run --rm "$host/lazy:1" md5sum /add/pack
	[[ $output == "$(md5sum <"$work/add/pack" | cut -d' ' -f1)"* ]]
	grep piece "$work/knobs/log"
	"$strata" fsck
	rm "$work/knobs/hold"
	"$strata" pull -q "$host/lazy:1"
	until_gone
	"$strata" fsck
}

@test "a microVM begins while its image arrives, by QEMU; killed fetchers are a pause; its end waits for no registry" {
	need qemu-system-x86_64
	STRATA_KERNEL=$(cd "$top" && tools/kernel guest 2>/dev/null) || true
	export STRATA_KERNEL
	[ -e "$STRATA_KERNEL" ] || skip "no guest kernel: tools/kernel guest"
	lazy_image
	run -0 timeout -k 5 120 "$strata" run --vm --vmm qemu --pull lazy --rm "$host/lazy:1" \
		sh -c 'cat /etc/greeting /add/tiny; md5sum /usr/lib/large /add/pack /var/file7 /var/linked; ls /var/file4 2>&1 || true'
	echo "$output"
	arriving
	[ -z "$(ls "$STRATA_ROOT/layers")" ]
	[[ $output == *$'hello\ntiny\n'* ]]
	[[ $output == *"/var/file4: No such file"* ]]
	for file in rootfs/usr/lib/large add/pack rootfs/var/file7; do
		[[ $output == *"$(md5sum <"$work/$file" | cut -d' ' -f1)"* ]]
	done
	"$strata" run -d --name lazy-vm --vm --vmm qemu "$host/lazy:1" sleep 300
	"$strata" exec lazy-vm sh -c 'for i in 7 8 9; do md5sum /var/file$i; sleep 0.5; done; md5sum /usr/lib/random' >"$work/out" &
	reader=$!
	for _ in $(seq 8); do
		fetchers | xargs -r kill -9
		sleep 0.2
	done
	wait $reader
	for file in file7 file8 file9; do
		grep "$(md5sum <"$work/rootfs/var/$file" | cut -d' ' -f1)" "$work/out"
	done
	grep "$(md5sum <"$work/rootfs/usr/lib/random" | cut -d' ' -f1)" "$work/out"
	grep "another is started" "$STRATA_RUNROOT"/instances/*/monitor.log
	# What it writes to what arrived stays when all is here.
	"$strata" exec lazy-vm sh -c 'echo more >>/var/file12; mv /var/file14 /var/moved; sync'
	touch "$work/knobs/lie"
	run "$strata" exec lazy-vm cat /var/file20
	[ "$status" != 0 ]
	rm "$work/knobs/lie"
	[ "$("$strata" exec lazy-vm md5sum /var/file20 | cut -d' ' -f1)" = "$(md5sum <"$work/rootfs/var/file20" | cut -d' ' -f1)" ]
	"$strata" stop -t 1 lazy-vm
	touch "$work/knobs/stall"
	id=$("$strata" run -d --vm --vmm qemu "$host/lazy:1" sh -c 'echo begun; cat /var/file21')
	for _ in $(seq 300); do
		[ -z "$("$strata" logs "$id")" ] || break
		sleep 0.1
	done
	sleep 1
	begun=$SECONDS
	kill -9 $(ps -eo pid=,uid=,comm= | awk -v u=$((0x7e000000 + 0x${id:0:6})) '$2 == u && $3 ~ /^qemu-system/ { print $1 }')
	timeout 60 "$strata" wait "$id"
	[ $((SECONDS - begun)) -lt 15 ]
	"$strata" rm "$id"
	rm "$work/knobs/stall" "$work/knobs/hold"
	"$strata" pull -q "$host/lazy:1"
	until_gone
	"$strata" start lazy-vm
	run -0 "$strata" exec lazy-vm sh -c 'tail -n 1 /var/file12; md5sum /var/moved /var/file22'
	[ "${lines[0]}" = more ]
	for file in file14 file22; do
		[[ $output == *"$(md5sum <"$work/rootfs/var/$file" | cut -d' ' -f1)"* ]]
	done
	"$strata" rm -f lazy-vm
	"$strata" fsck
	same_as_whole
}

# shellcheck disable=SC2016 # expanded where the script runs
@test "a microVM by KVM begins while its image arrives, cold and warm, with and without a DAX window" {
	[ -e "$build/vmlinux" ] || skip "no guest kernel: make kernel"
	lazy_image
	registries_end
	kill "$(cat "$work/proxy.pid")"
	rm "$work/knobs/host" "$work/proxy.pid"
	export top behind host
	vm_host '
		env -u REGISTRY_AUTH_FILE docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
		until curl -s -o /dev/null "http://$behind/v2/"; do sleep 0.1; done
		python3 "$top/tests/lazy_registry.py" "$work/knobs" "$behind" &
		until [ -s "$work/knobs/host" ]; do sleep 0.1; done
		host=$(cat "$work/knobs/host")
		echo "{\"registries\": {\"$host\": {\"insecure\": true}}}" >"$STRATA_CONFIG"
		"$strata" pull -q --lazy "$host/lazy:1"
		random=$(md5sum <"$work/rootfs/usr/lib/random")
		"$strata" run --vm --rm --cold --dax 32m "$host/lazy:1" sh -c \
			"cat /add/tiny; md5sum </usr/lib/random; md5sum </usr/lib/random" >"$work/out"
		printf "tiny\n%s\n%s\n" "$random" "$random" | diff - "$work/out"
		[ "$("$strata" run --vm --rm "$host/lazy:1" sh -c "md5sum </add/pack")" = "$(md5sum <"$work/add/pack")" ]
		"$strata" run -d --name v --vm --verify never "$host/lazy:1" sh -c "
			echo one >>/var/file12; echo ready; while ! [ -e /go ]; do sleep 0.1; done; md5sum </var/file13; cat /var/file14 | wc -l"
		until_log v ready
		[ -z "$(ls "$STRATA_ROOT/layers")" ]
		"$strata" checkpoint v
		"$strata" restore v
		"$strata" exec v touch /go
		"$strata" wait v
		"$strata" logs v >"$work/out"
		printf "ready\n%s\n%s\n" "$(md5sum <"$work/rootfs/var/file13")" "$(wc -l <"$work/rootfs/var/file14")" |
			diff - "$work/out"
		not grep "error" "$STRATA_RUNROOT"/instances/*/monitor.log
		"$strata" rm v
	'
}

@test "several instances at once; one is removed while its reads wait for a registry that is stuck" {
	lazy_image
	"$strata" pull -q --lazy "$host/lazy:1"
	for i in 1 2 3; do
		"$strata" run --rm "$host/lazy:1" sh -c 'cat /var/file* /add/* /usr/lib/random | md5sum' >"$work/out$i" &
		pids[i]=$!
	done
	for i in 1 2 3; do
		wait "${pids[i]}"
	done
	want=$(cd "$work" && cat $(for f in rootfs/var/file*; do case $f in */file4) ;; *) echo "$f" ;; esac; done) \
		add/* rootfs/usr/lib/random | md5sum)
	for i in 1 2 3; do
		[ "$(cat "$work/out$i")" = "$want" ]
	done
	"$strata" run -d --name c "$host/lazy:1" sleep 300
	"$strata" exec c md5sum /bin/busybox
	touch "$work/knobs/stall"
	"$strata" exec c cat /usr/lib/large >/dev/null 2>&1 &
	reader=$!
	sleep 1
	begun=$SECONDS
	timeout 60 "$strata" rm -f c
	[ $((SECONDS - begun)) -lt 20 ]
	rm "$work/knobs/stall"
	wait $reader || true
	"$strata" rmi "$host/lazy:1"
	"$strata" fsck
}

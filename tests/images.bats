#!/usr/bin/env bats
# Images by the command line: import, list, tag, save, load, remove; other programs of the field read what we write.

bats_require_minimum_version 1.5.0
load lib

setup() { strata_setup; }
teardown() {
	! mountpoint -q "${work-}/xfs" || umount -l "$work/xfs"
	strata_teardown
}

@test "a directory becomes an image, and the store is an OCI layout that umoci and skopeo read" {
	need_root
	need skopeo umoci jq
	small_image
	[ "$("$strata" images -q | wc -l)" = 1 ]
	skopeo inspect --raw "oci:$STRATA_ROOT:small:latest" | jq -e '.layers | length == 1'
	umoci ls --layout "$STRATA_ROOT" | grep -x small:latest
	umoci unpack --image "$STRATA_ROOT:small:latest" "$work/bundle"
	diff -r --no-dereference "$work/rootfs" "$work/bundle/rootfs"
}

@test "the diffID is the digest of the tar that came, and the tar comes back bit for bit" {
	need_root
	need jq skopeo
	make_rootfs "$work/rootfs"
	tar -C "$work/rootfs" -cf "$work/in.tar" .
	want=sha256:$(sha256sum "$work/in.tar" | cut -d' ' -f1)
	"$strata" import "$work/in.tar" t
	[ "$("$strata" inspect t | jq -r '.[0].layers[0].diffID')" = "$want" ]
	"$strata" save --format oci-dir -o "$work/out" t
	blob=$("$strata" inspect t | jq -r '.[0].layers[0].digest' | cut -d: -f2)
	[ "sha256:$(zcat "$work/out/blobs/sha256/$blob" | sha256sum | cut -d' ' -f1)" = "$want" ]
	skopeo copy "oci:$work/out:t:latest" "dir:$work/copied"
}

@test "what skopeo wrote is loaded, and saved again with the same manifest" {
	need_root
	need jq skopeo
	small_image
	skopeo copy -q "oci:$STRATA_ROOT:small:latest" "oci-archive:$work/a.tar:other:1"
	export STRATA_ROOT=$work/second
	run "$strata" load -i "$work/a.tar"
	[ "$status" = 0 ]
	[[ $output == *other:1* ]]
	"$strata" save -o "$work/b.tar" other:1
	[ "$(skopeo inspect --raw "oci-archive:$work/a.tar:other:1" | sha256sum)" = \
	  "$(skopeo inspect --raw "oci-archive:$work/b.tar:other:1" | sha256sum)" ]
}

@test "images, inspect, history in JSON and as tables" {
	need_root
	need jq
	small_image
	"$strata" images --format json | jq -e '.[0].name == "small:latest" and .[0].layers == 1'
	"$strata" images | grep -E '^small +latest +[0-9a-f]{12} +1 '
	"$strata" history small | grep 'strata import'
	"$strata" history --format json small | jq -e 'length == 1'
	"$strata" inspect small | jq -e '.[0].type == "image"'
}

@test "images: filters, a pattern for the name, digests, whole ids" {
	need_root
	need jq
	make_rootfs "$work/rootfs"
	"$strata" import -q "$work/rootfs" small
	"$strata" import -q -c 'LABEL a=1 b=2' "$work/rootfs" localhost:5000/team/small:v1
	"$strata" import -q -c 'LABEL a=2' "$work/rootfs" example.com/team/other:v1
	"$strata" create --name c small true
	"$strata" commit c >"$work/dangling"
	names() { "$strata" images --format json "$@" | jq -r 'map(.name // "none") | sort | join(" ")'; }
	all="example.com/team/other:v1 localhost:5000/team/small:v1 none small:latest"
	[ "$(names)" = "$all" ]
	[ "$(names -a)" = "$all" ]
	[ "$(names small)" = "localhost:5000/team/small:v1 small:latest" ]
	[ "$(names -f reference=small:v1)" = localhost:5000/team/small:v1 ]
	[ "$(names 'team/*')" = "example.com/team/other:v1 localhost:5000/team/small:v1" ]
	[ "$(names 'example.com/team/*:v1')" = example.com/team/other:v1 ]
	[ "$(names '*')" = "example.com/team/other:v1 localhost:5000/team/small:v1 small:latest" ]
	[ "$(names docker.io/library/small)" = small:latest ]
	[ "$(names nosuch)" = "" ]
	[ "$(names -f dangling=true)" = none ]
	[ "$(names -f dangling=false -f label=a)" = "example.com/team/other:v1 localhost:5000/team/small:v1" ]
	[ "$(names -f label=a --filter label=b=2)" = localhost:5000/team/small:v1 ]
	[ "$(names -f reference=other -f reference=small:latest)" = "example.com/team/other:v1 small:latest" ]
	[ "$("$strata" images -q --no-trunc small:latest)" = "$("$strata" inspect small | jq -r '.[0].id')" ]
	digest=$("$strata" inspect small | jq -r '.[0].manifest')
	"$strata" images --digests small:latest | grep -E "^small +latest .*$digest$"
	"$strata" images small:latest | not grep "$digest"
	fails 125 "must be KEY=VALUE with one of reference, dangling, label" "$strata" images -f colour=red
	fails 125 "must be true or false" "$strata" images -f dangling=maybe
}

@test "names are tagged and removed; the content goes with the last one" {
	need_root
	small_image
	"$strata" tag small other:v1
	"$strata" rmi small
	"$strata" fsck
	[ "$("$strata" images -q | wc -l)" = 1 ]
	"$strata" rmi other:v1
	"$strata" gc
	"$strata" fsck
	run find "$STRATA_ROOT/layers" "$STRATA_ROOT/objects" "$STRATA_ROOT/merged" -type f
	[ -z "$output" ]
}

@test "import takes changes of the config" {
	need_root
	need jq
	make_rootfs "$work/rootfs"
	"$strata" import -c 'CMD ["cat","/etc/greeting"]' -c 'ENV A=1' -c 'USER user' "$work/rootfs" t
	"$strata" inspect t | jq -e '.[0].config.config | .Cmd == ["cat","/etc/greeting"] and .User == "user"'
	fails 125 "FROM" "$strata" import -c 'FROM x' "$work/rootfs" t2
	[ "$("$strata" images -q | wc -l)" = 1 ]
}

@test "a flipped byte is found by fsck, with the thing's name" {
	need_root
	small_image
	object=$(find "$STRATA_ROOT/objects" -type f | head -n1)
	chmod u+w "$object"
	printf X | dd of="$object" bs=1 seek=100 conv=notrunc status=none
	run "$strata" fsck
	[ "$status" = 1 ]
	[[ $output == *"${object##*/}"* ]]
}

@test "bad input: one line, 125, and nothing is left" {
	need_root
	fails 125 "nosuch" "$strata" run nosuch true
	fails 125 "nosuch" "$strata" inspect nosuch
	fails 125 "nosuch" "$strata" rmi nosuch
	fails 125 "$work/none" "$strata" import "$work/none" t
	fails 125 "NAME" "$strata" import /etc/passwd 'NAME'
	head -c 1000 /dev/urandom >"$work/junk"
	fails 125 "" "$strata" import "$work/junk" t
	fails 125 "unknown verb" "$strata" frobnicate
	fails 125 "unknown option" "$strata" images --frob
	[ -z "$("$strata" images -q)" ]
	[ -z "$(ls "$STRATA_ROOT/tmp")" ]
	"$strata" fsck
}

@test "hostile tars are refused whole" {
	need_root
	need python3
	for kind in dotdot hardlink whiteout device under-file sparse truncated; do
		python3 "$top/tests/hostile_tar.py" "$kind" >"$work/$kind.tar"
		run --separate-stderr "$strata" import "$work/$kind.tar" bad
		echo "$kind: $status $stderr"
		[ "$status" = 125 ]
		[ "$(grep -c . <<<"$stderr")" = 1 ]
		[ -z "$("$strata" images -q)" ]
		[ -z "$(ls "$STRATA_ROOT/tmp")" ]
	done
	"$strata" fsck
	[ ! -e "$work/escaped" ]
}

@test "a store on a full or read-only file system: one line, and the store stays sound" {
	need_root
	unshare -m true 2>/dev/null || skip "no mount namespace can be made"
	make_rootfs "$work/rootfs"
	export strata work
	run unshare -m bash -c '
		set -e
		mount -t tmpfs -o size=1m none /mnt
		export STRATA_ROOT=/mnt/store
		"$strata" images -q
		rc=0; "$strata" import "$work/rootfs" t 2>"$work/err" || rc=$?
		[ $rc = 125 ]; grep -qi "no space left" "$work/err"; [ "$(wc -l <"$work/err")" = 1 ]
		"$strata" fsck; [ -z "$("$strata" images -q)" ]
		mount -o remount,ro /mnt
		rc=0; "$strata" import "$work/rootfs" t 2>"$work/err" || rc=$?
		[ $rc = 125 ]; grep -qi "read-only" "$work/err"; [ "$(wc -l <"$work/err")" = 1 ]'
	echo "$output"; cat "$work/err"
	[ "$status" = 0 ]
}

@test "sparse files of GNU tar, in all its forms: read as they are, given back bit for bit, no disk for their holes" {
	mkdir "$work/root"
	head -c 3000 /dev/urandom | tee "$work/root/start" | dd of="$work/root/small" bs=1 seek=20000 status=none
	for i in $(seq 0 60); do # more pieces than a header has room for, and than one further block has
		head -c 5000 /dev/urandom | dd of="$work/root/large" bs=4096 seek=$((i * 8)) conv=notrunc status=none
	done
	truncate -s 30M "$work/root/large"
	truncate -s 9M "$work/root/hole"
	cp "$work/root/large" "$work/root/$(printf 'n%.0s' $(seq 120))"
	for form in gnu "pax --sparse-version=0.0" "pax --sparse-version=0.1" "pax --sparse-version=1.0"; do
		# shellcheck disable=SC2086
		tar -C "$work/root" --sparse --format=$form -cf "$work/sparse.tar" .
		[ "$(stat -c %s "$work/sparse.tar")" -lt 3000000 ]
		"$strata" import -q --drop-blobs "$work/sparse.tar" sparse
		"$strata" fsck
		"$strata" save --format oci-dir -o "$work/out" sparse
		blob=$(find "$work/out/blobs" -size +100k)
		zcat "$blob" | cmp - "$work/sparse.tar"
		rm -r "$work/out"
		[ "$(du -s --block-size=1 "$STRATA_ROOT/objects" | cut -f1)" -lt 5000000 ]
		if [ "$(id -u)" = 0 ] && [ -c /dev/fuse ]; then
			mkdir -p "$work/m" && "$strata" mount --read-only sparse "$work/m"
			diff -r "$work/root" "$work/m"
			[ "$(stat -c %s "$work/m/hole")" = 9437184 ]
			"$strata" umount "$work/m"
		fi
		"$strata" rmi sparse
	done
	[ -z "$(find "$STRATA_ROOT/layers" "$STRATA_ROOT/objects" -type f)" ]
}

@test "a tar without an end and without the padding of its last file is whole; one byte less or more is not" {
	mkdir "$work/rootfs"
	printf hello >"$work/last"
	tar -C "$work" -cf - last | head -c 517 >"$work/unpadded.tar"
	"$strata" import -q "$work/unpadded.tar" unpadded
	"$strata" save --format oci-dir -o "$work/layout" unpadded
	layer=$(jq -r '.layers[0].digest' <(skopeo inspect --raw "oci:$work/layout:unpadded:latest") | cut -d: -f2)
	zcat "$work/layout/blobs/sha256/$layer" | cmp - "$work/unpadded.tar"
	"$strata" mount unpadded "$work/rootfs"
	[ "$(cat "$work/rootfs/last")" = hello ]
	"$strata" umount "$work/rootfs"
	"$strata" fsck -q
	head -c 516 "$work/unpadded.tar" >"$work/cut.tar"
	fails 125 "cut off" "$strata" import -q "$work/cut.tar" cut
	printf '\0' | cat "$work/unpadded.tar" - >"$work/cut.tar"
	fails 125 "cut off" "$strata" import -q "$work/cut.tar" cut
}

@test "save as docker-archive: skopeo reads it, load gives the same image" {
	need skopeo jq
	small_image
	echo more >"$work/rootfs/more"
	"$strata" import -q "$work/rootfs" second:2
	"$strata" tag small other:name
	"$strata" save --format docker-archive -o "$work/d.tar" small other:name second:2
	[ "$(tar -xOf "$work/d.tar" manifest.json | jq -c '[.[].RepoTags]')" = \
		'[["small:latest","other:name"],["second:2"]]' ]
	skopeo copy -q "docker-archive:$work/d.tar:small:latest" "oci:$work/layout:x"
	id=$("$strata" inspect small | jq -r '.[0].id')
	[ "$(skopeo inspect --config "oci:$work/layout:x" | jq -c .rootfs.diff_ids)" = \
		"$("$strata" inspect small | jq -c ".[0].config.rootfs.diff_ids")" ]
	export STRATA_ROOT=$work/second
	"$strata" load -q -i "$work/d.tar"
	[ "$("$strata" inspect other:name | jq -r '.[0].id')" = "$id" ]
	"$strata" fsck -q
	"$strata" save --format docker-archive -o "$work/again.tar" small other:name second:2
	cmp "$work/d.tar" "$work/again.tar"
	fails 125 "oci-dir or docker-archive" "$strata" save --format docker -o "$work/no" small
	fails 125 "no image" "$strata" save --format docker-archive -o "$work/no" nosuch
	[ ! -e "$work/no" ]
}

@test "a large file that a layer changes shares what stays the same, where the file system can (XFS)" {
	local used
	need_root
	need mkfs.xfs jq
	truncate -s 400M "$work/disk"
	mkfs.xfs -q "$work/disk"
	mkdir "$work/xfs" "$work/in"
	mount -o loop "$work/disk" "$work/xfs" || skip "this kernel mounts no XFS from a file"
	export STRATA_ROOT=$work/xfs/store
	used() { sync -f "$work/xfs"; df --output=used -B1 "$work/xfs" | tail -n1; }
	make_rootfs "$work/rootfs"
	mkdir -p "$work/rootfs/var/cache"
	head -c 20000000 /dev/urandom >"$work/rootfs/var/cache/grows"
	head -c 3000000 /dev/urandom >"$work/rootfs/var/cache/another"
	"$strata" import -q --drop-blobs "$work/rootfs" base
	before=$(used)
	# A block in the middle is another, and a tail that is no whole block; nothing of the other file stays.
	cp "$work/rootfs/var/cache/grows" "$work/in/grows"
	printf 'changed' | dd of="$work/in/grows" bs=1 seek=9000000 conv=notrunc status=none
	echo tail >>"$work/in/grows"
	head -c 3000000 /dev/urandom >"$work/in/another"
	printf 'FROM base\nCOPY grows another /var/cache/\n' >"$work/in/Containerfile"
	"$strata" build -q -t top "$work/in" >/dev/null
	"$strata" save -o "$work/top.tar" top
	"$strata" fsck
	mkdir "$work/m"
	"$strata" mount --read-only top "$work/m"
	cmp "$work/in/grows" "$work/m/var/cache/grows"
	cmp "$work/in/another" "$work/m/var/cache/another"
	"$strata" umount "$work/m"
	"$strata" rmi top
	"$strata" gc -q
	# Pulled or loaded, as a whole image: its blobs are no smaller, its objects are.
	"$strata" load -q --drop-blobs -i "$work/top.tar"
	echo "$(($(used) - before)) bytes more"
	[ $(($(used) - before)) -lt 6000000 ]
	"$strata" fsck
	"$strata" mount --read-only top "$work/m"
	cmp "$work/in/grows" "$work/m/var/cache/grows"
	"$strata" umount "$work/m"
	# The one goes, the other stays whole.
	"$strata" rmi base
	"$strata" gc -q
	"$strata" fsck -q
	umount "$work/xfs"
}

# What a tree is, as `diff -r` does not see it: modes, owners, times to the nanosecond, targets, devices, names of one file.
tree_of() {
	(cd "$1" && find . -mindepth 1 -printf '%p %M %U %G %T@ %l %n\n' | sort
		find . -type b,c -exec stat -c '%n %t %T' {} + | sort
		find . -print0 | sort -z | xargs -0 getfattr -dh -m - -e hex 2>/dev/null | sed '/^security.selinux/d')
}

@test "what tars hold: names of any bytes, long ones, times, owners, setuid, capabilities, ACLs, devices; in the C locale" {
	local form long
	need_root
	need getfattr setfattr setfacl setcap
	mkdir -p "$work/root/d"
	cp /bin/true "$work/root/d/program"
	setcap cap_net_raw+ep "$work/root/d/program" || skip "no file capabilities here"
	cp "$work/root/d/program" "$work/root/setuid" && chmod 6755 "$work/root/setuid"
	setfacl -m u:1234:rw -m d:g:77:r "$work/root/d" || skip "no ACLs here"
	setfattr -n user.note -v 0x00ff0a3d "$work/root/d/program"
	echo umlaut >"$work/root/Grüße 日本"
	echo bytes >"$work/root/$(printf 'not\377utf8\n')"
	long=$(printf 'l%.0s' $(seq 200))
	mkdir "$work/root/$long" && echo deep >"$work/root/$long/$long"
	ln "$work/root/d/program" "$work/root/second"
	ln -s "$long/$long" "$work/root/soft"
	touch -d '2001-02-03 04:05:06.123456789' "$work/root/second" "$work/root/d"
	touch -hd '1969-12-31 23:59:58.5 UTC' "$work/root/soft"
	mknod "$work/root/null" c 1 3
	mknod "$work/root/loop" b 7 200
	mkfifo "$work/root/fifo"
	chown 3000000:4000000000 "$work/root/fifo"
	tree_of "$work/root" >"$work/want"
	export LC_ALL=C
	mkdir "$work/m"
	for form in dir tar; do
		if [ "$form" = tar ]; then
			tar -C "$work/root" --xattrs --xattrs-include='*' --format=posix --numeric-owner -cf "$work/tar" .
			"$strata" import -q "$work/tar" all
			"$strata" save --format oci-dir -o "$work/out" all
			zcat "$(find "$work/out/blobs" -size +20k)" | cmp - "$work/tar"
		else
			"$strata" import -q "$work/root" all
		fi
		"$strata" mount --read-only all "$work/m"
		tree_of "$work/m" >"$work/got.$form"
		"$strata" umount "$work/m"
		# GNU tar has ACLs as text of its own alone, which the field does not read.
		[ "$form" = dir ] || sed -i '/^system.posix_acl/d' "$work/want" "$work/got.$form"
		diff "$work/want" "$work/got.$form"
		"$strata" rmi all
	done
	# GNU's own form has long names, and no times below the second nor xattrs.
	tar -C "$work/root" --format=gnu --numeric-owner -cf "$work/gnu" .
	"$strata" import -q "$work/gnu" all
	"$strata" mount --read-only all "$work/m"
	[ "$(cd "$work/m" && find . | sort)" = "$(cd "$work/root" && find . | sort)" ]
	diff -r --no-dereference "$work/root/$long" "$work/m/$long"
	"$strata" umount "$work/m"
	"$strata" fsck -q
}

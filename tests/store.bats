#!/usr/bin/env bats
# What the store says of itself: df, what gc leaves, what fsck mends, blobs that are not kept.

bats_require_minimum_version 1.5.0
load lib

setup() {
	strata_setup
	small_image
}
teardown() { strata_teardown; }

number() { "$strata" df --format json | jq "$1"; }

@test "df: shared, unique, reclaimable; a running instance holds what it stands on" {
	need jq
	cp -a "$work/rootfs" "$work/other"
	head -c 300000 /dev/urandom >"$work/other/own"
	"$strata" import -q "$work/other" other
	"$strata" tag other second:name
	"$strata" df | grep -q "^second:name"
	[ "$(number '.images | length')" = 2 ]
	[ "$(number '.images[] | select(.names | index("other:latest")) | .size == .shared + .unique')" = true ]
	[ "$(number '.images[] | select(.names | index("other:latest")) | .unique > 300000 and .shared > 0 and .reclaimable == .unique')" = true ]
	[ "$(number '.total.size')" -le "$(du -s --block-size=1 "$STRATA_ROOT" | cut -f1)" ]
	[ "$(number '[.images[].unique] | add <= '"$(number .total.size)")" = true ]
	need_fuse
	"$strata" run -d --name held other sleep 100
	[ "$(number '.images[] | select(.names | index("other:latest")) | .reclaimable < .unique - 300000')" = true ]
	[ "$(number '.tops.count')" = 1 ]
	"$strata" rm -f held
	"$strata" rmi other second:name
	[ "$(number '.images[0].shared')" = 0 ]
	[ "$(number '.unnamed.size')" = 0 ]
}

@test "gc --keep-storage: the last built steps stay, the oldest go" {
	need_fuse
	need jq
	mkdir "$work/ctx"
	printf 'FROM small\nARG N\nRUN dd if=/dev/urandom of=/f bs=100k count=5; echo $N\n' >"$work/ctx/Containerfile"
	for n in 1 2 3; do "$strata" build -q --build-arg "N=$n" -t built "$work/ctx"; done
	"$strata" rmi built
	for n in 1 2 3; do "$strata" build -q --build-arg "N=$n" -t "built" "$work/ctx"; done
	[ "$(number '.unnamed.size > 1000000')" = true ]
	"$strata" gc --keep-storage 1200k
	[ "$(number '.unnamed.size > 400000 and .unnamed.size < 1700000')" = true ]
	"$strata" fsck -q
	"$strata" gc
	[ "$(number '.unnamed.size')" = 0 ]
	"$strata" fsck -q
	fails 125 "cannot be much" "$strata" gc --keep-storage much
}

@test "fsck --repair: mended, or dropped with the name of the image" {
	local pack
	head -c 30000 /dev/urandom >"$work/rootfs/packed"
	"$strata" import -q "$work/rootfs" small
	"$strata" gc -q
	pack=$(echo "$STRATA_ROOT"/layers/*/pack)
	chmod u+w "$pack" && printf X | dd of="$pack" bs=1 seek=100 conv=notrunc status=none
	run "$strata" fsck
	[ "$status" = 1 ]
	[[ $output == *"pack block 0"*"(image small:latest)"* ]]
	run "$strata" fsck --repair
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *"made again of its blob"* ]]
	"$strata" fsck -q
	# Neither blob nor pack: the name is told, and importing again makes it whole.
	for f in "$STRATA_ROOT"/layers/*/pack $(find "$STRATA_ROOT/blobs" -size +100k); do
		chmod u+w "$f" && printf X | dd of="$f" bs=1 seek=100 conv=notrunc status=none
	done
	run "$strata" fsck --repair
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *"missing (image small:latest)"* ]]
	"$strata" import -q "$work/rootfs" small
	"$strata" fsck -q
}

@test "--drop-blobs: half the disk; saved it is the same image" {
	need jq skopeo
	"$strata" save -o "$work/one.tar" small
	size=$(number .total.size)
	"$strata" rmi small
	"$strata" load --drop-blobs -i "$work/one.tar"
	[ "$(number ".total.size < $size * 3 / 4")" = true ]
	"$strata" fsck -q
	"$strata" save -o "$work/two.tar" small
	cmp "$work/one.tar" "$work/two.tar"
	skopeo inspect "oci-archive:$work/two.tar" >/dev/null
	[ "$(number ".total.size < $size * 3 / 4")" = true ]
	# Compressed by another: another blob and manifest, the same layer.
	skopeo copy -q --dest-compress-format zstd "oci-archive:$work/one.tar" "oci:$work/oci:small:latest"
	"$strata" rmi small
	"$strata" load -q --drop-blobs -i "$work/oci"
	"$strata" save -o "$work/three.tar" small
	"$strata" fsck -q
	"$strata" import -q --drop-blobs "$work/rootfs" three
	[ "$("$strata" save three | tar -tf - | wc -l)" -gt 3 ]
	if [ "$(id -u)" = 0 ] && [ -c /dev/fuse ]; then
		[ "$("$strata" run --rm three cat /etc/greeting)" = hello ]
	fi
}

@test "a store of format 1 is upgraded, of another refused by name" {
	printf 'strata store 1\n' >"$STRATA_ROOT/FORMAT" && rmdir "$STRATA_ROOT/dropped"
	"$strata" images | grep -q small
	[ "$(cat "$STRATA_ROOT/FORMAT")" = "strata store 2" ]
	"$strata" fsck -q
	printf 'strata store 7\n' >"$STRATA_ROOT/FORMAT"
	fails 125 "strata store 7" "$strata" images
}

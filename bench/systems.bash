# shellcheck shell=bash disable=SC2154
# The union file systems that are measured side by side. mount_NAME LAYERS mounts one over the folders that the bench
# made, with an empty writable top, and sets $at (the root that is seen) and $server (a process whose CPU time is to be
# counted, or nothing); unmount_any ends whichever is mounted. $names holds the systems that work here, by what they are
# called in the tables.
#
# The bench has made: $tmp/one, the tree as one folder, and image "one" of it; where it uses more layers,
# $tmp/many/N/0 ... N-1, lowest first, and an image "many-N".

mounted='' server='' instance='' at='' names=()

# lowers LAYERS: as overlayfs has them, topmost first, relative: the options of mount(2) are a page at most.
lowers() {
	local l all=
	if [ "$1" = 1 ]; then
		echo one
		return
	fi
	for ((l = $1 - 1; l >= 0; l--)); do
		all+=:many/$1/$l
	done
	echo "${all#:}"
}

image() {
	[ "$1" = 1 ] && echo one || echo "many-$1"
}

fresh_top() {
	rm -rf "$tmp/top"
	mkdir -p "$tmp/top/u" "$tmp/top/w" "$tmp/m"
}

wait_mounted() {
	local i
	for ((i = 0; i < 500; i++)); do
		mountpoint -q "$tmp/m" && return
		sleep 0.01
	done
	die "$1 does not mount: $(cat "$tmp/$1.log")"
}

# No union: the folder itself, copied, since it is written to.
mount_ext4() {
	rm -rf "$tmp/m"
	cp -a --reflink=auto "$tmp/one" "$tmp/m"
	mounted=ext4 at=$tmp/m server=
}

mount_overlayfs() {
	fresh_top
	(cd "$tmp" && LIBMOUNT_FORCE_MOUNT2=always mount -t overlay -o \
		"lowerdir=$(lowers "$1"),upperdir=top/u,workdir=top/w" overlay m)
	mounted=overlayfs at=$tmp/m server=
}

mount_fuse_overlayfs() {
	fresh_top
	cd "$tmp" || exit
	fuse-overlayfs -f -o "lowerdir=$(lowers "$1"),upperdir=top/u,workdir=top/w" m 2>"$tmp/fuse-overlayfs.log" &
	server=$!
	cd / || exit
	mounted=fuse-overlayfs at=$tmp/m
	wait_mounted fuse-overlayfs
}

mount_strata_fuse() {
	mkdir -p "$tmp/m"
	instance=$("$strata" mount "$(image "$1")" "$tmp/m")
	mounted='strata fuse' at=$tmp/m
	server=$("$strata" inspect "$instance" | jq '.[0].pid')
	# Its child serves; it keeps.
	server=$(tr -d ' ' <"/proc/$server/task/$server/children")
}

# No file system at all, but its messages: bench/nullfs.c. Where files may have ACLs, as in a writable top, there are more.
mount_nothing() {
	mkdir -p "$tmp/m"
	"$build/bench/nullfs" ${2:+"$2"} "$tmp/m" &
	server=$! mounted=nothing at=$tmp/m
	wait_mounted nothing
}

mount_nothing_acls() {
	mount_nothing "$1" -a
}

# The container's root is looked at from outside, so that the same programs walk it.
mount_strata_overlay() {
	instance=$("$strata" run -d --rm --driver overlay "$(image "$1")" sleep 1000)
	mounted='strata overlay' server=
	local pid keeper
	pid=$("$strata" inspect "$instance" | jq '.[0].pid')
	at=/proc/$pid/root
	# Over EROFS nobody serves; over FUSE a child of the supervisor keeps, and its child serves.
	keeper=$(pgrep -x -P "$(ps -o ppid= -p "$pid" | tr -d ' ')" strata-server || true)
	[ -z "$keeper" ] || server=$(tr -d ' ' <"/proc/$keeper/task/$keeper/children")
}

unmount_any() {
	case $mounted in
	ext4) rm -rf "$tmp/m" ;;
	overlayfs) umount "$tmp/m" ;;
	fuse-overlayfs)
		umount "$tmp/m"
		wait "$server" || true
		;;
	nothing)
		umount "$tmp/m"
		wait "$server" || true
		;;
	'strata fuse') "$strata" umount "$tmp/m" ;;
	'strata overlay') "$strata" rm -f "$instance" >/dev/null ;;
	esac
	mounted=
	[ ! -e "$tmp/m" ] || ! mountpoint -q "$tmp/m" || die "$tmp/m is still mounted"
}

# mount_system NAME LAYERS: by the name that it has in the tables.
mount_system() {
	"mount_${1// /_}" "$2"
}

# Image "one" is there: which of them work on this machine.
find_systems() {
	names=(overlayfs)
	if command -v fuse-overlayfs >/dev/null; then
		names+=('fuse overlayfs')
	else
		left_out 'fuse-overlayfs: not installed'
	fi
	names+=('strata fuse')
	if "$strata" run --rm --driver overlay one true 2>"$tmp/overlay.err"; then
		names+=('strata overlay')
	else
		left_out "strata, driver overlay: $(cat "$tmp/overlay.err")"
	fi
}

# once COMMAND...: runs it in $at and prints CPU milliseconds of it and the server, wall milliseconds, the server's CPU
# milliseconds. In the folder, since the whole path of a container's root is dear to look up.
once() {
	local line
	line=$(cd "$at" && "$measure" -n 1 -w 0 ${server:+-p "$server"} -- "$@" |
		awk -F '\t' -v OFS='\t' 'NR == 2 { if ($11) exit 1; print $4, $7, $12 }') || die "$mounted: $* failed"
	echo "$line"
}

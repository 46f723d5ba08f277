# shellcheck shell=bash
# An ordinary user for tests: with a home, a runtime folder and programs that he can reach, where /dev/fuse is
# everybody's, as on a distribution's host. All of it lies in a mount namespace of the test's own.

# shellcheck disable=SC2154 # lib.bash sets them: work, build, strict
# Nobody's, and not that of a test which runs beside.
uid=${ORDINARY_UID:-$((60100 + RANDOM % 4900))}
ids_base=$((1000000 + (uid - 60100) * 65536)) # the first of the ids that are his to give away

# After strata_setup; ids: how many from $ids_base on are his to give away, 0 = he has none.
ordinary_setup() {
	local ids=${1:-0} node minor
	mkdir -p "$work"/{bin,home/m,xdg,cache,dev}
	cp -L "$build"/strata* "$work/bin/"
	cp /etc/passwd "$work/passwd"
	echo "ordinary:x:$uid:$uid::$work/home:/bin/sh" >>"$work/passwd"
	[ "$ids" = 0 ] || echo "ordinary:$ids_base:$ids" >"$work/subids"
	touch "$work/subids"
	for node in fuse:229 net/tun:200 kvm:232; do
		minor=${node#*:} node=${node%:*}
		mknod -m 666 "$work/dev/${node#*/}" c 10 "$minor"
	done
	chown "$uid:$uid" "$work"/{home,home/m,xdg,cache}
	chmod 755 "$work"
}

# What he finds in place of the host's own, in the mount namespace that we are in.
ordinary_mounts() {
	local node file
	mount --make-rprivate /
	mount --bind "$work/passwd" /etc/passwd
	for node in fuse net/tun kvm; do
		[ ! -e /dev/$node ] || mount --bind "$work/dev/${node#*/}" /dev/$node
	done
	# A test's wish: a file that is no program.
	[ ! -e "$work/no-newuidmap" ] || mount --bind "$work/no-newuidmap" /usr/bin/newuidmap
	for file in /etc/subuid /etc/subgid; do
		[ ! -e $file ] || mount --bind "$work/subids" $file
	done
}

# The words that make a command his, into the array ordinary.
# shellcheck disable=SC2206 # a number without blanks
ordinary_words() {
	ordinary=(setpriv --reuid $uid --regid $uid --clear-groups env -i HOME="$work/home" XDG_RUNTIME_DIR="$work/xdg"
		STRATA_CACHE="$work/cache" PATH="$work/bin:$PATH")
}

# Runs the script on stdin as that user; strata and $m, $rootfs are at hand.
as_ordinary() {
	local ordinary
	{
		echo "${strict:?}"
		# shellcheck disable=SC2016 # the script expands it
		echo 'set -E; trap '\''echo "line $LINENO: $BASH_COMMAND" >&2'\'' ERR
			m=$HOME/m; rootfs=$HOME/../rootfs; [ "$(id -u)" != 0 ]'
		cat
	} >"$work/script"
	ordinary_words
	export -f ordinary_mounts
	timeout -k 5 "${ORDINARY_SECONDS:-100}" env -u STRATA_ROOT -u STRATA_RUNROOT work="$work" \
		unshare -m bash -ec 'ordinary_mounts; exec "$@"' - "${ordinary[@]}" bash "$work/script"
}

# Until no process of his is left: those that clean up behind a client (conmon's, podman's) go on for a moment.
ordinary_gone() {
	local _
	for _ in $(seq 100); do
		pgrep -u "$uid" >/dev/null || return 0
		sleep 0.1
	done
	pgrep -a -u "$uid"
	return 1
}

# What an ordinary user's test needs of the host beside root.
need_ordinary() {
	need setpriv unshare newuidmap newgidmap
	[ -u "$(command -v newuidmap)" ] || skip "newuidmap is not set-user-id"
	[[ -e /etc/subuid && -e /etc/subgid ]] || skip "no /etc/subuid"
	unshare -U true 2>/dev/null || skip "no user namespaces"
}

#!/usr/bin/env bats
# strata-unionfs: a mount by overlayfs' options, as root, in a user namespace, by fusermount3, and under podman.

load lib.bash

bats_require_minimum_version 1.5.0

setup() {
	strata_setup
	unionfs=$build/strata-unionfs
	chmod 755 "$work"
	cd "$work"
	mkdir low low2 up work mnt
	echo low >low/a
	echo low2 >low2/a
	echo low2 >low2/b
	uid=64321 # of the ordinary user that some tests make for themselves
}

teardown() {
	cd /
	unmount_left "$work/mnt"
	strata_teardown
}

# Whether the process is there and no zombie.
runs() {
	[[ -e /proc/$1/stat && $(sed 's/.*) //; s/ .*//' "/proc/$1/stat") != Z ]]
}

mount_union() {
	"$unionfs" -o "$1" mnt
}

# Runs a script in a mount namespace of its own, where /dev/fuse is everybody's, crun finds cgroups that it takes, and
# an ordinary user "ordinary" has subordinate ids. $work is his.
apart() {
	cat >"$work/apart" <<-END
		set -e
		! mountpoint -q /sys/fs/cgroup/unified || umount -l /sys/fs/cgroup/unified
		mknod "$work/fuse" c 10 229 && chmod 666 "$work/fuse" && mount --bind "$work/fuse" /dev/fuse
		for f in passwd group subuid subgid; do
			! [ -e /etc/\$f ] || cp /etc/\$f "$work/\$f"
		done
		echo "ordinary:x:$uid:$uid::$work/home:/bin/sh" >>"$work/passwd"
		echo "ordinary:x:$uid:" >>"$work/group"
		echo "ordinary:2000000:65536" | tee -a "$work/subuid" >>"$work/subgid"
		for f in passwd group subuid subgid; do
			[ -e /etc/\$f ] || continue
			mount --bind "$work/\$f" /etc/\$f
		done
		mkdir -p "$work/home" "$work/xdg"
		chown -R $uid:$uid "$work/home" "$work/xdg" "$work/low" "$work/low2" "$work/up" "$work/work" "$work/mnt"
		cd "$work"
		$1
	END
	run timeout -k 5 300 unshare --mount bash "$work/apart"
	echo "$output"
	[ "$status" = 0 ]
}

as_ordinary="setpriv --reuid 64321 --regid 64321 --clear-groups env -i PATH=\$PATH HOME=\$PWD/home XDG_RUNTIME_DIR=\$PWD/xdg"

@test "a mount is there when the program returns, and its server ends with it" {
	need_fuse
	mount_union lowerdir=low:low2,upperdir=up,workdir=work
	[ "$(cat mnt/a mnt/b)" = $'low\nlow2' ]
	[ "$(findmnt -no FSTYPE,SOURCE mnt | xargs)" = "fuse.strata-unionfs strata-unionfs" ]
	echo new >mnt/new
	rm mnt/b
	mkdir mnt/d && rmdir mnt/d
	[ "$(ls mnt)" = $'a\nnew' ]
	[ "$(stat -c %t,%T,%F up/b)" = "0,0,character special file" ]
	server=$(pgrep -nf "strata-unionfs -o lowerdir=low:low2,upperdir=up,workdir=work mnt")
	[ "$(readlink "/proc/$server/cwd")" = / ]
	[ "$(readlink "/proc/$server/fd/2")" = /dev/null ]
	# At once: the server that ends hands the top on.
	for _ in 1 2 3 4 5; do
		umount mnt
		mount_union lowerdir=low:low2,upperdir=up,workdir=work
	done
	[ "$(ls mnt)" = $'a\nnew' ]
	umount mnt
	for _ in $(seq 100); do
		runs "$server" || break
		sleep 0.1
	done
	not runs "$server"
}

@test "options are refused in one line" {
	fails 2 "unknown option: bogus" "$unionfs" -o bogus mnt
	fails 2 "lowerdir= is missing" "$unionfs" -o upperdir=up,workdir=work mnt
	fails 2 "needs workdir" "$unionfs" -o lowerdir=low,upperdir=up mnt
	fails 2 "plugins" "$unionfs" -o lowerdir=low,plugins=a mnt
	fails 2 "where to mount" "$unionfs" -o lowerdir=low
	fails 2 "unknown option: -x" "$unionfs" -x
	fails 1 "none" "$unionfs" -o lowerdir=none mnt
	fails 1 "none" "$unionfs" -o lowerdir=low none
	fails 1 "low/a" "$unionfs" -o lowerdir=low/a mnt
	not mountpoint -q mnt
	run -0 "$unionfs" --version
	[[ $output == "strata-unionfs version "* ]]
	run -0 "$unionfs" --help
	[[ $output == *"lowerdir="* ]]
}

@test "without an upper, and with ro, nothing can be changed" {
	need_fuse
	mount_union lowerdir=low:low2
	[ "$(cat mnt/a)" = low ]
	not touch mnt/x
	umount mnt
	echo up >up/a
	mknod up/b c 0 0
	mount_union ro,lowerdir=low:low2,upperdir=up,workdir=work
	[ "$(cat mnt/a)" = up ]
	[ "$(ls mnt)" = a ]
	not touch mnt/x
	[ -z "$(ls work)" ]
	umount mnt
}

@test "a top with metacopy and redirects is shown read-only, and as a lower" {
	need_fuse
	mkdir low2/dir
	echo deep >low2/dir/file
	mount_union lowerdir=low:low2,upperdir=up,workdir=work,metacopy=on,redirect_dir=on
	chmod 600 mnt/b
	mv mnt/dir mnt/moved
	umount mnt
	[ "$(stat -c %b up/b)" -le 8 ]
	[ -z "$(ls up/moved)" ]
	for how in ro,lowerdir=low:low2,upperdir=up,workdir=work lowerdir=up:low:low2; do
		mount_union "$how"
		[ "$(ls mnt | xargs)" = "a b moved" ]
		[ "$(cat mnt/b mnt/moved/file)" = $'low2\ndeep' ]
		[ "$(stat -c %a mnt/b)" = 600 ]
		umount mnt
	done
}

@test "paths with colons, commas and backslashes; 500 lowers" {
	need_fuse
	mkdir 'c:o,m\m' u,p 'w:k'
	echo odd >'c:o,m\m/odd'
	mount_union 'lowerdir=c\:o\,m\\m:low,upperdir=u\,p,workdir=w:k'
	[ "$(cat mnt/odd)" = odd ]
	touch mnt/x
	[ -e u,p/x ]
	umount mnt
	list=
	for i in $(seq 500); do
		mkdir "l$i"
		echo "$i" >"l$i/f$i"
		list=$list:l$i
	done
	mount_union "lowerdir=${list#:}"
	[ "$(ls mnt | wc -l)" = 500 ]
	[ "$(cat mnt/f1 mnt/f500)" = $'1\n500' ]
	umount mnt
	fails 2 "more than 500" "$unionfs" -o "lowerdir=low$list" mnt
}

@test "flags of the mount, ids and validity" {
	need_fuse
	chown 3:4 low/a
	mount_union lowerdir=low,upperdir=up,workdir=work,nodev,nosuid,noexec,noatime,uidmapping=0:1000:10,gidmapping=0:1000:10
	options=$(findmnt -no OPTIONS mnt)
	for flag in nodev nosuid noexec noatime; do
		[[ ,$options, == *,$flag,* ]]
	done
	[ "$(stat -c %u:%g mnt/a)" = 1003:1004 ]
	chown 1005:1006 mnt/a
	[ "$(stat -c %u:%g up/a)" = 5:6 ]
	umount mnt
	mount_union lowerdir=low,squash_to_uid=77
	[ "$(stat -c %u:%g mnt/a)" = 77:4 ]
	umount mnt
}

@test "with timeout=, lowers may change beneath" {
	need_fuse
	rm low2/a
	for how in lowerdir=low lowerdir=low:low2 lowerdir=low2:low,upperdir=up,workdir=work; do
		mkdir low/d
		echo low >low/a
		echo old >low/d/f
		mount_union $how,timeout=0
		[ "$(cat mnt/a)" = low ]
		# Bytes, a new name, and another file and another folder in the place of one.
		[ "$(ls mnt | grep -vx b | xargs) $(ls mnt/d)" = "a d f" ]
		echo changed >low/a
		echo more >low/c
		echo new >low/d/g && mv low/d/g low/d/f
		[ "$(cat mnt/a mnt/c mnt/d/f)" = $'changed\nmore\nnew' ]
		[ "$(ls mnt | grep -vx b | xargs) $(ls mnt/d)" = "a c d f" ]
		mkdir low/e && touch low/e/x && rm -r low/d && mv low/e low/d
		[ "$(ls mnt | grep -vx b | xargs) $(ls mnt/d)" = "a c d x" ]
		mv low/c low/moved
		[ "$(cat mnt/moved)" = more ]
		rm -r low/moved low/d
		[ "$(ls mnt | grep -vx b)" = a ]
		not cat mnt/c
		umount mnt
		rm -rf up/* work/*
	done
}

@test "size= bounds the top" {
	need_fuse
	head -c 3000000 /dev/zero | tr '\0' x >low/large
	mount_union lowerdir=low,upperdir=up,workdir=work,size=2m
	[ "$(df --output=size -B1 mnt | tail -n1 | xargs)" = 2097152 ]
	run ! dd if=/dev/zero of=mnt/big bs=64k
	[[ $output == *"No space left on device"* ]]
	size=$(stat -c %s mnt/big)
	[ "$size" -gt 1900000 ]
	[ "$size" -le 2097152 ]
	run ! mkdir mnt/dir
	run ! cp low/a mnt/copy
	rm -f mnt/big mnt/copy
	run ! sh -c 'echo >>mnt/large'
	[ "$(stat -c %s mnt/large)" = 3000000 ]
	mkdir mnt/dir
	cp --reflink=never low/a mnt/dir/copy
	[ "$(cat mnt/dir/copy)" = low ]
	# A map's pages are written back later: msync says what came of it.
	run python3 -c '
import mmap, os
f = os.open("mnt/map", os.O_RDWR | os.O_CREAT)
os.ftruncate(f, 8 << 20)
m = mmap.mmap(f, 8 << 20)
for i in range(0, 8 << 20, 4096): m[i] = 1
try:
    m.flush(); os.fsync(f)
except OSError as e:
    print(os.strerror(e.errno))
'
	[[ $output == *"No space left on device"* ]]
	[ "$(du -s -B1 up | cut -f1)" -lt 2300000 ]
	umount mnt
}

@test "copy-up and copies share blocks where the top's file system can" {
	need_fuse
	need mkfs.xfs
	truncate -s 400M image
	mkfs.xfs -q -m reflink=1 image
	mkdir disk
	cat >steps <<-END
		set -e
		mount -o loop image disk 2>/dev/null || { echo cannot; exit 0; }
		mkdir disk/low disk/up disk/work
		head -c 64M /dev/urandom >disk/low/big
		sync -f disk
		before=\$(df --output=used -k disk | tail -n 1)
		$unionfs -o lowerdir=disk/low,upperdir=disk/up,workdir=disk/work mnt
		chmod 600 mnt/big
		cp mnt/big mnt/copy
		cp --reflink=always mnt/big mnt/clone || true
		cmp mnt/big mnt/copy
		cmp -n 67108864 mnt/copy disk/low/big
		sync -f disk
		echo grew \$((\$(df --output=used -k disk | tail -n 1) - before))
		umount mnt
		umount -l disk
	END
	run unshare --mount bash steps
	[ "$status" = 0 ]
	[ "$output" != cannot ] || skip "no XFS on a loop device here"
	[[ $output == *"Operation not supported"* ]]
	[ "$(sed -n 's/^grew //p' <<<"$output")" -lt 8192 ]
}

@test "a signal ends it, and takes the mount away" {
	need_fuse
	"$unionfs" -f -o lowerdir=low mnt 3>&- &
	server=$!
	for _ in $(seq 100); do
		! mountpoint -q mnt || break
		sleep 0.1
	done
	[ "$(cat mnt/a)" = low ]
	kill -TERM $server
	wait $server
	not mountpoint -q mnt
}

@test "what fuse-overlayfs wrote reads the same, and the other way round" {
	need_fuse
	need fuse-overlayfs getfattr
	mkdir -p low2/dir low2/gone low2/over
	touch low2/dir/old low2/gone/x low2/over/x
	fuse-overlayfs -o lowerdir=low:low2,upperdir=up,workdir=work mnt
	rm mnt/b mnt/dir/old
	rm -r mnt/gone mnt/over
	mkdir mnt/over
	touch mnt/over/new
	chmod 600 mnt/a
	before=$(cd mnt && find . -printf '%p %y %m %s\n' | grep -v ' d ' | sort)
	umount mnt
	mount_union lowerdir=low:low2,upperdir=up,workdir=work
	[ "$(cd mnt && find . -printf '%p %y %m %s\n' | grep -v ' d ' | sort)" = "$before" ]
	[ -z "$(getfattr -Rd -m - mnt)" ]
	rm -r mnt/dir
	mkdir mnt/dir
	touch mnt/dir/newer
	rm mnt/a
	before=$(cd mnt && find . -printf '%p %y %m %s\n' | grep -v ' d ' | sort)
	umount mnt
	fuse-overlayfs -o lowerdir=low:low2,upperdir=up,workdir=work mnt
	[ "$(cd mnt && find . -printf '%p %y %m %s\n' | grep -v ' d ' | sort)" = "$before" ]
	umount mnt
}

@test "an ordinary user mounts by fusermount3, or in a user namespace" {
	need_fuse
	need fusermount3 setpriv unshare
	apart "$as_ordinary $unionfs -o lowerdir=low:low2,upperdir=up,workdir=work mnt
		$as_ordinary sh -ec 'echo new >mnt/new; rm mnt/b; ls mnt'
		findmnt -no OPTIONS mnt
		$as_ordinary fusermount3 -u mnt
		$as_ordinary unshare --user --map-root-user --mount sh -ec '
			$unionfs -o lowerdir=low:low2,upperdir=up,workdir=work mnt
			ln -s target mnt/link; chown -h 0:0 mnt/link; mkdir mnt/dir; ls mnt; umount mnt'"
	[[ $output == *$'a\nnew\n'*"user_id=64321"*$'a\ndir\nlink\nnew' ]]
	[ "$(stat -c %u up/new up/dir)" = $'64321\n64321' ]
	[ "$(stat -c %t,%T up/b)" = 0,0 ]
}

@test "an ordinary user's union under the random exercisers, in a user namespace" {
	need_fuse
	need setpriv unshare
	[ -x "$build/tests/unionfs/exercise" ] || skip 'the tests are not built: make tests'
	apart "for test in coherence exercise; do
		$as_ordinary TMPDIR=\$PWD/home UNION_USERXATTR=1 EXERCISE_OPS=1000 EXERCISE_SEED=5 \\
			unshare --user --map-root-user --mount $build/tests/unionfs/\$test
		done"
	[ "$(grep -c '^ok ' <<<"$output")" -ge 24 ]
	not grep -q -e '^not ok' -e SKIP <<<"$output"
}

# ---- podman ----

# Into the folder: a root of busybox as a tar, a Containerfile of steps that take away, and what to do with them: as
# whoever runs it, with the store in ./home/podman.
podman_files() {
	need podman crun
	make_rootfs rootfs
	tar -C rootfs -cf root.tar .
	cat >Containerfile <<-'END'
		FROM base
		RUN echo one >/one; echo two >/two; chown 7:8 /two; ln /two /two-link; ln -s two /two-sym
		RUN rm /one /etc/greeting
		RUN rm -r /usr/lib && mkdir /usr/lib && echo new >/usr/lib/new
		RUN mv /two /usr/lib/two; mkfifo /fifo; mkdir -p /d/e; touch /d/e/f
		RUN rm -r /d
	END
	printf '[containers]\ndefault_ulimits=["nofile=4096:4096","nproc=4096:4096"]\n' >containers.conf
	cat >steps <<-END
		set -e
		export CONTAINERS_CONF=$work/containers.conf
		cd "$work"
		pod() {
			timeout -k 5 100 podman --root "\$PWD/home/podman" --runroot "\$PWD/home/run" --tmpdir "\$PWD/home/tmp" --storage-driver overlay \
				--storage-opt overlay.mount_program=$unionfs --cgroup-manager cgroupfs --events-backend file "\$@"
		}
		trap 'pod system migrate >/dev/null 2>&1 || true' EXIT
		pod import -q root.tar base
		pod build -q --isolation chroot -t built .
		pod run --name box-x --cgroups=disabled --network none built sh -ec '
			grep -q " / fuse.strata-unionfs " /proc/mounts
			find / -xdev ! -path "/bin/*" ! -path "/dev*" | sort | sed "s/^/seen /"
			echo changed >/etc/group; rm /etc/passwd; rm -r /var; mkdir /var; echo v >/var/v'
		pod diff box-x | sort | sed 's/^/diff /'
		pod commit -q box-x committed
		pod rm -f box-x
		pod run --rm --cgroups=disabled --network none committed sh -ec '
			ls /var /etc | sort | sed "s/^/then /"; cat /etc/group; stat -c "owner %u:%g" /usr/lib/two'
		pod save -q --format oci-archive -o home/saved.tar committed
		pod rmi built committed base
		pod images -q
		find home/podman/overlay -mindepth 2 -name merged
	END
}

# What the steps above say, and what is in the image that they saved.
check_podman() {
	[[ $output == *"seen /usr/lib/new"* && $output == *"seen /usr/lib/two"* && $output == *"seen /two-link"* ]]
	for gone in /one /etc/greeting /usr/lib/large /two /d; do
		not grep -qx "seen $gone" <<<"$output"
	done
	for line in "diff D /etc/passwd" "diff C /etc/group" "diff A /var/v" "diff D /var/empty" "then v" changed "owner 7:8"; do
		grep -qx "$line" <<<"$output"
	done
	not grep -qx "then passwd" <<<"$output"
	not grep -qx "then empty" <<<"$output"
	mkdir saved
	tar -xf home/saved.tar -C saved
	for blob in saved/blobs/sha256/*; do
		tar -tf "$blob" >>names 2>/dev/null || true
	done
	for name in .wh.one etc/.wh.greeting usr/lib/.wh.large etc/.wh.passwd; do
		grep -qx "\(\./\)\?$name" names
	done
	# No mark of ours is in a layer.
	for blob in saved/blobs/sha256/*; do
		zcat -f "$blob" >plain
		not grep -aq 'strata\.origin\|overlay\.opaque\|overlay\.impure' plain
	done
	"$strata" load -q -i home/saved.tar
}

@test "podman builds, runs, commits and removes with it, as root" {
	need_fuse
	podman_files
	apart "bash steps"
	check_podman
}

@test "podman builds, runs, commits and removes with it, as an ordinary user" {
	need_fuse
	need setpriv newuidmap
	podman_files
	chmod 644 root.tar Containerfile steps containers.conf
	apart "$as_ordinary bash steps"
	check_podman
}

@test "podman shows an ordinary user his own id with it" {
	need_fuse
	need setpriv newuidmap
	podman_files
	sed -i '/^pod build/,$d' steps
	cat >>steps <<-'END'
		pod run --rm --userns keep-id --cgroups=disabled --network none base sh -ec '
			id -u; stat -c "owner %u:%g" /bin/busybox; touch /tmp/new; stat -c "owner %u:%g" /tmp/new'
		pod rmi base
	END
	chmod 644 root.tar steps containers.conf
	apart "$as_ordinary bash steps"
	[[ $output == *$'64321\nowner 0:0\nowner 64321:64321'* ]]
}

@test "podman's store goes from fuse-overlayfs to it and back" {
	need_fuse
	need fuse-overlayfs
	podman_files
	sed -i '/^pod import/,$d; s/overlay.mount_program=[^ ]*/overlay.mount_program=\$program/' steps
	cat >>steps <<-END
		other=$(command -v fuse-overlayfs) ours=$unionfs
	END
	cat >>steps <<-'END'
		run="run --cgroups=disabled --network none"
		program=$other
		pod import -q root.tar base
		pod build -q --isolation chroot -t built .
		pod $run --name box-x built sh -c 'echo a >/a; rm /etc/passwd; rm -r /var; mkdir /var; echo v >/var/v'
		program=$ours
		pod diff box-x | sort | sed 's/^/x /'
		pod commit -q box-x committed
		pod $run --name box-y committed sh -c 'rm -r /var; mkdir /var; mv /usr/lib/new /usr/new; rm /a'
		program=$other
		pod diff box-y | sort | sed 's/^/y /'
		pod $run --rm committed sh -c 'cat /var/v; ls /var'
		pod rm -f box-x box-y
	END
	apart "bash steps"
	for line in "x A /a" "x D /etc/passwd" "x A /var/v" "x D /var/empty" "y D /a" "y D /usr/lib/new" "y A /usr/new" \
		"y D /var/v"; do
		grep -qx "$line" <<<"$output"
	done
	[[ $output == *$'\nv\nv\n'* ]]
	not grep -q "x .*/usr/lib" <<<"$output"
}

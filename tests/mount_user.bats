#!/usr/bin/env bats
# strata mount by an ordinary user: fusermount3 mounts, and owners and modes of the image are his to change.

bats_require_minimum_version 1.5.0
load lib
load ordinary

# shellcheck disable=SC2154 # lib.bash sets them
setup() {
	need_fuse
	need fusermount3 setpriv unshare
	strata_setup
	make_rootfs "$work/rootfs"
	ordinary_setup
}
teardown() { strata_teardown; }

@test "mount, change what root owns, look at it, unmount" {
	[ -u "$(command -v fusermount3)" ] || skip "fusermount3 is not set-user-id"
	run as_ordinary <<'END'
strata import -q "$rootfs" small
strata mount small "$m" >/dev/null
[ "$(cat "$m/etc/greeting")" = hello ]
[ "$(stat -c %u:%a "$m/bin/setuid")" = 0:4755 ]
echo more >>"$m/etc/greeting"
[ "$(stat -c %h:%u "$m/etc/greeting-link")" = 2:0 ]
grep -q more "$m/etc/greeting-link"
chown 5:6 "$m/etc/passwd" && chmod 600 "$m/etc/passwd" && [ "$(stat -c %u:%g:%a "$m/etc/passwd")" = 5:6:600 ]
rm -r "$m/usr" && mkdir "$m/usr" && mv "$m/bin" "$m/bin2" && [ -z "$(ls "$m/usr")" ]
cd "$m" && ! strata umount "$m" 2>"$HOME/busy" && cd
grep -q "fusermount3:.*busy" "$HOME/busy"
[ "$(wc -l <"$HOME/busy")" = 1 ]
strata umount "$m"
[ -z "$(ls "$m")" ]
[ -z "$(strata ps -aq)" ]
[ -z "$(ls "$HOME/.local/share/strata/snapshots")" ]
echo done
END
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *done ]]
}

@test "a top that is kept: diff, commit, start, reload; read-only; its server killed" {
	[ -u "$(command -v fusermount3)" ] || skip "fusermount3 is not set-user-id"
	run as_ordinary <<'END'
strata import -q "$rootfs" small
strata mount --name keep small "$m" >/dev/null
echo kept >"$m/kept" && chown 7:8 "$m/kept"
strata umount "$m"
[ "$(strata diff keep)" = "A /kept" ]
strata commit keep other:1 >/dev/null
strata start keep >/dev/null
strata mount --reload "$m"
case $(uname -r) in [1-5].* | 6.[0-8].*) ;; *)
	keeper=$(pgrep -u "$(id -u)" -o strata-server)
	kill -9 "$(cat "/proc/$keeper/task/$keeper/children")" ;;
esac
[ "$(cat "$m/kept")" = kept ]
strata umount "$m"
strata rm keep >/dev/null
strata mount --read-only other:1 "$m" >/dev/null
[ "$(stat -c %u:%g "$m/kept")" = 7:8 ]
not touch "$m/new" 2>/dev/null
strata umount "$m"
not strata run other:1 true 2>"$HOME/run"
grep -q "needs root" "$HOME/run"
echo done
END
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *done ]]
}

@test "where fusermount3 cannot: one line, and nothing left" {
	chmod 600 "$work/dev/fuse"
	run as_ordinary <<'END'
strata import -q "$rootfs" small
! strata mount small "$m" 2>"$HOME/said" || exit 1
cat "$HOME/said"
[ "$(wc -l <"$HOME/said")" = 1 ]
grep -q fusermount3 "$HOME/said"
[ -z "$(strata ps -aq)" ]
[ -z "$(ls "$HOME/.local/share/strata/snapshots")" ]
echo done
END
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *done ]]
}

@test "a server that cannot be started leaves no mount behind" {
	[ -u "$(command -v fusermount3)" ] || skip "fusermount3 is not set-user-id"
	rm "$work/bin/strata-server"
	run as_ordinary <<'END'
strata import -q "$rootfs" small
if strata mount small "$m"; then exit 1; fi
ls "$m"
if grep " $m " /proc/mounts; then exit 1; fi
echo done
END
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *strata-server* && $output == *done ]]
}

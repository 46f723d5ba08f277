#!/usr/bin/env bats
# The warm start: a microVM goes on from a machine that has booted, and is another one than all others that did.
# tests/vm.bats runs warm too, but where it says --cold. Where this host's KVM cannot run Linux: inside tests/testbed.

bats_require_minimum_version 1.5.0
load lib

setup() { vm_setup python3; }
teardown() { strata_teardown; }

# For the scripts: the log of a run that ends well, and the machines that there are.
helpers='
	machines() { find "$STRATA_ROOT/machines" -type f 2>/dev/null | wc -l; }
	log_of() { cat "$STRATA_RUNROOT"/instances/*/monitor.log; }
	run_kept() { name=$1; shift; "$strata" run --name $name --vm "$@"; log_of >"$work/$name.log"; "$strata" rm $name >/dev/null; }
	log_lacks() { ! grep "$2" "$work/$1.log"; }
'

@test "one machine, made once, serves every image, command and top; --cold boots" {
	vm_host "$helpers"'
		sum() { "$strata" run --rm --vm "$@" small sh -c "cat /etc/greeting; ls / /bin | md5sum; id; pwd; grep -c ^processor /proc/cpuinfo
			ls /sys/class/net; cat /proc/mounts; echo \$HOME"; }
		[ "$("$strata" run --rm --vm --cold small echo cold)" = cold ]
		[ "$(machines)" = 0 ]
		sum --cold >"$work/cold"
		sum >"$work/warm"
		[ "$(machines)" = 1 ]
		# It was rehearsed with: the number of runs of pages (docs/formats/snapshot.md).
		[ "$(od -An -tu4 -j60 -N4 "$STRATA_ROOT"/machines/* | tr -d " ")" -gt 50 ]
		diff "$work/cold" "$work/warm"
		run_kept first small sh -c "echo new >/etc/greeting; cat /etc/greeting"
		log_lacks first "made in"
		"$strata" tag small other
		[ "$("$strata" run --rm --vm other cat /etc/greeting)" = hello ]
		[ "$(machines)" = 1 ]
		"$strata" df | grep "^machines  *1 "
		"$strata" fsck -q
		[ "$("$strata" run --rm --vm --vcpus 2 -m 160m small grep -c ^processor /proc/cpuinfo)" = 2 ]
		[ "$(machines)" = 2 ]
		not "$strata" run --rm --cold small true 2>"$work/err"
		grep "a cold start is a microVM" "$work/err"'
}

@test "two that go on from one machine differ: random numbers, host name, boot id; the time is the host's" {
	vm_host "$helpers"'
		who() { "$strata" run --rm --vm small sh -c "od -An -N16 -tx1 /dev/urandom; cat /proc/sys/kernel/random/boot_id
			cat /proc/sys/kernel/random/uuid; hostname; sh -c \"echo stack \\\$\\\$ >/dev/null\""; }
		who >"$work/a"; who >"$work/b"
		[ "$(wc -l <"$work/a")" = 4 ]
		for i in 1 2 3 4; do
			[ "$(sed -n ${i}p "$work/a")" != "$(sed -n ${i}p "$work/b")" ]
		done
		[ "$(machines)" = 1 ]
		sleep 3
		before=$(date +%s); guest=$("$strata" run --rm --vm small sh -c "date +%s"); after=$(date +%s)
		echo "$before $guest $after"
		[ "$guest" -ge "$before" ]
		[ "$guest" -le "$after" ]'
}

@test "what is damaged is made anew, what was tampered with after it was checked too; a run never fails for it" {
	vm_host "$helpers"'
		ok() { run_kept $1 small echo fine >"$work/out"; [ "$(cat "$work/out")" = fine ]; }
		ok first
		grep "made in" "$work/first.log"
		file=$(ls "$STRATA_ROOT"/machines/*)
		spoil() { cp "$file" "$work/copy"; printf "$2" | dd of="$work/copy" bs=1 seek=$1 conv=notrunc 2>/dev/null; chmod 444 "$work/copy"; mv -f "$work/copy" "$file"; }
		spoil $(($(stat -c %s "$file") - 50000)) "XYZ"
		ok memory
		grep "its memory is damaged: it is made anew" "$work/memory.log"; grep "made in" "$work/memory.log"
		spoil 5000 "XYZ"
		ok state
		grep "its state is damaged" "$work/state.log"; grep "made in" "$work/state.log"
		truncate -s 100000 "$file"
		ok short
		grep "cut off" "$work/short.log"
		spoil 8 "\377"
		ok version
		grep "of format 255" "$work/version.log"
		ok last
		log_lacks last "made in"
		# Whole, but of a CPU of another speed: the record VM has it behind the clock (docs/formats/snapshot.md).
		slower() { python3 - "$file" <<-"PY"
			import hashlib, os, struct, sys
			data = bytearray(open(sys.argv[1], "rb").read())
			(extents, runs), records = struct.unpack_from("<II", data, 56), struct.unpack_from("<Q", data, 64)[0]
			at = 4096
			while struct.unpack_from("<I", data, at)[0] != 1:
			    size = struct.unpack_from("<Q", data, at + 8)[0]
			    at += 16 + (size + 7) // 8 * 8
			struct.pack_into("<I", data, at + 24, 1000)
			data[80:112] = hashlib.sha256(data[4096:4096 + records + 16 * extents] + data[len(data) - 8 * runs:]).digest()
			data[144:176] = hashlib.sha256(data[:144]).digest()
			open(sys.argv[1] + ".new", "wb").write(data)
			os.rename(sys.argv[1] + ".new", sys.argv[1])
			PY
		}
		slower; ok slow1
		grep "no warm start: .*of another speed" "$work/slow1.log"; [ "$(machines)" = 0 ]
		ok again; grep "made in" "$work/again.log"
		slower; ok slow2
		ok never; grep "no warm start: this host did not go on" "$work/never.log"; [ "$(machines)" = 0 ]
		rm -r "$STRATA_RUNROOT/machines"
		ok reborn; grep "made in" "$work/reborn.log"
		[ "$(machines)" = 1 ]'
}

@test "a maker that is killed leaves nothing; what cannot be made is a boot and one line" {
	vm_host "$helpers"'
		maker_of() { for _ in $(seq 300); do maker=$(pgrep -f "^strata-vmm make") && return; sleep 0.02; done; return 1; }
		"$strata" run --name k --vm small echo booted >"$work/out" & run=$!
		maker_of; kill -9 $maker; wait $run
		[ "$(cat "$work/out")" = booted ]
		log_of | grep "no warm start: no machine could be made"
		"$strata" rm k
		[ "$(machines)" = 0 ]
		"$strata" run --name k --vm small true & run=$!
		maker_of; kill -9 $(awk "/^PPid:/ {print \$2}" /proc/$maker/status)
		not wait $run
		for _ in $(seq 500); do [ -d /proc/$maker ] || break; sleep 0.02; done
		[ ! -d /proc/$maker ]
		"$strata" rm -f k
		[ "$(machines)" = 0 ]
		[ -z "$(ls "$STRATA_ROOT/tmp")" ]
		"$strata" fsck -q'
}

@test "several at once: one makes the machine, the others wait for it; gc takes what is not used" {
	vm_host "$helpers"'
		"$strata" run --rm --vm --cold small true # the probe of KVM is quicker alone
		for i in 1 2 3; do "$strata" run --name r$i --vm small sh -c "echo $i; head -c 8 /dev/urandom | od -An -tx1" >"$work/r$i" & done
		wait
		[ "$(cat "$work"/r? | sort -u | wc -l)" = 6 ]
		[ "$(log_of | grep -c "made in")" = 1 ]
		"$strata" gc -q
		[ "$(machines)" = 1 ]
		touch -d "8 days ago" "$STRATA_ROOT"/machines/*
		"$strata" gc -q
		[ "$(machines)" = 0 ]
		[ -z "$(ls "$STRATA_RUNROOT/machines")" ]'
}

@test "volumes, terminal, input: in the places that the machine has for them; more volumes than those boot" {
	need script
	vm_host "$helpers"'
		vol=$(mktemp -d /tmp/strata-vol.XXXXXX); trap "rm -rf $vol" EXIT
		mkdir "$vol/a" "$vol/b"; echo A >"$vol/a/f"; echo B >"$vol/b/f"
		[ "$("$strata" run --rm --vm -v "$vol/a:/a:ro" -v "$vol/b:/b" small sh -c "cat /a/f /b/f; echo new >/b/g; echo no >/a/g" 2>/dev/null || true)" = "A
B" ]
		[ "$(cat "$vol/b/g")" = new ]; [ ! -e "$vol/a/g" ]
		[ "$(head -c 300000 /dev/zero | "$strata" run --rm --vm -i small wc -c)" = 300000 ]
		script -qec "stty rows 33 cols 77; \"$strata\" run --rm -it --vm small sh -c \"sleep 1; stty size; exit 5\"" /dev/null >"$work/tty" || rc=$?
		[ "$rc" = 5 ]; grep "33 77" "$work/tty"
		[ "$(machines)" = 1 ]
		set --
		for i in 1 2 3 4 5; do set -- "$@" -v "$vol/a:/v$i"; done
		run_kept many "$@" small cat /v5/f >"$work/out"
		[ "$(cat "$work/out")" = A ]
		log_lacks many warm
		[ "$(machines)" = 1 ]'
}

#!/usr/bin/env bats
# microVMs whose memory is in huge pages. Where this host's KVM cannot run Linux, each test runs inside tests/testbed.

bats_require_minimum_version 1.5.0
load lib

setup() { vm_setup; }
teardown() { strata_teardown; }

@test "huge pages: at hand or set apart, booted, warm, kept and gone on with" {
	vm_host '
		# Of a host that is not ours nothing is changed.
		[ ! -e /run/testbed ] || echo 80 >/proc/sys/vm/nr_hugepages
		apart=$(awk "/^HugePages_Free/ {print \$2}" /proc/meminfo)
		kinds=thp
		[ "$apart" -lt 64 ] || kinds="thp hugetlb"
		[ ! -e /run/testbed ] || [ "$kinds" = "thp hugetlb" ]
		has() { # has KIND KIB: the VMM has at least so much of them
			name=AnonHugePages; [ $1 = thp ] || name=Private_Hugetlb
			awk -v name=$name: -v kib=$2 "\$1 == name && \$2 >= kib {found = 1} END {exit !found}" \
				/proc/$(pgrep -x strata-vmm)/smaps_rollup
		}
		for kind in $kinds; do
			[ "$("$strata" run --rm --vm --cold -m 128m --huge-pages $kind small echo cold)" = cold ]
			[ "$("$strata" run --rm --vm -m 128m --huge-pages $kind small echo warm)" = warm ]
			"$strata" run -d --name h$kind --vm -m 128m --huge-pages $kind small sh -c "echo begun; sleep 1000"
			until_log h$kind begun
			has $kind 20000
			"$strata" checkpoint h$kind
			"$strata" restore h$kind
			[ "$("$strata" exec h$kind echo there)" = there ]
			has $kind 20000
			"$strata" rm -f h$kind
		done
		fails 125 "vm.nr_hugepages" "$strata" run --rm --vm -m 1g --cold --huge-pages hugetlb small true'
}

@test "huge pages that come by themselves: not where a boot touches little, but for what a program writes" {
	vm_host '
		all=/sys/kernel/mm/transparent_hugepage/enabled
		[ ! -e /run/testbed ] || echo always >$all
		grep -q "\[always\]" $all || { echo "LEFT OUT"; exit 0; }
		huge() { awk "/^AnonHugePages:/ {print \$2}" /proc/$(pgrep -x strata-vmm)/smaps_rollup; }
		"$strata" run -d --name it --vm -m 128m --cold small sh -c "echo begun; until [ -e /go ]; do sleep 0.1; done
			busybox head -c 32000000 /dev/zero >/dev/shm/file; echo written; sleep 1000"
		until_log it begun
		idle=$(huge)
		"$strata" exec it touch /go
		until_log it written
		written=$(huge)
		echo "huge pages: $idle KiB, after 32 MB $written KiB"
		[ "$idle" -le 14336 ]
		[ "$written" -ge $((idle + 16384)) ]
		"$strata" rm -f it'
	[[ $output != *"LEFT OUT"* ]] || skip "this host has them not for all memory"
}

@test "huge pages are a microVM's, of two kinds, and one of them has no balloon" {
	fails 125 "huge pages are a microVM's" "$strata" run --rm --huge-pages thp small true
	fails 125 "must be thp or hugetlb" "$strata" run --rm --vm --huge-pages 1g small true
	fails 125 "a balloon takes small pages" "$strata" run --rm --vm --balloon --huge-pages hugetlb small true
	fails 125 "hugetlb is for both" "$strata" run --rm --vm --vmm qemu --huge-pages thp small true
}

# shellcheck shell=bash
# What the benches share: a temporary folder that is gone at the end, the C helper, tables.
#
# A bench prints tab-separated tables to stdout: "# " before a title or a remark, a line of column names, lines of
# values. bench/run aligns them for people and keeps the raw form in BUILD/bench/NAME.tsv.

here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
top=${here%/*}
build=${STRATA_BUILD:-$top/build}
strata=$build/strata

die() {
	echo "bench/${0##*/}: $1" >&2
	exit "${2:-1}"
}

# A peer or a mode that is not measured is said, in the table and to who looks on.
left_out() {
	echo "# left out: $*"
	echo "bench/${0##*/}: left out: $*" >&2
}

title() {
	echo "# $*"
}

# Fields as a line of a table.
row() {
	local IFS=$'\t'
	echo "$*"
}

# A mount namespace of its own, that nothing stays mounted: bench_namespace "$@", first of all.
bench_namespace() {
	[ "${BENCH_NAMESPACE-}" ] || BENCH_NAMESPACE=1 exec unshare -m --propagation private "$0" "$@"
}

# Ends what this bench started and removes what it wrote; a bench adds to it by defining bench_end.
bench_cleanup() {
	[ "$(type -t bench_end)" != function ] || bench_end || true
	if [ -d "$tmp/run" ]; then
		"$strata" ps -aq 2>/dev/null | xargs -r "$strata" rm -f >/dev/null 2>&1 || true
		umount "$tmp/run" || true
	fi
	rm -rf --one-file-system "$tmp"
}

bench_setup() {
	[ "$(id -u)" = 0 ] || die 'needs root' 77
	command -v busybox >/dev/null || die 'needs busybox (package busybox-static)' 77
	tmp=$(mktemp -d "${TMPDIR:-/tmp}/strata-bench.XXXXXX")
	trap bench_cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	export STRATA_ROOT=$tmp/store STRATA_RUNROOT=$tmp/run
	# As /run is.
	mkdir -m 700 "$tmp/run"
	mount -t tmpfs -o mode=700 strata-bench "$tmp/run"
	build_helper measure
	# shellcheck disable=SC2034 # the benches use it
	measure=$build/bench/measure
}

# build_helper NAME: build/bench/NAME of bench/NAME.c, unless it is newer.
build_helper() {
	local program=$build/bench/$1
	[ ! -x "$program" ] || [ "$here/$1.c" -nt "$program" ] || return 0
	mkdir -p "$build/bench"
	"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -I"$top" -O2 -Wall -pthread -o "$program.$$" "$here/$1.c"
	mv "$program.$$" "$program"
}

# A root of busybox alone: make_root DIR
make_root() {
	local name
	mkdir -p "$1"/{bin,dev,proc,sys,etc,tmp}
	cp "$(command -v busybox)" "$1/bin/busybox"
	for name in sh true sleep; do
		ln -s busybox "$1/bin/$name"
	done
}

# The median of the numbers on stdin, a line each.
median() {
	sort -g | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'
}

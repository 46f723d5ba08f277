#!/usr/bin/env bats
# Many processes on one store at once, and pulls that are killed: no error that is not the user's, a sound store, nothing
# left over.

bats_require_minimum_version 1.5.0
load lib
load registries

setup() {
	need_root
	need docker-registry jq python3
	strata_setup
	registries_setup
}

teardown() {
	registries_end
	strata_teardown
}

# Four images at $host that share a layer, each with one of its own.
push_images() {
	local n
	registry
	insecure
	make_rootfs "$work/rootfs"
	"$strata" import -q "$work/rootfs" base
	for n in 1 2 3 4; do
		mkdir -p "$work/ctx$n"
		head -c $((n * 200000)) /dev/urandom >"$work/ctx$n/own"
		printf 'FROM base\nCOPY own /own\n' >"$work/ctx$n/Containerfile"
		"$strata" build -q -t "image$n" "$work/ctx$n"
		"$strata" push -q "image$n" "$host/image$n:1"
	done
}

# What a user may be told who names an image that another has just removed, or removes one that is used.
users_fault='no image "|is in use|has [0-9]+ names'

# worker N: random verbs until the time is over; what went wrong goes to $work/wrong.
worker() {
	local n verb
	RANDOM=$1
	while [ "$(date +%s)" -lt "$end" ]; do
		n=$((RANDOM % 4 + 1))
		case $((RANDOM % 8)) in
		0 | 1 | 2) verb=(pull -q "$host/image$n:1") ;;
		3 | 4) verb=(run --rm "$host/image$n:1" true) ;;
		5) verb=(tag "$host/image$n:1" "tag$((RANDOM % 8))") ;;
		6) verb=(rmi "$host/image$n:1") ;;
		*) verb=(gc -q) ;;
		esac
		"$strata" "${verb[@]}" >/dev/null 2>"$work/err.$1" || grep -qE "$users_fault" "$work/err.$1" ||
			echo "${verb[*]}: $(cat "$work/err.$1")" >>"$work/wrong"
		echo "${verb[0]}" >>"$work/done.$1"
	done
}

# STRESS_SECONDS=60
@test "32 processes: pull, run, tag, rmi, gc at random for 20 s" {
	local workers=()
	push_images
	export STRATA_ROOT=$work/second
	: >"$work/wrong"
	end=$(($(date +%s) + ${STRESS_SECONDS:-20}))
	for i in $(seq 32); do
		worker "$i" 3>&- &
		workers+=($!)
	done
	wait "${workers[@]}"
	sort "$work"/done.* | uniq -c
	cat "$work/wrong"
	[ ! -s "$work/wrong" ]
	"$strata" fsck
	[ -z "$("$strata" ps -aq)" ]
	[ -z "$(ls "$STRATA_ROOT/snapshots")" ]
	# All of it worked, and what is left is what has a name.
	for verb in pull run tag rmi gc; do
		cat "$work"/done.* | grep -qx $verb
	done
	"$strata" images | awk 'NR > 1 { print $1 ":" $2 }' | xargs -r "$strata" rmi
	"$strata" gc -q
	[ -z "$(find "$STRATA_ROOT"/{blobs,layers,objects,merged,tmp,trash,dropped} -type f)" ]
	[ -z "$(find "$STRATA_ROOT/partial" -type f)" ]
}

sizes() { (cd "$STRATA_ROOT/partial" && stat -c '%n %s' -- [0-9a-f]* 2>/dev/null) || true; }

# PULL_KILLS=200
@test "a pull killed 20 times: sound each time, and no byte is fetched twice" {
	local had digest start seen=0
	fake_registry
	"$strata" gc -q
	for _ in $(seq "${PULL_KILLS:-20}"); do
		had=$(sizes)
		setsid "$build/strata-image" pull -q "$host/kills" >/dev/null 2>&1 3>&- &
		pull=$!
		sleep "0.$(printf %03d $((RANDOM % 600)))"
		kill -9 -- "-$pull" 2>/dev/null || true
		wait "$pull" 2>/dev/null || true
		# Each layer was asked for from where its file ended.
		curl -sf "http://$host/counts" | jq -r ".kills[$seen:][] | \"\\(.[0]) \\(.[1])\"" >"$work/asked"
		seen=$((seen + $(wc -l <"$work/asked")))
		while read -r digest start; do
			echo "$digest $start; had: $had"
			[ "$start" = "$(awk -v d="$digest" '$1 == d { n = $2 } END { print n + 0 }' <<<"$had")" ]
		done <"$work/asked"
		"$strata" fsck -q
		[ -z "$(ls "$STRATA_ROOT/tmp" "$STRATA_ROOT/trash" | grep -v : | grep .)" ]
		if "$strata" inspect "$host/kills" >/dev/null 2>&1; then
			"$strata" rmi "$host/kills"
			[ -z "$(sizes)" ] || "$strata" pull -q "$host/kills"
			"$strata" gc -q
		fi
	done
	[ "$seen" -gt 4 ]
	"$strata" pull -q "$host/kills"
	"$strata" fsck -q
	[ -z "$(find "$STRATA_ROOT/partial" -type f)" ]
}

#!/usr/bin/env bats
# Containerfiles by the command line.

bats_require_minimum_version 1.5.0
load lib

setup() {
	need_fuse
	need jq
	strata_setup
	small_image
	mkdir "$work/ctx"
}
teardown() { strata_teardown; }

containerfile() { cat >"$work/ctx/Containerfile"; }

@test "steps make layers and config; the result runs" {
	echo data >"$work/ctx/file"
	containerfile <<'C'
ARG BASE=small
FROM ${BASE}
ENV NAME=value LIST="a b"
RUN echo run >/made && rm /etc/greeting-link && ln /made /made-link
COPY file /dir/sub/
WORKDIR /dir
USER user
LABEL a=b
ENTRYPOINT ["sh", "-c", "cat sub/file /made; id -u; echo $NAME $LIST"]
C
	"$strata" build -t out "$work/ctx"
	[ "$("$strata" run --rm out)" = $'data\nrun\n1000\nvalue a b' ]
	run "$strata" run --rm --entrypoint ls out /etc/greeting-link
	[ "$status" != 0 ]
	[ "$("$strata" run --rm --entrypoint stat out -c %h /made)" = 2 ]
	"$strata" inspect out | jq -e '.[0].config.config.Labels.a == "b"'
	"$strata" history out | grep 'COPY'
	[ "$("$strata" run --rm small cat /etc/greeting-link)" = hello ]
	"$strata" fsck -q
}

@test "the cache: nothing runs twice, a change runs what follows" {
	echo 1 >"$work/ctx/file"
	containerfile <<'C'
FROM small
RUN head -c 8 /dev/urandom | od -An -tx1 >/random
COPY file /file
RUN cp /file /copy
C
	"$strata" build -q -t one "$work/ctx"
	first=$("$strata" run --rm one cat /random)
	run "$strata" build -t two "$work/ctx"
	[[ $output == *CACHED* ]]
	[ "$("$strata" run --rm two cat /random)" = "$first" ]
	touch -d '2001-01-01' "$work/ctx/file"
	"$strata" build -q -t two "$work/ctx"
	[ "$("$strata" run --rm two cat /random)" = "$first" ]
	echo 2 >"$work/ctx/file"
	"$strata" build -q -t three "$work/ctx"
	[ "$("$strata" run --rm three cat /random /copy)" = "$first"$'\n2' ]
	"$strata" build -q --no-cache -t four "$work/ctx"
	[ "$("$strata" run --rm four cat /random)" != "$first" ]
}

@test "stages, COPY --from, target, .dockerignore, ADD of a tar, build arguments, heredoc" {
	mkdir "$work/t" && echo tarred >"$work/t/in-tar" && tar -C "$work/t" -czf "$work/ctx/a.tar.gz" in-tar
	echo secret >"$work/ctx/secret" && echo open >"$work/ctx/open" && echo secret >"$work/ctx/.dockerignore"
	containerfile <<'C'
FROM small AS builder
ARG WHAT=default
RUN echo $WHAT >/artifact
FROM small
COPY --from=builder /artifact /artifact
COPY . /all/
ADD a.tar.gz /unpacked/
RUN <<EOF
echo heredoc >/heredoc
EOF
CMD ["cat", "/artifact", "/unpacked/in-tar", "/heredoc"]
C
	"$strata" build -q --build-arg WHAT=given -t out "$work/ctx"
	[ "$("$strata" run --rm out)" = $'given\ntarred\nheredoc' ]
	[ "$("$strata" run --rm out ls /all)" = $'Containerfile\na.tar.gz\nopen' ] ||
		[ "$("$strata" run --rm out ls -A /all)" = $'.dockerignore\nContainerfile\na.tar.gz\nopen' ]
	"$strata" build -q --target builder -t b "$work/ctx"
	[ "$("$strata" run --rm b cat /artifact)" = default ]
}

@test "errors name file and line, and leave nothing" {
	containerfile <<'C'
FROM small
RUN exit 3
C
	run --separate-stderr "$strata" build -t x "$work/ctx"
	[ "$status" = 125 ]
	[[ $stderr == *Containerfile:2* && $stderr == *3* ]]
	printf 'FROM small\nFROBNICATE x\n' >"$work/ctx/Containerfile"
	run --separate-stderr "$strata" build -t x "$work/ctx"
	[ "$status" = 125 ]
	[[ $stderr == *Containerfile:2*FROBNICATE* ]]
	printf 'FROM small\nCOPY ../rootfs/etc/passwd /x\n' >"$work/ctx/Containerfile"
	run --separate-stderr "$strata" build -t x "$work/ctx"
	[ "$status" = 125 ]
	fails 125 "$work/none" "$strata" build "$work/none"
	[ -z "$(ls "$STRATA_ROOT/snapshots")" ]
	[ "$("$strata" images -q | wc -l)" = 1 ]
	"$strata" fsck -q
}

@test "RUN has the host's network by default, none by --network none" {
	printf 'FROM small\nRUN ls /sys/class/net | tr "\\n" " " >/net\n' >"$work/ctx/Containerfile"
	"$strata" build -q -t host "$work/ctx"
	[ "$("$strata" run --rm host cat /net)" = "$(ls /sys/class/net | LC_ALL=C sort | tr '\n' ' ')" ]
	# What was mounted for it left no place in the image.
	mkdir "$work/m"
	"$strata" mount --read-only host "$work/m"
	run ls "$work/m/etc"
	"$strata" umount "$work/m"
	[[ $output == *greeting* ]]
	[[ $output != *hosts* && $output != *resolv* ]]
	"$strata" build -q --no-cache --network none -t none "$work/ctx"
	[ "$("$strata" run --rm none cat /net)" = "lo " ]
	run "$strata" run --rm none ls /etc/resolv.conf
	[ "$status" != 0 ]
}

@test "umoci unpacks a built image to the same tree that runs" {
	need umoci
	printf 'FROM small\nRUN rm -r /usr && mkdir -p /usr/new && echo 1 >/usr/new/f && chmod 4711 /bin/setuid && chown 3:4 /etc/greeting\n' >"$work/ctx/Containerfile"
	"$strata" build -q -t out "$work/ctx"
	umoci unpack --image "$STRATA_ROOT:out:latest" "$work/bundle"
	# A place was made for its /etc/hosts.
	seen='cd / && find bin etc usr root var ! -path etc/hosts -exec stat -c "%n %F %a %u %g %h" {} +'
	"$strata" run --rm --network none out sh -c "$seen" | LC_ALL=C sort >"$work/ours"
	(cd "$work/bundle/rootfs" && find bin etc usr root var -exec busybox stat -c "%n %F %a %u %g %h" {} + | LC_ALL=C sort) >"$work/theirs"
	diff <(sed '/directory/s/ [0-9]*$//' "$work/theirs") <(sed '/directory/s/ [0-9]*$//' "$work/ours")
}

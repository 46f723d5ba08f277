#!/usr/bin/env bats
# Registries: Debian's docker-registry on loopback, skopeo on the other side.

bats_require_minimum_version 1.5.0
load lib

setup() {
	need_root
	need docker-registry skopeo jq openssl python3
	strata_setup
	export STRATA_CONFIG=$work/registries.json REGISTRY_AUTH_FILE=$work/auth.json
}

teardown() {
	if [ -s "${work-}/registry.pid" ]; then
		kill "$(cat "$work/registry.pid")" 2>/dev/null || true
	fi
	strata_teardown
}

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# registry [LINES OF ITS CONFIGURATION...]: starts one at $host.
registry() {
	host=127.0.0.1:$(free_port)
	{
		printf 'version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: %s\nlog:\n  level: info\n' "$work/registry"
		printf 'http:\n  addr: %s\n' "$host"
		printf '%s\n' "$@"
	} >"$work/registry.yml"
	# It would take REGISTRY_AUTH_FILE for a setting of its own.
	env -u REGISTRY_AUTH_FILE docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 3>&- &
	echo $! >"$work/registry.pid"
	for _ in $(seq 100); do
		curl -sk -o /dev/null "http://$host/v2/" && return
		sleep 0.1
	done
	cat "$work/registry.log"
	false
}

insecure() { echo "{\"registries\":{\"$host\":{\"insecure\":true}}}" >"$STRATA_CONFIG"; }

@test "what was pushed is what skopeo reads, and is pulled with the same manifest" {
	registry
	insecure
	small_image
	pushed=$("$strata" push -q small "$host/a/small:1")
	[ "$pushed" = "$(skopeo inspect --tls-verify=false "docker://$host/a/small:1" | jq -r .Digest)" ]
	skopeo copy -q --src-tls-verify=false "docker://$host/a/small:1" "dir:$work/copied"
	export STRATA_ROOT=$work/second
	[ "$("$strata" pull -q "$host/a/small:1")" = "$pushed" ]
	[ "$("$strata" pull -q "$host/a/small@$pushed")" = "$pushed" ]
	"$strata" images | grep "$host/a/small"
	"$strata" fsck
	[ -z "$(find "$STRATA_ROOT/partial" "$STRATA_ROOT/tmp" -mindepth 1)" ]
}

@test "what skopeo pushed is pulled: zstd layers, an index of platforms" {
	registry
	insecure
	small_image
	skopeo copy -q --dest-tls-verify=false --dest-compress-format zstd "oci:$STRATA_ROOT:small:latest" \
		"docker://$host/z:1"
	digest=$(skopeo inspect --raw --tls-verify=false "docker://$host/z:1" | sha256sum | cut -d' ' -f1)
	size=$(skopeo inspect --raw --tls-verify=false "docker://$host/z:1" | wc -c)
	type=application/vnd.oci.image.index.v1+json
	jq -nc --arg d "sha256:$digest" --argjson s "$size" --arg t "$type" '{schemaVersion: 2, mediaType: $t, manifests: [
		{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $d, size: $s,
		 platform: {os: "linux", architecture: "arm64"}},
		{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $d, size: $s,
		 platform: {os: "linux", architecture: "amd64"}}]}' >"$work/index"
	curl -sf -X PUT -H "Content-Type: $type" --data-binary "@$work/index" "http://$host/v2/z/manifests/all"
	export STRATA_ROOT=$work/second
	[ "$("$strata" pull -q "$host/z:all")" = "sha256:$digest" ]
	"$strata" fsck
}

@test "unknown names are one line" {
	registry
	insecure
	fails 125 "not found" "$strata" pull -q "$host/no/such:1"
	fails 125 "no name" "$strata" pull -q "$host/NO"
	[ -z "$(find "$STRATA_ROOT/partial" "$STRATA_ROOT/tmp" -mindepth 1)" ]
}

@test "passwords: login, pull, push, logout" {
	need htpasswd
	htpasswd -Bbn me secret >"$work/htpasswd"
	registry 'auth:' '  htpasswd:' '    realm: test' "    path: $work/htpasswd"
	insecure
	small_image
	fails 125 "access denied" "$strata" push -q small "$host/s:1"
	fails 125 "access denied" "$strata" login -u me --password-stdin "$host" <<<wrong
	"$strata" login -u me --password-stdin "$host" <<<secret
	[ "$(stat -c %a "$REGISTRY_AUTH_FILE")" = 600 ]
	"$strata" push -q small "$host/s:1"
	skopeo inspect --authfile "$REGISTRY_AUTH_FILE" --tls-verify=false "docker://$host/s:1" | jq -e .Digest
	"$strata" logout "$host"
	fails 125 "access denied" "$strata" pull -q "$host/s:1"
}

@test "TLS is verified, against the registry's own authority when it is given" {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1 \
		-keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
	registry '  tls:' "    certificate: $work/cert.pem" "    key: $work/key.pem"
	small_image
	echo '{}' >"$STRATA_CONFIG"
	fails 125 "$host" "$strata" push -q small "$host/s:1"
	echo "{\"registries\":{\"$host\":{\"ca\":\"$work/cert.pem\"}}}" >"$STRATA_CONFIG"
	"$strata" push -q small "$host/s:1"
	export STRATA_ROOT=$work/second
	"$strata" pull -q "$host/s:1"
}

@test "two pulls at once download a layer once; a download that was cut short is resumed" {
	registry
	insecure
	make_rootfs "$work/rootfs"
	head -c 30000000 /dev/urandom >"$work/rootfs/large"
	"$strata" import -q "$work/rootfs" small
	"$strata" push -q small "$host/s:1"
	layer=$("$strata" inspect small | jq -r '.[0].layers[0].digest' | cut -d: -f2)
	blob=$STRATA_ROOT/blobs/sha256/$layer
	export STRATA_ROOT=$work/second
	"$strata" pull -q "$host/s:1" >/dev/null &
	one=$!
	"$strata" pull -q "$host/s:1"
	wait "$one"
	[ "$(grep "http.request.method=GET" "$work/registry.log" | grep 'response completed' |
		grep -c "blobs/sha256:$layer")" = 1 ]
	export STRATA_ROOT=$work/third
	"$strata" images >/dev/null 2>&1 || "$strata" load -i /nowhere 2>/dev/null || true
	head -c 20000000 "$blob" >"$STRATA_ROOT/partial/$layer"
	"$strata" pull -q "$host/s:1"
	grep "blobs/sha256:$layer" "$work/registry.log" | grep -w 206 |
		grep -wE "(written=|HTTP/1.1\" 206 )$(($(stat -c %s "$blob") - 20000000))"
	"$strata" fsck
}

@test "a hostile registry is refused with one line, and nothing is left behind" {
	python3 "$top/tests/fake_registry.py" "$work/host" 3>&- &
	echo $! >"$work/registry.pid"
	for _ in $(seq 100); do
		[ -s "$work/host" ] && break
		sleep 0.1
	done
	host=$(cat "$work/host")
	insecure
	fails 125 "over 4194304 bytes" "$strata" pull -q "$host/huge"
	fails 125 "redirects" "$strata" pull -q "$host/loop"
	fails 125 "Unsupported protocol" "$strata" pull -q "$host/file"
	fails 125 'text/evil\x1b[31m' "$strata" pull -q "$host/media"
	fails 125 "digest mismatch" "$strata" pull -q "$host/cyclic"
	fails 125 "Unsupported protocol" "$strata" pull -q "$host/realm"
	fails 125 'evil\x0aline' "$strata" pull -q "$host/error"
	fails 125 "digest mismatch" "$strata" pull -q "$host/wrong"
	fails 125 "more than the 1000 bytes" "$strata" pull -q "$host/long"
	fails 125 "500 bytes came" "$strata" pull -q "$host/short"
	fails 125 "not a tar header" "$strata" pull -q "$host/notar"
	echo "{\"auths\":{\"$host\":{\"auth\":\"bWU6c2VjcmV0\"}}}" >"$REGISTRY_AUTH_FILE"
	fails 125 "got None" "$strata" pull -q "$host/leak"
	[ -z "$(find "$STRATA_ROOT/partial" "$STRATA_ROOT/tmp" "$STRATA_ROOT/blobs/sha256" -mindepth 1)" ]
}

@test "a pull that was killed goes on where it was" {
	registry
	insecure
	make_rootfs "$work/rootfs"
	head -c 200000000 /dev/urandom >"$work/rootfs/large"
	"$strata" import -q "$work/rootfs" small
	"$strata" push -q small "$host/s:1"
	size=$("$strata" inspect small | jq -r '.[0].layers[0].size')
	export STRATA_ROOT=$work/second
	"$build/strata-image" pull -q "$host/s:1" 3>&- &
	pull=$!
	for _ in $(seq 500); do
		had=$(stat -c %s "$STRATA_ROOT"/partial/* 2>/dev/null) && [ "${had:-0}" -gt 1000000 ] && break
		sleep 0.01
	done
	kill -9 "$pull"
	wait "$pull" || true
	had=$(stat -c %s "$STRATA_ROOT"/partial/*)
	[ "$had" -lt "$size" ]
	"$strata" pull -q "$host/s:1"
	grep -w 206 "$work/registry.log" | grep -w "$((size - had))"
	"$strata" fsck
}

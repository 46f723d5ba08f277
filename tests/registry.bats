#!/usr/bin/env bats
# Registries: Debian's docker-registry on loopback, skopeo on the other side.

bats_require_minimum_version 1.5.0
load lib
load registries

setup() {
	need_root
	need docker-registry skopeo jq openssl python3
	strata_setup
	registries_setup
}

teardown() {
	registries_end
	! mountpoint -q "${work-}/small" || umount "$work/small"
	strata_teardown
}

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
	# skopeo keeps what it finds in the registry, however compressed.
	skopeo inspect --raw --tls-verify=false "docker://$host/z:1" | jq -e '.layers[0].mediaType | endswith("+zstd")'
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

# An image `small` and one of the same layer for linux/arm64, at $host/multi, and an index of both at :all, as docker
# pushes it: with an attestation. Tags :amd64 and :arm64 are the images alone.
multi_image() {
	local tag
	small_image
	"$strata" save -o "$work/amd64" --format oci-dir small
	python3 - "$work/amd64" <<-'EOF'
		import hashlib, json, os, sys
		top = sys.argv[1]
		def blob(d):
		    return os.path.join(top, "blobs/sha256", d.split(":")[1])
		def put(doc):
		    data = json.dumps(doc).encode()
		    digest = "sha256:" + hashlib.sha256(data).hexdigest()
		    open(blob(digest), "wb").write(data)
		    return {"digest": digest, "size": len(data)}
		index = json.load(open(os.path.join(top, "index.json")))
		amd64 = index["manifests"][0]
		manifest = json.load(open(blob(amd64["digest"])))
		config = json.load(open(blob(manifest["config"]["digest"])))
		config.update(architecture="arm64")
		manifest["config"].update(put(config))
		arm64 = dict(put(manifest), mediaType=amd64["mediaType"])
		entry = {"digest": amd64["digest"], "size": amd64["size"], "mediaType": amd64["mediaType"]}
		both = put({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
		    dict(arm64, platform={"os": "linux", "architecture": "arm64", "variant": "v8"}),
		    dict(entry, platform={"os": "linux", "architecture": "amd64"}),
		    dict(entry, platform={"os": "unknown", "architecture": "unknown"})]})
		names = [("amd64", entry), ("arm64", arm64), ("all", dict(both, mediaType="application/vnd.oci.image.index.v1+json"))]
		index["manifests"] = [dict(d, annotations={"org.opencontainers.image.ref.name": "multi:" + n}) for n, d in names]
		json.dump(index, open(os.path.join(top, "index.json"), "w"))
	EOF
}

@test "--platform: which image of an index is pulled, and what is offered when there is none" {
	registry
	insecure
	multi_image
	skopeo copy -q --all --dest-tls-verify=false "oci:$work/amd64:multi:all" "docker://$host/multi:all"
	# Docker's own: a manifest list of manifests of schema 2, as it is.
	skopeo copy -q --all --format v2s2 --dest-tls-verify=false "oci:$work/amd64:multi:all" "docker://$host/multi:list"
	list=application/vnd.docker.distribution.manifest.list.v2+json
	skopeo inspect --raw --tls-verify=false "docker://$host/multi:list" | jq -e --arg t $list '.mediaType == $t'
	for arch in amd64 arm64; do
		pulled=$(STRATA_ROOT=$work/docker "$strata" pull -q --platform "linux/$arch" "$host/multi:list")
		[ "$(STRATA_ROOT=$work/docker "$strata" inspect "$host/multi:list" | jq -r '.[0].config.architecture')" = $arch ]
		jq -e '.mediaType | endswith("manifest.v2+json")' "$work/docker/blobs/sha256/${pulled#sha256:}"
		[ "$(STRATA_ROOT=$work/docker "$strata" push -q "$host/multi:list" "$host/again:$arch")" = "$pulled" ]
		STRATA_ROOT=$work/docker "$strata" save --format docker-archive -o "$work/$arch.tar" "$host/multi:list"
		skopeo inspect --config --override-arch $arch "docker-archive:$work/$arch.tar" | jq -e ".architecture == \"$arch\""
	done
	STRATA_ROOT=$work/docker "$strata" fsck -q
	skopeo copy -q --override-arch arm64 --dest-tls-verify=false "oci:$work/amd64:multi:arm64" "docker://$host/multi:arm64"
	export STRATA_ROOT=$work/second
	"$strata" pull -q "$host/multi:all"
	[ "$("$strata" inspect "$host/multi:all" | jq -r '.[0].config.architecture')" = amd64 ]
	"$strata" pull -q --platform linux/aarch64 "$host/multi:all"
	[ "$("$strata" inspect "$host/multi:all" | jq -r '.[0].config.architecture')" = arm64 ]
	fails 125 "no image for linux/riscv64; it offers linux/arm64/v8, linux/amd64" \
		"$strata" pull -q --platform linux/riscv64 "$host/multi:all"
	fails 125 "for linux/arm64, not for linux/amd64: --platform takes it" "$strata" pull -q "$host/multi:arm64"
	"$strata" pull -q --platform arm64 "$host/multi:arm64"
	fails 125 "must be OS/ARCH" "$strata" pull -q --platform linux/ "$host/multi:arm64"
	"$strata" fsck -q
	# run takes one for another processor only when it is told to.
	fails 125 "is an image for linux/arm64" "$strata" run --rm "$host/multi:all" true
	fails 125 "for linux/arm64, not for linux/amd64" "$strata" run --rm --platform linux/amd64 "$host/multi:all" true
	"$strata" run --rm --platform linux/arm64 "$host/multi:all" true
	fails 125 "this machine's processor" "$strata" run --rm --vm --platform linux/arm64 "$host/multi:all" true
}

@test "--platform of load: of an index, of what stands beside one another" {
	multi_image
	export STRATA_ROOT=$work/second
	fails 125 "for linux/arm64, not for linux/amd64" "$strata" load -i "$work/amd64"
	jq '.manifests |= [.[2]]' "$work/amd64/index.json" >"$work/index" && cp "$work/index" "$work/amd64/index.json"
	"$strata" load -q -i "$work/amd64"
	[ "$("$strata" inspect multi:all | jq -r '.[0].config.architecture')" = amd64 ]
	"$strata" load -q --platform linux/arm64 -i "$work/amd64"
	[ "$("$strata" inspect multi:all | jq -r '.[0].config.architecture')" = arm64 ]
	fails 125 "multi:all has no image for linux/s390x; it offers linux/arm64/v8, linux/amd64" \
		"$strata" load --platform linux/s390x -i "$work/amd64"
	"$strata" fsck -q
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

@test "short names: pulled through docker.io's mirror, an image has one name however it is said" {
	registry
	echo "{\"registries\":{\"docker.io\":{\"mirrors\":[\"127.0.0.1:1\",\"$host\"]},
		\"127.0.0.1:1\":{\"insecure\":true},\"$host\":{\"insecure\":true}}}" >"$STRATA_CONFIG"
	small_image
	"$strata" push -q small "$host/library/alpine:latest"
	export STRATA_ROOT=$work/second
	pulled=$("$strata" pull -q alpine)
	for name in alpine alpine:latest library/alpine docker.io/alpine docker.io/library/alpine:latest; do
		"$strata" inspect "$name" >/dev/null
		[ "$("$strata" run --rm "$name" echo "$name")" = "$name" ]
	done
	[ "$("$strata" pull -q docker.io/library/alpine)" = "$pulled" ]
	[ "$("$strata" images | grep -c alpine)" = 1 ]
	"$strata" rmi docker.io/library/alpine
	fails 125 "no such image" "$strata" inspect alpine
}

@test "a long name that another wrote into index.json is found by the short one" {
	small_image
	skopeo copy -q "oci:$STRATA_ROOT:small:latest" "oci:$work/layout:docker.io/library/other:1"
	"$strata" load -i "$work/layout"
	"$strata" inspect other:1 >/dev/null
	jq '.manifests[0].annotations["org.opencontainers.image.ref.name"] = "docker.io/library/long:1"' \
		"$STRATA_ROOT/index.json" >"$work/index"
	cp "$work/index" "$STRATA_ROOT/index.json"
	"$strata" inspect long:1 >/dev/null
	"$strata" rmi long:1
	fails 125 "no such image" "$strata" inspect docker.io/library/long:1
}

@test "credential helpers: a registry's own, the one for all, one that has nothing, one that is broken" {
	need htpasswd
	htpasswd -Bbn me secret >"$work/htpasswd"
	registry 'auth:' '  htpasswd:' '    realm: test' "    path: $work/htpasswd"
	insecure
	small_image
	mkdir "$work/bin" "$work/docker"
	export DOCKER_CONFIG=$work/docker PATH=$work/bin:$PATH
	cat >"$work/bin/docker-credential-ours" <<-EOF
		#!/bin/sh
		[ "\$1" = get ] && [ "\$(cat)" = "$host" ] || { echo "credentials not found"; exit 1; }
		echo '{"ServerURL":"$host","Username":"me","Secret":"secret"}'
	EOF
	printf '#!/bin/sh\necho "credentials not found"; exit 1\n' >"$work/bin/docker-credential-empty"
	printf '#!/bin/sh\necho nonsense\n' >"$work/bin/docker-credential-broken"
	chmod 755 "$work/bin"/*
	echo '{"credsStore":"ours"}' >"$DOCKER_CONFIG/config.json"
	"$strata" push -q small "$host/s:1"
	echo "{\"credsStore\":\"empty\",\"credHelpers\":{\"$host\":\"ours\"}}" >"$DOCKER_CONFIG/config.json"
	"$strata" push -q small "$host/s:2"
	echo '{"credsStore":"empty"}' >"$DOCKER_CONFIG/config.json"
	fails 125 "access denied" "$strata" push -q small "$host/s:3"
	echo '{"credsStore":"broken"}' >"$DOCKER_CONFIG/config.json"
	fails 125 "docker-credential-broken" "$strata" push -q small "$host/s:3"
	echo '{"credsStore":"missing"}' >"$DOCKER_CONFIG/config.json"
	fails 125 "docker-credential-missing: No such file" "$strata" push -q small "$host/s:3"
	echo '{"credsStore":"../../bin/sh"}' >"$DOCKER_CONFIG/config.json"
	fails 125 "helper's name" "$strata" push -q small "$host/s:3"
}

@test "auth files: a repository's own entry, docker's URLs, a user and a password, nothing, no base64" {
	need htpasswd
	htpasswd -Bbn me secret >"$work/htpasswd"
	registry 'auth:' '  htpasswd:' '    realm: test' "    path: $work/htpasswd"
	insecure
	small_image
	good='{"auth":"bWU6c2VjcmV0"}' wrong='{"auth":"bWU6d3Jvbmc="}'
	auths() { echo "{\"auths\":{$1}}" >"$REGISTRY_AUTH_FILE"; }
	auths "\"$host\":$wrong,\"$host/a\":$good,\"$host/a/b/c\":$wrong"
	"$strata" push -q small "$host/a/b:1"
	fails 125 "access denied" "$strata" push -q small "$host/ab:1"
	fails 125 "access denied" "$strata" pull -q "$host/a/b/c:1"
	for key in "https://$host" "https://$host/v1/" "http://$host/v2/"; do
		auths "\"$key\":$good"
		STRATA_ROOT=$work/second "$strata" pull -q "$host/a/b:1"
	done
	auths "\"$host\":{\"username\":\"me\",\"password\":\"secret\"}"
	"$strata" pull -q "$host/a/b:1"
	auths "\"$host\":{}"
	fails 125 "access denied: \`strata login $host\`?" "$strata" pull -q "$host/a/b:1"
	auths "\"$host\":{\"auth\":\"not this\"}"
	fails 125 "is not base64" "$strata" pull -q "$host/a/b:1"
}

@test "identity tokens: of config.json and of a helper; a token that cannot be had just now is asked for again" {
	fake_registry
	mkdir "$work/bin" "$work/docker"
	export DOCKER_CONFIG=$work/docker PATH=$work/bin:$PATH
	fails 125 "access denied" "$strata" pull -q "$host/oauth"
	echo "{\"auths\":{\"$host\":{\"auth\":\"bm9ib2R5Og==\",\"identitytoken\":\"refresh\"}}}" >"$DOCKER_CONFIG/config.json"
	"$strata" pull -q "$host/oauth"
	[ "$(curl -sf "http://$host/counts" | jq .refused)" = 2 ]
	printf '#!/bin/sh\necho '\''{"Username":"<token>","Secret":"refresh"}'\''\n' >"$work/bin/docker-credential-ours"
	chmod 755 "$work/bin/docker-credential-ours"
	echo '{"credsStore":"ours"}' >"$DOCKER_CONFIG/config.json"
	"$strata" pull -q "$host/oauth"
	sed -i 's/refresh/another/' "$work/bin/docker-credential-ours"
	fails 125 "$host: access denied" "$strata" pull -q "$host/oauth"
	"$strata" fsck -q
}

@test "tokens: asked for with their scope, and again when one is used up" {
	fake_registry
	fails 125 "access denied" "$strata" pull -q "$host/token"
	echo "{\"auths\":{\"$host\":{\"auth\":\"bWU6c2VjcmV0\"}}}" >"$REGISTRY_AUTH_FILE"
	"$strata" pull -q "$host/token"
	# Manifest and config with the first, the layer with the second.
	[ "$(curl -sf "http://$host/counts" | jq .tokens)" = 2 ]
	"$strata" fsck -q
}

@test "a busy registry is asked again; a layer that comes in pieces is put together, no byte of it twice" {
	fake_registry
	"$strata" pull -q "$host/busy"
	[ "$(curl -sf "http://$host/counts" | jq .refused)" = 2 ]
	"$strata" rmi "$host/busy"
	"$strata" gc >/dev/null
	"$strata" pull -q "$host/slow"
	curl -sf "http://$host/counts" | jq -e '.ranges == [range(0; .layer; 300)]'
	"$strata" fsck -q
}

@test "push into another repository of the same registry takes over what is there" {
	registry
	insecure
	small_image
	"$strata" push -q small "$host/a:1"
	"$strata" tag small "$host/a:1"
	"$strata" push "$host/a:1" "$host/b:1" 2>"$work/out"
	grep -c "taken over" "$work/out"
	run ! grep uploaded "$work/out"
	export STRATA_ROOT=$work/second
	"$strata" pull -q "$host/b:1"
	# One that has it no more: uploaded after all.
	export STRATA_ROOT=$work/store
	"$strata" tag small "$host/none:1"
	"$strata" push "$host/none:1" "$host/c:1" 2>"$work/out"
	[ "$(grep -c uploaded "$work/out")" = 2 ]
}

@test "a hostile registry is refused with one line, and nothing is left behind" {
	fake_registry
	fails 125 "over 4194304 bytes" "$strata" pull -q "$host/huge"
	fails 125 "redirects" "$strata" pull -q "$host/loop"
	fails 125 "Unsupported protocol" "$strata" pull -q "$host/file"
	fails 125 'text/evil\x1b[31m' "$strata" pull -q "$host/media"
	fails 125 "digest mismatch" "$strata" pull -q "$host/cyclic"
	fails 125 "Unsupported protocol" "$strata" pull -q "$host/realm"
	fails 125 "its token is none" "$strata" pull -q "$host/inject"
	fails 125 'evil\x0aline' "$strata" pull -q "$host/error"
	fails 125 "digest mismatch" "$strata" pull -q "$host/wrong"
	fails 125 "more than the 1000 bytes" "$strata" pull -q "$host/long"
	fails 125 "500 bytes came" "$strata" pull -q "$host/short"
	fails 125 "not a tar header" "$strata" pull -q "$host/notar"
	fails 125 "a blob of 1099511627776 bytes; the bound is 68719476736" "$strata" pull -q "$host/giant"
	fails 125 "a blob of 1000 bytes; the bound is 999" env STRATA_BOUNDS=bytes=999 "$strata" pull -q "$host/notar"
	# By its media types, before anything is asked for that they name.
	fails 125 "rootfs.foreign.diff.tar.gzip\" is of a foreign layer" "$strata" pull -q "$host/foreign"
	fails 125 'its config is of the media type "application/vnd.oci.chart.config.v1+json": no image' "$strata" pull -q "$host/chart"
	curl -sf "http://$host/counts" | jq -e '[.asked[] | select(. == "foreign" or . == "chart" or . == "urls")] == []'
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
		had=$(stat -c %s "$STRATA_ROOT"/partial/[0-9a-f]* 2>/dev/null) && [ "${had:-0}" -gt 1000000 ] && break
		sleep 0.01
	done
	kill -9 "$pull"
	wait "$pull" || true
	had=$(stat -c %s "$STRATA_ROOT"/partial/[0-9a-f]*)
	[ "$had" -lt "$size" ]
	"$strata" pull -q "$host/s:1"
	grep -w 206 "$work/registry.log" | grep -w "$((size - had))"
	"$strata" fsck
}

# What is drawn on a terminal; a pseudo-terminal by script(1), which has its standard input.
on_terminal() {
	script -qec "$(printf '%q ' "$@")" /dev/null </dev/null | tr '\r' '\n' >"$work/screen"
}

@test "progress: bars on a terminal when it takes long, plain lines elsewhere, nothing with --quiet" {
	need script
	fake_registry
	"$strata" pull "$host/busy" >/dev/null 2>"$work/err"
	grep -xE '[0-9a-f]{12}: downloaded, [0-9.]+ ?k?B' "$work/err"
	[ "$(wc -l <"$work/err")" = 1 ]
	"$strata" pull "$host/busy" >/dev/null 2>"$work/err"
	grep -E ': already there, ' "$work/err"
	"$strata" pull -q "$host/busy" >/dev/null 2>"$work/err"
	[ ! -s "$work/err" ]
	"$strata" rmi "$host/busy"
	on_terminal "$strata" pull "$host/slow"
	grep -E '^[^a-z]*[0-9a-f]{12}: \[=+> *\] [0-9.]+ ?k?B/[0-9.]+ ?k?B' "$work/screen"
	grep -E '^[^a-z]*[0-9a-f]{12}: \[=+> *\] .*  [0-9.]+ ?k?B/s  [0-9]+s' "$work/screen"
	grep -E '[0-9a-f]{12}: downloaded, ' "$work/screen"
}

@test "a layer is unpacked while the rest of it is still to come" {
	fake_registry
	"$strata" pull -q "$host/gate" &
	pull=$!
	first=$(python3 -c 'import hashlib; print(hashlib.sha256(hashlib.shake_256(b"first").digest(400000)).hexdigest())')
	found=
	for _ in $(seq 300); do
		found=$(compgen -G "$STRATA_ROOT/tmp/*/objects/$first") && break
		sleep 0.1
	done
	[ -z "$(ls "$STRATA_ROOT/layers")" ]
	touch "$work/host.open"
	wait "$pull"
	[ "$found" ]
	"$strata" fsck -q
	[ -z "$(find "$STRATA_ROOT/partial" "$STRATA_ROOT/tmp" -mindepth 1)" ]
}

@test "a download that begins again with other bytes: what was unpacked of the first is forgotten" {
	fake_registry
	"$strata" pull -q "$host/restart"
	curl -sf "http://$host/counts" | jq -e '.ranges == [0, 300000]'
	"$strata" fsck -q
	[ -z "$(find "$STRATA_ROOT/partial" "$STRATA_ROOT/tmp" -mindepth 1)" ]
	# What was made of the first is garbage.
	"$strata" gc -q
	other=$(python3 -c 'import hashlib; print(hashlib.sha256(hashlib.shake_256(b"other").digest(400000)).hexdigest())')
	[ ! -e "$STRATA_ROOT/objects/${other:0:2}/$other" ]
}

@test "a connection that breaks behind the last byte of a layer: it is whole" {
	fake_registry
	"$strata" pull -q "$host/more"
	curl -sf "http://$host/counts" | jq -e '.ranges == [0]'
	"$strata" fsck -q
}

@test "a layer that cannot be had ends the attempts at the others" {
	fake_registry
	fails 125 "not found" "$strata" pull -q "$host/half"
	curl -sf "http://$host/counts" | jq -e '.refused < 3'
}

@test "a download that begins again after bytes that are no layer: what came in the end counts" {
	fake_registry
	"$strata" pull -q "$host/rubbish"
	curl -sf "http://$host/counts" | jq -e '.ranges == [0, 300000]'
	"$strata" fsck -q
	[ -z "$(find "$STRATA_ROOT/partial" "$STRATA_ROOT/tmp" -mindepth 1)" ]
}

@test "a mirror that fails is passed over with one line" {
	registry
	small_image
	echo "{\"registries\":{\"docker.io\":{\"mirrors\":[\"$host\"]},\"$host\":{\"insecure\":true,
		\"mirrors\":[\"$host.invalid\"]}}}" >"$STRATA_CONFIG"
	"$strata" push -q small "$host/s:1"
	"$strata" pull -q "$host/s:1" 2>"$work/err"
	[ "$(wc -l <"$work/err")" = 1 ]
	grep -F "mirror $host.invalid of $host passed over: $host.invalid: " "$work/err"
}

@test "slow and silent registries are given up, each with its reason" {
	fake_registry
	full=127.0.0.1:$(curl -sf "http://$host/counts" | jq .full)
	insecure '"connect":1,"silence":1,"attempts":1'
	fails 125 "silent or slow: less than 1024 bytes/s for 1 s" "$strata" pull -q "$host/silent"
	fails 125 "silent or slow" "$strata" pull -q "$host/stall"
	fails 125 "silent or slow" "$strata" pull -q "$host/drip"
	fails 125 "headers of over 262144 bytes" "$strata" pull -q "$host/flood"
	fails 125 "$full: no connection within 1 s" "$strata" pull -q "$full/x"
	for bad in '"silence":0' '"attempts":"x"' '"connect":1.5' '"connect":601'; do
		insecure "$bad"
		fails 125 "must be a number from 1 to" "$strata" pull -q "$host/silent"
	done
}

# An image `large` with a layer of just over 40 MB, its largest blob.
large_image() {
	mkdir -p "$work/large"
	head -c 40000000 /dev/urandom >"$work/large/noise"
	"$strata" import -q "$work/large" large
	size=$("$strata" inspect large | jq '[.[0].layers[].size] | max')
}

@test "a large blob is pushed in chunks, and goes on where a broken one ended" {
	registry
	insecure
	large_image
	pushed=$("$strata" push -q large "$host/l:1")
	[ "$(grep 'http.request.method=PATCH' "$work/registry.log" | grep -c 'response completed')" = 3 ]
	STRATA_ROOT=$work/second "$strata" pull -q "$host/l@$pushed"
	STRATA_ROOT=$work/second "$strata" fsck -q
}

@test "a chunk that breaks off, is out of place, or is forgotten: only what is missing is sent again" {
	chunk=$((16 << 20))
	large_image
	for what in "chunks [0, $chunk, $((chunk + (2 << 20))), $((2 * chunk + (2 << 20)))]" \
		"wrong-place [0, $chunk, $((3 << 20)), $(((3 << 20) + chunk)), $(((3 << 20) + 2 * chunk))]" \
		"forgets [0, $chunk, 0, $chunk, $((2 * chunk))]" "big-chunks [0, $((20 << 20))]"; do
		fake_registry
		"$strata" push -q large "$host/${what%% *}:1"
		echo "$what: $(curl -sf "http://$host/counts" | jq -c .patches)"
		curl -sf "http://$host/counts" | jq -e ".patches == ${what#* }"
		kill "$(cat "$work/registry.pid")"
	done
	fake_registry
	fails 125 "counts other bytes than were sent" "$strata" push -q large "$host/miscounts:1"
	fails 125 "forgets uploads" "$strata" push -q large "$host/amnesia:1"
	fails 125 "chunks of at least 2147483648 bytes" "$strata" push -q large "$host/huge-chunks:1"
}

# put_blob REPO FILE: prints its digest.
put_blob() {
	local digest location
	digest=sha256:$(sha256sum <"$2" | cut -d' ' -f1)
	location=$(curl -sf -D - -o /dev/null -X POST "http://$host/v2/$1/blobs/uploads/" | tr -d '\r' |
		sed -n 's/^Location: //Ip')
	curl -sf -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$2" "$location&digest=$digest"
	echo "$digest"
}

# sign REPO DIGEST KEY [IDENTITY] [SIGNED DIGEST]: a signature as cosign makes it, by openssl alone.
sign() {
	local repo=$1 digest=$2 key=$3 identity=${4-$host/$1} signed=${5-$2}
	jq -nc --arg i "$identity" --arg d "$signed" '{critical: {identity: {"docker-reference": $i},
		image: {"docker-manifest-digest": $d}, type: "cosign container image signature"}, optional: null}' >"$work/payload"
	if [[ $key == *ed25519* ]]; then
		openssl pkeyutl -sign -inkey "$key" -rawin -in "$work/payload" -out "$work/raw"
	else
		openssl dgst -sha256 -sign "$key" -out "$work/raw" "$work/payload"
	fi
	echo '{}' >"$work/config"
	jq -nc --arg p "$(put_blob "$repo" "$work/payload")" --argjson ps "$(stat -c %s "$work/payload")" \
		--arg c "$(put_blob "$repo" "$work/config")" --arg s "$(base64 -w0 "$work/raw")" '{schemaVersion: 2,
		mediaType: "application/vnd.oci.image.manifest.v1+json",
		config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $c, size: 3},
		layers: [{mediaType: "application/vnd.dev.cosign.simplesigning.v1+json", digest: $p, size: $ps,
			annotations: {"dev.cosignproject.cosign/signature": $s}}]}' >"$work/signatures"
	curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$work/signatures" \
		"http://$host/v2/$repo/manifests/${digest/:/-}.sig"
}

# policy RULE [RULE FOR THE REPOSITORY s]
policy() {
	echo "{\"registries\":{\"$host\":{\"insecure\":true,\"policy\":$1}${2:+,\"$host/s\":{\"policy\":$2\}}}}" >"$STRATA_CONFIG"
}

@test "policy: refuse, or a signature by a given key; wrong key, digest, name, none: refused with one line" {
	registry
	insecure
	multi_image
	for kind in 'ec -pkeyopt ec_paramgen_curve:P-256' rsa ed25519; do
		# shellcheck disable=SC2086
		openssl genpkey -algorithm $kind -out "$work/${kind%% *}.key" 2>/dev/null
		openssl pkey -in "$work/${kind%% *}.key" -pubout -out "$work/${kind%% *}.pub"
	done
	openssl genpkey -algorithm rsa -out "$work/other.key" 2>/dev/null
	digest=$("$strata" push -q small "$host/s:1")
	pull() { "$strata" pull -q "$host/s:1"; }
	policy '"refuse"'
	fails 125 "$host/s:1: refused by $STRATA_CONFIG" pull
	policy '"refuse"' '"accept"'
	pull
	policy "{\"keys\":[\"$work/rsa.pub\"]}"
	fails 125 "refused by $STRATA_CONFIG: it is not signed" pull
	for key in ec rsa ed25519; do
		sign s "$digest" "$work/$key.key"
		policy '"refuse"' "{\"keys\":[\"$work/ec.pub\",\"$work/rsa.pub\",\"$work/ed25519.pub\"]}"
		pull
		"$strata" pull -q "$host/s@$digest"
	done
	policy "{\"keys\":[\"$work/rsa.pub\"]}"
	sign s "$digest" "$work/other.key"
	fails 125 "not signed by a key of" pull
	sign s "$digest" "$work/rsa.key" "$host/other"
	fails 125 "the signature is for \"$host/other\"" pull
	sign s "$digest" "$work/rsa.key" "$host/s:2"
	fails 125 "the signature is for \"$host/s:2\"" pull
	sign s "$digest" "$work/rsa.key" "$host/s" "sha256:$(printf '%064d' 0)"
	fails 125 "for another digest" pull
	sign s "$digest" "$work/rsa.key" "$host/s:1"
	pull
	sed -i 's/signature":"..../signature":"!!!!/' "$work/signatures"
	curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$work/signatures" \
		"http://$host/v2/s/manifests/${digest/:/-}.sig"
	fails 125 "not signed by a key of" pull
	policy "{\"keys\":[\"$work/rsa.key\"]}"
	fails 125 "no public key in PEM" pull
	policy '{"keys":[]}'
	fails 125 '"policy" must be' pull
	policy '"signed"'
	fails 125 '"policy" must be' pull
	# An entry that says nothing we understand may be meant as one.
	for bad in '{"h.example":"refuse"}' '[{"h.example":{"policy":"refuse"}}]'; do
		echo "{\"registries\":$bad}" >"$STRATA_CONFIG"
		fails 125 'must have an object for each name' pull
	done
	# Host names have no case.
	echo '{"registries":{"h.example":{"policy":"refuse"}}}' >"$STRATA_CONFIG"
	fails 125 "H.Example/s:1: refused by $STRATA_CONFIG" "$strata" pull -q H.Example/s:1
	# However a registry is said: a rule of docker.io, and one of a host whose port goes without saying.
	for key in docker.io index.docker.io registry-1.docker.io:443; do
		echo "{\"registries\":{\"$key\":{\"policy\":\"refuse\"}}}" >"$STRATA_CONFIG"
		for name in s docker.io/s docker.io:443/s index.docker.io/library/s registry-1.docker.io/library/s \
			Registry-1.Docker.IO:443/library/s registry.hub.docker.com/library/s; do
			fails 125 "$name: refused by $STRATA_CONFIG" "$strata" pull -q "$name"
		done
	done
	echo '{"registries":{"docker.io/library":{"policy":"refuse"}},"policy":"accept"}' >"$STRATA_CONFIG"
	fails 125 "refused by $STRATA_CONFIG" "$strata" pull -q registry-1.docker.io/library/s
	echo '{"registries":{"h.example":{"policy":"refuse"}}}' >"$STRATA_CONFIG"
	fails 125 "h.example:443/s: refused by $STRATA_CONFIG" "$strata" pull -q h.example:443/s
	echo '{"registries":{"h.example:443":{"policy":"refuse"}}}' >"$STRATA_CONFIG"
	fails 125 "h.example/a/s: refused by $STRATA_CONFIG" "$strata" pull -q h.example/a/s
	# An entry without a rule hides no rule, and another port is another registry.
	echo '{"connect":1,"attempts":1,"registries":{"127.0.0.1:1":{},"127.0.0.1":{"policy":"refuse"},
		"127.0.0.1:443":{}}}' >"$STRATA_CONFIG"
	fails 125 "127.0.0.1:443/s: refused by $STRATA_CONFIG" "$strata" pull -q 127.0.0.1:443/s
	fails 125 "connect" "$strata" pull -q 127.0.0.1:1/s
	# A signature of the index is one of what it names.
	insecure
	skopeo copy -q --all --dest-tls-verify=false "oci:$work/amd64:multi:all" "docker://$host/multi:all"
	index=sha256:$(skopeo inspect --raw --tls-verify=false "docker://$host/multi:all" | sha256sum | cut -d' ' -f1)
	sign multi "$index" "$work/rsa.key"
	policy "{\"keys\":[\"$work/rsa.pub\"]}"
	"$strata" pull -q "$host/multi:all"
	"$strata" pull -q --platform arm64 "$host/multi:all"
	fails 125 "it is not signed" "$strata" pull -q "$host/multi@$digest"
	sign multi "$digest" "$work/rsa.key"
	"$strata" pull -q "$host/multi@$digest"
	"$strata" fsck -q
}

# damage FILE...: a byte of each is another one.
damage() {
	local f
	for f; do
		chmod u+w "$f" && printf '\377' | dd of="$f" bs=1 seek=40 conv=notrunc status=none
	done
}

@test "fsck --repair pulls again what nothing here gives back, from where the image came" {
	registry
	insecure
	small_image
	"$strata" push -q small "$host/a/small:1"
	skopeo copy -q --src-tls-verify=false --dest-tls-verify=false --dest-compress-format zstd \
		"docker://$host/a/small:1" "docker://$host/b/small:1"
	export STRATA_ROOT=$work/second
	manifest=$("$strata" pull -q "$host/b/small:1" | cut -d: -f2)
	"$strata" tag "$host/b/small:1" mine
	"$strata" rmi "$host/b/small:1"
	blobs=$STRATA_ROOT/blobs/sha256
	layer=$blobs/$("$strata" inspect mine | jq -r '.[0].layers[0].digest' | cut -d: -f2)
	config=$blobs/$(jq -r .config.digest "$blobs/$manifest" | cut -d: -f2)
	whole=$(sha256sum "$layer" "$config" "$blobs/$manifest" "$STRATA_ROOT"/layers/*/*)

	repaired() { # TEXT...
		local text
		run "$strata" fsck --repair
		echo "$output"
		[ "$status" = 0 ]
		for text; do
			[[ $output == *"$text"* ]]
		done
		"$strata" fsck -q
		[ "$(sha256sum "$layer" "$config" "$blobs/$manifest" "$STRATA_ROOT"/layers/*/*)" = "$whole" ]
	}
	# Of other bytes than ours would compress to: no frame gives them.
	damage "$layer"
	repaired "blob sha256:${layer##*/}: pulled again from $host/b/small"
	# Neither blob nor frame.
	damage "$layer" "$STRATA_ROOT"/layers/*/{frame,index}
	repaired "pulled again from $host/b/small" "made again of its blob"
	rm "$blobs/$manifest"
	repaired "manifest sha256:$manifest: pulled again"
	damage "$blobs/$manifest" "$config"
	rm "$layer"
	repaired "manifest sha256:$manifest: pulled again" "blob sha256:${config##*/}: pulled again"
	[ "$("$strata" run --rm mine echo yes)" = yes ]
	# A registry whose own copy is damaged; and a pull's download of that blob, which is not repair's to take away.
	cp -p "$layer" "$work/layer"
	damage "$layer" "$work/registry/docker/registry/v2/blobs/sha256/"*"/${layer##*/}/data"
	echo begun >"$STRATA_ROOT/partial/${layer##*/}"
	run "$strata" fsck --repair
	echo "$output"
	[[ $output == *"not to be had from $host/b/small: blob sha256:"*": digest mismatch"* ]]
	[ "$(cat "$STRATA_ROOT/partial/${layer##*/}")" = begun ]
	rm "$STRATA_ROOT/partial/${layer##*/}" "$STRATA_ROOT/dropped/${layer##*/}"
	cp -p "$work/layer" "$layer"
	"$strata" fsck -q
	# Without the registry: as if it had come from nowhere, and why.
	kill "$(cat "$work/registry.pid")"
	insecure '"attempts":1'
	damage "$layer" "$STRATA_ROOT"/layers/*/frame
	run "$strata" fsck --repair
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *"blob sha256:${layer##*/}: not to be had from $host/b/small: "* ]]
	[[ $output == *"missing (image mine:latest)"* ]]
	[ -z "$(find "$STRATA_ROOT/partial" "$STRATA_ROOT/tmp" -mindepth 1)" ]
}

@test "run --pull: missing, always; what the pull cannot, the run says in one line" {
	registry
	insecure
	small_image
	"$strata" push -q small "$host/s:1"
	export STRATA_ROOT=$work/second
	fails 125 "no image" "$strata" run --rm "$host/s:1" true
	[ "$("$strata" run --rm --pull missing "$host/s:1" echo first 2>/dev/null)" = first ]
	echo changed >"$work/rootfs/etc/greeting"
	STRATA_ROOT=$work/store "$strata" import -q "$work/rootfs" small
	STRATA_ROOT=$work/store "$strata" push -q small "$host/s:1"
	[ "$("$strata" run --rm --pull missing "$host/s:1" cat /etc/greeting)" = hello ]
	[ "$("$strata" run --rm --pull always "$host/s:1" cat /etc/greeting 2>/dev/null)" = changed ]
	fails 125 "not found" "$strata" run --rm --pull missing "$host/s:none" true
	fails 125 "for linux/arm64" "$strata" run --rm --pull always --platform linux/arm64 "$host/s:1" true
	fails 125 "must be never, missing, always or lazy" "$strata" run --rm --pull maybe "$host/s:1" true
}

@test "a pull without room: one line, and its downloads are not kept" {
	fake_registry
	mkdir "$work/small"
	mount -t tmpfs -o size=12m strata-test "$work/small"
	export STRATA_ROOT=$work/small/store
	fails 125 "$STRATA_ROOT: no space left: \`strata gc\` frees" "$strata" pull -q "$host/kills"
	left=$(find "$STRATA_ROOT"/{partial,tmp,blobs,objects,layers} -type f)
	"$strata" pull -q "$host/busy"
	"$strata" fsck -q
	umount "$work/small"
	[ -z "$left" ]
}

@test "pull --drop-blobs: pushed again it is the same layer, and the same image where we compressed it" {
	registry
	insecure
	small_image
	pushed=$("$strata" push -q small "$host/small:1")
	export STRATA_ROOT=$work/second
	"$strata" pull -q --drop-blobs "$host/small:1"
	[ -z "$(find "$STRATA_ROOT/blobs" -size +100k)" ]
	"$strata" fsck -q
	[ "$("$strata" push -q "$host/small:1" "$host/small:2")" = "$pushed" ]
	# Compressed by another: another manifest, of the same layer.
	skopeo copy -q --src-tls-verify=false --dest-tls-verify=false --dest-compress-format zstd \
		"docker://$host/small:1" "docker://$host/zstd:1"
	"$strata" pull -q --drop-blobs "$host/zstd:1"
	"$strata" push -q "$host/zstd:1" "$host/zstd:2"
	[ "$(skopeo inspect --config --tls-verify=false "docker://$host/zstd:1" | jq -c .rootfs)" = \
		"$(skopeo inspect --config --tls-verify=false "docker://$host/zstd:2" | jq -c .rootfs)" ]
	"$strata" pull -q "$host/zstd:2"
	"$strata" fsck -q
	[ -z "$(find "$STRATA_ROOT/tmp" -mindepth 1)" ]
}

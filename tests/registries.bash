# shellcheck shell=bash
# Registries on loopback: Debian's docker-registry, and tests/fake_registry.py, which lies. After lib.bash.
# shellcheck disable=SC2154,SC2119,SC2120 # its variables; arguments come from *.bats

registries_setup() {
	export STRATA_CONFIG=$work/registries.json REGISTRY_AUTH_FILE=$work/auth.json
}

registries_end() {
	if [ -s "${work-}/registry.pid" ]; then
		kill "$(cat "$work/registry.pid")" 2>/dev/null || true
	fi
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

# insecure [MEMBERS OF THE FILE]
insecure() { echo "{${1:+$1,}\"registries\":{\"$host\":{\"insecure\":true}}}" >"$STRATA_CONFIG"; }

# tests/fake_registry.py at $host.
fake_registry() {
	rm -f "$work/host"
	python3 "$top/tests/fake_registry.py" "$work/host" 3>&- &
	echo $! >"$work/registry.pid"
	for _ in $(seq 100); do
		[ -s "$work/host" ] && break
		sleep 0.1
	done
	host=$(cat "$work/host")
	insecure
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_options.h"

#include "base/detach_keys.h"
#include "base/mem.h"

/* What the command line says, where the table of options can point at it. */
static struct run_asked asked = { .o = { .detach_keys = DETACH_KEYS } };

static const struct option_def detach_keys = {
	.name = "detach-keys",
	.kind = OPT_STR,
	.dst = &asked.o.detach_keys,
	.arg = "KEYS",
	.help = "typed on a terminal (-it), they leave it to itself (" DETACH_KEYS ")",
};

/* The one before the last is run's alone: who creates has no terminal to leave. */
static struct option_def options[] = {
	{ 0, "vm", OPT_FLAG, &asked.vm, NULL, "a microVM on KVM instead of a container" },
	{ 0, "rm", OPT_FLAG, &asked.o.rm, NULL,
	  "remove the instance and its top when it has ended" },
	{ 'i', "interactive", OPT_FLAG, &asked.o.interactive, NULL, "hand on standard input" },
	{ 't', "tty", OPT_FLAG, &asked.o.tty, NULL, "give the command a terminal" },
	{ 'd', "detach", OPT_FLAG, &asked.o.detach, NULL, "do not wait; print the instance's id" },
	{ 'e', "env", OPT_LIST, &asked.env, "NAME[=VALUE]",
	  "set in the environment (VALUE from ours without =)" },
	{ 0, "env-file", OPT_LIST, &asked.env_files, "FILE",
	  "lines of NAME[=VALUE], # for comments; -e wins over them" },
	{ 'l', "label", OPT_LIST, &asked.labels, "NAME[=VALUE]",
	  "kept with it, over the image's: ps has --filter label=" },
	{ 0, "label-file", OPT_LIST, &asked.label_files, "FILE", "lines of NAME[=VALUE]" },
	{ 'v', "volume", OPT_LIST, &asked.volumes, "SRC:DST[:ro]", "a host folder or file inside" },
	{ 0, "tmpfs", OPT_LIST, &asked.tmpfs, "DST[:OPTION,...]",
	  "an empty folder in memory: size=BYTES[kmg], mode=OCTAL, ro, exec, suid" },
	{ 0, "shm-size", OPT_STR, &asked.o.shm_size, "BYTES[kmg]",
	  "what /dev/shm may hold, 0 any (64m; a microVM: half its memory)" },
	{ 0, "disk", OPT_LIST, &asked.disks, "FILE[:/DST][:ro]",
	  "a raw file as a microVM's disk, /dev/vda...; its ext4 mounted at DST" },
	{ 0, "disk-rate", OPT_SIZE, &asked.o.disk_rate, "BYTES[kmg]",
	  "at most so much a second, read and written, of each disk" },
	{ 'w', "workdir", OPT_STR, &asked.o.workdir, "DIR", "working directory" },
	{ 'u', "user", OPT_STR, &asked.o.user, "USER[:GROUP]",
	  "by name or number, from the image's own passwd" },
	{ 0, "entrypoint", OPT_STR, &asked.o.entrypoint, "PROGRAM",
	  "in place of the image's entrypoint" },
	{ 'm', "memory", OPT_SIZE, &asked.o.limits.memory, "BYTES[kmg]",
	  "at most this much memory (a microVM: 512m)" },
	{ 0, "cpus", OPT_CPUS, &asked.o.limits.nano_cpus, "N",
	  "at most this many CPUs' time, e.g. 1.5" },
	{ 0, "vcpus", OPT_UINT, &asked.o.vcpus, "N", "virtual CPUs of a microVM (1)" },
	{ 0, "balloon", OPT_FLAG, &asked.o.balloon, NULL,
	  "what a microVM frees goes back to the host" },
	{ 0, "huge-pages", OPT_STR, &asked.o.huge_pages, "thp|hugetlb",
	  "a microVM's memory in pages of 2 MiB" },
	{ 0, "dax", OPT_SIZE, &asked.o.dax, "BYTES[kmg]",
	  "a window in which a microVM shares the host's cache of stored files" },
	{ 0, "vmm", OPT_STR, &asked.o.vmm, "auto|kvm|qemu",
	  "what a microVM runs on: KVM, or QEMU where that cannot (auto)" },
	{ 0, "cold", OPT_FLAG, &asked.o.cold, NULL,
	  "boot a microVM, in place of going on from one that has" },
	{ 0, "pids-limit", OPT_SIZE, &asked.o.limits.pids, "N", "at most this many processes" },
	{ 0, "io-rate", OPT_SIZE, &asked.o.limits.io_rate, "BYTES[kmg]",
	  "at most so much a second from and to the store's disk" },
	{ 0, "ulimit", OPT_LIST, &asked.ulimits, "NAME=SOFT[:HARD]",
	  "a limit of each of its processes, e.g. nofile=1024:4096; -1: none" },
	{ 0, "cap-add", OPT_LIST, &asked.cap_add, "NAME",
	  "a capability more than docker's set (a microVM has all), or ALL" },
	{ 0, "cap-drop", OPT_LIST, &asked.cap_drop, "NAME",
	  "a capability that its processes are not to have, or ALL" },
	{ 0, "storage-opt", OPT_LIST, &asked.storage, "size=BYTES[kmg]",
	  "what its top may hold: more is ENOSPC (a container: driver fuse)" },
	{ 0, "stop-signal", OPT_STR, &asked.o.stop_signal, "SIGNAL",
	  "what stop sends it, by number or name (the image's, or TERM)" },
	{ 0, "stop-timeout", OPT_STR, &asked.o.stop_timeout, "SECONDS",
	  "how long stop waits before SIGKILL (10)" },
	{ 0, "timeout", OPT_UINT, &asked.timeout, "SECONDS",
	  "kill it when it has run for so long (0: never)" },
	{ 0, "cidfile", OPT_STR, &asked.cidfile, "FILE", "a new file for the instance's id" },
	{ 0, "init", OPT_FLAG, &asked.o.init, NULL,
	  "a process 1 that reaps, before the command (a microVM has one always)" },
	{ 0, "name", OPT_STR, &asked.o.name, "NAME", "a name for the instance" },
	{ 0, "hostname", OPT_STR, &asked.o.hostname, "NAME", "its host name (the id)" },
	{ 0, "network", OPT_STR, &asked.o.network, "none|host|user|bridge",
	  "none (default): a loopback; user: the host's connections, by passt; bridge: NAT" },
	{ 0, "dns", OPT_LIST, &asked.dns, "ADDRESS", "a resolver in place of its network's" },
	{ 0, "dns-search", OPT_LIST, &asked.dns_search, "DOMAIN",
	  "where short names are looked for; . for nowhere" },
	{ 0, "dns-option", OPT_LIST, &asked.dns_options, "OPTION", "of resolv.conf(5)" },
	{ 0, "add-host", OPT_LIST, &asked.hosts, "NAME:ADDRESS",
	  "a line of its /etc/hosts; host-gateway is the host at the bridge" },
	{ 'p', "publish", OPT_LIST, &asked.ports, "[ADDR:]HOST:GUEST[/udp]",
	  "a port of the host's leads to one of the instance's; asks for a network" },
	{ 0, "net-rate", OPT_SIZE, &asked.o.net_rate, "BYTES[kmg]",
	  "at most so much a second, each way, over a microVM's network" },
	{ 0, "driver", OPT_STR, &asked.o.driver, "fuse|overlay|auto",
	  "who serves a container's root (auto)" },
	{ 0, "verify", OPT_STR, &asked.o.verify, "open|never",
	  "compare stored bytes with their digests when read first (open)" },
	{ 0, "read-only", OPT_FLAG, &asked.o.read_only, NULL, "no writable top" },
	{ 0, "platform", OPT_STR, &asked.o.platform, "OS/ARCH[/VARIANT]",
	  "refuse an image for another one; a foreign one needs binfmt_misc" },
	{ 0, "pull", OPT_STR, &asked.pull, "never|missing|always|lazy",
	  "take the image first (never); lazy: if missing, and begin while it arrives" },
	{ 0, "kernel", OPT_STR, &asked.o.kernel, "NAME|FILE",
	  "guest kernel of a microVM (STRATA_KERNEL, or what `kernel use` chose)" },
	{ 0, "trace-boot", OPT_FLAG, &asked.o.trace, NULL,
	  "a microVM's phases and exits, on stderr when it has ended" },
	{ 0 },
	{ 0 },
};

int run_options_parse(bool create, int argc, char **argv, struct run_asked **ret, int *ret_status)
{
	const struct usage u = {
		create ? "create" : "run",
		"[OPTIONS] IMAGE [COMMAND [ARGUMENT...]]",
		create ? "Makes an instance that `strata start` starts, and prints its id." :
			 "Runs a command in an image. Exit status: the command's; 125 strata\n"
			 "failed, 126 the command cannot be executed, 127 it is not there, 128+n\n"
			 "it died of signal n.",
		options,
		1,
		-1,
		true
	};

	if (!create)
		options[ARRAY_SIZE(options) - 2] = detach_keys;
	if (options_parse(&u, argc, argv, &argv, ret_status))
		return 1;
	asked.o.image = argv[0];
	asked.o.command = argv + 1;
	asked.o.env = asked.env;
	asked.o.env_files = asked.env_files;
	asked.o.labels = asked.labels;
	asked.o.label_files = asked.label_files;
	asked.o.dns = asked.dns;
	asked.o.dns_search = asked.dns_search;
	asked.o.dns_options = asked.dns_options;
	asked.o.hosts = asked.hosts;
	asked.o.volumes = asked.volumes;
	asked.o.tmpfs = asked.tmpfs;
	asked.o.ports = asked.ports;
	asked.o.disks = asked.disks;
	asked.o.ulimits = asked.ulimits;
	asked.o.cap_add = asked.cap_add;
	asked.o.cap_drop = asked.cap_drop;
	asked.o.storage = asked.storage;
	asked.o.timeout = asked.timeout;
	if (asked.vm)
		asked.o.kind = RUN_VM;
	*ret = &asked;
	return 0;
}

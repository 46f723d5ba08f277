/* SPDX-License-Identifier: Apache-2.0 */
/* strata run: starts an instance, and in the foreground stands for it until it has ended. */
#include "base/detach_keys.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/foreground.h"
#include "cli/run_pull.h"
#include <unistd.h>
#include <stdio.h>

static void tell_note(const struct engine *e)
{
	if (engine_note(e))
		fprintf(stderr, "strata: %s\n", engine_note(e));
}

static int foreground(struct engine *e, const struct run_options *o)
{
	_close_ int signals = foreground_signals();
	struct run run;
	int status, r = signals < 0 ? signals : engine_run(e, o, &run);

	if (r < 0)
		return cli_fail(r);
	tell_note(e);
	status = foreground_run(&run, signals, o->tty);
	run_done(&run);
	return status;
}

static int run_image(struct cli *c, struct run_options *o)
{
	struct detach_keys keys;
	struct run run;
	int status, r;

	if (detach_keys_parse(o->detach_keys, &keys) < 0)
		return cli_fail_text("run: --detach-keys cannot be %s", o->detach_keys);
	if (o->tty && !o->detach && (!isatty(0) || !isatty(1)))
		return cli_fail_text("run: -t needs a terminal as standard input and output");
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	if (!o->detach)
		return foreground(c->engine, o);
	r = engine_run(c->engine, o, &run);
	if (r < 0)
		return cli_fail(r);
	tell_note(c->engine);
	status = foreground_started(&run, inst_id(run.inst));
	run_done(&run);
	return status;
}

static int create_image(struct cli *c, struct run_options *o)
{
	char id[INST_ID_LEN + 1];
	int r;

	o->detach = true; /* nobody of its first days will be there to read what it prints */
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	r = engine_create(c->engine, o, id);
	if (r < 0)
		return cli_fail(r);
	tell_note(c->engine);
	printf("%s\n", id);
	return 0;
}

static int verb(struct cli *c, int argc, char **argv, bool create)
{
	struct run_options o = { .detach_keys = DETACH_KEYS };
	_strv_free_ char **env = NULL, **volumes = NULL, **ports = NULL, **disks = NULL;
	unsigned timeout = 0;
	const char *pull = NULL;
	bool vm = false;
	const struct option_def options[] = {
		{ 0, "vm", OPT_FLAG, &vm, NULL, "a microVM on KVM instead of a container" },
		{ 0, "rm", OPT_FLAG, &o.rm, NULL,
		  "remove the instance and its top when it has ended" },
		{ 'i', "interactive", OPT_FLAG, &o.interactive, NULL, "hand on standard input" },
		{ 't', "tty", OPT_FLAG, &o.tty, NULL, "give the command a terminal" },
		{ 'd', "detach", OPT_FLAG, &o.detach, NULL,
		  "do not wait; print the instance's id" },
		{ 'e', "env", OPT_LIST, &env, "NAME[=VALUE]",
		  "set in the environment (VALUE from ours without =)" },
		{ 'v', "volume", OPT_LIST, &volumes, "SRC:DST[:ro]",
		  "a host folder or file inside" },
		{ 0, "disk", OPT_LIST, &disks, "FILE[:/DST][:ro]",
		  "a raw file as a microVM's disk, /dev/vda...; its ext4 mounted at DST" },
		{ 0, "disk-rate", OPT_SIZE, &o.disk_rate, "BYTES[kmg]",
		  "at most so much a second, read and written, of each disk" },
		{ 'w', "workdir", OPT_STR, &o.workdir, "DIR", "working directory" },
		{ 'u', "user", OPT_STR, &o.user, "USER[:GROUP]",
		  "by name or number, from the image's own passwd" },
		{ 0, "entrypoint", OPT_STR, &o.entrypoint, "PROGRAM",
		  "in place of the image's entrypoint" },
		{ 'm', "memory", OPT_SIZE, &o.limits.memory, "BYTES[kmg]",
		  "at most this much memory (a microVM: 512m)" },
		{ 0, "cpus", OPT_CPUS, &o.limits.nano_cpus, "N",
		  "at most this many CPUs' time, e.g. 1.5" },
		{ 0, "vcpus", OPT_UINT, &o.vcpus, "N", "virtual CPUs of a microVM (1)" },
		{ 0, "balloon", OPT_FLAG, &o.balloon, NULL,
		  "what a microVM frees goes back to the host" },
		{ 0, "dax", OPT_SIZE, &o.dax, "BYTES[kmg]",
		  "a window in which a microVM shares the host's cache of stored files" },
		{ 0, "vmm", OPT_STR, &o.vmm, "auto|kvm|qemu",
		  "what a microVM runs on: KVM, or QEMU where that cannot (auto)" },
		{ 0, "cold", OPT_FLAG, &o.cold, NULL,
		  "boot a microVM, in place of going on from one that has" },
		{ 0, "pids-limit", OPT_SIZE, &o.limits.pids, "N", "at most this many processes" },
		{ 0, "timeout", OPT_UINT, &timeout, "SECONDS",
		  "kill it when it has run for so long (0: never)" },
		{ 0, "name", OPT_STR, &o.name, "NAME", "a name for the instance" },
		{ 0, "hostname", OPT_STR, &o.hostname, "NAME", "its host name (the id)" },
		{ 0, "network", OPT_STR, &o.network, "none|host|user",
		  "none (default): a loopback of its own; user: a microVM's, by passt" },
		{ 'p', "publish", OPT_LIST, &ports, "[ADDR:]HOST:GUEST[/udp]",
		  "a port of the host's leads to one of the microVM's" },
		{ 0, "net-rate", OPT_SIZE, &o.net_rate, "BYTES[kmg]",
		  "at most so much a second, each way, over a microVM's network" },
		{ 0, "driver", OPT_STR, &o.driver, "fuse|overlay|auto",
		  "who serves a container's root (auto)" },
		{ 0, "verify", OPT_STR, &o.verify, "open|never",
		  "compare stored bytes with their digests when read first (open)" },
		{ 0, "read-only", OPT_FLAG, &o.read_only, NULL, "no writable top" },
		{ 0, "platform", OPT_STR, &o.platform, "OS/ARCH[/VARIANT]",
		  "refuse an image for another one; a foreign one needs binfmt_misc" },
		{ 0, "pull", OPT_STR, &pull, "never|missing|always|lazy",
		  "take the image first (never); lazy: if missing, and begin while it arrives" },
		{ 0, "kernel", OPT_STR, &o.kernel, "NAME|FILE",
		  "guest kernel of a microVM (STRATA_KERNEL, or what `kernel use` chose)" },
		{ 0, "trace-boot", OPT_FLAG, &o.trace, NULL,
		  "a microVM's phases and exits, on stderr when it has ended" },
		/* Last: who creates has no terminal to leave. */
		{ 0, create ? NULL : "detach-keys", OPT_STR, &o.detach_keys, "KEYS",
		  "typed on a terminal (-it), they leave it to itself (" DETACH_KEYS ")" },
		{ 0 },
	};
	const struct usage u = {
		create ? "create" : "run",
		"[OPTIONS] IMAGE [COMMAND [ARGUMENT...]]",
		create ?
			"Makes an instance that `strata start` starts, and prints its id." :
			"Runs a command in an image. Exit status: the command's; 125 strata\n"
			"failed, 126 the command cannot be executed, 127 it is not there, 128+n\n"
			"it died of signal n.",
		options,
		1,
		-1,
		true
	};
	int status;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	o.image = argv[0];
	o.command = argv + 1;
	o.env = env;
	o.volumes = volumes;
	o.ports = ports;
	o.disks = disks;
	o.timeout = timeout;
	if (vm)
		o.kind = RUN_VM;
	if (!cli_engine(c, STORE_CREATE) || run_pull(c, &o, pull))
		return EXIT_ERROR;
	return create ? create_image(c, &o) : run_image(c, &o);
}

int verb_run(struct cli *c, int argc, char **argv)
{
	return verb(c, argc, argv, false);
}

int verb_create(struct cli *c, int argc, char **argv)
{
	return verb(c, argc, argv, true);
}

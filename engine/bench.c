/* SPDX-License-Identifier: Apache-2.0 */
/* bench startup: the same command in the same image, each way in turn, timed from outside. */
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "engine/engine_.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

struct bench_mode {
	const char *name;
	enum run_kind kind;
	const char *driver;
	bool cold;
	bool unusable;
};

static uint64_t usage_ns(int who)
{
	struct rusage u;

	getrusage(who, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000ull +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000ull;
}

static uint64_t cpu_ns(void)
{
	return usage_ns(RUSAGE_SELF) + usage_ns(RUSAGE_CHILDREN);
}

/* The supervisor is our child; its own children are in its account once it has waited for them. */
static void reap_supervisor(void)
{
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static int take_samples(struct run *run, uint64_t begin, struct bench_sample *s)
{
	struct run_report report;
	uint64_t started = begin, exited;
	int r;

	for (;;) {
		r = run_next(run, &report);
		if (r <= 0)
			return r < 0 ? r : err(-EIO, "%s: the supervisor was killed", s->mode);
		if (report.kind == RUN_FAILED)
			return err(report.code, "%s: %s", s->mode, report.text);
		if (report.kind == RUN_EXITED)
			break;
		started = clock_ns();
	}
	exited = clock_ns();
	if (report.code != 0)
		return err(-EIO, "%s: the command ended with %d", s->mode, report.code);
	while (run_next(run, &report) > 0)
		;
	reap_supervisor();
	s->start_ns = started - begin;
	s->run_ns = exited - started;
	s->cleanup_ns = clock_ns() - exited;
	return 0;
}

static int run_once(struct engine *e, const struct bench_mode *m, const char *image,
		    char *const *command, struct bench_sample *ret)
{
	struct run_options o = { .kind = m->kind,
				 .image = image,
				 .command = command,
				 .driver = m->driver,
				 .vmm = m->kind == RUN_VM ? "kvm" : NULL,
				 .cold = m->cold,
				 .detach = true };
	uint64_t cpu = cpu_ns(), begin = clock_ns();
	_free_ char *id = NULL, *why = NULL;
	struct run run;
	int removed = 0, r = engine_run(e, &o, &run);

	*ret = (struct bench_sample){ .mode = m->name };
	if (r < 0)
		return r;
	id = strdup(inst_id(run.inst));
	r = take_samples(&run, begin, ret);
	/* The removal has failures of its own to handle, and forgets the text that waits then. */
	if (r < 0)
		why = strdup(err_take(r));
	run_done(&run);
	begin = clock_ns();
	if (id)
		removed = engine_rm(e, id, true, -1);
	ret->remove_ns = clock_ns() - begin;
	if (r < 0) {
		err_clear();
		r = err(r, "%s", why ? why : strerror(-r));
	} else if (removed < 0) {
		r = removed;
	}
	ret->cpu_ns = cpu_ns() - cpu;
	return r;
}

int engine_bench_startup(struct engine *e, const char *image, unsigned n, char *const *command,
			 int (*fn)(void *ctx, const struct bench_sample *s),
			 void (*skipped)(void *ctx, const char *line), void *ctx)
{
	struct bench_mode modes[] = {
		{ .name = "container/fuse", .kind = RUN_CONTAINER, .driver = "fuse" },
		{ .name = "container/overlay", .kind = RUN_CONTAINER, .driver = "overlay" },
		{ .name = "vm-cold", .kind = RUN_VM, .cold = true },
		{ .name = "vm-warm", .kind = RUN_VM },
	};
	_cleanup_(image_closep) struct image *known = NULL;
	struct bench_sample s;
	unsigned usable = 0;
	int found = image_open(e->store, image, &known);

	if (found < 0)
		return found;

	/* A round that does not count warms the caches and shows what cannot run here. */
	for (unsigned m = 0; m < ARRAY_SIZE(modes); m++) {
		int r = run_once(e, &modes[m], image, command, &s);

		modes[m].unusable = r < 0;
		usable += r == 0;
		if (r < 0) {
			const char *why = err_take(r);
			_free_ char *line = str_after(why, modes[m].name) ?
						    strdup(why) :
						    str_fmt("%s: %s", modes[m].name, why);

			skipped(ctx, line ? line : modes[m].name);
		}
	}
	if (!usable)
		return err(-EOPNOTSUPP, "no mode can run %s here", image);
	for (unsigned i = 0; i < n; i++) {
		for (unsigned m = 0; m < ARRAY_SIZE(modes); m++) {
			int r = modes[m].unusable ? 0 : run_once(e, &modes[m], image, command, &s);

			if (r == 0 && !modes[m].unusable)
				r = fn(ctx, &s);
			if (r != 0)
				return r;
		}
	}
	return 0;
}

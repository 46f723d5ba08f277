/* SPDX-License-Identifier: Apache-2.0 */
/* What a start costs, each way in turn. Part of engine/engine.h. */
#ifndef ENGINE_BENCH_H
#define ENGINE_BENCH_H

#include <stdint.h>

struct engine;

struct bench_sample {
	const char *mode;    /* "container/fuse", "container/overlay", "vm" */
	uint64_t start_ns;   /* from the request to the command running */
	uint64_t run_ns;     /* to its exit */
	uint64_t cleanup_ns; /* to the supervisor gone */
	uint64_t remove_ns;  /* instance and snapshot removed */
	uint64_t cpu_ns;     /* user and system time of all our processes */
};
/*
 * @n rounds, each running every usable mode once, in turn, after one that does not count; modes
 * that cannot run here go to @skipped with the reason.
 */
int engine_bench_startup(struct engine *e, const char *image, unsigned n, char *const *command,
			 int (*fn)(void *ctx, const struct bench_sample *s),
			 void (*skipped)(void *ctx, const char *line), void *ctx);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* fsck: what the store checks, and the machines that stand in it, whose form it does not know. */
#include "base/err.h"
#include "base/fd.h"
#include "engine/checkpoint.h"
#include "engine/engine_.h"
#include <stdarg.h>
#include <stdio.h>

struct checking {
	struct store *s;
	bool repair;
	void (*fn)(void *ctx, const char *line);
	void *ctx;
	struct fsck_result *result;
};

__attribute__((format(printf, 2, 3))) static void tell(const struct checking *c, const char *fmt,
						       ...)
{
	char line[ERR_TEXT_MAX + 128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	c->fn(c->ctx, line);
}

/* Why the machine in the file is damaged: false when it is not, or of another version. */
static bool is_damaged(const struct checking *c, int fd, char why[ERR_TEXT_MAX])
{
	int r = vm_snapshot_check(fd);

	c->result->checked++;
	if (r >= 0 || r == -ESTALE) {
		err_clear();
		return false;
	}
	snprintf(why, ERR_TEXT_MAX, "%s", err_take(r));
	return true;
}

/* A cache: it goes, as a merged index that is damaged. */
static int check_machine(void *ctx, const struct digest *key)
{
	const struct checking *c = ctx;
	_close_ int fd = machine_open(c->s, key);
	char why[ERR_TEXT_MAX];

	if (fd < 0 || !is_damaged(c, fd, why)) {
		err_clear();
		return 0;
	}
	tell(c, "machine %.12s: %s: dropped, the next microVM makes another", digest_hex(key).s,
	     why);
	c->result->damaged += c->repair ? 0 : 1;
	return machine_remove(c->s, key);
}

/* 1: it is gone, since its instance does not run. */
static int drop_checkpoint(const struct checking *c, const char *id)
{
	_close_ int lock = -1, upper = -1, work = -1;

	if (!c->repair || snapshot_open(c->s, id, &lock, &upper, &work) < 0) {
		err_clear();
		return 0;
	}
	checkpoint_drop(c->s, id);
	return 1;
}

static int check_checkpoint(void *ctx, const char *id)
{
	const struct checking *c = ctx;
	_close_ int fd = checkpoint_look(c->s, id);
	char why[ERR_TEXT_MAX];

	if (fd < 0 || !is_damaged(c, fd, why)) {
		err_clear();
		return 0;
	}
	if (drop_checkpoint(c, id)) {
		tell(c, "checkpoint of %.12s: %s: dropped, `strata start` boots it", id, why);
		return 0;
	}
	tell(c, "checkpoint of %.12s: %s", id, why);
	c->result->damaged++;
	return 0;
}

int engine_fsck(struct engine *e, bool repair, void (*fn)(void *ctx, const char *line), void *ctx,
		struct fsck_result *ret)
{
	struct fsck_result result = { 0 };
	struct checking c = { e->store, repair, fn, ctx, &result };
	int r = (repair ? store_repair : store_fsck)(e->store, fn, ctx, &result);

	if (r >= 0)
		r = machine_each(e->store, check_machine, &c);
	if (r >= 0)
		r = snapshot_each(e->store, check_checkpoint, &c);
	if (r >= 0)
		*ret = result;
	return MIN(r, 0);
}

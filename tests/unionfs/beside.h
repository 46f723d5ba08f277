/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A union beside a plain tree, "plain" in the test's directory, to which the same was done: both
 * are to look the same.
 */
#ifndef TESTS_UNIONFS_BESIDE_H
#define TESTS_UNIONFS_BESIDE_H

#include "mounted.h"
#include "snapshot.h"
#include "tap.h"

/* Whether @folder ("" all) is the same in both; @tell: prints where it is not. */
static inline bool beside_same(const struct mounted *m, const char *folder, bool tell)
{
	char path[160], *plain, *now;
	bool same;

	snprintf(path, sizeof(path), "%s/%s", m->point, folder);
	now = snapshot(path, 0);
	snprintf(path, sizeof(path), "%s/plain/%s", m->dir, folder);
	plain = snapshot(path, 0);
	CHECK(now && plain);
	same = tell ? snapshot_same(now, plain) : strcmp(now, plain) == 0;
	free(now);
	free(plain);
	return same;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of cmocka have in common that ask a native top without a mount, each its own. */
#ifndef TESTS_UNIONFS_DIRECT_UNIT_H
#define TESTS_UNIONFS_DIRECT_UNIT_H

#include "tests/base/unit.h"

#include "direct.h"

static struct direct d;

static int begin(void **state)
{
	(void)state;
	return direct_make(&d);
}

static int end(void **state)
{
	(void)state;
	direct_end(&d);
	return 0;
}

/* Its marks are user.*: no privilege is needed. */
static inline void open_with(struct ufs_config cfg)
{
	cfg.upper = cfg.upper ? cfg.upper : UFS_UPPER_NATIVE;
	cfg.is_volatile = true;
	cfg.userxattr = true;
	assert_int_equal(direct_open(&d, &cfg), 0);
	assert_int_equal(direct_init(&d), 0);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* `--pull` of run and create: the image is taken from its registry first. */
#ifndef CLI_RUN_PULL_H
#define CLI_RUN_PULL_H

#include "cli/cli.h"

/*
 * @when: "never" or NULL, "missing", "always". 0, or EXIT_ERROR after an error that was printed.
 * The libraries for it are strata-image's, which is started and waited for.
 */
int run_pull(struct cli *c, const struct run_options *o, const char *when);

#endif

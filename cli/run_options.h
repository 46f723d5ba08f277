/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `strata run` and `strata create`. */
#ifndef CLI_RUN_OPTIONS_H
#define CLI_RUN_OPTIONS_H

#include "cli/cli.h"

struct run_asked {
	struct run_options o;
	char **env, **env_files, **labels, **label_files;
	char **dns, **dns_search, **dns_options, **hosts;
	char **volumes, **tmpfs, **ports, **disks, **ulimits, **cap_add, **cap_drop, **storage;
	unsigned timeout;
	const char *pull, *cidfile;
	bool vm;
};

/* As options_parse(); *@ret is static. */
int run_options_parse(bool create, int argc, char **argv, struct run_asked **ret, int *ret_status);

#endif

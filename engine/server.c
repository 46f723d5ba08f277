/* SPDX-License-Identifier: Apache-2.0 */
/* strata-server: serves one FUSE mount for its keeper, out of the descriptors that it was started
 * with. */
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/engine.h"
#include "engine/object.h"
#include "engine/rootfs.h"
#include "unionfs/unionfs.h"
#include <sys/prctl.h>

#define SERVER_THREADS_MAX 64

static int object_open(void *ctx, _unused_ uint64_t nid, const struct digest *digest)
{
	return object_openat(*(int *)ctx, digest);
}

/* native and synced when it is asked for, native and never synced, or none. */
static int parse_upper(const char *word, struct ufs_config *cfg)
{
	cfg->is_volatile = streq(word, "volatile");
	if (cfg->is_volatile || streq(word, "native"))
		cfg->upper = UFS_UPPER_NATIVE;
	else if (streq(word, "none"))
		cfg->upper = UFS_UPPER_NONE;
	else
		return err(-EINVAL, "upper '%s': must be native, volatile or none", word);
	return 0;
}

/* *@ready_fd is closed, and -1, once it serves. */
static int serve(const struct ufs_config *cfg, int nthreads, int *ready_fd)
{
	struct ufs_config own = *cfg;
	struct layer_index *index;
	struct ufs *u;
	int objects = SERVER_OBJECTS, *packs = NULL;
	struct ufs_lower lower = { .kind = UFS_LOWER_INDEX,
				   .fd = SERVER_INDEX,
				   .object_open = object_open,
				   .ctx = &objects };
	int r = layer_index_open(SERVER_INDEX, &index);

	if (r < 0)
		return r;
	lower.npacks = layer_index_ndevices(index);
	layer_index_close(index);
	packs = mem_new(lower.npacks, sizeof(*packs));
	if (!packs)
		return -ENOMEM;
	for (size_t i = 0; i < lower.npacks; i++)
		packs[i] = SERVER_PACKS + i;
	lower.packs = packs;
	own.lowers = &lower;
	own.nlowers = 1;
	r = ufs_new(&own, &u);
	free(packs);
	if (r < 0)
		return r;
	*ready_fd = fd_close(*ready_fd);
	r = ufs_fuse_serve(u, SERVER_FUSE, nthreads);
	ufs_free(u);
	return r;
}

int server_main(int argc, char **argv)
{
	struct ufs_config cfg = { .upper_fd = SERVER_UPPER, .work_fd = SERVER_WORK };
	uint64_t nthreads;
	int ready_fd = SERVER_READY, r;

	log_setup("strata-server", 2, LOG_INFO);
	if (argc != 3 || str_u64(argv[2], 1, SERVER_THREADS_MAX, &nthreads) < 0) {
		log_err("usage: strata-server native|volatile|none THREADS (started by strata-monitor)");
		return 2;
	}
	r = parse_upper(argv[1], &cfg);
	if (r >= 0)
		r = serve(&cfg, nthreads, &ready_fd);
	if (r < 0) {
		const char *why = err_take(r);

		log_err("%s", why);
		if (ready_fd >= 0)
			fd_write_full(ready_fd, why, strlen(why));
	}
	return r < 0;
}

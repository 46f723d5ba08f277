/* SPDX-License-Identifier: Apache-2.0 */
/* strata-server: keeps one FUSE mount and serves it, out of the descriptors that it was started
 * with: keeper.h. */
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "engine/arrival.h"
#include "engine/engine.h"
#include "engine/keeper.h"
#include "engine/layers.h"
#include "engine/rootfs.h"
#include "imagestore/imagestore.h"
#include "unionfs/unionfs.h"
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define SERVER_THREADS_MAX 64

struct server {
	struct ufs_config cfg;
	uid_t uid; /* whose the top is, when it is a microVM's; else 0 */
	int nthreads;
	int ready_fd; /* -1: who started us was told */
	/* of a stack that is still arriving; root NULL: all of it is here */
	const char *root;
	struct digest manifest;
	int arrival; /* the first of enum arrival_fd */
	struct arrival_reader *reader;
	struct ufs_arrivals arrivals;
};

/*
 * native and synced when it is asked for, native and never synced, none, or mapped:UID; for a mount
 * whose kernel checks nothing (POSIX ACLs would have it check) user, or user:none.
 */
static int parse_kind(const char *word, struct server *s)
{
	const char *digits = str_after(word, "mapped:");
	uint64_t uid;

	s->cfg.is_volatile = streq(word, "volatile");
	if (s->cfg.is_volatile || streq(word, "native")) {
		s->cfg.upper = UFS_UPPER_NATIVE;
	} else if (streq(word, "none")) {
		s->cfg.upper = UFS_UPPER_NONE;
	} else if (streq(word, "user") || streq(word, "user:none")) {
		s->cfg.upper = streq(word, "user") ? UFS_UPPER_MAPPED : UFS_UPPER_NONE;
		s->cfg.noacl = true;
	} else if (digits && str_u64(digits, 1, UINT32_MAX - 1, &uid) == 0) {
		s->cfg.upper = UFS_UPPER_MAPPED;
		s->uid = (uid_t)uid;
	} else {
		return -EINVAL;
	}
	return 0;
}

static int parse_option(const char *word, struct server *s)
{
	const char *size = str_after(word, "size=");

	if (size)
		return str_u64(size, 1, INT64_MAX, &s->cfg.size);
	if (!streq(word, "userxattr"))
		return -EINVAL;
	/* overlayfs, whose turn it may be next, then knows neither of these. */
	s->cfg.userxattr = true;
	s->cfg.metacopy = false;
	s->cfg.redirect = UFS_REDIRECT_FOLLOW;
	return 0;
}

/*
 * One of these, and behind it that its marks are user.overlay.*, and what the top may hold:
 * "native,userxattr,size=BYTES".
 */
static int parse_upper(const char *text, struct server *s)
{
	_free_ char *words = strdup(text);
	char *rest = words, *kind;
	int r = 0;

	if (!words)
		return -ENOMEM;
	kind = strsep(&rest, ",");
	while (r >= 0 && rest)
		r = parse_option(strsep(&rest, ","), s);
	return r < 0 ? r : parse_kind(kind, s);
}

/*
 * What the union makes is to be the microVM's own, as when its VMM serves it. The kernel takes the
 * capabilities over files with the uid; that to read and search comes back, for the store's
 * folders.
 */
static int become(uid_t uid)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];

	setfsgid(uid);
	setfsuid(uid);
	if (syscall(SYS_capget, &head, caps) < 0)
		return err_sys("capabilities");
	caps[0].effective |= caps[0].permitted & 1u << CAP_DAC_READ_SEARCH;
	return syscall(SYS_capset, &head, caps) < 0 ? err_sys("capabilities") : 0;
}

/* The stack's descriptors in @fds, which the caller frees, as a lower without its objects. */
static int find_lower(struct ufs_lower *ret, int **ret_fds)
{
	struct ufs_lower lower = { .kind = UFS_LOWER_INDEX, .fd = SERVER_INDEX };
	struct layer_index *index;
	size_t nfds;
	int *fds, r = layer_index_open(SERVER_INDEX, &index);

	if (r < 0)
		return r;
	lower.npacks = layer_index_ndevices(index);
	layer_index_close(index);
	nfds = 2 * lower.npacks + 1;
	fds = mem_new(nfds, sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	for (size_t i = 0; i < nfds; i++)
		fds[i] = SERVER_PACKS + i;
	lower.packs = fds;
	if (fcntl(fds[nfds - 1], F_GETFD) >= 0)
		lower.sums = fds + lower.npacks;
	*ret = lower;
	*ret_fds = fds;
	return 0;
}

/* ---- what is still arriving ---- */

/* Its descriptors stand behind the stack's. */
static int find_arrival(struct server *s)
{
	_free_ int *fds = NULL;
	struct ufs_lower lower;
	int r = s->root ? find_lower(&lower, &fds) : 0;

	if (r >= 0 && s->root)
		s->arrival = SERVER_PACKS + (int)(2 * lower.npacks + 1);
	return r;
}

static int open_arrival(struct server *s, struct ufs_lower *lower)
{
	int r;

	if (!s->root)
		return 0;
	r = arrival_reader_new(s->arrival + ARRIVAL_TABLE, s->arrival + ARRIVAL_STATE,
			       s->arrival + ARRIVAL_DESK, s->arrival + ARRIVAL_DOOR, &s->reader);
	if (r < 0)
		return r == -ESTALE ? err(r, "the image's arrival is of another boot") : r;
	s->arrivals = (struct ufs_arrivals){ .fd = s->arrival + ARRIVAL_DATA,
					     .find = arrival_find,
					     .need = arrival_need,
					     .ctx = s->reader };
	lower->arrivals = &s->arrivals;
	return 0;
}

/* It has the network, which we have not; it goes on by itself when we are gone. */
static int start_fetcher(void *ctx, pid_t *ret)
{
	struct server *s = ctx;
	_close_ int pidfd = -1;
	const struct arrival_fetch f = { .root = s->root,
					 .manifest = &s->manifest,
					 .desk_fd = s->arrival + ARRIVAL_DESK,
					 .fetcher_fd = s->arrival + ARRIVAL_FETCHER,
					 .log_fd = 2 };

	return arrival_fetch_start(&f, ret, &pidfd);
}

static void no_fetcher(void *ctx)
{
	struct server *s = ctx;

	arrival_desk_shut(s->arrival + ARRIVAL_DESK);
}

/* ---- serving ---- */

static int open_union(struct server *s, bool recover, int *objects, struct ufs **ret)
{
	_free_ int *fds = NULL;
	struct ufs_config cfg = s->cfg;
	struct ufs_lower lower;
	int r = find_lower(&lower, &fds);

	if (r >= 0)
		r = open_arrival(s, &lower);
	if (r < 0)
		return r;
	lower.object_open = layers_object_open;
	lower.ctx = objects;
	cfg.lowers = &lower;
	cfg.nlowers = 1;
	cfg.recover = recover;
	return ufs_new(&cfg, ret);
}

static int serve(void *ctx, struct journal *j, bool recover)
{
	struct server *s = ctx;
	int objects = SERVER_OBJECTS, r;
	struct ufs *u;

	/* What a client makes has the mode that it asks for; this process makes nothing else. */
	umask(0);
	r = s->uid ? become(s->uid) : 0;
	if (r == 0)
		r = open_union(s, recover, &objects, &u);
	if (r < 0) {
		const char *why = err_text() ? err_text() : strerror(-r);

		if (s->ready_fd >= 0)
			fd_write_full(s->ready_fd, why, strlen(why));
		return r;
	}
	if (s->ready_fd >= 0)
		fd_write_full(s->ready_fd, SERVER_UP, 1);
	s->ready_fd = fd_close(s->ready_fd);
	r = ufs_fuse_serve(u, SERVER_FUSE, s->nthreads, j);
	ufs_free(u);
	return r;
}

static void forked(void *ctx)
{
	struct server *s = ctx;

	s->ready_fd = fd_close(s->ready_fd);
}

int server_main(int argc, char **argv)
{
	/* As the driver overlay mounts it: the two may take turns. */
	struct server s = { .cfg = { .upper_fd = SERVER_UPPER,
				     .work_fd = SERVER_WORK,
				     .metacopy = true,
				     .redirect = UFS_REDIRECT_ON } };
	struct keeper k = { .argv = argv,
			    .journal_fd = SERVER_JOURNAL,
			    .serve = serve,
			    .forked = forked,
			    .ctx = &s };
	uint64_t nthreads;
	struct stat st;

	log_setup("strata-server", 2, LOG_INFO);
	if ((argc != 3 && argc != 5) || str_u64(argv[2], 1, SERVER_THREADS_MAX, &nthreads) < 0 ||
	    parse_upper(argv[1], &s) < 0 ||
	    (argc == 5 && digest_parse_hex(argv[4], strlen(argv[4]), &s.manifest) < 0)) {
		log_err("usage: strata-server native|volatile|none|mapped:UID|user[:none]"
			"[,size=BYTES] THREADS [STORE MANIFEST] (started by strata-monitor)");
		return 2;
	}
	s.nthreads = (int)nthreads;
	s.root = argv[3];
	if (find_arrival(&s) < 0) {
		log_err("%s", err_take(-EIO));
		return 1;
	}
	if (s.root) {
		k.beside = start_fetcher;
		k.given_up = no_fetcher;
	}
	/* A program that was reloaded has none to tell, and the number may be another file's. */
	s.ready_fd = fstat(SERVER_JOURNAL, &st) == 0 && st.st_size ? -1 : SERVER_READY;
	return keeper_run(&k) < 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The root of a store: opening, making it, its lock. */
#include "imagestore/store.h"

#include "base/dir.h"
#include <sys/stat.h>

#define FORMAT_TEXT "strata store 2\n"
#define FORMAT_MAX  64
#define OCI_LAYOUT  "{\"imageLayoutVersion\":\"1.0.0\"}"
#define EMPTY_INDEX "{\"manifests\":[],\"mediaType\":\"" MEDIA_INDEX "\",\"schemaVersion\":2}"

static const char *const folders[] = {
	"blobs",   "blobs/sha256", "layers", "objects", "merged",   "snapshots", "cache",
	"partial", "tmp",	   "trash",  "dropped", "machines", "kernels",
};
static const char *const files[] = { "oci-layout", "index.json", "lock" };

/* ---- folders ---- */

int folder_each(int dirfd, const char *path, int (*fn)(void *ctx, const char *name), void *ctx)
{
	_closedir_ DIR *dir = dir_take(openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *e;
	int r = 0;

	if (!dir)
		return -errno;
	while (r == 0 && (e = dir_next(dir)))
		r = fn(ctx, e->d_name);
	return r == 0 && errno ? -errno : r;
}

int store_each(struct store *s, const char *path, int (*fn)(void *ctx, const char *name), void *ctx)
{
	int r = folder_each(s->dirfd, path, fn, ctx);

	return r < 0 ? err(r, "%s/%s: %s", s->path, path, strerror(-r)) : r;
}

bool store_has(struct store *s, const char *path)
{
	return faccessat(s->dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- making one ---- */

/*
 * Whether an entry of the root is one of ours, so that a folder without FORMAT may be a store half
 * made.
 */
static int is_ours(void *ctx, const char *name)
{
	(void)ctx;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		if (streq(name, folders[i]))
			return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (streq(name, files[i]))
			return 0;
	}
	return str_after(name, ".tmp-") ? 0 : 1; /* what file_replace() left when it was killed */
}

static int make_file(struct store *s, const char *name, const char *text)
{
	int r = store_has(s, name) ? 0 :
				     file_replace(s->dirfd, name, text, strlen(text), 0644, true);

	return r < 0 ? err(r, "%s/%s: %s", s->path, name, strerror(-r)) : 0;
}

/* One at a time: an index.json that is made late would replace one that has names by then. */
static int fill(struct store *s)
{
	_close_ int lock = openat(s->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = lock < 0 ? -errno : fd_lock(lock, true, true);

	if (r >= 0 && store_has(s, "FORMAT"))
		return 0; /* another command has made it meanwhile */
	if (r >= 0)
		r = folder_each(s->dirfd, ".", is_ours, NULL);
	if (r < 0)
		return err(r, "%s: %s", s->path, strerror(-r));
	if (r > 0)
		return err(-EINVAL,
			   "%s is neither empty nor a store of strata: choose another by --root",
			   s->path);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		if (mkdirat(s->dirfd, folders[i], 0755) < 0 && errno != EEXIST)
			return err_sys("%s/%s", s->path, folders[i]);
	}
	r = make_file(s, "oci-layout", OCI_LAYOUT);
	if (r >= 0)
		r = make_file(s, "index.json", EMPTY_INDEX);
	if (r >= 0)
		r = make_file(s, "lock", "");
	return r < 0 ? r : make_file(s, "FORMAT", FORMAT_TEXT);
}

/* ---- older formats ---- */

/* Since 2 there is the folder of blobs that were dropped on purpose. */
static int upgrade_from_1(struct store *s)
{
	return mkdirat(s->dirfd, "dropped", 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static const struct {
	const char *text;
	int (*upgrade)(struct store *s); /* to the next in the list, or to the present one */
} older[] = {
	{ "strata store 1\n", upgrade_from_1 },
};

/*
 * Each step can be done again, so a kill between them is only an upgrade begun anew; the text is
 * written last. Who has the store open by an older program meanwhile is not harmed: what is new is
 * beside what he knows.
 */
static int upgrade(struct store *s, size_t from)
{
	_close_ int lock = -1;
	int r;

	if (s->rdonly) /* it is read as it is */
		return 0;
	r = store_lock(s, true, &lock);
	for (size_t i = from; r >= 0 && i < ARRAY_SIZE(older); i++)
		r = older[i].upgrade(s);
	if (r >= 0)
		r = file_replace(s->dirfd, "FORMAT", FORMAT_TEXT, strlen(FORMAT_TEXT), 0644, true);
	return r < 0 ? err(r, "%s: a store of an older format, which cannot be upgraded: %s",
			   s->path, strerror(-r)) :
		       0;
}

static int check_format(struct store *s, unsigned flags)
{
	_free_ char *text = NULL;
	int r = file_read_all(s->dirfd, "FORMAT", FORMAT_MAX, &text, NULL);

	if (r == -ENOENT && (flags & STORE_CREATE))
		return fill(s);
	if (r == -ENOENT)
		return err(
			r,
			"%s is not a store of strata (it has no FORMAT): choose another by --root",
			s->path);
	if (r < 0)
		return err(r, "%s/FORMAT: %s", s->path, strerror(-r));
	if (streq(text, FORMAT_TEXT))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(older); i++) {
		if (streq(text, older[i].text))
			return upgrade(s, i);
	}
	text[strcspn(text, "\n")] = '\0';
	return err(-EPROTO, "%s has the format \"%s\", not \"strata store 2\": use what made it",
		   s->path, text);
}

/* ---- opening ---- */

static int open_root(struct store *s, unsigned flags)
{
	int r;

	if (flags & STORE_CREATE) {
		r = fd_mkdir_p(AT_FDCWD, s->path, 0755);
		if (r < 0)
			return err(r, "%s: cannot make the store: %s", s->path, strerror(-r));
	}
	s->dirfd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dirfd >= 0)
		return check_format(s, flags);
	if (errno == ENOENT)
		return err(-ENOENT,
			   "%s: no store there: pull or load an image, or choose by --root",
			   s->path);
	return err_sys("%s: cannot open the store", s->path);
}

int store_open(const char *root, unsigned flags, struct store **ret)
{
	struct store *s = new0(struct store);
	int r = -ENOMEM;

	if (!s)
		return r;
	s->dirfd = -1;
	s->rdonly = flags & STORE_RDONLY;
	s->path = strdup(root);
	if (s->path)
		r = open_root(s, flags);
	if (r < 0) {
		store_close(s);
		return r;
	}
	if (!s->rdonly)
		store_sweep(s);
	*ret = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	fd_close(s->dirfd);
	free(s->path);
	free(s);
}

int store_dirfd(const struct store *s)
{
	return s->dirfd;
}

const char *store_path(const struct store *s)
{
	return s->path;
}

int store_lock(struct store *s, bool exclusive, int *ret_fd)
{
	_close_ int fd = -1;
	int r;

	if (s->rdonly) {
		*ret_fd = -1;
		return 0;
	}
	/*
	 * A descriptor of its own each time: flock(2) belongs to the open file, so threads exclude
	 * each other too.
	 */
	fd = openat(s->dirfd, "lock", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys("%s/lock", s->path);
	r = fd_lock(fd, exclusive, true);
	if (r < 0)
		return err(r, "%s/lock: %s", s->path, strerror(-r));
	*ret_fd = take_fd(fd);
	return 0;
}

/* ---- files by digest ---- */

struct store_file blob_file(const struct digest *d)
{
	struct store_file f;

	snprintf(f.s, sizeof(f.s), "blobs/sha256/%s", digest_hex(d).s);
	return f;
}

struct store_file object_file(const struct digest *d)
{
	struct digest_hex hex = digest_hex(d);
	struct store_file f;

	snprintf(f.s, sizeof(f.s), "objects/%.2s/%s", hex.s, hex.s);
	return f;
}

struct store_file layer_file(const struct digest *diff_id, const char *name)
{
	struct store_file f;

	snprintf(f.s, sizeof(f.s), "layers/%s%s%s", digest_hex(diff_id).s, name ? "/" : "",
		 name ? name : "");
	return f;
}

struct store_file merged_file(const struct digest *chain_id, const char *suffix)
{
	struct store_file f;

	snprintf(f.s, sizeof(f.s), "merged/%d-%s%s", LAYER_MERGE_VERSION, digest_hex(chain_id).s,
		 suffix);
	return f;
}

int store_object_open(struct store *s, const struct digest *d)
{
	int fd = openat(s->dirfd, object_file(d).s, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? err_sys("object sha256:%s", digest_hex(d).s) : fd;
}

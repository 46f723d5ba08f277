/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/checkpoint.h"

#include "base/err.h"
#include "base/fd.h"

#define NEW  "machine.new"
#define MADE "machine"
#define USED "machine.used"

struct digest checkpoint_key(const char *id)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "checkpoint of %.32s", id);

	return sha256_of(text, (size_t)n);
}

int checkpoint_check(const struct run_spec *s)
{
	if (s->kind != RUN_VM)
		return err(-EOPNOTSUPP, "%s is no microVM: only these can be checkpointed", s->id);
	if (s->emulated)
		return err(-EOPNOTSUPP, "%s is emulated by QEMU: it cannot be checkpointed", s->id);
	if (s->dax)
		return err(-EOPNOTSUPP,
			   "%s has a DAX window, whose mappings are its VMM's: it cannot be "
			   "checkpointed",
			   s->id);
	if (s->nvolumes)
		return err(-EOPNOTSUPP,
			   "%s has volumes, whose files others can change meanwhile: it cannot be "
			   "checkpointed",
			   s->id);
	if (s->ndisks)
		return err(-EOPNOTSUPP,
			   "%s has disks, which others can change meanwhile: it cannot be "
			   "checkpointed",
			   s->id);
	if (s->rm)
		return err(-EINVAL, "%s is removed when it ends (--rm): it cannot be checkpointed",
			   s->id);
	return 0;
}

/* ---- the files ---- */

static int open_folder(struct store *s, const char *id)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "snapshots/%.32s", id);
	fd = openat(store_dirfd(s), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys("%s/%s", store_path(s), path) : fd;
}

int checkpoint_create(struct store *s, const char *id)
{
	_close_ int dir = open_folder(s, id);
	int fd;

	if (dir < 0)
		return dir;
	unlinkat(dir, NEW, 0);
	fd = openat(dir, NEW, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys("checkpoint of %s", id) : fd;
}

int checkpoint_publish(struct store *s, const char *id)
{
	_close_ int dir = open_folder(s, id), fd = -1;

	if (dir < 0)
		return dir;
	fd = openat(dir, NEW, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0 || renameat(dir, NEW, dir, MADE) < 0 || fsync(dir) < 0)
		return err_sys("checkpoint of %s", id);
	return 0;
}

int checkpoint_take(struct store *s, const char *id, struct vm_snapshot *ret)
{
	_close_ int dir = open_folder(s, id), fd = -1;
	struct vm_snapshot v = { .key = checkpoint_key(id) };
	int r;

	if (dir < 0)
		return dir;
	v.fd = fd = openat(dir, MADE, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? err(-ENOENT, "%s has no checkpoint to go on from", id) :
					 err_sys("checkpoint of %s", id);
	r = vm_snapshot_verify(&v);
	if (r >= 0 && (renameat(dir, MADE, dir, USED) < 0 || fsync(dir) < 0))
		r = err_sys("checkpoint of %s", id);
	if (r < 0)
		return r;
	v.fd = take_fd(fd);
	*ret = v;
	return 0;
}

void checkpoint_used(struct store *s, const char *id, bool runs)
{
	_close_ int dir = open_folder(s, id);

	if (dir < 0)
		err_clear();
	else if (runs)
		unlinkat(dir, USED, 0);
	else
		renameat(dir, USED, dir, MADE);
}

void checkpoint_drop(struct store *s, const char *id)
{
	static const char *const names[] = { NEW, MADE, USED };
	_close_ int dir = open_folder(s, id);

	if (dir < 0)
		err_clear();
	for (size_t i = 0; dir >= 0 && i < ARRAY_SIZE(names); i++)
		unlinkat(dir, names[i], 0);
}

bool checkpoint_exists(struct store *s, const char *id)
{
	_close_ int dir = open_folder(s, id);

	if (dir < 0)
		err_clear();
	return dir >= 0 && faccessat(dir, MADE, F_OK, 0) == 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/checkpoint.h"

#include "base/dir.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include <sys/stat.h>

#define NEW  "machine.new"
#define MADE "machine"
#define USED "machine.used"
#define KEPT "kept."

struct digest checkpoint_key(const char *id)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "checkpoint of %.32s", id);

	return sha256_of(text, (size_t)n);
}

/* What it has that no file can keep, in words; NULL: nothing. */
static const char *unkept(const struct run_spec *s)
{
	if (s->bridge_network)
		return "has an address at the bridge, which is another's by then";
	if (s->emulated)
		return "is emulated by QEMU";
	if (s->dax)
		return "has a DAX window, whose mappings are its VMM's";
	if (s->nvolumes)
		return "has volumes, whose files others can change meanwhile";
	return s->ndisks ? "has disks, which others can change meanwhile" : NULL;
}

int checkpoint_check(const struct run_spec *s)
{
	const char *why = unkept(s);

	if (s->kind != RUN_VM)
		return err(-EOPNOTSUPP, "%s is no microVM: only these can be checkpointed", s->id);
	if (why)
		return err(-EOPNOTSUPP, "%s %s: it cannot be checkpointed", s->id, why);
	if (s->rm)
		return err(-EINVAL, "%s is removed when it ends (--rm): it cannot be checkpointed",
			   s->id);
	return 0;
}

int clone_check(const struct run_spec *s)
{
	const char *why = unkept(s);

	if (!why && s->ports && *s->ports)
		why = "publishes ports, which one instance alone can have";
	if (s->kind != RUN_VM)
		return err(-EOPNOTSUPP, "%s is no microVM: only these can be cloned", s->id);
	return why ? err(-EOPNOTSUPP, "%s %s: it cannot be cloned", s->id, why) : 0;
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

static int look(const struct vm_snapshot *v, bool hashed)
{
	struct checkpoint_note note;

	return hashed ? vm_snapshot_note(v, &note, sizeof(note)) : vm_snapshot_verify(v);
}

int checkpoint_open(int dir, const struct run_spec *spec, bool hashed, struct vm_snapshot *ret,
		    const char **ret_of)
{
	const char *of = spec->id;
	_close_ int fd = openat(dir, MADE, O_RDONLY | O_CLOEXEC);
	struct vm_snapshot v = { .fd = fd, .key = checkpoint_key(of) };
	int r;

	if (fd < 0)
		return errno == ENOENT ?
			       err(-ENOENT, "%s has no checkpoint to go on from", spec->id) :
			       err_sys("checkpoint of %s", spec->id);
	r = look(&v, hashed);
	/* It has not been kept itself since it began. */
	if (r == -ESTALE && spec->clone_of) {
		err_clear();
		of = spec->clone_of;
		v.key = checkpoint_key(of);
		r = look(&v, hashed);
	}
	if (r < 0)
		return r;
	v.fd = take_fd(fd);
	*ret = v;
	*ret_of = of;
	return 0;
}

int checkpoint_take(struct store *s, const struct run_spec *spec, bool hashed,
		    struct vm_snapshot *ret)
{
	_close_ int dir = open_folder(s, spec->id);
	struct vm_snapshot v;
	const char *of;
	int r = dir < 0 ? dir : checkpoint_open(dir, spec, hashed, &v, &of);

	if (r < 0)
		return r;
	if (renameat(dir, MADE, dir, USED) < 0 || fsync(dir) < 0) {
		r = err_sys("checkpoint of %s", spec->id);
		fd_close(v.fd);
		return r;
	}
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

/* Of commands that were killed; nobody else is at work on one that does not run. */
static void drop_kept(int folder)
{
	_closedir_ DIR *d = dir_open(folder, ".");
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (str_after(entry->d_name, KEPT))
			fd_remove_tree(folder, entry->d_name);
}

void checkpoint_drop(struct store *s, const char *id)
{
	static const char *const names[] = { NEW, MADE, USED };
	_close_ int dir = open_folder(s, id);

	if (dir < 0)
		err_clear();
	for (size_t i = 0; dir >= 0 && i < ARRAY_SIZE(names); i++)
		unlinkat(dir, names[i], 0);
	if (dir >= 0)
		drop_kept(dir);
}

bool checkpoint_exists(struct store *s, const char *id)
{
	_close_ int dir = open_folder(s, id);

	if (dir < 0)
		err_clear();
	return dir >= 0 && faccessat(dir, MADE, F_OK, 0) == 0;
}

int checkpoint_look(struct store *s, const char *id)
{
	_close_ int dir = open_folder(s, id);
	int fd = dir < 0 ? dir : openat(dir, MADE, O_RDONLY | O_CLOEXEC);

	return dir >= 0 && fd < 0 ? -errno : fd;
}

/* ---- one that runs on ---- */

void kept_close(struct kept *k)
{
	fd_close(k->upper);
	fd_close(k->work);
	fd_close(k->dir);
	*k = KEPT_NONE;
}

static int open_kept(int folder, struct kept *k)
{
	k->dir = openat(folder, k->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (k->dir >= 0)
		k->upper = openat(k->dir, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (k->upper >= 0)
		k->work = openat(k->dir, "work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return k->work < 0 ? -errno : 0;
}

static int make_kept(int folder, const char *name)
{
	_close_ int dir = -1;

	fd_remove_tree(folder, name);
	if (mkdirat(folder, name, 0700) < 0)
		return -errno;
	dir = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 || mkdirat(dir, "upper", 0700) < 0 || mkdirat(dir, "work", 0700) < 0 ?
		       -errno :
		       0;
}

/* With @make, a new one. */
static int kept_get(struct store *s, const char *id, pid_t pid, bool make, struct kept *ret)
{
	_close_ int folder = open_folder(s, id);
	struct kept k = KEPT_NONE;
	int r;

	if (folder < 0)
		return folder;
	snprintf(k.name, sizeof(k.name), KEPT "%d", (int)pid);
	r = make ? make_kept(folder, k.name) : 0;
	if (r >= 0)
		r = open_kept(folder, &k);
	if (r < 0) {
		r = err(r, "%s of %s: %s", k.name, id, strerror(-r));
		kept_close(&k);
		return r;
	}
	*ret = k;
	return 0;
}

int kept_create(struct store *s, const char *id, pid_t pid, struct kept *ret)
{
	return kept_get(s, id, pid, true, ret);
}

int kept_open(struct store *s, const char *id, pid_t pid, struct kept *ret)
{
	return kept_get(s, id, pid, false, ret);
}

void kept_remove(struct store *s, const char *id, struct kept *k)
{
	const bool waiting = err_text(); /* why it goes: not ours to clear */
	_close_ int folder = k->name[0] ? open_folder(s, id) : -1;

	if (folder >= 0)
		fd_remove_tree(folder, k->name);
	if (!waiting)
		err_clear();
	kept_close(k);
}

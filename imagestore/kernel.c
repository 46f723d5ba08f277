/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels of microVMs: folders named by the digest of their record, never changed; and
 * kernels/names.json, which changes under the exclusive lock.
 */
#include "imagestore/kernel_.h"

#include <sys/stat.h>
#include <time.h>

#define NAMES	     "kernels/names.json"
#define NAME_MAX_LEN 64

struct store_file kernel_file(const struct digest *id, const char *name)
{
	struct store_file f;

	snprintf(f.s, sizeof(f.s), "kernels/%s%s%s", digest_hex(id).s, name ? "/" : "",
		 name ? name : "");
	return f;
}

int kernel_check_name(const char *name)
{
	static const char good[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-";
	size_t len = strlen(name);

	if (!len || len > NAME_MAX_LEN || name[0] == '.' || name[0] == '-' ||
	    strspn(name, good) != len)
		return err(-EINVAL,
			   "a kernel's name: up to %d letters, digits, '_', '.', '+', '-', no '.' "
			   "or '-' first",
			   NAME_MAX_LEN);
	if (streq(name, KERNEL_SHIPPED))
		return err(-EINVAL, "the name \"%s\" is the kernel's beside our programs", name);
	return 0;
}

/* ---- names ---- */

/* docs/formats/store.md, "Kernels"; none yet is an empty one. */
static int names_read(struct store *s, json_t **ret)
{
	_free_ char *what = str_fmt("%s/" NAMES, s->path);
	_json_ json_t *j = NULL;
	int r = what ? json_parse_file(s->dirfd, NAMES, what, &j) : -ENOMEM;

	if (r == -ENOENT) {
		err_clear();
		j = json_pack("{s:{}}", "kernels");
		r = j ? 0 : -ENOMEM;
	}
	if (r < 0)
		return r;
	if (!json_get_object(j, "kernels"))
		return err(-EBADMSG, "%s: it has no \"kernels\"", what);
	*ret = take_ptr(j);
	return 0;
}

static int names_write(struct store *s, const json_t *j)
{
	size_t len;
	_free_ char *text = json_text(j, &len);
	_close_ int dir = openat(s->dirfd, "kernels", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = !text ? -ENOMEM : dir < 0 ? -errno : len > JSON_MAX ? -EFBIG : 0;

	if (r >= 0)
		r = file_replace(dir, strchr(NAMES, '/') + 1, text, len, 0644, true);
	return r < 0 ? err(r, "%s/" NAMES ": cannot be written: %s", s->path, strerror(-r)) : 0;
}

/* The kernel that @entry of the names gives a name to. */
static int entry_id(const char *name, const json_t *entry, struct digest *ret)
{
	const char *hex = json_get_str(entry, "id");

	if (!hex || digest_parse_hex(hex, strlen(hex), ret) < 0)
		return err(-EBADMSG, "kernel %s: its name leads nowhere: import it again", name);
	return 0;
}

static int no_kernel(const char *name)
{
	if (streq(name, KERNEL_SHIPPED))
		return err(-EPERM, "kernel %s: it stands beside strata's programs, not in a store",
			   name);
	return err(-ENOENT, "no kernel %s: `strata kernel list` has the names", name);
}

int kernel_each_name(struct store *s,
		     int (*fn)(void *ctx, const char *name, const struct digest *id,
			       const json_t *entry, bool is_default),
		     void *ctx)
{
	_json_ json_t *names = NULL;
	const char *name, *chosen;
	json_t *entry;
	int r = names_read(s, &names);

	if (r < 0)
		return r;
	chosen = json_get_str(names, "default");
	json_object_foreach(json_get_object(names, "kernels"), name, entry)
	{
		struct digest id;

		r = entry_id(name, entry, &id);
		if (r >= 0)
			r = fn(ctx, name, &id, entry, chosen && streq(chosen, name));
		if (r)
			return r;
	}
	return 0;
}

/* ---- looking ---- */

int kernel_record_read(struct store *s, const struct digest *id, json_t **ret)
{
	struct store_file path = kernel_file(id, KERNEL_RECORD);
	_free_ char *text = NULL;
	struct digest got;
	size_t len;
	int r = file_read_all(s->dirfd, path.s, JSON_MAX, &text, &len);

	if (r < 0)
		return err(r, "%s/%s: %s", s->path, path.s, strerror(-r));
	got = sha256_of(text, len);
	if (!digest_eq(&got, id))
		return err(-EBADMSG, "%s/%s: digest mismatch", s->path, path.s);
	return json_parse(text, len, path.s, ret);
}

struct looking {
	struct store *s;
	int (*fn)(void *ctx, const struct kernel *k);
	void *ctx;
};

uint64_t kernel_bytes_of(struct store *s, const struct digest *id)
{
	static const char *const files[] = { KERNEL_VMLINUX, KERNEL_MODULES, KERNEL_RECORD };
	uint64_t bytes = 0;
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (fstatat(s->dirfd, kernel_file(id, files[i]).s, &st, AT_SYMLINK_NOFOLLOW) == 0)
			bytes += (uint64_t)st.st_size;
	return bytes;
}

static int look(void *ctx, const char *name, const struct digest *id, const json_t *entry,
		bool is_default)
{
	const struct looking *l = ctx;
	_json_ json_t *record = NULL;
	struct kernel k = { .name = name,
			    .id = *id,
			    .is_default = is_default,
			    .source = json_get_str(entry, "source"),
			    .created = json_get_int(entry, "created", 0),
			    .size = kernel_bytes_of(l->s, id) };

	if (kernel_record_read(l->s, id, &record) < 0)
		err_clear(); /* fsck says so */
	k.version = json_get_str(record, "version");
	k.version = k.version ? k.version : "(damaged)";
	k.source = k.source ? k.source : "";
	k.acpi = json_get_bool(record, "acpi", 0);
	k.modules = json_get_str(json_get_object(record, "files"), KERNEL_MODULES) != NULL;
	return l->fn(l->ctx, &k);
}

int kernel_each(struct store *s, int (*fn)(void *ctx, const struct kernel *k), void *ctx)
{
	struct looking l = { s, fn, ctx };

	return kernel_each_name(s, look, &l);
}

/* ---- finding ---- */

void kernel_files_done(struct kernel_files *f)
{
	free(f->vmlinux);
	free(f->modules);
	*f = (struct kernel_files){ 0 };
}

static int find_id(const json_t *names, const char *name, struct digest *ret)
{
	const json_t *entry;

	name = name ? name : json_get_str(names, "default");
	entry = name ? json_get_object(json_get_object(names, "kernels"), name) : NULL;
	return entry ? entry_id(name, entry, ret) : -ENOENT;
}

/* A name whose kernel is gone is no name that is not there. */
static int read_record(struct store *s, const char *name, const struct digest *id, json_t **ret)
{
	int r = kernel_record_read(s, id, ret);

	if (r != -ENOENT)
		return r;
	err_clear();
	return err(-EBADMSG, "%s%s is missing from the store: import it again, or `kernel rm` it",
		   name ? "kernel " : "the default kernel", name ? name : "");
}

int kernel_find(struct store *s, const char *name, struct kernel_files *ret)
{
	_json_ json_t *names = NULL, *record = NULL;
	struct kernel_files f = { 0 };
	struct digest id;
	int r = names_read(s, &names);

	if (r >= 0)
		r = find_id(names, name, &id);
	if (r >= 0)
		r = read_record(s, name, &id, &record);
	if (r < 0)
		return r;
	f.acpi = json_get_bool(record, "acpi", 0);
	f.vmlinux = str_fmt("%s/%s", s->path, kernel_file(&id, KERNEL_VMLINUX).s);
	if (json_get_str(json_get_object(record, "files"), KERNEL_MODULES)) {
		f.modules = str_fmt("%s/%s", s->path, kernel_file(&id, KERNEL_MODULES).s);
		r = f.modules ? 0 : -ENOMEM;
	}
	if (r < 0 || !f.vmlinux) {
		kernel_files_done(&f);
		return -ENOMEM;
	}
	*ret = f;
	return 0;
}

/* ---- changing names ---- */

int kernel_use(struct store *s, const char *name)
{
	_json_ json_t *names = NULL;
	_close_ int lock = -1;
	int r = s->rdonly ? err(-EROFS, "%s: the store was opened read-only", s->path) :
			    store_lock(s, true, &lock);

	if (r >= 0)
		r = names_read(s, &names);
	if (r < 0)
		return r;
	if (name && !json_get_object(json_get_object(names, "kernels"), name))
		return no_kernel(name);
	if (!name && !json_get_str(names, "default"))
		return 0;
	if (name)
		json_object_set_new(names, "default", json_string(name));
	else
		json_object_del(names, "default");
	return names_write(s, names);
}

static bool has_name(const json_t *names, const struct digest *id)
{
	const char *name;
	json_t *entry;

	json_object_foreach(json_get_object(names, "kernels"), name, entry)
	{
		const char *hex = json_get_str(entry, "id");

		if (hex && streq(hex, digest_hex(id).s))
			return true;
	}
	return false;
}

/* The name goes first, durably: what a kill leaves behind it is gc's. */
static int remove_locked(struct store *s, const char *name, bool force)
{
	_json_ json_t *names = NULL;
	struct digest id;
	char user[KERNEL_USER_MAX];
	int r = names_read(s, &names);

	if (r >= 0)
		r = find_id(names, name, &id);
	if (r < 0)
		return r == -ENOENT ? no_kernel(name) : r;
	json_object_del(json_get_object(names, "kernels"), name);
	if (json_get_str(names, "default") && streq(json_get_str(names, "default"), name))
		json_object_del(names, "default");
	if (has_name(names, &id))
		return names_write(s, names);
	if (!force && kernel_user(s, &id, user))
		return err(-EBUSY,
			   "kernel %s: instance %.12s boots it: remove that first, or use "
			   "--force",
			   name, user);
	r = names_write(s, names);
	return r < 0 || !store_has(s, kernel_file(&id, NULL).s) ?
		       r :
		       trash_move(s, kernel_file(&id, NULL).s);
}

int kernel_remove(struct store *s, const char *name, bool force)
{
	_close_ int lock = -1;
	int r = s->rdonly ? err(-EROFS, "%s: the store was opened read-only", s->path) :
			    store_lock(s, true, &lock);

	if (r >= 0)
		r = remove_locked(s, name, force);
	lock = fd_close(lock);
	if (r >= 0)
		trash_empty(s, NULL);
	return r;
}

/* ---- publishing ---- */

/* An older store has no folder for them. */
static int kernels_folder(struct store *s)
{
	int fd;

	if (mkdirat(s->dirfd, "kernels", 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(s->dirfd, "kernels", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* How to import it once more: kernel_origin() reads it. */
static json_t *origin(const struct kernel_import *i)
{
	_free_ char *path = realpath(i->path, NULL);
	_free_ char *modules = i->modules ? realpath(i->modules, NULL) : NULL;

	return json_pack("{s:s*, s:s*, s:b, s:o*}", "path", path, "modules", modules, "no_modules",
			 i->no_modules, "more", i->more ? json_from_strv(i->more) : NULL);
}

int kernel_origin(const json_t *entry, struct kernel_import *ret)
{
	const json_t *from = json_get_object(entry, "from");
	char **more = NULL;
	int r;

	if (!json_get_str(from, "path"))
		return -ENOENT;
	r = json_object_get(from, "more") ? json_to_strv(json_get_array(from, "more"), &more) : 0;
	if (r < 0)
		return r;
	*ret = (struct kernel_import){
		.path = json_get_str(from, "path"),
		.modules = json_get_str(from, "modules"),
		.no_modules = json_get_bool(from, "no_modules", 0),
		.more = more,
	};
	return 0;
}

static int set_name(struct store *s, const struct digest *id, const struct kernel_import *i,
		    const char *name)
{
	_json_ json_t *names = NULL;
	json_t *entry;
	int r = names_read(s, &names);

	if (r < 0)
		return r;
	entry = json_pack("{s:s, s:s, s:I, s:o}", "id", digest_hex(id).s, "source",
			  i->source ? i->source : i->path, "created", (json_int_t)time(NULL),
			  "from", origin(i));
	if (!entry || json_object_set_new(json_get_object(names, "kernels"), name, entry) < 0)
		return -ENOMEM;
	if (i->use)
		json_object_set_new(names, "default", json_string(name));
	return names_write(s, names);
}

/* Into its place. One that is there already stays, unless it is damaged. */
static int put_in_place(struct txn *t, int folder, const struct digest *id, bool replace)
{
	struct digest_hex hex = digest_hex(id);

	if (renameat2(t->dirfd, KERNEL_FOLDER, folder, hex.s, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	/* The other one goes with the transaction. */
	return replace && renameat2(t->dirfd, KERNEL_FOLDER, folder, hex.s, RENAME_EXCHANGE) < 0 ?
		       -errno :
		       0;
}

/* In its place and named under one lock: gc never sees it without its name, but for a kill. */
int kernel_publish(struct txn *t, const struct digest *id, const struct kernel_import *i,
		   const char *name)
{
	_close_ int folder = kernels_folder(t->s), lock = -1;
	bool damaged = store_has(t->s, kernel_file(id, NULL).s) && !kernel_sound(t->s, id);
	int r = folder < 0 ? txn_write_err(t, folder) : store_lock(t->s, true, &lock);

	if (r < 0)
		return r;
	r = put_in_place(t, folder, id, damaged);
	if (r < 0)
		return txn_write_err(t, r);
	if (fsync(folder) < 0)
		return txn_write_err(t, -errno);
	return name ? set_name(t->s, id, i, name) : 0;
}

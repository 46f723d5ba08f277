/* SPDX-License-Identifier: Apache-2.0 */
/* How an instance's directory comes and goes: whole or not at all, whatever is killed when. */
#include "runtime/inst.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include <sys/stat.h>

#define NEW INSTANCES "/.new"

int inst_folder_lock(int runroot)
{
	_close_ int fd = -1;
	int r;

	r = fd_mkdir_p(runroot, INSTANCES, 0700);
	if (r < 0)
		return err(r, INSTANCES ": %s", strerror(-r));
	fd = openat(runroot, INSTANCES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(INSTANCES);
	r = fd_lock(fd, true, true);
	if (r < 0)
		return err(r, "lock of " INSTANCES ": %s", strerror(-r));
	return take_fd(fd);
}

static int write_config(int dir, const json_t *config)
{
	_free_ char *text = NULL;
	size_t len;
	int r;

	text = json_text(config, &len);
	if (!text)
		return -ENOMEM;
	r = file_replace(dir, "config.json", text, len, 0600, false);
	return r < 0 ? err(r, "config.json: %s", strerror(-r)) : 0;
}

/* NEW with all that an instance has, under the folder's lock. */
static int make_new(int runroot, const char *id, const json_t *config)
{
	struct inst_record record = { .state.status = INST_CREATED, .state.exit_code = -1 };
	struct inst i = { .runroot = runroot, .lock = -1, .config = (json_t *)config };
	_close_ int dir = -1;
	int r;

	r = fd_remove_tree(runroot, NEW);
	if (r < 0)
		return err(r, NEW ": %s", strerror(-r));
	if (mkdirat(runroot, NEW, 0700) < 0)
		return err_sys(NEW);
	dir = openat(runroot, NEW, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(NEW);
	r = write_config(dir, config);
	if (r < 0)
		return r;
	i.dir = dir;
	snprintf(i.id, sizeof(i.id), "%s", id);
	clock_gettime(CLOCK_REALTIME, &record.state.created);
	return inst_record_write(&i, &record);
}

/* Whether an instance of that name is there. */
static int name_taken(int runroot, const char *name)
{
	char id[INST_ID_MAX + 1];
	struct inst *i = NULL;
	int r;

	r = inst_name_read(runroot, name, id);
	if (r == 0)
		r = inst_open_id(runroot, id, &i);
	if (r < 0) {
		inst_close(i);
		return r == -ENOENT ? 0 : r;
	}
	r = streq(inst_name(i), name);
	inst_close(i);
	return r;
}

/* Points names/@name to @id, under the folder's lock. */
static int name_take(int runroot, const char *name, const char *id)
{
	char path[sizeof(NAMES) + 1 + INST_NAME_MAX];
	int r;

	if (!inst_name_valid(name))
		return err(-EINVAL,
			   "name %s: it must be [a-zA-Z0-9][a-zA-Z0-9_.-]*, at most %d bytes", name,
			   INST_NAME_MAX);
	r = name_taken(runroot, name);
	if (r < 0)
		return r;
	if (r > 0)
		return err(-EEXIST, "name %s: an instance has it already", name);
	r = fd_mkdir_p(runroot, NAMES, 0700);
	if (r < 0)
		return err(r, NAMES ": %s", strerror(-r));
	snprintf(path, sizeof(path), NAMES "/%s", name);
	if (unlinkat(runroot, path, 0) < 0 && errno != ENOENT)
		return err_sys("%s", path);
	return symlinkat(id, runroot, path) < 0 ? err_sys("%s", path) : 0;
}

static int publish(int runroot, const char *id, const char *name)
{
	char path[sizeof(INSTANCES) + 1 + INST_ID_MAX];
	struct stat st;
	int r;

	snprintf(path, sizeof(path), INSTANCES "/%s", id);
	if (fstatat(runroot, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return err(-EEXIST, "instance %s is there already", id);
	if (*name) {
		r = name_take(runroot, name, id);
		if (r < 0)
			return r;
	}
	return renameat(runroot, NEW, runroot, path) < 0 ? err_sys("%s", path) : 0;
}

int inst_create(int runroot_fd, const char *id, const json_t *config, struct inst **ret)
{
	const char *name = json_get_str(config, "name");
	_close_ int folder = -1;
	int r;

	if (!inst_id_valid(id))
		return err(
			-EINVAL,
			"instance id %s: it must be [a-zA-Z0-9][a-zA-Z0-9_.+-]*, at most %d bytes",
			id, INST_ID_MAX);
	folder = inst_folder_lock(runroot_fd);
	if (folder < 0)
		return folder;
	r = make_new(runroot_fd, id, config);
	if (r >= 0)
		r = publish(runroot_fd, id, name ? name : "");
	if (r < 0) {
		fd_remove_tree(runroot_fd, NEW);
		return r;
	}
	return inst_open_id(runroot_fd, id, ret);
}

/* Takes the name away when it is still this instance's. */
static void name_drop(const struct inst *i)
{
	char path[sizeof(NAMES) + 1 + INST_NAME_MAX], id[INST_ID_MAX + 1];

	if (inst_name_read(i->runroot, inst_name(i), id) < 0 || !streq(id, i->id))
		return;
	snprintf(path, sizeof(path), NAMES "/%s", inst_name(i));
	unlinkat(i->runroot, path, 0);
}

static int rename_gone(struct inst *i, const char *gone)
{
	char path[sizeof(INSTANCES) + 1 + INST_ID_MAX];
	_close_ int folder = inst_folder_lock(i->runroot);
	int r;

	if (folder < 0)
		return folder;
	snprintf(path, sizeof(path), INSTANCES "/%s", i->id);
	/* What an earlier remover of the same id left. */
	r = fd_remove_tree(i->runroot, gone);
	if (r < 0)
		return err(r, "%s: %s", gone, strerror(-r));
	if (renameat(i->runroot, path, i->runroot, gone) < 0)
		return err_sys("%s", path);
	name_drop(i);
	return 0;
}

static int replace_config(struct inst *i, json_t *config)
{
	_free_ char *text = NULL;
	size_t len = 0;
	int r;

	text = json_text(config, &len);
	r = text ? file_replace(i->dir, "config.json", text, len, 0600, false) : -ENOMEM;
	return r < 0 ? err(r, "instance %s: config.json: %s", i->id, strerror(-r)) : 0;
}

/* Under the lock of the folder, as a new name is given. */
int inst_set_config(struct inst *i, const json_t *config)
{
	_close_ int folder = inst_folder_lock(i->runroot);
	_json_ json_t *copy = json_deep_copy(config);
	int r;

	if (folder < 0)
		return folder;
	r = copy ? replace_config(i, copy) : -ENOMEM;
	if (r < 0)
		return r;
	json_decref(i->config);
	i->config = take_ptr(copy);
	return 0;
}

int inst_rename(struct inst *i, const char *name)
{
	_close_ int folder = inst_folder_lock(i->runroot);
	_json_ json_t *config = json_deep_copy(i->config);
	int r;

	if (folder < 0)
		return folder;
	if (!config || json_object_set_new(config, "name", json_string(name)) < 0)
		return -ENOMEM;
	r = name_take(i->runroot, name, i->id);
	if (r < 0)
		return r;
	r = replace_config(i, config);
	if (r < 0)
		return r;
	name_drop(i);
	json_decref(i->config);
	i->config = take_ptr(config);
	return 0;
}

int inst_delete(struct inst *i)
{
	char gone[sizeof(INSTANCES) + sizeof("/.gone-") + INST_ID_MAX];
	int r;

	r = inst_lock(i);
	if (r == -EBUSY)
		return err(r, "instance %s: it is running", i->id);
	if (r < 0)
		return r;
	r = inst_recover(i);
	if (r < 0)
		return r;
	snprintf(gone, sizeof(gone), INSTANCES "/.gone-%s", i->id);
	r = rename_gone(i, gone);
	if (r < 0)
		return r;
	/* Whatever resists is removed by inst_each(). */
	fd_remove_tree(i->runroot, gone);
	return 0;
}

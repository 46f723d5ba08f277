/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/inst.h"

#include "base/dir.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include <ctype.h>
#include <sys/random.h>
#include <sys/stat.h>

#define ID_TRIES 16 /* 48 random bits meet an instance that is there at most by a miracle */

static bool word_valid(const char *s, size_t max, const char *also)
{
	if (!isalnum((unsigned char)*s) || strlen(s) > max)
		return false;
	for (; *s; s++) {
		if (!isalnum((unsigned char)*s) && !strchr(also, *s))
			return false;
	}
	return true;
}

bool inst_id_valid(const char *id)
{
	return word_valid(id, INST_ID_MAX, "_.+-");
}

bool inst_name_valid(const char *name)
{
	return word_valid(name, INST_NAME_MAX, "_.-");
}

static int id_taken(int runroot, const char *id)
{
	char path[sizeof(INSTANCES) + 1 + INST_ID_MAX];
	struct stat st;

	snprintf(path, sizeof(path), INSTANCES "/%s", id);
	if (fstatat(runroot, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : -errno;
}

int inst_new_id(int runroot_fd, char ret_id[INST_ID_LEN + 1])
{
	uint8_t random[INST_ID_LEN / 2];
	char id[INST_ID_LEN + 1];
	int r;

	for (int try = 0; try < ID_TRIES; try++) {
		if (getrandom(random, sizeof(random), 0) != sizeof(random))
			return err_sys("a random id");
		for (size_t i = 0; i < sizeof(random); i++)
			snprintf(id + 2 * i, 3, "%02x", random[i]);
		r = id_taken(runroot_fd, id);
		if (r < 0)
			return err(r, INSTANCES "/%s: %s", id, strerror(-r));
		if (r == 0) {
			memcpy(ret_id, id, sizeof(id));
			return 0;
		}
	}
	return err(-EEXIST, "no free instance id");
}

static void inst_closep(struct inst **i)
{
	inst_close(*i);
}

int inst_open_id(int runroot, const char *id, struct inst **ret)
{
	_cleanup_(inst_closep) struct inst *i = new0(struct inst);
	char path[sizeof(INSTANCES) + 1 + INST_ID_MAX];
	int r;

	if (!i)
		return -ENOMEM;
	i->runroot = i->dir = i->lock = -1;
	if (!inst_id_valid(id))
		return -ENOENT;
	snprintf(i->id, sizeof(i->id), "%s", id);
	snprintf(path, sizeof(path), INSTANCES "/%s", id);
	i->dir = openat(runroot, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (i->dir < 0)
		return errno == ENOENT || errno == ENOTDIR ? -ENOENT : err_sys("%s", path);
	i->runroot = fcntl(runroot, F_DUPFD_CLOEXEC, 0);
	if (i->runroot < 0)
		return err_sys("%s", path);
	/* Absent is not damaged: it is being removed. */
	if (faccessat(i->dir, "config.json", F_OK, 0) < 0 && errno == ENOENT)
		return -ENOENT;
	snprintf(path, sizeof(path), "instance %s", id);
	r = json_parse_file(i->dir, "config.json", path, &i->config);
	if (r == -EBADMSG) { /* damaged: nothing is known of it, but it can be removed */
		err_clear();
		i->config = json_object();
		r = i->config ? 0 : -ENOMEM;
	}
	if (r < 0)
		return r;
	*ret = take_ptr(i);
	return 0;
}

void inst_close(struct inst *i)
{
	if (!i)
		return;
	json_decref(i->config);
	inst_unlock(i);
	fd_close(i->dir);
	fd_close(i->runroot);
	free(i);
}

int inst_name_read(int runroot, const char *name, char ret_id[INST_ID_MAX + 1])
{
	char path[sizeof(NAMES) + 1 + INST_NAME_MAX], id[INST_ID_MAX + 1];
	ssize_t n;

	if (!inst_name_valid(name))
		return -ENOENT;
	snprintf(path, sizeof(path), NAMES "/%s", name);
	n = readlinkat(runroot, path, id, sizeof(id));
	if (n < 0)
		return errno == ENOENT ? -ENOENT : err_sys("%s", path);
	if (n == sizeof(id))
		return -ENOENT;
	id[n] = '\0';
	memcpy(ret_id, id, (size_t)n + 1);
	return 0;
}

static int open_name(int runroot, const char *name, struct inst **ret)
{
	_cleanup_(inst_closep) struct inst *i = NULL;
	char id[INST_ID_MAX + 1] = "";
	int r;

	r = inst_name_read(runroot, name, id);
	if (r < 0)
		return r;
	r = inst_open_id(runroot, id, &i);
	if (r < 0)
		return r;
	if (!streq(inst_name(i), name))
		return -ENOENT;
	*ret = take_ptr(i);
	return 0;
}

/* The one id that begins with @prefix. */
static int find_prefix(int runroot, const char *prefix, char ret_id[INST_ID_MAX + 1])
{
	_closedir_ DIR *d = dir_open(runroot, INSTANCES);
	bool found = false;
	struct dirent *e;

	if (!d)
		return errno == ENOENT ? -ENOENT : err_sys(INSTANCES);
	while ((e = readdir(d))) {
		if (!inst_id_valid(e->d_name) || !str_after(e->d_name, prefix))
			continue;
		if (found)
			return -ENOTUNIQ;
		found = true;
		snprintf(ret_id, INST_ID_MAX + 1, "%.*s", INST_ID_MAX, e->d_name);
	}
	return found ? 0 : -ENOENT;
}

static int open_any(int runroot, const char *what, struct inst **ret)
{
	char id[INST_ID_MAX + 1] = "";
	int r;

	r = inst_open_id(runroot, what, ret);
	if (r != -ENOENT)
		return r;
	r = open_name(runroot, what, ret);
	if (r != -ENOENT || !inst_id_valid(what))
		return r;
	r = find_prefix(runroot, what, id);
	return r < 0 ? r : inst_open_id(runroot, id, ret);
}

int inst_open(int runroot_fd, const char *id_or_name, struct inst **ret)
{
	int r = open_any(runroot_fd, id_or_name, ret);

	if (r == -ENOENT)
		return err(r, "%s: no such instance", id_or_name);
	if (r == -ENOTUNIQ)
		return err(r, "%s: the beginning of more than one instance's id", id_or_name);
	return r;
}

const char *inst_id(const struct inst *i)
{
	return i->id;
}

const char *inst_name(const struct inst *i)
{
	const char *name = json_get_str(i->config, "name");

	return name ? name : "";
}

int inst_dirfd(const struct inst *i)
{
	return i->dir;
}

const json_t *inst_config(const struct inst *i)
{
	return i->config;
}

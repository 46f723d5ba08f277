/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/folder.h"

#include "base/dir.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/userns.h"
#include "oci/config.h"
#include <sys/stat.h>

#define ID_MAX 255 /* bytes: it is a name in a folder */

char *oci_default_root(void)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	return geteuid() == 0 && !userns_ids() ? strdup("/run/strata-oci") :
	       dir && *dir			  ? str_fmt("%s/strata-oci", dir) :
						    str_fmt("/tmp/strata-oci-%u", geteuid());
}

int folder_id_check(const char *id)
{
	size_t len = strlen(id);

	if (!len || len > ID_MAX || *id == '.' ||
	    strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.") != len)
		return err(-EINVAL, "invalid container ID \"%s\"", id);
	return 0;
}

/* Only its owner's: whoever can write there could be started as a container. */
static int open_root(const struct oci_options *o, bool make)
{
	struct stat st;
	int fd;

	if (make && fd_mkdir_p(AT_FDCWD, o->root, 0700) < 0)
		return err_sys("cannot make %s", o->root);
	fd = open(o->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || st.st_mode & 022) {
		fd_close(fd);
		return err(-EPERM, "%s is not ours alone", o->root);
	}
	return fd;
}

/* Whoever had the lock before us may have removed it, and another may have that name by now. */
static bool is_there(const struct folder *f)
{
	struct stat ours, named;

	return fstat(f->fd, &ours) == 0 &&
	       fstatat(f->root, f->id, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

/*
 * A process' own (fcntl(2)), not flock(2)'s, which the container's process would hold on as a copy
 * of us. Waits for whoever has it; it ends with us or with the descriptor.
 */
static int lock(struct folder *f)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	f->lock = openat(f->fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (f->lock < 0)
		return -errno;
	while (fcntl(f->lock, F_SETLKW, &l) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return is_there(f) ? 0 : -ENOENT;
}

int folder_make(const struct oci_options *o, const char *id, struct folder *ret)
{
	struct folder f = FOLDER_NONE;
	int r = folder_id_check(id);

	if (r < 0)
		return r;
	f.id = id;
	r = f.root = open_root(o, true);
	if (r >= 0 && mkdirat(f.root, id, 0700) < 0)
		r = errno == EEXIST ? err(-EEXIST, "container with id %s already exists", id) :
				      err_sys("cannot make %s/%s", o->root, id);
	if (r >= 0)
		r = f.fd = openat(f.root, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r >= 0)
		r = lock(&f);
	f.state = json_object();
	if (r < 0) {
		folder_done(&f);
		return r;
	}
	*ret = f;
	return 0;
}

/* Of another boot, or of none yet: there is no such process. */
static void load(struct folder *f)
{
	struct boot_id boot;
	const char *then = json_get_str(f->state, "boot");

	f->pid = (pid_t)json_get_int(f->state, "pid", 0);
	f->start_time = (uint64_t)json_get_int(f->state, "startTime", 0);
	if (!then || proc_boot_id(&boot) < 0 || !streq(boot.s, then))
		f->start_time = UINT64_MAX;
}

static int read_state(struct folder *f)
{
	int r = json_parse_file(f->fd, "state.json", "state.json", &f->state);

	if (r != -ENOENT || !is_there(f))
		return r;
	/* A create that was killed before it had written a word. */
	err_clear();
	f->state = json_object();
	return f->state ? 0 : -ENOMEM;
}

int folder_open(const struct oci_options *o, const char *id, bool exclusive, struct folder *ret)
{
	struct folder f = FOLDER_NONE;
	int r = folder_id_check(id);

	if (r < 0)
		return r;
	f.id = id;
	r = f.root = open_root(o, false);
	if (r >= 0)
		r = f.fd = fd_open_beneath(f.root, id, O_RDONLY | O_DIRECTORY, 0);
	if (r >= 0 && exclusive)
		r = lock(&f);
	if (r >= 0)
		r = read_state(&f);
	if (r >= 0)
		r = oci_cgroup_load(&f.mem, json_object_get(f.state, "cgroups"), &f.cgroup);
	if (r < 0) {
		folder_done(&f);
		return r == -ENOENT ? err(r, "container \"%s\" does not exist", id) : r;
	}
	load(&f);
	*ret = f;
	return 0;
}

void folder_done(struct folder *f)
{
	fd_close(f->lock);
	fd_close(f->fd);
	fd_close(f->root);
	json_decref(f->state);
	keep_done(&f->mem);
	*f = FOLDER_NONE;
}

int folder_save(struct folder *f)
{
	struct boot_id boot;
	_free_ char *text = NULL;
	size_t len;
	int r = proc_boot_id(&boot);

	if (r < 0)
		return r;
	json_object_set_new(f->state, "boot", json_string(boot.s));
	json_object_set_new(f->state, "pid", json_integer(f->pid));
	json_object_set_new(f->state, "startTime", json_integer((json_int_t)f->start_time));
	json_object_set_new(f->state, "cgroups", oci_cgroup_json(&f->cgroup));
	text = json_text(f->state, &len);
	r = text ? file_replace(f->fd, "state.json", text, len, 0600, false) : -ENOMEM;
	return r < 0 ? err(r, "cannot write the container's state: %s", strerror(-r)) : 0;
}

int folder_remove(struct folder *f)
{
	int r = fd_remove_tree(f->root, f->id);

	return r < 0 ? err(r, "cannot remove the container's folder: %s", strerror(-r)) : 0;
}

enum oci_status folder_status(const struct folder *f)
{
	if (!f->pid)
		return OCI_CREATING;
	if (!proc_alive(f->pid, f->start_time))
		return OCI_STOPPED;
	if (faccessat(f->fd, FOLDER_GATE, F_OK, 0) == 0)
		return OCI_CREATED;
	return oci_cgroup_frozen(&f->cgroup) ? OCI_PAUSED : OCI_RUNNING;
}

const char *oci_status_name(enum oci_status s)
{
	static const char *const names[] = { "creating", "created", "running", "paused",
					     "stopped" };

	return names[s];
}

int folder_pidfd(const struct folder *f)
{
	_close_ int fd = f->pid ? proc_pidfd(f->pid) : -ESRCH;

	/* Asked after it was opened: it is of the process that is named. */
	if (fd < 0 || !proc_alive(f->pid, f->start_time))
		return err(-ESRCH, "container not running");
	return take_fd(fd);
}

json_t *folder_state_json(const struct folder *f, enum oci_status s)
{
	json_t *j = json_pack("{s:s,s:s,s:s,s:i,s:s}", "ociVersion", OCI_VERSION, "id", f->id,
			      "status", oci_status_name(s), "pid", s == OCI_STOPPED ? 0 : f->pid,
			      "bundle", json_get_str(f->state, "bundle") ?: "");
	static const char *const more[] = { "annotations", "rootfs", "created" };

	for (size_t i = 0; j && i < ARRAY_SIZE(more); i++) {
		json_t *v = json_object_get(f->state, more[i]);

		if (v)
			json_object_set(j, more[i], v);
	}
	return j;
}

int oci_state(const struct oci_options *o, const char *id, json_t **ret)
{
	_cleanup_(folder_done) struct folder f = FOLDER_NONE;
	int r = folder_open(o, id, false, &f);

	if (r < 0)
		return r;
	*ret = folder_state_json(&f, folder_status(&f));
	return *ret ? 0 : -ENOMEM;
}

int oci_list(const struct oci_options *o, json_t **ret)
{
	_json_ json_t *list = json_array();
	_closedir_ DIR *d = opendir(o->root);

	for (struct dirent *e; d && list && (e = dir_next(d));) {
		json_t *state = NULL;

		if (*e->d_name == '.' || e->d_type != DT_DIR)
			continue;
		/* One that was deleted meanwhile is none. */
		if (oci_state(o, e->d_name, &state) < 0)
			err_clear();
		else
			json_array_append_new(list, state);
	}
	*ret = take_ptr(list);
	return *ret ? 0 : -ENOMEM;
}

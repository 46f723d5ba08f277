/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `cp`: files between the host and an instance, with docker's rules. A running container's root is
 * what its first process has as root, volumes and all; in a running microVM its init copies
 * (engine/cp_vm.c); of one that does not run the root is mounted for the time being. In the
 * instance every path is resolved as its processes would.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/tree.h"
#include "engine/cp_vm.h"
#include "engine/engine_.h"
#include "engine/rootfs.h"
#include <sys/stat.h>

struct end {
	struct inst *inst; /* NULL: the host */
	struct run_spec *spec;
	struct rootfs rootfs;
	int root;  /* of the container, -1 on the host and in a microVM that runs */
	bool live; /* a microVM that runs: its init copies */
	struct tree_path path;
};

#define END_NONE ((struct end){ .rootfs = ROOTFS_NONE, .root = -1 })

static void end_done(struct end *d)
{
	fd_close(d->root);
	rootfs_close(&d->rootfs);
	spec_free(d->spec);
	inst_close(d->inst);
	tree_path_done(&d->path);
	*d = END_NONE;
}

static int open_running(struct end *d)
{
	_close_ int pidfd = -1;
	struct inst_state state;
	char path[48];
	int r = inst_process(d->inst, &pidfd);

	if (r >= 0)
		r = inst_state(d->inst, &state);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/root", (int)state.pid);
	d->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* Alive now, so it was that process's root. */
	return d->root < 0 || proc_pidfd_kill(pidfd, 0) < 0 ? -ESRCH : 0;
}

static int open_container(struct engine *e, const char *name, struct end *d)
{
	struct inst_state state;
	int r = inst_open(e->runroot_fd, name, &d->inst);

	if (r >= 0)
		r = inst_state(d->inst, &state);
	if (r >= 0)
		r = spec_from_json(inst_config(d->inst), &d->spec);
	if (r < 0)
		return r;
	if (d->spec->kind == RUN_MOUNT)
		return err(-EOPNOTSUPP, "%s is a %s: cp is for containers and microVMs", name,
			   spec_kind_name(d->spec->kind));
	if (state.status == INST_PAUSED && d->spec->kind == RUN_VM)
		return err(-ESRCH, "%s is paused: unpause it first", name);
	d->live = state.status == INST_RUNNING && d->spec->kind == RUN_VM;
	if (d->live)
		return 0;
	if (state.status == INST_RUNNING || state.status == INST_PAUSED) {
		r = open_running(d);
		return r < 0 ? err(r, "cp: %s is ending just now: try again", name) : 0;
	}
	r = rootfs_open(e->store, d->spec, 2, &d->rootfs);
	if (r < 0)
		return r;
	d->root = fcntl(d->rootfs.mount_fd, F_DUPFD_CLOEXEC, 0);
	return d->root < 0 ? err_sys("root of %s", name) : 0;
}

/* "NAME:PATH", not a path of the host (with a slash before any colon). */
static bool in_container(const char *text)
{
	const char *colon = strchr(text, ':'), *slash = strchr(text, '/');

	return colon && (!slash || colon < slash);
}

static int end_open(struct engine *e, const char *text, struct end *d)
{
	const char *colon = strchr(text, ':');
	_free_ char *name = NULL;
	int r;

	if (!in_container(text))
		return tree_path_init(&d->path, text);
	name = strndup(text, (size_t)(colon - text));
	if (!name)
		return -ENOMEM;
	r = open_container(e, name, d);
	return r < 0 ? r : tree_path_init(&d->path, colon + 1);
}

static int copy(const struct end *from, const struct end *to, struct tree_writer *w)
{
	struct tree_source source;
	int r = tree_source_open(from->root, &from->path, &source);

	if (r < 0)
		return r;
	r = tree_target_open(to->root, &to->path, from->path.name, source.directory,
			     from->path.content, w);
	if (r >= 0)
		r = tree_read(source.dir, source.name, &tree_writer_sink, w);
	fd_close(source.dir);
	return r;
}

int engine_cp_begin(const struct engine_options *o, const char *from, const char *to)
{
	const char *text = in_container(from) ? from : in_container(to) ? to : NULL;
	_free_ char *name = text ? strndup(text, strcspn(text, ":")) : NULL;

	return text && !name ? -ENOMEM : engine_own_mounts(o, name);
}

int engine_cp(struct engine *e, const char *from, const char *to, bool archive)
{
	_cleanup_(end_done) struct end a = END_NONE, b = END_NONE;
	_cleanup_(tree_writer_done) struct tree_writer w = TREE_WRITER_NONE;
	int r;

	if (in_container(from) == in_container(to))
		return err(-EINVAL,
			   "cp: one of both must be INSTANCE:PATH, the other a path of the host");
	r = end_open(e, from, &a);
	if (r >= 0)
		r = end_open(e, to, &b);
	if (r < 0)
		return r;
	w.archive = archive;
	w.to_host = !b.inst;
	if (a.live)
		return vm_copy_out(inst_dirfd(a.inst), &a.path, strchr(from, ':') + 1, &b.path, &w);
	if (b.live)
		return vm_copy_in(inst_dirfd(b.inst), &a.path, strchr(to, ':') + 1, archive);
	return copy(&a, &b, &w);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* `run`: image and options become a spec, a snapshot and an instance, and a supervisor takes over.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/str.h"
#include "engine/engine_.h"
#include "engine/kernel.h"
#include "engine/spec.h"
#include "engine/top.h"
#include <poll.h>
#include <sys/socket.h>

static void spec_freep(struct run_spec **s)
{
	spec_free(*s);
}

/* Mounts and namespaces: without root it would fail half way, by a line that does not say why. */
static int need_root(const struct run_options *o)
{
	return geteuid() == 0 ? 0 :
				err(-EPERM, "%s %s needs root: as uid %u only images can be handled",
				    o->kind == RUN_MOUNT ? "mount" : "run", o->image,
				    (unsigned)geteuid());
}

static int prepare_kind(struct engine *e, struct run_spec *spec)
{
	int r;

	if (spec->kind != RUN_VM)
		return 0;
	if (!spec->kernel) {
		r = kernel_default(&spec->kernel);
		if (r < 0)
			return r;
	}
	return engine_vm_usable(e);
}

static void undo_instance(struct engine *e, struct inst *i)
{
	snapshot_remove(e->store, inst_id(i));
	inst_delete(i);
	inst_close(i);
}

/* What was asked for stands beside the top too: state folders are gone after a reboot, tops are
 * not. */
static int keep_config(struct engine *e, const char *id, const json_t *config)
{
	_free_ char *path = str_fmt("snapshots/%s", id), *text = NULL;
	_close_ int dir = -1;
	size_t len;

	text = json_text(config, &len);
	if (!path || !text)
		return -ENOMEM;
	dir = openat(store_dirfd(e->store), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys("%s/%s", e->root, path);
	return file_replace(dir, "config.json", text, len, 0600, false);
}

/* The instance comes before its snapshot and goes after it: a snapshot without an instance is a
 * leftover. */
static int create_instance(struct engine *e, struct run_spec *spec, const struct stack *k,
			   struct inst **ret)
{
	char id[INST_ID_LEN + 1];
	_json_ json_t *config = NULL;
	struct inst *inst;
	int r = inst_new_id(e->runroot_fd, id);

	if (r < 0)
		return r;
	spec->id = strdup(id);
	spec->store = strdup(e->root);
	config = spec->id && spec->store ? spec_to_json(spec) : NULL;
	if (!config)
		return -ENOMEM;
	r = inst_create(e->runroot_fd, id, config, &inst);
	if (r < 0)
		return r;
	r = top_create(e->store, id, spec->layers, spec->nlayers, k, spec->kind == RUN_VM);
	if (r >= 0)
		r = keep_config(e, id, config);
	if (r < 0) {
		undo_instance(e, inst);
		return r;
	}
	*ret = inst;
	return 0;
}

static int spawn_monitor(struct engine *e, const struct run_options *o, struct run_spec *spec,
			 struct run *ret)
{
	_free_ char *path = NULL;
	_close_ int pidfd = -1;
	int pipefd[2], r = proc_sibling("strata-monitor", &path);
	char *argv[] = { (char[]){ "strata-monitor" }, e->runroot, spec->id, NULL };
	int fds[4] = { o->interactive ? 0 : -1, 1, 2, -1 };
	pid_t pid;

	if (r < 0)
		return r;
	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return err_sys("report pipe");
	if (o->detach)
		fds[0] = fds[1] = fds[2] = -1;
	fds[3] = pipefd[1];
	r = proc_spawn(path, argv, NULL, fds, 4, &pid, &pidfd);
	fd_close(pipefd[1]);
	if (r < 0) {
		fd_close(pipefd[0]);
		return err(r, "%s: %s", path, strerror(-r));
	}
	ret->report_fd = pipefd[0];
	return 0;
}

int engine_run(struct engine *e, const struct run_options *o, struct run *ret)
{
	_cleanup_(image_closep) struct image *image = NULL;
	_cleanup_(spec_freep) struct run_spec *spec = NULL;
	struct stack stack;
	struct inst *inst = NULL;
	int r = need_root(o);

	if (r >= 0)
		r = image_open(e->store, o->image, &image);
	if (r >= 0)
		r = spec_new(o, image, &spec);
	if (r >= 0)
		r = prepare_kind(e, spec);
	/* The merged index is made now if it is missing: errors come before anything exists, and the
	 * supervisor stays small. */
	if (r >= 0)
		r = stack_open(e->store, spec->layers, spec->nlayers, &stack);
	if (r < 0)
		return r;
	r = create_instance(e, spec, &stack, &inst);
	stack_close(&stack);
	if (r < 0)
		return r;
	r = spawn_monitor(e, o, spec, ret);
	if (r < 0) {
		undo_instance(e, inst);
		return r;
	}
	ret->inst = inst;
	return 0;
}

int run_next(struct run *r, struct run_report *ret)
{
	ssize_t n = read(r->report_fd, ret, sizeof(*ret));

	if (n < 0)
		return -errno;
	return n == sizeof(*ret);
}

void run_done(struct run *r)
{
	fd_close(r->report_fd);
	inst_close(r->inst);
	*r = (struct run){ .report_fd = -1 };
}

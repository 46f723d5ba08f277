/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A further command. In a container: a child of the one who asks, so that it ends when that does.
 * The supervisor has no part in it; what is left when the container ends goes with its pid
 * namespace. In a microVM: engine/exec_vm.c.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "container/container.h"
#include "engine/engine_.h"
#include "engine/exec_vm.h"
#include "engine/spec_env.h"
#include "engine/spec_process.h"
#include <unistd.h>

static void cgroup_closep(struct cgroup **g)
{
	cgroup_close(*g);
}

int exec_protect(char *const *argv)
{
	return ctr_protect(argv);
}

static int open_running(struct engine *e, const char *name, struct inst **ret_inst, int *ret_pidfd)
{
	_cleanup_(inst_closep) struct inst *i = NULL;
	struct inst_state state;
	int r = inst_open(e->runroot_fd, name, &i);

	if (r >= 0)
		r = inst_state(i, &state);
	if (r < 0) /* ENOENT is the command's */
		return r == -ENOENT ? -ESRCH : r;
	if (state.status == INST_PAUSED)
		return err(-ESRCH, "%s is paused: unpause it first", name);
	if (state.status != INST_RUNNING)
		return err(-ESRCH, "%s is not running", name);
	r = inst_process(i, ret_pidfd);
	if (r < 0)
		return err(r, "%s is not running", name);
	*ret_inst = take_ptr(i);
	return 0;
}

/* What the instance has, and what was asked for; a file that is not there is no absent command. */
static int join_env(char *const *own, const struct exec_options *o, char ***ret)
{
	_strv_free_ char **env = NULL;
	int r = strv_dup(own, &env);

	if (r >= 0)
		r = spec_add_env(&env, o->env_files, o->env);
	if (r == -ENOENT || r == -EACCES)
		return err(-EIO, "%s", strerror(-r));
	if (r >= 0)
		*ret = take_ptr(env);
	return r;
}

static int enter_cgroup(void *ctx, pid_t pid)
{
	return cgroup_enter(ctx, pid, false);
}

static int exec_container(const struct run_spec *spec, int pidfd, const struct exec_options *o,
			  struct ctr **ret)
{
	_cleanup_(cgroup_closep) struct cgroup *group = NULL;
	_strv_free_ char **env = NULL;
	struct ctr_rlimit rlimits[SPEC_RLIMITS_MAX];
	struct ctr_spec s = {
		.root_mount = -1,
		.argv = o->command,
		.cwd = o->workdir ? o->workdir : spec->cwd,
		.user = o->user ? o->user : spec->user,
		.tty = o->tty,
		.rows = o->rows,
		.cols = o->cols,
		.stdio = { o->interactive && !o->detach ? 0 : -1, o->detach ? -1 : 1,
			   o->detach ? -1 : 2 },
		.rlimits = rlimits,
		.nrlimits = spec_ctr_rlimits(spec, rlimits),
		.caps = spec_caps(spec, CTR_CAPS_DEFAULT),
		.seccomp = true,
		.enter = enter_cgroup,
	};
	int r = join_env(spec->env, o, &env);

	if (r >= 0)
		r = cgroup_open(spec->id, &group);
	if (r < 0)
		return r;
	s.env = env;
	s.cgroup_fd = cgroup_fd(group);
	s.enter_ctx = group;
	r = ctr_exec(pidfd, &s, ret);
	/* Of what comes before the command: not the command's own absence. */
	return r == -ENOENT || r == -EACCES ? err(-EIO, "%s", strerror(-r)) : r;
}

static int start_container(const struct run_spec *spec, int pidfd, const struct exec_options *o,
			   struct exec *ret)
{
	struct ctr *ctr;
	int r = ctr_protected() ? 0 : err(-EPERM, "exec: this program could be overwritten");

	if (r >= 0)
		r = exec_container(spec, pidfd, o, &ctr);
	if (r < 0)
		return r;
	r = ctr_start(ctr);
	if (r < 0) {
		ctr_abort(ctr);
		return r;
	}
	*ret = (struct exec){ .pidfd = ctr_pidfd(ctr), .console = ctr_console(ctr), .ctr = ctr };
	return 0;
}

static int start_vm(const struct run_spec *spec, int dir, const struct exec_options *o,
		    struct exec *ret)
{
	_strv_free_ char **env = NULL;
	int r = join_env(spec->env, o, &env);

	*ret = (struct exec){ .pidfd = -1, .console = -1 };
	return r < 0 ? r : vm_exec_start(spec, dir, o, env, &ret->vm);
}

int engine_exec(struct engine *e, const char *id_or_name, const struct exec_options *o,
		struct exec *ret)
{
	_cleanup_(inst_closep) struct inst *i = NULL;
	_cleanup_(spec_freep) struct run_spec *spec = NULL;
	_close_ int pidfd = -1;
	int r = open_running(e, id_or_name, &i, &pidfd);

	if (r >= 0)
		r = spec_from_json(inst_config(i), &spec);
	if (r < 0)
		return r;
	if (spec->kind == RUN_CONTAINER)
		return start_container(spec, pidfd, o, ret);
	if (spec->kind == RUN_VM)
		return start_vm(spec, inst_dirfd(i), o, ret);
	return err(-EOPNOTSUPP, "%s is a %s: exec is for containers and microVMs", id_or_name,
		   spec_kind_name(spec->kind));
}

int exec_wait(struct exec *x, int wake_fd)
{
	int status = 255, r;

	if (x->vm)
		return vm_exec_relay(x->vm, wake_fd);
	r = proc_wait(x->pidfd, &status);
	return r < 0 ? err(r, "waiting for the command: %s", strerror(-r)) : status;
}

int exec_signal(struct exec *x, int sig)
{
	return x->vm ? vm_exec_signal(x->vm, sig) : -EOPNOTSUPP;
}

int exec_resize(struct exec *x, unsigned rows, unsigned cols)
{
	return x->vm ? vm_exec_resize(x->vm, rows, cols) : -EOPNOTSUPP;
}

void exec_done(struct exec *x)
{
	ctr_free(x->ctr);
	vm_exec_free(x->vm);
	*x = (struct exec){ .pidfd = -1, .console = -1 };
}

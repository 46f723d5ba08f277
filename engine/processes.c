/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `top`: the processes of a container, found as docker's ps does it from outside: those in the pid
 * namespace of its first process, and all that descend from them. Of a microVM: what its init tells
 * (engine/processes_vm.c).
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/proc_stat.h"
#include "base/str.h"
#include "engine/engine_.h"
#include "engine/processes_vm.h"
#include "engine/spec.h"
#include <ctype.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROCESSES_MAX (1u << 20) /* of the whole host; more are not looked at */
#define COMMAND_MAX   4096

struct process {
	pid_t pid, ppid;
	uid_t uid;
	uint64_t cpu_ns;
	bool inside;
};

struct processes {
	struct process *p;
	size_t n, max;
};

static int by_pid(const void *a, const void *b)
{
	const struct process *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

/* Which pid namespace; 0 = it has gone. */
static ino_t namespace_of(pid_t pid)
{
	char path[48];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

static int read_process(pid_t pid, struct process *ret)
{
	struct proc_stat s;
	char path[48];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (stat(path, &st) < 0 || proc_stat(pid, &s) < 0)
		return -ESRCH;
	*ret = (struct process){ .pid = pid, .ppid = s.ppid, .uid = st.st_uid, .cpu_ns = s.cpu_ns };
	return 0;
}

static int add_process(struct processes *all, const struct process *p)
{
	int r = mem_grow(&all->p, &all->max, all->n + 1, sizeof(*all->p));

	if (r >= 0)
		all->p[all->n++] = *p;
	return r;
}

static int read_all(struct processes *all, ino_t inside)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int r = d ? 0 : err_sys("/proc");

	while (r >= 0 && (e = readdir(d)) && all->n < PROCESSES_MAX) {
		struct process p;

		if (!isdigit((unsigned char)e->d_name[0]) ||
		    read_process((pid_t)strtol(e->d_name, NULL, 10), &p) < 0)
			continue;
		p.inside = namespace_of(p.pid) == inside;
		r = add_process(all, &p);
	}
	if (d)
		closedir(d);
	return r;
}

/* Those in pid namespaces that the container made itself. */
static void add_descendants(struct processes *all)
{
	bool more = true;

	if (all->n) /* qsort(3) takes no NULL */
		qsort(all->p, all->n, sizeof(*all->p), by_pid);
	while (more) {
		more = false;
		for (size_t i = 0; i < all->n; i++) {
			struct process *p = &all->p[i], key = { .pid = p->ppid }, *parent;

			if (p->inside)
				continue;
			parent = bsearch(&key, all->p, all->n, sizeof(*all->p), by_pid);
			p->inside = parent && parent->inside;
			more |= p->inside;
		}
	}
}

/* Its arguments with blanks between, or nothing (a zombie). */
static void read_command(pid_t pid, char *ret, size_t size)
{
	char path[48], raw[COMMAND_MAX];
	_close_ int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, raw, sizeof(raw) - 1);
	raw[MAX(n, 0)] = '\0';
	for (ssize_t i = 0; i + 1 < n; i++)
		if (!raw[i])
			raw[i] = ' ';
	str_printable(ret, size, raw);
}

static int tell_all(const struct processes *all,
		    int (*fn)(void *ctx, const struct process_entry *p), void *ctx)
{
	char command[COMMAND_MAX];
	int r = 0;

	for (size_t i = 0; i < all->n && r == 0; i++) {
		const struct process *p = &all->p[i];

		if (!p->inside)
			continue;
		read_command(p->pid, command, sizeof(command));
		r = fn(ctx, &(struct process_entry){ .pid = p->pid,
						     .ppid = p->ppid,
						     .uid = p->uid,
						     .cpu_ns = p->cpu_ns,
						     .command = command });
	}
	return r;
}

static int container_processes(const struct inst *i, pid_t pid,
			       int (*fn)(void *ctx, const struct process_entry *p), void *ctx)
{
	struct processes all = { 0 };
	ino_t inside = namespace_of(pid);
	int r = inside ? read_all(&all, inside) : err(-ESRCH, "%s is not running", inst_id(i));

	if (r >= 0) {
		add_descendants(&all);
		r = tell_all(&all, fn, ctx);
	}
	free(all.p);
	return r;
}

int engine_processes(struct engine *e, const char *id_or_name,
		     int (*fn)(void *ctx, const struct process_entry *p), void *ctx)
{
	_cleanup_(inst_closep) struct inst *i = NULL;
	struct run_spec *spec = NULL;
	struct inst_state state;
	_close_ int pidfd = -1;
	enum run_kind kind;
	int r = engine_find(e, id_or_name, &i, &spec);

	if (r < 0)
		return r;
	kind = spec->kind;
	spec_free(spec);
	if (kind == RUN_MOUNT)
		return err(-EOPNOTSUPP, "%s is a %s: top is for containers and microVMs",
			   id_or_name, spec_kind_name(kind));
	if (inst_process(i, &pidfd) < 0 || inst_state(i, &state) < 0)
		return err(-ESRCH, "%s is not running", id_or_name);
	if (kind == RUN_CONTAINER)
		return container_processes(i, state.pid, fn, ctx);
	if (state.status == INST_PAUSED)
		return err(-ESRCH, "%s is paused: unpause it first", id_or_name);
	return vm_processes(inst_dirfd(i), fn, ctx);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/process.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/userns.h"
#include <sys/socket.h>
#include <sys/un.h>

/* Raising it is anybody's; an ordinary user's runtime may not lower it, and goes on without. */
static int set_oom_score(pid_t pid, int score)
{
	char path[48], text[16];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	snprintf(text, sizeof(text), "%d", score);
	r = file_write(AT_FDCWD, path, text);
	if ((r == -EACCES || r == -EPERM) && userns_ids() > 0)
		return 0;
	return r < 0 ? err(r, "cannot set the score of the OOM killer: %s", strerror(-r)) : 0;
}

static int enter(void *ctx, pid_t pid)
{
	const struct making *m = ctx;
	int r = oci_cgroup_enter(&m->f->cgroup, pid, m->c->spec.cgroup_fd < 0);

	return r >= 0 && m->c->has_oom ? set_oom_score(pid, m->c->oom_score_adj) : r;
}

void making_set(struct making *m, struct folder *f, struct oci_config *c)
{
	*m = (struct making){ .f = f, .c = c };
	c->spec.enter = enter;
	c->spec.enter_ctx = m;
}

int process_error(int r)
{
	return r == -ENOENT || r == -EACCES ? err(-EIO, "%s", strerror(-r)) : r;
}

int preserve_check(unsigned n)
{
	if (n > 1000)
		return err(-EINVAL, "--preserve-fds: at most 1000");
	for (unsigned fd = 3; fd < 3 + n; fd++) {
		if (fcntl((int)fd, F_GETFD) < 0)
			return err(-EBADF, "--preserve-fds: descriptor %u is not open", fd);
	}
	return 0;
}

int console_check(const struct oci_options *o, bool tty)
{
	if (tty && !o->console && !o->foreground)
		return err(-EINVAL,
			   "a terminal without --console-socket is for `run` and `exec` in "
			   "the foreground");
	if (!tty && o->console)
		return err(-EINVAL, "--console-socket, but the process has no terminal");
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_close_ int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), at = -1;

	/* By a descriptor, whose name is short, whatever the path's length. */
	at = open(path, O_PATH | O_CLOEXEC);
	if (s < 0 || at < 0)
		return -errno;
	str_copy(a.sun_path, sizeof(a.sun_path), fd_path(at).s);
	return connect(s, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : take_fd(s);
}

static int console_send(const struct oci_options *o, struct oci_process *p)
{
	static const char name[] = "/dev/ptmx";
	_close_ int s = -1;
	ssize_t n;

	if (!o->console)
		return 0;
	s = connect_to(o->console);
	n = s < 0 ? s : fd_send(s, name, sizeof(name), &p->console, 1);
	if (n < 0)
		return err((int)n, "cannot hand the terminal to %s: %s", o->console,
			   strerror((int)-n));
	p->console = -1;
	return 0;
}

static int pid_file_write(const struct oci_options *o, pid_t pid)
{
	_free_ char *dir = NULL;
	const char *name;
	_close_ int fd = -1;
	char text[16];
	int r;

	if (!o->pid_file)
		return 0;
	name = strrchr(o->pid_file, '/');
	dir = name ? strndup(o->pid_file, (size_t)(name + 1 - o->pid_file)) : strdup(".");
	if (!dir)
		return -ENOMEM;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(text, sizeof(text), "%d", pid);
	r = fd < 0 ? -errno :
		     file_replace(fd, name ? name + 1 : o->pid_file, text, strlen(text), 0644,
				  false);
	return r < 0 ? err(r, "cannot write %s: %s", o->pid_file, strerror(-r)) : 0;
}

struct oci_process process_of(struct ctr *ctr)
{
	return (struct oci_process){
		.pid = ctr_pid(ctr),
		.pidfd = ctr_pidfd(ctr),
		.console = ctr_console(ctr),
		.ctr = ctr,
	};
}

int process_tell(const struct oci_options *o, struct oci_process *p)
{
	int r = console_send(o, p);

	return r < 0 ? r : pid_file_write(o, p->pid);
}

int oci_process_start(struct oci_process *p)
{
	return ctr_start(p->ctr);
}

void oci_process_done(struct oci_process *p)
{
	ctr_free(p->ctr);
	*p = (struct oci_process){ .pidfd = -1, .console = -1 };
}

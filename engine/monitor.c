/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strata-monitor: supervisor and keeper of one instance, from before its process is made until all
 * of it is gone. It starts with the client's stdio (none when it is detached) as 0, 1, 2 and the
 * report pipe as 3, and opens everything else itself.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/engine_.h"
#include "engine/iso.h"
#include "engine/warm.h"
#include <signal.h>
#include <sys/stat.h>

#define REPORT_FD 3

struct monitor {
	struct inst *inst;
	struct store *store;
	struct run_spec *spec;
	int stdio[3];
	int log_fd;
	int images;   /* RUNROOT/images */
	int machines; /* RUNROOT/machines */
	bool restore, hashed, detached;
	const char *detach_keys, *runroot;
};

/* ENOENT and EACCES of a report speak of the command (exit codes 127 and 126): none has run. */
static void report_failure(int e)
{
	struct run_report r = { .kind = RUN_FAILED,
				.code = e == -ENOENT || e == -EACCES ? -EIO : e };

	snprintf(r.text, sizeof(r.text), "%s", err_take(e));
	fd_write_full(REPORT_FD, &r, sizeof(r));
}

/* The client's stdio moves out of the way: nothing that this process runs may use it by accident.
 */
static int keep_stdio(struct monitor *m)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return err_sys("/dev/null");
	for (int i = 0; i < 3; i++) {
		m->stdio[i] = m->detached ? -1 : fcntl(i, F_DUPFD_CLOEXEC, REPORT_FD + 1);
		if (m->stdio[i] < 0 && !m->detached)
			return err_sys("standard stream %d", i);
		dup2(null, i);
	}
	fd_close(null);
	fd_cloexec(REPORT_FD, true);
	return 0;
}

/* monitor.log of the instance; with --debug the client's stderr, and more of it. */
static int open_log(struct monitor *m)
{
	bool debug = getenv("STRATA_DEBUG") && m->stdio[2] >= 0;

	m->log_fd = debug ? fcntl(m->stdio[2], F_DUPFD_CLOEXEC, REPORT_FD + 1) :
			    openat(inst_dirfd(m->inst), "monitor.log",
				   O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (m->log_fd < 0)
		return err_sys("monitor.log of %s", inst_id(m->inst));
	log_setup("strata-monitor", m->log_fd, debug ? LOG_DEBUG : LOG_INFO);
	return 0;
}

static bool needs_namespace(const struct run_spec *s)
{
	return s->kind == RUN_CONTAINER && s->driver != RUN_DRIVER_FUSE;
}

/* Without it, nothing is shared. */
static int open_images(int runroot)
{
	if (mkdirat(runroot, "images", 0700) < 0 && errno != EEXIST)
		return -1;
	return openat(runroot, "images", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int open_all(struct monitor *m, const char *runroot, const char *id)
{
	_close_ int dir = open(runroot, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir < 0)
		return err_sys("state folder %s", runroot);
	r = inst_open(dir, id, &m->inst);
	if (r >= 0)
		r = spec_from_json(inst_config(m->inst), &m->spec);
	if (r >= 0)
		r = open_log(m);
	if (r >= 0 && needs_namespace(m->spec)) {
		/* A mount is not cloned into another user namespace, and each run has its own. */
		m->images = m->spec->ids ? -1 : open_images(dir);
		r = rootfs_namespace();
	}
	if (r >= 0 && m->spec->kind == RUN_VM)
		m->machines = warm_folder(dir);
	if (r >= 0)
		r = store_open(m->spec->store, 0, &m->store);
	return r;
}

static void remove_all(void *ctx)
{
	struct monitor *m = ctx;

	snapshot_remove(m->store, m->spec->id);
	inst_delete(m->inst);
	err_clear();
}

static int run(struct monitor *m)
{
	struct iso_context c = { .store = m->store,
				 .spec = m->spec,
				 .dir = inst_dirfd(m->inst),
				 .runroot = m->runroot,
				 .log_fd = m->log_fd,
				 .images = m->images,
				 .machines = m->machines,
				 .restore = m->restore,
				 .hashed = m->hashed };
	struct supervise s = {
		.inst = m->inst,
		.tty = m->spec->tty,
		.logged = m->spec->logged,
		.stdin_open = m->spec->interactive,
		.detach_keys = m->detach_keys,
		.stdio = { m->stdio[0], m->stdio[1], m->stdio[2] },
		.report_fd = REPORT_FD,
		.timeout = m->spec->timeout,
		.finished = m->spec->rm ? remove_all : NULL,
		.finished_ctx = m,
	};

	switch (m->spec->kind) {
	case RUN_CONTAINER:
		s.iso = &iso_container;
		s.ctx = iso_container_new(&c);
		break;
	case RUN_VM:
		s.iso = &iso_vm;
		s.ctx = iso_vm_new(&c);
		break;
	case RUN_MOUNT:
		s.iso = &iso_mount;
		s.ctx = iso_mount_new(&c);
		break;
	}
	return s.ctx ? supervise(&s) : -ENOMEM;
}

/* The words after the id; false: an unknown one. */
static bool take_words(struct monitor *m, char *const *words)
{
	for (; *words; words++) {
		const char *keys = str_after(*words, "keys=");

		if (keys)
			m->detach_keys = keys;
		else if (streq(*words, "restore"))
			m->restore = true;
		else if (streq(*words, "restore-hashed"))
			m->restore = m->hashed = true;
		else if (streq(*words, "detached"))
			m->detached = true;
		else
			return false;
	}
	return true;
}

int monitor_main(int argc, char **argv)
{
	struct monitor m = { .log_fd = -1, .images = -1, .machines = -1 };
	int r;

	if (argc < 3 || !take_words(&m, argv + 3)) {
		fprintf(stderr,
			"usage: strata-monitor RUNROOT ID [restore|restore-hashed] [detached] "
			"[keys=KEYS] (started by strata)\n");
		return 2;
	}
	/* A session of its own: the client's terminal does not signal it, and its death does not
	 * end it. */
	setsid();
	signal(SIGPIPE, SIG_IGN);
	m.runroot = argv[1];
	r = keep_stdio(&m);
	if (r >= 0)
		r = open_all(&m, argv[1], argv[2]);
	if (r < 0) {
		report_failure(r);
		return 125;
	}
	r = run(&m);
	return r < 0 ? 125 : 0;
}

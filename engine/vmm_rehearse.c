/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vmm_make.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/vmm.h"
#include "engine/vmm_guest.h"
#include "engine/vmm_hearer.h"
#include "engine/vmm_machine.h"
#include "unionfs/unionfs.h"
#include <sys/socket.h>

struct rehearsal {
	struct ufs *u;
	struct ufs_conn *conn;
	struct vm *vm;
	struct vm_control *control;
	int port_fd; /* the guest's end of it */
	bool done;   /* the command was executed, and has ended */
};

static void rehearsal_done(struct rehearsal *h)
{
	vm_free(h->vm);
	vm_control_free(h->control);
	ufs_conn_free(h->conn);
	ufs_free(h->u);
	fd_close(h->port_fd);
}

/* ---- its parts ---- */

static ssize_t serve(void *ctx, const struct iovec *in, int nin, const struct iovec *out, int nout)
{
	const struct rehearsal *h = ctx;

	return ufs_serve(h->conn, in, nin, out, nout);
}

static void *serve_ctx(void *arg, _unused_ size_t i)
{
	return arg;
}

static int open_root(struct rehearsal *h)
{
	const struct ufs_config cfg = {
		.upper = UFS_UPPER_PLAIN, .upper_fd = VMM_UPPER, .work_fd = -1, .rdonly = true
	};
	const struct ufs_carrier carrier = { .dax_len = 0 };
	int r = ufs_new(&cfg, &h->u);

	if (r < 0)
		return r;
	h->conn = ufs_conn_new(h->u, &carrier, NULL);
	return h->conn ? 0 : -ENOMEM;
}

static int open_control(struct rehearsal *h)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys("control port");
	h->port_fd = pair[0];
	return vm_control_new(pair[1], &h->control);
}

static int tell_guest(struct rehearsal *h, const struct run_spec *s)
{
	struct vm_guest_identity identity = { 0 };
	int r = vmm_guest_identity(s, vm_stats(h->vm)->loaded_ns, &identity);

	if (r >= 0)
		r = vmm_guest_config(s, &identity, h->control);
	explicit_bzero(&identity, sizeof(identity));
	return r;
}

/* ---- the run ---- */

static void stop(void *ctx)
{
	const struct rehearsal *h = ctx;

	vm_stop(h->vm);
}

static void hear_guest(void *ctx, const struct vm_guest_event *e)
{
	struct rehearsal *h = ctx;

	h->done = h->done || e->kind == VM_GUEST_EXITED;
	if (e->kind == VM_GUEST_FAILED)
		log_warn("rehearsal: %s", e->text);
	if (e->kind != VM_GUEST_STARTED)
		stop(h);
}

static int run(struct rehearsal *h)
{
	struct vmm_hearer hearer = {
		.control = h->control, .guest = hear_guest, .monitor_fd = -1, .stop = stop, .ctx = h
	};
	enum vm_end end;
	int r = vmm_hearer_begin(&hearer);

	if (r < 0)
		return r;
	r = vm_run(h->vm, &end);
	vmm_hearer_end(&hearer);
	if (r < 0 || h->done)
		return r;
	return err(-EIO, "the guest ended before its command: %s",
		   end == VM_END_CRASHED ? vm_why(h->vm) : "reset");
}

/* As @s has it, but for what is an image's or a user's. */
static struct run_spec spec_of(const struct run_spec *s, char **argv, char **env)
{
	struct run_spec mine = *s;

	mine.argv = argv;
	mine.env = env;
	mine.cwd = mine.user = NULL;
	mine.nvolumes = mine.ndisks = mine.ntmpfs = 0;
	mine.shm_size = 0;
	mine.hosts = mine.dns_servers = mine.dns_search = mine.dns_options = NULL;
	mine.tty = mine.interactive = mine.read_only = false;
	return mine;
}

static int rehearse(struct rehearsal *h, const struct run_spec *s, const struct digest *key)
{
	const struct vm_folder root = { VMM_UPPER, true };
	const struct vm_jail jail = {
		.uid = vmm_uid_base(s), .gid = vmm_uid_base(s), .folders = &root, .nfolders = 1
	};
	const struct vm_snapshot snapshot = { .fd = VMM_SNAPSHOT, .key = *key, .learn = true };
	struct vmm_machine m = {
		.kind = VMM_MADE, .snapshot = &snapshot, .serve = serve, .ctx = serve_ctx, .arg = h
	};
	char weak[256] = "";
	int r = open_control(h);

	m.port_fd = h->port_fd;
	if (r >= 0)
		r = vmm_machine_new(s, &m, &h->vm);
	if (r >= 0)
		r = vm_jail(&jail, weak, sizeof(weak));
	if (r >= 0)
		r = open_root(h);
	if (r >= 0)
		r = tell_guest(h, s);
	if (r >= 0)
		r = run(h);
	return r < 0 ? r : vm_snapshot_learn(h->vm, &snapshot);
}

int vmm_rehearse(const struct run_spec *s, const struct digest *key)
{
	char init[] = "/init", *argv[] = { init, NULL }, *env[] = { NULL };
	const struct run_spec mine = spec_of(s, argv, env);
	struct rehearsal h = { .port_fd = -1 };
	int r = rehearse(&h, &mine, key);

	rehearsal_done(&h);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a VMM is handed: descriptors, by their places in engine/vmm.h. */
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "engine/checkpoint.h"
#include "engine/iso_vm.h"
#include "engine/layers.h"
#include "engine/net_note.h"
#include "engine/passt.h"
#include "engine/resolv.h"
#include "engine/spec_disk.h"
#include "engine/vm_volume.h"
#include "engine/vm_vsock.h"
#include "engine/warm.h"
#include <sys/socket.h>

static int open_program(const char *name)
{
	_free_ char *path = NULL;
	int fd, r = proc_sibling(name, &path);

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys("%s", path) : fd;
}

/* Descriptors for the VMM by place; ours to close are counted in @own. */
#define HANDOUT_OWN 17 /* beside the volumes */

struct handout {
	int *fds;
	int n;
	int own[HANDOUT_OWN + 64];
	int nown;
};

static void handout_done(struct handout *h)
{
	for (int i = 0; i < h->nown; i++)
		fd_close(h->own[i]);
	free(h->fds);
}

static int hand_own(struct handout *h, int place, int fd)
{
	if (fd < 0)
		return fd;
	if (h->nown == ARRAY_SIZE(h->own)) {
		fd_close(fd);
		return err(-E2BIG, "more than %zu volumes", ARRAY_SIZE(h->own) - HANDOUT_OWN);
	}
	h->own[h->nown++] = fd;
	h->fds[place] = fd;
	return 0;
}

/* Behind the disks: packs, and what they are verified by. */
static size_t root_fds(const struct iso_vm *v)
{
	const struct stack *k = &v->root.stack;

	return k->npacks + (v->c.spec->no_verify ? 0 : k->npacks + 1);
}

/*
 * Without one the guest boots, as it does anyway when it asked to or has more than a machine has.
 */
static int hand_machine(struct iso_vm *v, struct handout *h)
{
	int r;

	h->fds[VMM_SNAPSHOT] = -1;
	if (v->c.restore) {
		r = checkpoint_take(v->c.store, v->c.spec, v->c.hashed, &v->machine);
		v->restored = r >= 0;
		return r < 0 ? r : hand_own(h, VMM_SNAPSHOT, v->machine.fd);
	}
	if (!warm_covers(v->c.spec))
		return 0;
	r = warm_open(&v->c,
		      &(struct vm_software){ h->fds[VMM_KERNEL], h->fds[VMM_INIT],
					     h->fds[VMM_MODULES] },
		      &v->machine);
	if (r < 0) {
		log_warn("no warm start: %s", err_take(r));
		return 0;
	}
	v->warm = true;
	return hand_own(h, VMM_SNAPSHOT, v->machine.fd);
}

static int hand_file(struct handout *h, int place, const char *what, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return hand_own(h, place, fd < 0 ? err_sys("%s %s", what, path) : fd);
}

static int hand_user_network(const struct iso_vm *v, struct handout *h)
{
	const struct net_note note = NET_NOTE_USER;
	int fd = -1, r = passt_start(v->c.spec, v->c.log_fd, &fd);

	if (r >= 0)
		r = hand_own(h, VMM_NET, fd);
	return r < 0 ? r : net_note_write(v->c.dir, v->c.spec->id, &note);
}

static int hand_bridge_network(struct iso_vm *v, struct handout *h)
{
	struct net_note note;
	int r = bridge_open(v->c.runroot, v->c.spec, v->c.log_fd, &v->bridge);

	if (r < 0)
		return r;
	/* It ends with its last descriptor, which is the VMM's then. */
	r = hand_own(h, VMM_NET, take_fd(v->bridge.device));
	note = net_note_bridge(&v->bridge);
	return r < 0 ? r : net_note_write(v->c.dir, v->c.spec->id, &note);
}

static int hand_network(struct iso_vm *v, struct handout *h)
{
	const struct run_spec *s = v->c.spec;

	h->fds[VMM_NET] = -1;
	return s->user_network	 ? hand_user_network(v, h) :
	       s->bridge_network ? hand_bridge_network(v, h) :
				   0;
}

/* What was asked for, and what this start has been given. */
static int config_memfd(const struct iso_vm *v)
{
	struct run_spec s = *v->c.spec;
	_free_ char *text = NULL;
	int r;

	if (!s.bridge_network)
		return spec_memfd(&s);
	r = resolv_read(&text, s.dns);
	memcpy(s.address, v->bridge.address, sizeof(s.address));
	memcpy(s.gateway, v->bridge.gateway, sizeof(s.gateway));
	s.prefix = v->bridge.prefix;
	return r < 0 ? r : spec_memfd(&s);
}

/* The last ones. The door's end is the VMM's alone once it has begun (vm_fetcher.h). */
static void hand_arrival(const struct arrival_fds *a, struct handout *h)
{
	int at = h->n;

	if (!a->n)
		return;
	h->n += ARRIVAL_DOOR + 1;
	memcpy(h->fds + at, a->fds, (ARRIVAL_DOOR + 1) * sizeof(*h->fds));
}

static int hand_files(struct iso_vm *v, struct handout *h)
{
	const struct run_spec *spec = v->c.spec;
	int r = hand_own(h, VMM_CONFIG, config_memfd(v));

	h->fds[VMM_MODULES] = -1;
	if (r >= 0)
		r = hand_file(h, VMM_KERNEL, "guest kernel", spec->kernel);
	if (r >= 0 && spec->modules)
		r = hand_file(h, VMM_MODULES, "guest kernel", spec->modules);
	if (r >= 0)
		r = hand_own(h, VMM_INIT, open_program("strata-init"));
	if (r >= 0)
		r = hand_machine(v, h);
	for (size_t i = 0; r >= 0 && i < spec->ndisks; i++)
		r = hand_own(h, VMM_MORE + i, spec_disk_open(&spec->disks[i]));
	for (size_t i = 0; r >= 0 && i < spec->nvolumes; i++)
		r = hand_own(h, VMM_MORE + spec->ndisks + i,
			     vm_open_volume(&spec->volumes[i], vmm_uid(spec)));
	return r;
}

/* One end of a pair for the VMM, the other ours. */
static int hand_pair(struct handout *h, int place, int *ret_ours)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys("socket");
	*ret_ours = pair[0];
	return hand_own(h, place, pair[1]);
}

static int hand_sockets(struct iso_vm *v, struct handout *h)
{
	int r = hand_pair(h, VMM_CONTROL, &v->control);

	if (r >= 0)
		r = hand_pair(h, VMM_OBJECTS, &v->objects);
	if (r >= 0)
		r = hand_pair(h, VMM_PORTS, &v->ports);
	return r < 0 ? r : hand_own(h, VMM_VSOCK, vm_vsock_listen(v->c.dir));
}

/* With a terminal the guest has it; here it is a stream in both directions, which the supervisor
 * relays. */
static int hand_stdio(struct iso_vm *v, struct handout *h, const int stdio[3])
{
	int pair[2];

	if (!v->c.spec->tty) {
		memcpy(h->fds, stdio, 3 * sizeof(int));
		return 0;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys("terminal");
	v->console = pair[0];
	h->fds[1] = pair[1];
	h->fds[2] = -1;
	return hand_own(h, 0, pair[1]);
}

static int fill_handout(struct iso_vm *v, struct handout *h, const int stdio[3])
{
	const int more = VMM_MORE + (int)v->c.spec->ndisks + (int)v->c.spec->nvolumes;
	int r;

	h->n = more + (int)root_fds(v);
	h->fds = mem_new(h->n + ARRIVAL_FDS, sizeof(*h->fds));
	if (!h->fds)
		return -ENOMEM;
	h->fds[VMM_LOG] = v->c.log_fd;
	h->fds[VMM_UPPER] = v->root.upper_fd;
	h->fds[VMM_WORK] = v->root.work_fd;
	h->fds[VMM_INDEX] = v->root.stack.index_fd;
	for (size_t i = 0; i < v->root.stack.npacks; i++)
		h->fds[more + i] = v->root.stack.pack_fds[i];
	for (size_t i = v->root.stack.npacks; i < root_fds(v); i++)
		h->fds[more + i] = v->root.stack.sums[i - v->root.stack.npacks];
	r = hand_stdio(v, h, stdio);
	if (r >= 0)
		r = hand_sockets(v, h);
	if (r >= 0)
		r = hand_network(v, h);
	if (r >= 0)
		r = hand_files(v, h);
	if (r >= 0)
		hand_arrival(&v->fetcher.fds, h);
	return r;
}

/*
 * The guest's memory is the VMM's: what is left over of the limit is for the VMM itself and the
 * page cache.
 */
static int new_cgroup(struct iso_vm *v)
{
	struct run_limits limits;
	int r = spec_limits(v->c.spec, v->c.store, &limits);

	if (r < 0)
		return r;
	limits.memory = 0; /* bounded by the memory that the machine has */
	limits.pids = 0;   /* the guest's processes are the guest's to count */
	return cgroup_new(v->c.spec->id, &limits, &v->cgroup);
}

/* Inside the group from the start; or moved there, when it has a limit to keep. */
static int spawn_in_cgroup(struct iso_vm *v, const char *path, char *const *argv, char *const *env,
			   const struct handout *h)
{
	int fd = cgroup_fd(v->cgroup), r = -ENOSYS;
	bool inside;

	if (fd >= 0)
		r = proc_spawn_in(fd, path, argv, env, h->fds, h->n, &v->pid, &v->pidfd);
	inside = r >= 0;
	if (r < 0)
		r = proc_spawn(path, argv, env, h->fds, h->n, &v->pid, &v->pidfd);
	if (r < 0)
		return err(r, "%s: %s", path, strerror(-r));
	return cgroup_enter(v->cgroup, v->pid, !inside);
}

int vm_handout_spawn(struct iso_vm *v, const int stdio[3])
{
	_cleanup_(handout_done) struct handout h = { 0 };
	_free_ char *path = NULL;
	char program[] = "strata-vmm", warm[] = "warm", restore[] = "restore";
	char arriving[] = "arriving", *argv[5] = { program };
	size_t argc = 1;
	const struct vmm_message go = { .kind = VMM_GO };
	struct digest_hex key;
	char *env[] = { getenv("STRATA_DEBUG") ? (char[]){ "STRATA_DEBUG=1" } : NULL, NULL };
	int r = fill_handout(v, &h, stdio);

	if (r >= 0)
		r = proc_sibling("strata-vmm", &path);
	if (r < 0)
		return r;
	if (v->warm || v->restored) {
		key = digest_hex(&v->machine.key);
		argv[argc++] = v->warm ? warm : restore;
		argv[argc++] = key.s;
	}
	if (v->fetcher.fds.n)
		argv[argc] = arriving;
	r = new_cgroup(v);
	if (r >= 0)
		r = spawn_in_cgroup(v, path, argv, env, &h);
	if (r >= 0 && v->c.spec->emulated &&
	    send(v->control, &go, sizeof(go), MSG_NOSIGNAL) != sizeof(go))
		r = err_sys("strata-vmm");
	return r;
}

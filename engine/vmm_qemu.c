/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vmm_qemu.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "network/network.h"
#include "engine/passt.h"
#include "engine/qemu.h"
#include "engine/qmp.h"
#include "engine/port_relay.h"
#include "engine/vmm.h"
#include "virtio/virtio.h"
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/* A device of ours in QEMU's machine: our end of its socket, and the thread that answers there. */
struct back_end {
	struct vhost_user *device;
	int sock, stop_fd;
	int gone_fd; /* the root's: an eventfd that says that nobody serves it any more; else -1 */
	pthread_t thread;
	bool started;
};

/* Ports that are relayed: each with our end of its socket. */
enum { CONSOLE, OUT, ERR, IN, RELAYS };

#define VSOCK 0

#define GONE_MS 1000 /* for QEMU to end by itself when its guest has let go of its root */

struct vmm_qemu {
	pid_t pid;
	int pidfd;
	int started_fd, gone_fd;		/* eventfds: the command runs; its root has gone */
	struct back_end backs[1 + QEMU_FS_MAX]; /* VSOCK, then the file systems */
	size_t nbacks;
	struct net_relay *net; /* between passt and QEMU; NULL = no network */
	int net_stop_fd;
	pthread_t net_thread;
	bool net_started;
	uint64_t memory;	/* bytes, of one with a balloon; else 0 */
	void (*end)(void *arg); /* of what the file systems wait for */
	void *arg;
	struct port_relay relays[RELAYS];
	int socks[RELAYS]; /* -1 = the machine has none of it */
	int qmp_fd;
	bool talks; /* @qmp was negotiated */
	struct qmp qmp;
};

/* One end in *@ret_ours, the other in *@ret_theirs. */
static int pair(int *ret_ours, int *ret_theirs)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys("socket");
	*ret_ours = fds[0];
	*ret_theirs = fds[1];
	return 0;
}

/* ---- making it ---- */

/* The next one, whose device is to be made yet. */
static int add_back_end(struct vmm_qemu *q, int *ret_theirs)
{
	struct back_end *b = &q->backs[q->nbacks];
	int r = pair(&b->sock, ret_theirs);

	if (r < 0)
		return r;
	q->nbacks++;
	b->stop_fd = eventfd(0, EFD_CLOEXEC);
	return b->stop_fd < 0 ? err_sys("eventfd") : 0;
}

static int add_vsock(struct vmm_qemu *q, const struct vmm_machine *m, struct qemu_config *c)
{
	const struct virtio_vsock_config cfg = { VMM_VSOCK, m->connect, NULL };
	int r = add_back_end(q, &c->vsock_fd);

	return r < 0 ? r : vhost_user_vsock_new(&cfg, &q->backs[q->nbacks - 1].device);
}

static int add_fs(struct vmm_qemu *q, const struct vmm_machine *m, size_t i, const char *tag,
		  struct qemu_config *c)
{
	const struct virtio_fs_config cfg = { .tag = tag,
					      .serve = m->serve,
					      .ctx = m->ctx(m->arg, i) };
	int r = add_back_end(q, &c->fs_fds[i]);

	if (r < 0)
		return r;
	c->fs_tags[i] = tag;
	c->nfs = i + 1;
	return vhost_user_fs_new(&cfg, &q->backs[q->nbacks - 1].device);
}

static int add_port(struct vmm_qemu *q, const char *name, unsigned which, struct qemu_config *c)
{
	struct qemu_port *p = &c->ports[c->nports];
	int r = pair(&q->socks[which], &p->fd);

	if (r < 0)
		return r;
	p->name = name;
	c->nports++;
	return 0;
}

/* In the order in which they connect: when the last one has, the guest can use all. */
static int add_ports(struct vmm_qemu *q, const struct run_spec *s, int control,
		     struct qemu_config *c)
{
	int r = add_port(q, VM_STDOUT_PORT, OUT, c);

	if (r >= 0)
		r = add_port(q, VM_STDERR_PORT, ERR, c);
	if (r >= 0 && (s->interactive || s->tty))
		r = add_port(q, VM_STDIN_PORT, IN, c);
	if (r >= 0)
		r = pair(&q->socks[CONSOLE], &c->console_fd);
	if (r >= 0)
		r = pair(&q->qmp_fd, &c->qmp_fd);
	if (r < 0)
		return r;
	c->ports[c->nports++] =
		(struct qemu_port){ VM_CONTROL_PORT, fcntl(control, F_DUPFD_CLOEXEC, 3) };
	return 0;
}

static int add_files(struct vmm_qemu *q, const struct run_spec *s, const struct vmm_machine *m,
		     struct vmm_tag *tags, struct qemu_config *c)
{
	int r = add_fs(q, m, 0, VMM_ROOT_TAG, c);

	if (s->nvolumes >= QEMU_FS_MAX)
		return err(-E2BIG, "more than %u volumes", QEMU_FS_MAX - 1);
	if (r >= 0) {
		struct back_end *root = &q->backs[q->nbacks - 1];

		root->gone_fd = q->gone_fd;
		vhost_user_until_reset(root->device);
	}
	for (size_t i = 1; r >= 0 && i <= s->nvolumes; i++) {
		tags[i] = vmm_volume_tag(i);
		r = add_fs(q, m, i, tags[i].s, c);
	}
	return r;
}

/* By way of us: QEMU bounds no network's rate, and counts nothing of it. */
static int add_net(struct vmm_qemu *q, const struct run_spec *s, struct qemu_config *c)
{
	_close_ int ours = -1;
	int r;

	if (!spec_has_eth0(s))
		return 0;
	r = pair(&ours, &c->net_fd);
	if (r < 0)
		return r;
	q->net_stop_fd = eventfd(0, EFD_CLOEXEC);
	if (q->net_stop_fd < 0)
		return err_sys("eventfd");
	return net_relay_new(ours, VMM_NET, s->net_rate, &q->net);
}

/* QEMU has them by then, or will not. */
static void close_theirs(struct qemu_config *c)
{
	for (size_t i = 0; i < c->nfs; i++)
		fd_close(c->fs_fds[i]);
	for (size_t i = 0; i < c->nports; i++)
		fd_close(c->ports[i].fd);
	fd_close(c->vsock_fd);
	fd_close(c->console_fd);
	fd_close(c->qmp_fd);
	fd_close(c->net_fd);
}

int vmm_qemu_new(const struct run_spec *s, const struct vmm_machine *m, struct vmm_qemu **ret)
{
	struct vmm_qemu *q = new0(struct vmm_qemu);
	struct vmm_tag tags[QEMU_FS_MAX];
	struct qemu_config c = { .kernel_fd = VMM_KERNEL,
				 .init_fd = VMM_INIT,
				 .modules_fd = s->modules ? VMM_MODULES : -1,
				 .memory = s->limits.memory,
				 .hugetlb = s->pages == VM_PAGES_HUGETLB,
				 .vcpus = s->vcpus,
				 .balloon = s->balloon,
				 .disk_rate = s->disk_rate,
				 .verbose = getenv("STRATA_DEBUG") != NULL,
				 .vsock_fd = -1,
				 .console_fd = -1,
				 .qmp_fd = -1,
				 .net_fd = -1,
				 .log_fd = VMM_LOG,
				 .uid = vmm_uid(s) };
	int r;

	if (!q)
		return -ENOMEM;
	q->pidfd = q->qmp_fd = q->net_stop_fd = -1;
	q->memory = s->balloon ? ROUND_UP(s->limits.memory, UINT64_C(1) << 20) : 0;
	q->end = m->end;
	q->arg = m->arg;
	q->started_fd = eventfd(0, EFD_CLOEXEC);
	q->gone_fd = eventfd(0, EFD_CLOEXEC);
	for (unsigned i = 0; i < RELAYS; i++)
		q->socks[i] = -1;
	for (size_t i = 0; i < ARRAY_SIZE(q->backs); i++)
		q->backs[i] = (struct back_end){ .sock = -1, .stop_fd = -1, .gone_fd = -1 };
	for (; c.ndisks < s->ndisks && c.ndisks < QEMU_DISKS_MAX; c.ndisks++)
		c.disks[c.ndisks] =
			(struct qemu_disk){ VMM_MORE + (int)c.ndisks, s->disks[c.ndisks].rdonly };
	network_mac(s->id, c.mac);
	r = q->started_fd < 0 || q->gone_fd < 0 ? err_sys("eventfd") : add_vsock(q, m, &c);
	if (r >= 0)
		r = add_files(q, s, m, tags, &c);
	if (r >= 0)
		r = add_ports(q, s, m->port_fd, &c);
	if (r >= 0)
		r = add_net(q, s, &c);
	if (r >= 0)
		r = qemu_spawn(&c, &q->pid, &q->pidfd);
	close_theirs(&c);
	if (r < 0) {
		vmm_qemu_free(q);
		return r;
	}
	*ret = q;
	return 0;
}

/* ---- running it ---- */

static void *serve(void *ctx)
{
	struct back_end *b = ctx;

	if (vhost_user_serve(b->device, b->sock, b->stop_fd) < 0)
		log_err("%s", err_take(-EIO));
	shutdown(b->sock, SHUT_RDWR);
	if (b->gone_fd >= 0)
		eventfd_write(b->gone_fd, 1);
	return NULL;
}

static int start_back_ends(struct vmm_qemu *q)
{
	for (size_t i = 0; i < q->nbacks; i++) {
		int e = pthread_create(&q->backs[i].thread, NULL, serve, &q->backs[i]);

		if (e)
			return err(-e, "thread: %s", strerror(e));
		q->backs[i].started = true;
	}
	return 0;
}

/* A network that ends is like a cable that was pulled: the guest runs on. */
static void *carry(void *ctx)
{
	struct vmm_qemu *q = ctx;

	if (net_relay_run(q->net, q->net_stop_fd) < 0)
		log_err("%s", err_take(-EIO));
	return NULL;
}

static int start_net(struct vmm_qemu *q)
{
	int e = q->net ? pthread_create(&q->net_thread, NULL, carry, q) : 0;

	q->net_started = q->net && !e;
	return e ? err(-e, "thread: %s", strerror(e)) : 0;
}

static int start_relays(struct vmm_qemu *q)
{
	const int stdio[] = { [CONSOLE] = VMM_LOG, [OUT] = 1, [ERR] = 2 };
	int r = 0;

	for (unsigned i = 0; r >= 0 && i < IN; i++)
		r = port_relay_start(&q->relays[i], q->socks[i], stdio[i], q->socks[i],
				     i == CONSOLE ? VMM_CONSOLE_MAX : 0);
	return r;
}

static int start_input(struct vmm_qemu *q)
{
	return q->socks[IN] < 0 ?
		       0 :
		       port_relay_start(&q->relays[IN], 0, q->socks[IN], q->socks[IN], 0);
}

/*
 * A guest that halts lets go of its devices and stands still for ever: what QEMU may say yet does
 * not come, and QEMU ends with us.
 */
static void wait_gone(struct vmm_qemu *q)
{
	struct pollfd p = { .fd = q->pidfd, .events = POLLIN };

	if (poll(&p, 1, GONE_MS) > 0)
		return;
	for (unsigned i = 0; i < IN; i++)
		shutdown(q->socks[i], SHUT_RDWR);
}

static int wait_end(struct vmm_qemu *q)
{
	struct pollfd fds[] = {
		{ .fd = q->pidfd, .events = POLLIN },
		{ .fd = q->started_fd, .events = POLLIN },
		{ .fd = q->gone_fd, .events = POLLIN },
	};
	int r = 0;

	while (r >= 0 && !fds[0].revents && !fds[2].revents) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0) {
			r = errno == EINTR ? 0 : err_sys("poll");
		} else if (fds[1].revents) {
			fds[1].fd = -1;
			r = start_input(q);
		}
	}
	return r;
}

int vmm_qemu_run(struct vmm_qemu *q)
{
	int r = start_back_ends(q);

	if (r >= 0)
		r = start_relays(q);
	if (r >= 0)
		r = start_net(q);
	if (r >= 0)
		r = wait_end(q);
	wait_gone(q);
	if (q->net_started) {
		eventfd_write(q->net_stop_fd, 1);
		pthread_join(q->net_thread, NULL);
	}
	q->end(q->arg);
	for (size_t i = 0; i < q->nbacks; i++) {
		eventfd_write(q->backs[i].stop_fd, 1);
		if (q->backs[i].started)
			pthread_join(q->backs[i].thread, NULL);
	}
	/* What QEMU wrote last, to readers that may be slow. */
	for (unsigned i = 0; i < IN; i++)
		port_relay_join(&q->relays[i]);
	return r;
}

/* ---- from another thread ---- */

void vmm_qemu_started(struct vmm_qemu *q)
{
	eventfd_write(q->started_fd, 1);
}

static int ask(struct vmm_qemu *q, const char *command, json_t **ret)
{
	int r = q->talks ? 0 : qmp_begin(&q->qmp, q->qmp_fd);

	q->talks = r == 0;
	return r < 0 ? r : qmp_ask(&q->qmp, command, ret);
}

static int talk(struct vmm_qemu *q, const char *command)
{
	_json_ json_t *dropped = NULL;

	return ask(q, command, &dropped);
}

/* Whether any of them had something to give. */
static bool wait_idle(struct vmm_qemu *q)
{
	bool waited = false;

	for (unsigned i = 0; i < IN; i++)
		waited |= port_relay_wait_idle(&q->relays[i]);
	return waited;
}

/*
 * What init has written to the other ports was kicked before its last message was, so QEMU's main
 * loop takes both in the same turn or in this order; a command's answer comes from a later turn. A
 * port whose socket was full goes on in the second turn after we have emptied it: one finds room
 * and asks for a bottom half, the next writes (hw/char/virtio-serial-bus.c,
 * virtio_serial_throttle_port()). When so many turns in a row, and one more, have brought nothing
 * to empty sockets, there is nothing.
 */
#define QUIET_TURNS 3

static int drain(struct vmm_qemu *q)
{
	int r = 0;

	wait_idle(q);
	for (int quiet = 0; r >= 0 && quiet < QUIET_TURNS; quiet++) {
		r = talk(q, "{\"execute\":\"query-status\"}");
		if (wait_idle(q))
			quiet = -1;
	}
	return r;
}

void vmm_qemu_stop(struct vmm_qemu *q)
{
	int r = drain(q);

	if (r >= 0)
		r = talk(q, "{\"execute\":\"quit\"}");
	if (r < 0 && r != -EPIPE)
		log_err("%s", err_take(r));
	err_clear();
	/* One that does not hear is cut off: without its files it is of no use. */
	if (r < 0)
		for (size_t i = 0; i < q->nbacks; i++)
			shutdown(q->backs[i].sock, SHUT_RDWR);
}

int vmm_qemu_memory(struct vmm_qemu *q, uint64_t bytes)
{
	char command[96];

	snprintf(command, sizeof(command),
		 "{\"execute\":\"balloon\",\"arguments\":{\"value\":%llu}}",
		 (unsigned long long)bytes);
	return talk(q, command);
}

static void net_stats(const struct vmm_qemu *q, struct device_stats *d)
{
	struct virtio_net_stats n;

	if (!q->net)
		return;
	net_relay_stats(q->net, &n);
	d->net = (struct device_net){ n.rx_frames, n.rx_bytes, n.tx_frames, n.tx_bytes, n.dropped };
	d->known |= DEVICE_NET;
}

static uint64_t number(const json_t *j, const char *key)
{
	int64_t n = json_get_int(j, key, 0);

	return n > 0 ? (uint64_t)n : 0;
}

static struct device_disk disk_of(const json_t *s)
{
	return (struct device_disk){
		.reads = number(s, "rd_operations"),
		.read_bytes = number(s, "rd_bytes"),
		.writes = number(s, "wr_operations"),
		.write_bytes = number(s, "wr_bytes"),
		.flushes = number(s, "flush_operations"),
		.discards = number(s, "unmap_operations"),
		.errors = number(s, "failed_rd_operations") + number(s, "failed_wr_operations") +
			  number(s, "failed_flush_operations") +
			  number(s, "failed_unmap_operations"),
	};
}

/* By the names that qemu.c gave them. */
static void disks_stats(struct vmm_qemu *q, struct device_stats *d)
{
	_json_ json_t *all = NULL;
	const json_t *j;
	size_t i;

	if (!d->ndisks || ask(q, "{\"execute\":\"query-blockstats\"}", &all) < 0)
		return;
	json_array_foreach(all, i, j)
	{
		const char *name = json_get_str(j, "device"),
			   *number = name ? str_after(name, "disk") : NULL;
		uint64_t n;

		if (number && str_u64(number, 0, d->ndisks - 1, &n) == 0)
			d->disks[n] = disk_of(json_get_object(j, "stats"));
	}
	d->known |= DEVICE_DISKS;
}

static void balloon_stats(struct vmm_qemu *q, struct device_stats *d)
{
	_json_ json_t *b = NULL;
	uint64_t actual;

	if (!q->memory || ask(q, "{\"execute\":\"query-balloon\"}", &b) < 0)
		return;
	actual = number(b, "actual");
	d->balloon = (struct device_balloon){ .total = q->memory,
					      .ballooned = q->memory - MIN(actual, q->memory),
					      .reported = UINT64_MAX,
					      .available = UINT64_MAX };
	d->known |= DEVICE_BALLOON;
}

/* The control port is not relayed, and not counted. */
static void console_stats(const struct vmm_qemu *q, struct device_stats *d)
{
	d->console.in_bytes = port_relay_bytes(&q->relays[IN]);
	for (unsigned i = 0; i < IN; i++)
		d->console.out_bytes += port_relay_bytes(&q->relays[i]);
	d->known |= DEVICE_CONSOLE;
}

void vmm_qemu_stats(struct vmm_qemu *q, struct device_stats *d)
{
	struct virtio_vsock_stats v;

	vhost_user_vsock_stats(q->backs[VSOCK].device, &v);
	d->vsock = (struct device_vsock){ v.connections, v.in_bytes, v.out_bytes, v.refused };
	d->known |= DEVICE_VSOCK;
	console_stats(q, d);
	net_stats(q, d);
	disks_stats(q, d);
	balloon_stats(q, d);
}

void vmm_qemu_free(struct vmm_qemu *q)
{
	if (!q)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(q->backs); i++) {
		vhost_user_free(q->backs[i].device);
		fd_close(q->backs[i].sock);
		fd_close(q->backs[i].stop_fd);
	}
	for (unsigned i = 0; i < RELAYS; i++)
		fd_close(q->socks[i]);
	net_relay_free(q->net);
	fd_close(q->net_stop_fd);
	fd_close(q->started_fd);
	fd_close(q->gone_fd);
	fd_close(q->qmp_fd);
	fd_close(q->pidfd);
	free(q);
}

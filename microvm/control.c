/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our end of the port "strata.control": docs/formats/guest.md. What the guest sends is bounded and
 * checked here.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "microvm/guest_fields.h"
#include "microvm/microvm.h"
#include <poll.h>
#include <sys/socket.h>

_Static_assert(VM_MARK_READY == GUEST_MARK_PORTS, "the mark before the config");

struct vm_control {
	int fd;
	struct buf out; /* what the socket has not taken yet */
	size_t out_off;
	size_t in_len;
	uint8_t in[sizeof(struct guest_head) + GUEST_REPLY_MAX];
};

int vm_control_new(int fd, struct vm_control **ret)
{
	struct vm_control *c = new0(struct vm_control);

	if (!c)
		return err(-ENOMEM, "no memory");
	c->fd = fd;
	*ret = c;
	return 0;
}

void vm_control_free(struct vm_control *c)
{
	if (!c)
		return;
	fd_close(c->fd);
	buf_done(&c->out);
	free(c);
}

int vm_control_fd(const struct vm_control *c)
{
	return c->fd;
}

short vm_control_events(const struct vm_control *c)
{
	return c->out.len > c->out_off ? POLLIN | POLLOUT : POLLIN;
}

/* ---- to the guest ---- */

/* 0 also when the socket takes no more for now. */
static int flush(struct vm_control *c)
{
	while (c->out.len > c->out_off) {
		ssize_t n = send(c->fd, c->out.data + c->out_off, c->out.len - c->out_off,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		c->out_off += (size_t)n;
	}
	c->out_off = 0;
	buf_done(&c->out);
	return 0;
}

static int message(struct vm_control *c, uint32_t type, const void *body, size_t len)
{
	const struct guest_head head = { type, (uint32_t)len };

	if (len > GUEST_MESSAGE_MAX)
		return err(-E2BIG, "arguments and environment are longer than %u bytes",
			   GUEST_MESSAGE_MAX);
	buf_add(&c->out, &head, sizeof(head));
	buf_add(&c->out, body, len);
	return c->out.failed ? err(-ENOMEM, "no memory") : flush(c);
}

int vm_control_signal(struct vm_control *c, int sig)
{
	const struct guest_signal s = { (uint32_t)sig };

	return message(c, GUEST_SIGNAL, &s, sizeof(s));
}

int vm_control_resize(struct vm_control *c, unsigned rows, unsigned cols)
{
	const struct guest_size s = { (uint16_t)rows, (uint16_t)cols };

	return message(c, GUEST_RESIZE, &s, sizeof(s));
}

/* ---- the config ---- */

static void tmpfs(struct buf *b, const struct vm_guest_volume *v)
{
	const struct guest_tmpfs t = { .size = v->size,
				       .mode = v->mode,
				       .flags = (v->rdonly ? GUEST_TMPFS_RO : 0) |
						(v->exec ? GUEST_TMPFS_EXEC : 0) |
						(v->suid ? GUEST_TMPFS_SUID : 0) };
	_buf_done_ struct buf body = { 0 };

	buf_add(&body, &t, sizeof(t));
	buf_adds(&body, v->target);
	guest_field(b, GUEST_TAG_TMPFS, body.data, body.len);
	b->failed = b->failed || body.failed;
}

static void volume(struct buf *b, const struct vm_guest_volume *v)
{
	_free_ char *s = str_fmt("%s%c%s", v->tag, '\0', v->target);

	if (s)
		guest_field(b, v->rdonly ? GUEST_TAG_VOLUME_RO : GUEST_TAG_VOLUME, s,
			    strlen(v->tag) + 1 + strlen(v->target));
	else
		b->failed = true;
}

static void file(struct buf *b, const struct vm_guest_file *f)
{
	_free_ char *s = str_fmt("%s%c%s", f->target, '\0', f->text);

	if (s)
		guest_field(b, GUEST_TAG_FILE, s, strlen(f->target) + 1 + strlen(f->text));
	else
		b->failed = true;
}

static void rlimit(struct buf *b, const struct vm_guest_rlimit *l)
{
	const struct guest_rlimit r = { .resource = l->resource, .soft = l->soft, .hard = l->hard };

	guest_field(b, GUEST_TAG_RLIMIT, &r, sizeof(r));
}

static void net(struct buf *b, const struct vm_guest_net *n)
{
	struct guest_net g = { .prefix = (uint8_t)n->prefix, .mtu = (uint16_t)n->mtu };

	memcpy(g.address, n->address, sizeof(g.address));
	memcpy(g.gateway, n->gateway, sizeof(g.gateway));
	guest_field(b, GUEST_TAG_NET, &g, sizeof(g));
}

static struct guest_identity identity(const struct vm_guest_identity *i)
{
	struct guest_identity g = { .time_ns = i->time_ns };

	memcpy(g.mac, i->mac, sizeof(g.mac));
	memcpy(g.entropy, i->entropy, sizeof(g.entropy));
	return g;
}

int vm_control_restored(struct vm_control *c, const struct vm_guest_identity *i)
{
	const struct guest_identity g = identity(i);

	return message(c, GUEST_RESTORED, &g, sizeof(g));
}

int vm_control_cloned(struct vm_control *c, const struct vm_guest_identity *i, const char *hostname,
		      const uint8_t machine_id[16])
{
	struct guest_clone g = { .identity = identity(i) };

	memcpy(g.hostname, hostname, MIN(strlen(hostname), sizeof(g.hostname)));
	memcpy(g.machine_id, machine_id, sizeof(g.machine_id));
	return message(c, GUEST_CLONED, &g, sizeof(g));
}

static int config_check(const struct vm_guest_config *cfg)
{
	if (!cfg->root || !cfg->argv || !cfg->argv[0])
		return err(-EINVAL, "a VM needs a root and a command");
	if (cfg->nvolumes > GUEST_VOLUMES_MAX || cfg->nrlimits > GUEST_RLIMITS_MAX ||
	    cfg->nfiles > GUEST_FILES_MAX)
		return err(-E2BIG, "more than %u volumes, %u limits or %u files", GUEST_VOLUMES_MAX,
			   GUEST_RLIMITS_MAX, GUEST_FILES_MAX);
	return guest_args_check(cfg->argv, cfg->env);
}

int vm_control_config(struct vm_control *c, const struct vm_guest_config *cfg)
{
	const struct guest_size size = { (uint16_t)cfg->rows, (uint16_t)cfg->cols };
	struct guest_identity who = { 0 };
	_buf_done_ struct buf b = { 0 };
	int r = config_check(cfg);

	if (r < 0)
		return r;
	if (cfg->identity)
		who = identity(cfg->identity);
	guest_field_u32(&b, GUEST_TAG_VERSION, GUEST_VERSION);
	guest_field_u32(&b, GUEST_TAG_FLAGS,
			(cfg->tty ? GUEST_FLAG_TTY : 0) | (cfg->stdin_open ? GUEST_FLAG_STDIN : 0) |
				(cfg->root_rdonly ? GUEST_FLAG_ROOT_RO : 0));
	guest_field_str(&b, GUEST_TAG_ROOT, cfg->root);
	guest_fields_strv(&b, GUEST_TAG_ARG, cfg->argv);
	guest_fields_strv(&b, GUEST_TAG_ENV, cfg->env);
	guest_field_str(&b, GUEST_TAG_CWD, cfg->cwd);
	guest_field_str(&b, GUEST_TAG_USER, cfg->user);
	guest_field_str(&b, GUEST_TAG_HOSTNAME, cfg->hostname);
	guest_field(&b, GUEST_TAG_SIZE, &size, sizeof(size));
	for (size_t i = 0; i < cfg->nvolumes; i++)
		(cfg->volumes[i].tag ? volume : tmpfs)(&b, &cfg->volumes[i]);
	if (cfg->shm)
		guest_field(&b, GUEST_TAG_SHM, &cfg->shm_size, sizeof(cfg->shm_size));
	for (size_t i = 0; i < cfg->nrlimits; i++)
		rlimit(&b, &cfg->rlimits[i]);
	for (size_t i = 0; i < cfg->nfiles; i++)
		file(&b, &cfg->files[i]);
	if (cfg->net)
		net(&b, cfg->net);
	if (cfg->identity)
		guest_field(&b, GUEST_TAG_IDENTITY, &who, sizeof(who));
	if (cfg->pids)
		guest_field_u32(&b, GUEST_TAG_PIDS, cfg->pids);
	if (cfg->caps_drop)
		guest_field(&b, GUEST_TAG_CAPS_DROP, &cfg->caps_drop, sizeof(cfg->caps_drop));
	if (b.failed)
		return err(-ENOMEM, "no memory");
	return message(c, GUEST_CONFIG, b.data, b.len);
}

/* ---- from the guest ---- */

static int failed(const uint8_t *body, size_t len, struct vm_guest_event *ret)
{
	char text[GUEST_REPLY_MAX + 1];
	struct guest_failed f;

	if (len < sizeof(f))
		return -EPROTO;
	memcpy(&f, body, sizeof(f));
	len -= sizeof(f);
	memcpy(text, body + sizeof(f), len);
	text[len] = '\0';
	*ret = (struct vm_guest_event){ .kind = VM_GUEST_FAILED, .error = (int)(f.error & 0xfff) };
	ret->status = f.status == 126 || f.status == 127 ? (int)f.status : 125;
	str_printable(ret->text, sizeof(ret->text), text);
	return 1;
}

static int exited(const uint8_t *body, size_t len, struct vm_guest_event *ret)
{
	struct guest_exited e;

	if (len != sizeof(e))
		return -EPROTO;
	memcpy(&e, body, sizeof(e));
	*ret = (struct vm_guest_event){ .kind = VM_GUEST_EXITED, .status = (int)(e.status & 0xff) };
	return 1;
}

/* One whole message at the front of c->in: 1, 0 = not whole yet, -EPROTO. */
static int parse(struct vm_control *c, struct vm_guest_event *ret)
{
	const uint8_t *body = c->in + sizeof(struct guest_head);
	struct guest_head head;
	int r = -EPROTO;

	if (c->in_len < sizeof(head))
		return 0;
	memcpy(&head, c->in, sizeof(head));
	if (head.len > GUEST_REPLY_MAX)
		return -EPROTO;
	if (c->in_len < sizeof(head) + head.len)
		return 0;
	if (head.type == GUEST_STARTED && head.len == 0) {
		*ret = (struct vm_guest_event){ .kind = VM_GUEST_STARTED };
		r = 1;
	} else if (head.type == GUEST_FAILED) {
		r = failed(body, head.len, ret);
	} else if (head.type == GUEST_EXITED) {
		r = exited(body, head.len, ret);
	}
	if (r > 0) {
		c->in_len -= sizeof(head) + head.len;
		memmove(c->in, body + head.len, c->in_len);
	}
	return r;
}

int vm_control_next(struct vm_control *c, struct vm_guest_event *ret)
{
	for (;;) {
		int r = parse(c, ret);
		ssize_t n;

		if (r != 0)
			return r < 0 ? err(r, "the VM's init sent what is no message of it") : r;
		flush(c); /* a peer that has gone shows below */
		n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);
		if (n > 0)
			c->in_len += (size_t)n;
		else if (n == 0)
			return -EPIPE;
		else if (errno != EINTR)
			return errno == EAGAIN ? 0 : -EPIPE;
	}
}

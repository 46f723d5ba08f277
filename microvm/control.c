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
#include "microvm/guest_link.h"
#include "microvm/microvm.h"
#include <poll.h>

_Static_assert(VM_MARK_READY == GUEST_MARK_PORTS, "the mark before the config");

struct vm_control {
	struct guest_link link;
	uint8_t in[sizeof(struct guest_head) + GUEST_REPLY_MAX];
};

int vm_control_new(int fd, struct vm_control **ret)
{
	struct vm_control *c = new0(struct vm_control);

	if (!c)
		return err(-ENOMEM, "no memory");
	c->link = (struct guest_link){ .fd = fd, .in = c->in, .in_size = sizeof(c->in) };
	*ret = c;
	return 0;
}

void vm_control_free(struct vm_control *c)
{
	if (!c)
		return;
	guest_link_done(&c->link);
	free(c);
}

int vm_control_fd(const struct vm_control *c)
{
	return c->link.fd;
}

short vm_control_events(const struct vm_control *c)
{
	return guest_link_waits(&c->link) ? POLLIN | POLLOUT : POLLIN;
}

/* ---- to the guest ---- */

static int message(struct vm_control *c, enum guest_message type, const void *body, size_t len)
{
	int r = guest_link_add(&c->link, type, body, len);

	return r < 0 ? r : guest_link_flush(&c->link);
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

/* What a message says: 0 or -EPROTO. */
static int event(const struct guest_head *head, const uint8_t *body, struct vm_guest_event *e)
{
	switch (head->type) {
	case GUEST_STARTED:
		e->kind = VM_GUEST_STARTED;
		return head->len ? -EPROTO : 0;
	case GUEST_FAILED:
		e->kind = VM_GUEST_FAILED;
		return guest_failed_read(body, head->len, &e->error, &e->status, e->text);
	case GUEST_EXITED:
		e->kind = VM_GUEST_EXITED;
		return guest_exited_read(body, head->len, &e->status);
	default:
		return -EPROTO;
	}
}

/* One whole message at the front: 1, 0 = not whole yet, -EPROTO. */
static int parse(struct vm_control *c, struct vm_guest_event *ret)
{
	struct vm_guest_event e = { 0 };
	struct guest_head head;
	const uint8_t *body;
	int r = guest_link_front(&c->link, &head, &body);

	if (r <= 0)
		return r;
	r = event(&head, body, &e);
	if (r < 0)
		return r;
	guest_link_next(&c->link, &head);
	*ret = e;
	return 1;
}

int vm_control_next(struct vm_control *c, struct vm_guest_event *ret)
{
	int r;

	while ((r = parse(c, ret)) == 0) {
		r = guest_link_take(&c->link);
		if (r <= 0)
			return r;
	}
	return r < 0 ? err(r, "the VM's init sent what is no message of it") : r;
}

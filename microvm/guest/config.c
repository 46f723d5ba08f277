/* SPDX-License-Identifier: Apache-2.0 */
/* What the VMM wants: the fields of GUEST_CONFIG. */
#include "microvm/guest/init.h"

#include <errno.h>

static int bad(uint32_t tag)
{
	return failing(-EPROTO, "malformed field %u in the config", tag);
}

/* A string without NUL, as one with. */
static char *string(const uint8_t *data, uint32_t len)
{
	char *s = memchr(data, 0, len) ? NULL : malloc((size_t)len + 1);

	if (s) {
		memcpy(s, data, len);
		s[len] = '\0';
	}
	return s;
}

static int set_string(char **p, const uint8_t *data, uint32_t len)
{
	free(*p);
	*p = string(data, len);
	return *p ? 0 : -EPROTO;
}

static int set_tag(char tag[GUEST_TAG_MAX + 1], const uint8_t *data, size_t len)
{
	if (!len || len > GUEST_TAG_MAX || memchr(data, 0, len))
		return -EPROTO;
	memcpy(tag, data, len);
	tag[len] = '\0';
	return 0;
}

/* Appends @s, which is the vector's then. */
static int push(char ***v, size_t *n, char *s)
{
	char **grown;

	if (!s || *n >= GUEST_ARGS_MAX)
		return -EPROTO;
	/* Room is made for a power of two: at 0, 1, 3, 7, ... strings and the NULL. */
	if ((*n & (*n + 1)) == 0) {
		grown = realloc(*v, 2 * (*n + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		*v = grown;
	}
	(*v)[(*n)++] = s;
	(*v)[*n] = NULL;
	return 0;
}

static int add_volume(struct config *c, const uint8_t *data, uint32_t len, bool rdonly)
{
	const uint8_t *nul = memchr(data, 0, len);
	struct volume *v = &c->volumes[c->nvolumes];
	size_t tag = nul ? (size_t)(nul - data) : len;

	if (!nul || c->nvolumes == GUEST_VOLUMES_MAX || set_tag(v->tag, data, tag) < 0)
		return -EPROTO;
	v->rdonly = rdonly;
	v->target = string(nul + 1, len - (uint32_t)tag - 1);
	if (!v->target || v->target[0] != '/')
		return -EPROTO;
	c->nvolumes++;
	return 0;
}

static int add_tmpfs(struct config *c, const uint8_t *data, uint32_t len)
{
	struct volume *v = &c->volumes[c->nvolumes];

	if (len < sizeof(v->tmpfs) || c->nvolumes == GUEST_VOLUMES_MAX)
		return -EPROTO;
	memcpy(&v->tmpfs, data, sizeof(v->tmpfs));
	v->is_tmpfs = true;
	v->target = string(data + sizeof(v->tmpfs), len - (uint32_t)sizeof(v->tmpfs));
	if (!v->target || v->target[0] != '/')
		return -EPROTO;
	c->nvolumes++;
	return 0;
}

static int add_file(struct config *c, const uint8_t *data, uint32_t len)
{
	const uint8_t *nul = memchr(data, 0, len);
	struct file *f = &c->files[c->nfiles];

	if (!nul || c->nfiles == GUEST_FILES_MAX)
		return -EPROTO;
	f->target = string(data, (uint32_t)(nul - data));
	f->text = string(nul + 1, len - (uint32_t)(nul - data) - 1);
	if (!f->target || f->target[0] != '/' || !f->text)
		return -EPROTO;
	c->nfiles++;
	return 0;
}

static int set_fixed(void *p, size_t size, const uint8_t *data, uint32_t len)
{
	if (len != size)
		return -EPROTO;
	memcpy(p, data, size);
	return 0;
}

static int add_rlimit(struct config *c, const uint8_t *data, uint32_t len)
{
	if (c->nrlimits == GUEST_RLIMITS_MAX)
		return -EPROTO;
	return set_fixed(&c->rlimits[c->nrlimits++], sizeof(c->rlimits[0]), data, len);
}

static int check_version(const uint8_t *data, uint32_t len)
{
	uint32_t v = 0;

	if (set_fixed(&v, sizeof(v), data, len) < 0)
		return -EPROTO;
	if (v != GUEST_VERSION)
		return failing(-EPROTONOSUPPORT, "this init speaks version %u, the VMM %u",
			       GUEST_VERSION, v);
	return 0;
}

static int field(struct config *c, uint32_t tag, const uint8_t *data, uint32_t len)
{
	switch (tag) {
	case GUEST_TAG_VERSION:
		return check_version(data, len);
	case GUEST_TAG_FLAGS:
		return set_fixed(&c->flags, sizeof(c->flags), data, len);
	case GUEST_TAG_ROOT:
		return set_tag(c->root, data, len);
	case GUEST_TAG_ARG:
		return push(&c->argv, &c->nargs, string(data, len));
	case GUEST_TAG_ENV:
		return push(&c->env, &c->nenv, string(data, len));
	case GUEST_TAG_CWD:
		return set_string(&c->cwd, data, len);
	case GUEST_TAG_USER:
		return set_string(&c->user, data, len);
	case GUEST_TAG_HOSTNAME:
		return set_string(&c->hostname, data, len);
	case GUEST_TAG_SIZE:
		return set_fixed(&c->size, sizeof(c->size), data, len);
	case GUEST_TAG_VOLUME:
	case GUEST_TAG_VOLUME_RO:
		return add_volume(c, data, len, tag == GUEST_TAG_VOLUME_RO);
	case GUEST_TAG_TMPFS:
		return add_tmpfs(c, data, len);
	case GUEST_TAG_SHM:
		c->shm = true;
		return set_fixed(&c->shm_size, sizeof(c->shm_size), data, len);
	case GUEST_TAG_FILE:
		return add_file(c, data, len);
	case GUEST_TAG_RLIMIT:
		return add_rlimit(c, data, len);
	case GUEST_TAG_NET:
		return set_fixed(&c->net, sizeof(c->net), data, len);
	case GUEST_TAG_IDENTITY:
		return set_fixed(&c->identity, sizeof(c->identity), data, len);
	case GUEST_TAG_CAPS_DROP:
		return set_fixed(&c->caps_drop, sizeof(c->caps_drop), data, len);
	case GUEST_TAG_PIDS:
		return set_fixed(&c->pids, sizeof(c->pids), data, len);
	default:
		return -EPROTO;
	}
}

int config_parse(struct config *c, const uint8_t *data, size_t len)
{
	struct guest_field f;
	bool first = true;

	*c = (struct config){ 0 };
	for (; len; first = false) {
		int r;

		if (len < sizeof(f))
			return bad(0);
		memcpy(&f, data, sizeof(f));
		data += sizeof(f);
		len -= sizeof(f);
		if (f.len > len || first != (f.tag == GUEST_TAG_VERSION))
			return bad(f.tag);
		r = field(c, f.tag, data, f.len);
		if (r < 0)
			return r == -EPROTO ? bad(f.tag) : r;
		data += f.len;
		len -= f.len;
	}
	if (!c->nargs)
		return failing(-EPROTO, "the config has no command");
	return 0;
}

const char *config_getenv(const struct config *c, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < c->nenv; i++) {
		if (strncmp(c->env[i], name, len) == 0 && c->env[i][len] == '=')
			return c->env[i] + len + 1;
	}
	return NULL;
}

int config_addenv(struct config *c, const char *name, const char *value)
{
	char *s;

	return asprintf(&s, "%s=%s", name, value) < 0 ? -ENOMEM : push(&c->env, &c->nenv, s);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The user's file about registries: docs/formats/registries.md. */
#include "imagestore/registry/registry.h"

#include <strings.h>

static char *config_path(void)
{
	const char *named = getenv("STRATA_CONFIG"), *home = getenv("HOME");
	_free_ char *own = NULL;

	if (named && *named)
		return strdup(named);
	own = str_fmt("%s/.config/strata/registries.json", home ? home : "");
	if (own && home && access(own, F_OK) == 0)
		return take_ptr(own);
	return strdup("/etc/strata/registries.json");
}

/* What is not understood is not passed over: it may be a policy. */
static int check_registries(const json_t *doc, const char *path)
{
	json_t *registries = json_object_get(doc, "registries"), *entry;
	bool good = json_is_object(doc) && (!registries || json_is_object(registries));
	const char *name;

	json_object_foreach(registries, name, entry)
	{
		good = good && json_is_object(entry);
	}
	return good ? 0 :
		      err(-EINVAL, "%s: \"registries\" must have an object for each name", path);
}

int registry_file(char **ret_path, json_t **ret)
{
	_free_ char *path = config_path();
	int r;

	*ret = NULL;
	if (!path)
		return -ENOMEM;
	if (access(path, F_OK) < 0 && errno == ENOENT && !getenv("STRATA_CONFIG")) {
		*ret_path = take_ptr(path);
		return 0;
	}
	r = json_parse_file(AT_FDCWD, path, path, ret);
	if (r < 0)
		return err(r, "%s: %s", path, strerror(-r));
	r = check_registries(*ret, path);
	if (r < 0) {
		json_decref(*ret);
		*ret = NULL;
		return r;
	}
	*ret_path = take_ptr(path);
	return 0;
}

/* The host's length without the port that goes without saying. */
static size_t host_len(const char *host, size_t len, const char *port)
{
	const size_t n = strlen(port);

	return len > n && memcmp(host + len - n, port, n) == 0 ? len - n : len;
}

bool registry_means(const char *key, const char *port, const char *name)
{
	size_t k = strcspn(key, "/"), n = strcspn(name, "/"), k_host, n_host;

	if (strcasecmp(key + k, name + n) != 0)
		return false;
	if (reference_is_docker(key, k) && reference_is_docker(name, n))
		return true;
	k_host = host_len(key, k, port);
	n_host = host_len(name, n, port);
	return k_host == n_host && strncasecmp(key, name, k_host) == 0;
}

static const char *port_of(const json_t *entry)
{
	return json_get_bool(entry, "insecure", 0) ? ":80" : ":443";
}

const json_t *registry_entry(const json_t *doc, const char *name, const char *member)
{
	const json_t *found = NULL;
	json_t *entry;
	const char *key;

	json_object_foreach(json_object_get(doc, "registries"), key, entry)
	{
		if (member && !json_object_get(entry, member))
			continue;
		if (strcasecmp(key, name) == 0)
			return entry;
		if (!found && registry_means(key, port_of(entry), name))
			found = entry;
	}
	return found;
}

/* ---- numbers ---- */

#define CONNECT	 15 /* seconds */
#define SILENCE	 30
#define ATTEMPTS 5

static const struct registry_config defaults = { .connect = CONNECT,
						 .silence = SILENCE,
						 .attempts = ATTEMPTS };

static int number(const json_t *doc, const char *key, const char *path, unsigned max, unsigned *ret)
{
	const json_t *j = json_object_get(doc, key);
	int64_t n = json_get_int(doc, key, 0);

	if (!j)
		return 0;
	if (n < 1 || n > (int64_t)max)
		return err(-EINVAL, "%s: \"%s\" must be a number from 1 to %u", path, key, max);
	*ret = (unsigned)n;
	return 0;
}

static int fill_numbers(const json_t *doc, const char *path, struct registry_config *c)
{
	int r = number(doc, "connect", path, 600, &c->connect);

	if (r >= 0)
		r = number(doc, "silence", path, 3600, &c->silence);
	return r < 0 ? r : number(doc, "attempts", path, 100, &c->attempts);
}

/* ---- a host ---- */

static int fill(const json_t *entry, const char *path, struct registry_config *c)
{
	const char *ca = json_get_str(entry, "ca");
	int r = json_to_strv(json_get_array(entry, "mirrors"), &c->mirrors);

	if (r < 0)
		return err(r, "%s: \"mirrors\" must be a list of strings", path);
	c->insecure = json_get_bool(entry, "insecure", 0);
	return ca && !(c->ca = strdup(ca)) ? -ENOMEM : 0;
}

int registry_config_read(const char *host, struct registry_config *ret)
{
	_free_ char *path = NULL;
	_json_ json_t *doc = NULL;
	struct registry_config c = defaults;
	int r = registry_file(&path, &doc);

	if (r >= 0)
		r = fill_numbers(doc, path, &c);
	if (r >= 0)
		r = fill(registry_entry(doc, host, NULL), path, &c);
	if (r < 0) {
		registry_config_done(&c);
		return r;
	}
	*ret = c;
	return 0;
}

void registry_config_done(struct registry_config *c)
{
	free(c->ca);
	strv_free(c->mirrors);
}

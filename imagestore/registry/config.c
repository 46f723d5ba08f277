/* SPDX-License-Identifier: Apache-2.0 */
/* The user's file about registries: docs/formats/registries.md. */
#include "imagestore/registry/registry.h"

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
	_free_ char *path = config_path();
	_json_ json_t *doc = NULL;
	struct registry_config c = { 0 };
	int r;

	*ret = c;
	if (!path)
		return -ENOMEM;
	if (access(path, F_OK) < 0 && errno == ENOENT && !getenv("STRATA_CONFIG"))
		return 0;
	r = json_parse_file(AT_FDCWD, path, path, &doc);
	if (r < 0)
		return err(r, "%s: %s", path, strerror(-r));
	r = fill(json_get_object(json_get_object(doc, "registries"), host), path, &c);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* Names as registries have them: docker's defaults filled in. */
#include "imagestore/registry/registry.h"

#define DOCKER_HOST "docker.io"

static bool is_host(const char *s, size_t len)
{
	if (len == strlen("localhost") && strncmp(s, "localhost", len) == 0)
		return true;
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '.' || s[i] == ':' || (s[i] >= 'A' && s[i] <= 'Z'))
			return true;
	}
	return false;
}

char *registry_host(const char *said, size_t len)
{
	return reference_is_docker(said, len) ? strdup(DOCKER_HOST) : strndup(said, len);
}

static int split(const char *full, struct registry_name *n)
{
	const char *slash = strchr(full, '/'), *rest = full;
	const char *colon = strrchr(full, ':');
	bool host = slash && is_host(full, (size_t)(slash - full));

	if (host)
		rest = slash + 1;
	n->host = host ? registry_host(full, (size_t)(slash - full)) : strdup(DOCKER_HOST);
	if (!n->host)
		return -ENOMEM;
	n->repo = str_fmt("%s%.*s",
			  streq(n->host, DOCKER_HOST) && !strchr(rest, '/') ? "library/" : "",
			  (int)(colon - rest), rest);
	n->tag = strdup(colon + 1);
	return n->repo && n->tag ? 0 : -ENOMEM;
}

int registry_name_parse(const char *name, struct registry_name *ret)
{
	const char *at = strchr(name, '@');
	_free_ char *plain = at ? strndup(name, (size_t)(at - name)) : strdup(name);
	struct registry_name n = { 0 };
	char shown[128];
	int r = plain ? 0 : -ENOMEM;

	if (r >= 0 && at && digest_parse(at + 1, &n.digest) < 0) {
		str_printable(shown, sizeof(shown), at + 1);
		return err(-EINVAL, "\"%s\" is no digest of the form sha256:<64 digits>", shown);
	}
	if (r >= 0)
		r = image_name_canonical(plain, &n.stored);
	if (r >= 0)
		r = split(n.stored, &n);
	if (r < 0) {
		registry_name_done(&n);
		return r;
	}
	if (at) {
		free(take_ptr(n.tag));
		free(take_ptr(n.stored));
	}
	*ret = n;
	return 0;
}

void registry_name_done(struct registry_name *n)
{
	free(n->host);
	free(n->repo);
	free(n->tag);
	free(n->stored);
}

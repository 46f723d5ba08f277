/* SPDX-License-Identifier: Apache-2.0 */
/* Who we are to a registry: podman's auth.json and docker's config.json. Only login writes. */
#include "imagestore/registry/registry.h"

#define DOCKER_KEY "https://index.docker.io/v1/" /* docker's own name for docker.io */

void credentials_done(struct credentials *c)
{
	free(c->basic);
	free(c->identity);
	*c = (struct credentials){ 0 };
}

static bool known(const struct credentials *c)
{
	return c->basic || c->identity;
}

char *credentials_encode(const char *user, const char *password)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	_free_ char *plain = str_fmt("%s:%s", user, password);
	struct buf b = { 0 };
	size_t len = plain ? strlen(plain) : 0;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)(uint8_t)plain[i] << 16;

		if (i + 1 < len)
			v |= (uint32_t)(uint8_t)plain[i + 1] << 8;
		if (i + 2 < len)
			v |= (uint8_t)plain[i + 2];
		buf_addc(&b, digits[v >> 18]);
		buf_addc(&b, digits[v >> 12 & 63]);
		buf_addc(&b, i + 1 < len ? digits[v >> 6 & 63] : '=');
		buf_addc(&b, i + 2 < len ? digits[v & 63] : '=');
	}
	return plain ? buf_take(&b) : NULL;
}

/* Where login writes: podman's file. */
static char *auth_file(void)
{
	const char *named = getenv("REGISTRY_AUTH_FILE"), *run = getenv("XDG_RUNTIME_DIR");
	const char *home = getenv("HOME");

	if (named && *named)
		return strdup(named);
	if (run && *run)
		return str_fmt("%s/containers/auth.json", run);
	return str_fmt("%s/.config/containers/auth.json", home ? home : "");
}

static char *docker_file(void)
{
	const char *folder = getenv("DOCKER_CONFIG"), *home = getenv("HOME");

	return folder ? str_fmt("%s/config.json", folder) :
			str_fmt("%s/.docker/config.json", home ? home : "");
}

static int read_file(const char *path, json_t **ret)
{
	int r;

	*ret = NULL;
	if (access(path, F_OK) < 0)
		return 0;
	r = json_parse_file(AT_FDCWD, path, path, ret);
	return r < 0 ? err(r, "%s: %s", path, strerror(-r)) : 0;
}

/* Only what may stand in a header. */
static bool is_base64(const char *s)
{
	return *s &&
	       s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")] ==
		       '\0';
}

/* The helper that the file names for @host: its own, else the one for all; NULL: none. */
static const char *helper_of(const json_t *doc, const char *host)
{
	const json_t *helpers = json_get_object(doc, "credHelpers");
	const char *name = json_get_str(helpers, host);

	if (!name && streq(host, "docker.io"))
		name = json_get_str(helpers, DOCKER_KEY);
	return name ?: json_get_str(doc, "credsStore");
}

static int ask_helper(const json_t *doc, const char *path, const char *host,
		      struct credentials *ret)
{
	const char *name = helper_of(doc, host);
	int r = 0;

	if (name && *name)
		r = credentials_helper(name, streq(host, "docker.io") ? DOCKER_KEY : host, ret);
	return r < 0 ? err(r, "%s: credential helper: %s", path, strerror(-r)) : 0;
}

/* ---- entries of "auths" ---- */

/* Keys are places, HOST or HOST/a/b; docker's are hosts, and may be said as URLs. */
static bool is_key_of(const char *key, const char *place)
{
	const char *plain = str_after(key, "http://");
	const char *rest = plain ?: str_after(key, "https://");
	_free_ char *host = rest ? strndup(rest, strcspn(rest, "/")) : NULL;

	return registry_means(host ? host : key, plain ? ":80" : ":443", place);
}

/* Of HOST/a/b, else HOST/a, else HOST: the longest counts, as for podman. Shortens @place. */
static const json_t *find_entry(json_t *auths, char *place)
{
	for (;;) {
		char *slash = strrchr(place, '/');
		const char *key;
		json_t *entry;

		json_object_foreach(auths, key, entry)
		{
			/* Beside a helper docker leaves {}. */
			if (json_object_size(entry) && is_key_of(key, place))
				return entry;
		}
		if (!slash)
			return NULL;
		*slash = '\0';
	}
}

static int take_entry(const json_t *entry, const char *path, const char *place,
		      struct credentials *ret)
{
	const char *auth = json_get_str(entry, "auth"),
		   *identity = json_get_str(entry, "identitytoken"),
		   *user = json_get_str(entry, "username"),
		   *password = json_get_str(entry, "password");

	if (auth && *auth && !is_base64(auth))
		return err(-EBADMSG, "%s: the entry of %s is not base64", path, place);
	if (identity && *identity) {
		ret->identity = strdup(identity);
		return ret->identity ? 0 : -ENOMEM;
	}
	if (auth && *auth)
		ret->basic = strdup(auth);
	else if (user && *user && password)
		ret->basic = credentials_encode(user, password);
	else
		return 0;
	return ret->basic ? 0 : -ENOMEM;
}

static int look(const char *path, const char *host, const char *repo, struct credentials *ret)
{
	_free_ char *place = str_fmt("%s%s%s", host, *repo ? "/" : "", repo);
	_json_ json_t *doc = NULL;
	const json_t *entry;
	int r = path && place ? read_file(path, &doc) : -ENOMEM;

	if (r < 0 || known(ret))
		return r;
	r = ask_helper(doc, path, host, ret);
	if (r < 0 || known(ret))
		return r;
	entry = find_entry(json_object_get(doc, "auths"), place);
	return entry ? take_entry(entry, path, place, ret) : 0;
}

int credentials_get(const char *host, const char *repo, struct credentials *ret)
{
	_free_ char *own = auth_file(), *docker = docker_file();
	struct credentials found = { 0 };
	int r = look(own, host, repo, &found);

	if (r >= 0)
		r = look(docker, host, repo, &found);
	if (r < 0)
		credentials_done(&found);
	else
		*ret = found;
	return r;
}

/* ---- login, logout ---- */

static int write_file(const char *path, const json_t *doc)
{
	_free_ char *text = json_text(doc, NULL);
	_free_ char *folder = strndup(path, (size_t)(strrchr(path, '/') - path));
	_close_ int dirfd = -1;
	int r = text && folder ? fd_mkdir_p(AT_FDCWD, *folder ? folder : "/", 0700) : -ENOMEM;

	if (r >= 0) {
		dirfd = open(*folder ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = dirfd < 0 ? -errno :
				file_replace(dirfd, strrchr(path, '/') + 1, text, strlen(text),
					     0600, true);
	}
	return r < 0 ? err(r, "%s: %s", path, strerror(-r)) : 0;
}

int credentials_set(const char *host, const char *basic)
{
	_free_ char *path = auth_file();
	_json_ json_t *doc = NULL;
	json_t *auths;
	int r = path ? 0 : -ENOMEM;

	if (r >= 0 && *path != '/')
		return err(-EINVAL, "%s: give the whole path in REGISTRY_AUTH_FILE", path);
	if (r >= 0)
		r = read_file(path, &doc);
	if (r < 0)
		return r;
	if (!doc && !(doc = json_object()))
		return -ENOMEM;
	if (!json_get_object(doc, "auths") && json_object_set_new(doc, "auths", json_object()) < 0)
		return err(-EBADMSG, "%s is no list of credentials", path);
	auths = json_get_object(doc, "auths");
	if (basic)
		r = json_object_set_new(auths, host, json_pack("{s:s}", "auth", basic));
	else if (json_object_del(auths, host) < 0)
		return err(-ENOENT, "%s: not logged in, by %s", host, path);
	return r < 0 ? -ENOMEM : write_file(path, doc);
}

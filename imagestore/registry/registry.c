/* SPDX-License-Identifier: Apache-2.0 */
/* A repository at a server. */
#include "imagestore/registry/registry.h"

/* Docker's registry answers at another host than its name says. */
static const char *server_of(const char *host)
{
	return streq(host, "docker.io") ? "registry-1.docker.io" : host;
}

int registry_open(const char *host, const char *server, const char *repo, struct registry **ret)
{
	const char *at = server ? server : server_of(host);
	struct registry_config c;
	struct registry *r;
	int e = registry_config_read(server ? server : host, &c);

	if (e < 0)
		return e;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	r = new0(struct registry);
	if (r) {
		r->curl = curl_easy_init();
		r->host = strdup(server ? server : host);
		r->repo = strdup(repo);
		r->base = str_fmt("%s://%s", c.insecure ? "http" : "https", at);
		r->insecure = c.insecure;
		r->connect = c.connect;
		r->silence = c.silence;
		/* Behind a mirror stands another server. */
		r->attempts = server ? MIN(c.attempts, 2u) : c.attempts;
		r->ca = take_ptr(c.ca);
	}
	registry_config_done(&c);
	e = r && r->curl && r->host && r->repo && r->base ?
		    credentials_get(r->host, repo, &r->who) :
		    -ENOMEM;
	if (e < 0) {
		registry_close(r);
		return e;
	}
	*ret = r;
	return 0;
}

static int dup_known(const char *s, char **ret)
{
	*ret = s ? strdup(s) : NULL;
	return s && !*ret ? -ENOMEM : 0;
}

int registry_clone(const struct registry *r, struct registry **ret)
{
	struct registry *c = new0(struct registry);

	if (!c)
		return -ENOMEM;
	c->curl = curl_easy_init();
	c->host = strdup(r->host);
	c->base = strdup(r->base);
	c->repo = strdup(r->repo);
	c->insecure = r->insecure;
	c->connect = r->connect;
	c->silence = r->silence;
	c->attempts = r->attempts;
	if (!c->curl || !c->host || !c->base || !c->repo || dup_known(r->ca, &c->ca) ||
	    dup_known(r->who.basic, &c->who.basic) ||
	    dup_known(r->who.identity, &c->who.identity) ||
	    dup_known(r->authorization, &c->authorization)) {
		registry_close(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

void registry_close(struct registry *r)
{
	if (!r)
		return;
	curl_easy_cleanup(r->curl);
	free(r->host);
	free(r->base);
	free(r->repo);
	free(r->ca);
	credentials_done(&r->who);
	free(r->authorization);
	free(r);
}

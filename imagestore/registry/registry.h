/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talking to registries (OCI distribution-spec 1.1) from inside the room. A struct registry is one
 * repository at one server, for one thread: its connection, its token, its credentials. Whatever
 * comes back is hostile: documents have a bound, blobs their descriptor's size, texts are made
 * printable, and Authorization goes to the origin that asked for it alone.
 */
#ifndef IMAGESTORE_REGISTRY_REGISTRY_H
#define IMAGESTORE_REGISTRY_REGISTRY_H

#include "base/buf.h"
#include "imagestore/store.h"
#include <curl/curl.h>

/* ---- names ---- */

/* What a name means to registries: "alpine" is docker.io, library/alpine, latest. */
struct registry_name {
	char *host, *repo;
	char *tag;    /* NULL: by digest */
	char *stored; /* the name in index.json, as the user said it; NULL: by digest */
	struct digest digest;
};
int registry_name_parse(const char *name, struct registry_name *ret);
void registry_name_done(struct registry_name *n);

/* ---- docs/formats/registries.md ---- */

struct registry_config {
	bool insecure; /* plain HTTP */
	char *ca;      /* PEM file; NULL: the system's */
	char **mirrors;
};
int registry_config_read(const char *host, struct registry_config *ret);
void registry_config_done(struct registry_config *c);

/* ---- credentials: base64 of "user:password", from auth.json or config.json ---- */

/* *@ret is NULL when there are none; the caller frees. */
int credentials_get(const char *host, char **ret);
/* @basic NULL takes them away: -ENOENT when there are none. */
int credentials_set(const char *host, const char *basic);
/* NULL without memory. */
char *credentials_encode(const char *user, const char *password);

/* ---- a server ---- */

struct registry {
	CURL *curl;
	char *host;	 /* as the user says it */
	char *base;	 /* "https://host:port" */
	char *repo, *ca; /* ca may be NULL */
	bool insecure;
	char *basic;	     /* NULL: nobody in particular */
	char *authorization; /* the header in use */
};

/* @server: a mirror in place of @host, or NULL. */
int registry_open(const char *host, const char *server, const char *repo, struct registry **ret);
void registry_close(struct registry *r);
/* The same server over a connection of its own, with the token of @r. */
int registry_clone(const struct registry *r, struct registry **ret);

struct http_request {
	const char *method; /* NULL: GET */
	const char *url;
	const char *accept, *content_type;
	const char *authorization; /* NULL: the registry's, to its own origin */
	const void *body;	   /* of @body_size bytes; NULL: from body_fd */
	int body_fd;		   /* with @upload */
	uint64_t body_size;
	bool upload;
	uint64_t from; /* the first byte wanted of a blob */
	/* Gets the body of a 2xx; a negative value ends it and is the result. */
	int (*sink)(void *ctx, long status, const void *data, size_t len);
	void *ctx;
};

struct http_reply {
	long status;
	uint64_t retry_after; /* seconds */
	char *location, *challenge, *type;
	uint64_t range_from; /* of Content-Range */
	char text[512];	     /* the start of what an error's body says */
};
void http_reply_done(struct http_reply *p);

/* One exchange: 0 whatever the status is, -EAGAIN with a text when it may be tried again. */
int http_do(struct registry *r, const struct http_request *q, struct http_reply *p);
/*
 * With authentication: when the answer is 401, gets a token as the answer demands and asks again.
 * @scope: "pull" or "pull,push".
 */
int registry_try(struct registry *r, const char *scope, const struct http_request *q,
		 struct http_reply *p);
/*
 * The same, again after failures that pass; statuses other than 2xx are errors: -ENOENT for 404.
 */
int registry_do(struct registry *r, const char *scope, const struct http_request *q,
		struct http_reply *p);
/* Waits before attempt @n (from 1) is repeated; false: enough of it. */
bool registry_again(unsigned n, int error, const struct http_reply *p);
int registry_status_err(const struct registry *r, const char *url, const struct http_reply *p);
/* GET of a document of at most JSON_MAX bytes. */
int registry_get(struct registry *r, const char *url, const char *accept, struct buf *ret,
		 char **ret_type);

/* ---- blobs ---- */

/* A download under way or to be resumed: partial/<hex>, locked as long as it is open. */
struct partial {
	struct digest digest;
	uint64_t size;
	int fd; /* -1: not needed */
};
/* Appends what is missing to @p and checks it; a file that is wrong is removed. */
int partial_fetch(struct registry *r, struct store *s, struct partial *p);

#endif

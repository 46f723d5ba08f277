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
	char *stored; /* the name in index.json: image_name_canonical(); NULL: by digest */
	struct digest digest;
};
int registry_name_parse(const char *name, struct registry_name *ret);
void registry_name_done(struct registry_name *n);
/* A host as files and rules have it: docker.io has other names. NULL without memory. */
char *registry_host(const char *said, size_t len);

/* ---- docs/formats/registries.md ---- */

struct registry_config {
	bool insecure; /* plain HTTP */
	char *ca;      /* PEM file; NULL: the system's */
	char **mirrors;
	/* for all registries: seconds, and how often what fails is tried */
	unsigned connect, silence, attempts;
};
/* The file: *@ret is NULL when there is none. */
int registry_file(char **ret_path, json_t **ret);
/*
 * Of the file, for HOST or HOST/a/b: borrowed, or NULL. What is said exactly so comes first, else
 * what means the same registry: hosts have no case, the port that goes without saying may be said,
 * and docker.io has other names. @member NULL: any entry, else one that has it.
 */
const json_t *registry_entry(const json_t *doc, const char *name, const char *member);
int registry_config_read(const char *host, struct registry_config *ret);
void registry_config_done(struct registry_config *c);

/* Whether @key, HOST or HOST/a/b, means the place @name; @port (":443") goes without saying. */
bool registry_means(const char *key, const char *port, const char *name);

/* ---- credentials: from auth.json or config.json ---- */

struct credentials {
	char *basic;	/* base64 of "user:password"; NULL: none */
	char *identity; /* gets tokens in place of a password: OAuth2's refresh token; NULL: none */
};
void credentials_done(struct credentials *c);
/* For a repository ("": for the host alone); all NULL when there are none. */
int credentials_get(const char *host, const char *repo, struct credentials *ret);
/* @basic NULL takes them away: -ENOENT when there are none. */
int credentials_set(const char *host, const char *basic);
/* Runs docker-credential-@name; *@ret stays as it is when it has none for @server. */
int credentials_helper(const char *name, const char *server, struct credentials *ret);
/* NULL without memory. */
char *credentials_encode(const char *user, const char *password);

/* ---- a server ---- */

struct registry {
	CURL *curl;
	char *host;	 /* as the user says it */
	char *base;	 /* "https://host:port" */
	char *repo, *ca; /* ca may be NULL */
	bool insecure;
	unsigned connect, silence, attempts; /* of the config */
	struct credentials who;		     /* none: nobody in particular */
	char *authorization;		     /* the header in use */
	const char *from; /* another repository that tokens are to read; NULL, or borrowed */
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
	int body_fd;		   /* with @upload: from byte body_from */
	uint64_t body_from, body_size;
	bool upload;
	bool say_range; /* "Content-Range: FROM-LAST": a chunk of an upload */
	bool patient;	/* the server may be silent for long before it answers */
	uint64_t from;	/* the first byte wanted of a blob */
	uint64_t to;	/* the last one; 0: all that follow */
	/* Bytes of body_fd that are gone, so far. */
	void (*sent)(void *ctx, uint64_t upto);
	/* Gets the body of a 2xx; a negative value ends it and is the result. */
	int (*sink)(void *ctx, long status, const void *data, size_t len);
	void *ctx;
};

struct http_reply {
	long status;
	uint64_t retry_after; /* seconds */
	char *location, *challenge, *type;
	uint64_t range_from; /* of Content-Range */
	uint64_t range_last; /* of "Range: 0-LAST", when it has one: of an upload */
	bool has_range;
	uint64_t min_chunk; /* of OCI-Chunk-Min-Length */
	char text[512];	    /* the start of what an error's body says */
};
void http_reply_done(struct http_reply *p);

/* One exchange: 0 whatever the status is, -EAGAIN with a text when it may be tried again. */
int http_do(struct registry *r, const struct http_request *q, struct http_reply *p);
/*
 * With authentication: when the answer is 401, gets a token as the answer demands and asks again.
 * @actions: "pull" or "pull,push".
 */
int registry_try(struct registry *r, const char *actions, const struct http_request *q,
		 struct http_reply *p);
/*
 * The same, again after failures that pass; statuses other than 2xx are errors: -ENOENT for 404.
 */
int registry_do(struct registry *r, const char *actions, const struct http_request *q,
		struct http_reply *p);
/* Says "access denied"; sets the header for what is asked from now on. */
int registry_denied(const struct registry *r);
int registry_authorize(struct registry *r, const char *kind, const char *value);
/* token.c: answers a Bearer challenge. -EAGAIN may come with a wait that was asked for. */
int token_get(struct registry *r, const char *challenge, const char *actions,
	      uint64_t *ret_retry_after);
/* Whether a failure is one that passes. */
bool registry_passes(int error, const struct http_reply *p);
/* Waits before attempt @n (from 1) is repeated; false: enough of it. */
bool registry_again(const struct registry *r, unsigned n, int error, const struct http_reply *p);
int registry_status_err(const struct registry *r, const char *url, const struct http_reply *p);
/* A sink for documents of at most JSON_MAX bytes: @ctx is a struct buf. */
int registry_into_buf(void *ctx, long status, const void *data, size_t len);
/* GET of a document. */
int registry_get(struct registry *r, const char *url, const char *accept, struct buf *ret,
		 char **ret_type);

/* ---- blobs ---- */

/* A download under way or to be resumed, into a file that is the caller's. */
struct partial {
	struct digest digest;
	uint64_t size;
	int fd; /* -1: not needed */
	/* The file holds so many bytes of it; a negative value ends the download. NULL: nobody. */
	int (*grew)(void *ctx, uint64_t have);
	/*
	 * Where the bytes from @at on are gathered, to the end of their piece (ring.h), before they
	 * are written; NULL, also what it gives: in a buffer of their own.
	 */
	uint8_t *(*room)(void *ctx, uint64_t at);
	void *ctx;
};
/* Appends what is missing to @p and checks it; -EBADMSG: what the file has is of no use. */
int partial_fetch(struct registry *r, struct store *s, struct partial *p);

/*
 * Bytes [@from, @from + @len) of a blob, in order, to @sink. They are whatever the server sends:
 * the caller knows a digest. -EOPNOTSUPP: it sends no ranges.
 */
int range_fetch(struct registry *r, const struct digest *blob, uint64_t from, uint64_t len,
		int (*sink)(void *ctx, const void *data, size_t len), void *ctx);

struct upload {
	struct digest digest;
	uint64_t size;
	int fd;
	void (*sent)(void *ctx, uint64_t upto);
	void *ctx;
};
/* Sends a blob; *@ret_mounted: it was taken over from r->from, and nothing was sent. */
int upload_run(struct registry *r, const struct upload *u, bool *ret_mounted);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* One exchange with a server, by libcurl. */
#include "imagestore/registry/registry.h"

#include <strings.h>

#define SILENCE_BYTES 1024 /* less a second for so long as the config says: given up */
#define PATIENCE      10   /* so many times as long, where a server has to digest what it got */
#define REDIRECTS_MAX 5
#define HEADER_MAX    8192	   /* bytes of one that we keep */
#define HEADERS_MAX   (256u << 10) /* bytes of all that we read */

struct exchange {
	struct registry *r;
	const struct http_request *q;
	struct http_reply *p;
	uint64_t sent;
	size_t ntext, nheaders;
	int failed; /* what sink or body gave */
};

void http_reply_done(struct http_reply *p)
{
	free(p->location);
	free(p->challenge);
	free(p->type);
	*p = (struct http_reply){ 0 };
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;
	size_t len = size * n, keep;
	long status = 0;

	curl_easy_getinfo(x->r->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 200 && status < 300) {
		if (x->q->sink)
			x->failed = x->q->sink(x->q->ctx, status, data, len);
		return x->failed < 0 ? 0 : len;
	}
	keep = MIN(len, sizeof(x->p->text) - 1 - x->ntext);
	memcpy(x->p->text + x->ntext, data, keep);
	x->ntext += keep;
	x->p->text[x->ntext] = '\0';
	return len;
}

static size_t on_upload(char *data, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;
	size_t want = (size_t)MIN((uint64_t)(size * n), x->q->body_size - x->sent);
	ssize_t got = (ssize_t)want;

	if (x->q->body)
		memcpy(data, (const char *)x->q->body + x->sent, want);
	else
		got = fd_pread_full(x->q->body_fd, data, want, (off_t)(x->q->body_from + x->sent));
	if (got < (ssize_t)want) {
		x->failed = got < 0 ? (int)got : -EIO;
		return CURL_READFUNC_ABORT;
	}
	x->sent += want;
	if (x->q->sent)
		x->q->sent(x->q->ctx, x->q->body_from + x->sent);
	return want;
}

/* Before it sends a body once more: a connection that was kept turned out to be closed. */
static int on_seek(void *ctx, curl_off_t offset, int origin)
{
	struct exchange *x = ctx;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > x->q->body_size)
		return CURL_SEEKFUNC_FAIL;
	x->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* The value of header @name when the line has it: a copy without blanks around. */
static char *header_value(const char *line, size_t len, const char *name)
{
	size_t n = strlen(name);

	if (len <= n || len > HEADER_MAX || strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	for (n++; n < len && (line[n] == ' ' || line[n] == '\t'); n++)
		;
	while (len > n && strchr("\r\n \t", line[len - 1]))
		len--;
	return strndup(line + n, len - n);
}

static void keep_header(char **where, const char *line, size_t len, const char *name)
{
	char *value = header_value(line, len, name);

	if (value) {
		free(*where);
		*where = value;
	}
}

/* Of several ways a token is taken: it needs no password where anybody may read. */
static void keep_challenge(struct http_reply *p, const char *line, size_t len)
{
	if (!p->challenge || strncasecmp(p->challenge, "Bearer", 6) != 0)
		keep_header(&p->challenge, line, len, "WWW-Authenticate");
}

/* "0-LAST", by some "bytes=0-LAST": what a registry has of an upload. */
static void keep_range(struct http_reply *p, const char *value)
{
	const char *last = str_after(value, "bytes=") ?: value;

	last = str_after(last, "0-");
	p->has_range = last && str_u64(last, 0, INT64_MAX, &p->range_last) == 0;
}

static void keep_numbers(struct http_reply *p, const char *line, size_t len)
{
	_free_ char *content = header_value(line, len, "Content-Range"),
		    *range = header_value(line, len, "Range"),
		    *chunk = header_value(line, len, "OCI-Chunk-Min-Length");
	const char *bytes = content ? str_after(content, "bytes ") : NULL;

	if (bytes)
		p->range_from = strtoull(bytes, NULL, 10);
	if (range)
		keep_range(p, range);
	if (chunk && str_u64(chunk, 0, INT64_MAX, &p->min_chunk) < 0)
		p->min_chunk = 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;
	size_t len = size * n;

	x->nheaders += len;
	if (x->nheaders > HEADERS_MAX) {
		x->failed = err(-EPROTO, "%s: headers of over %u bytes", x->r->host, HEADERS_MAX);
		return 0;
	}
	if (len > 5 && strncmp(line, "HTTP/", 5) == 0)
		http_reply_done(x->p); /* of a redirect: what counts comes now */
	keep_header(&x->p->location, line, len, "Location");
	keep_challenge(x->p, line, len);
	keep_header(&x->p->type, line, len, "Content-Type");
	keep_numbers(x->p, line, len);
	return len;
}

/* Whether @url is at the origin that our credentials are for. */
static bool own_origin(const struct registry *r, const char *url)
{
	const char *rest = str_after(url, r->base);

	return rest && (*rest == '/' || !*rest);
}

static int add_header(struct curl_slist **list, const char *name, const char *value)
{
	_free_ char *line = value ? str_fmt("%s: %s", name, value) : NULL;
	struct curl_slist *grown = line ? curl_slist_append(*list, line) : NULL;

	if (!value)
		return 0;
	if (!grown)
		return -ENOMEM;
	*list = grown;
	return 0;
}

static int set_headers(const struct registry *r, const struct http_request *q,
		       struct curl_slist **list)
{
	const char *auth = q->authorization;
	char range[64];
	int e;

	snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)q->body_from,
		 (unsigned long long)(q->body_from + q->body_size - 1));

	if (!auth && own_origin(r, q->url))
		auth = r->authorization;
	e = add_header(list, "Authorization", auth);
	if (e >= 0)
		e = add_header(list, "Accept", q->accept);
	if (e >= 0 && q->say_range)
		e = add_header(list, "Content-Range", range);
	return e < 0 ? e : add_header(list, "Content-Type", q->content_type);
}

static void set_options(struct exchange *x, struct curl_slist *headers)
{
	CURL *c = x->r->curl;
	const struct http_request *q = x->q;
	char range[64];

	curl_easy_reset(c);
	curl_easy_setopt(c, CURLOPT_URL, q->url);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "strata/" STRATA_VERSION);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)x->r->connect);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME,
			 (long)x->r->silence * (q->patient ? PATIENCE : 1));
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)SILENCE_BYTES);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, q->upload || q->method ? 0L : 1L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, x->r->insecure ? "http,https" : "https");
	curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, x->r->insecure ? "http,https" : "https");
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256l << 10);
	if (x->r->ca)
		curl_easy_setopt(c, CURLOPT_CAINFO, x->r->ca);
	if (q->upload) {
		curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c, CURLOPT_READFUNCTION, on_upload);
		curl_easy_setopt(c, CURLOPT_READDATA, x);
		curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(c, CURLOPT_SEEKDATA, x);
		curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->body_size);
	}
	if (q->method && streq(q->method, "HEAD"))
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	else if (q->method)
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
	if (q->from || q->to) {
		snprintf(range, sizeof(range), "%llu-", (unsigned long long)q->from);
		if (q->to)
			snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)q->from,
				 (unsigned long long)q->to);
		curl_easy_setopt(c, CURLOPT_RANGE, range);
	}
}

static int timeout_err(const struct exchange *x)
{
	curl_off_t connected = 0;

	curl_easy_getinfo(x->r->curl, CURLINFO_CONNECT_TIME_T, &connected);
	if (!connected)
		return err(-EAGAIN, "%s: no connection within %u s", x->r->host, x->r->connect);
	return err(-EAGAIN, "%s: silent or slow: less than %u bytes/s for %u s", x->r->host,
		   SILENCE_BYTES, x->r->silence * (x->q->patient ? PATIENCE : 1));
}

static int transport_err(const struct exchange *x, CURLcode code)
{
	bool passes = code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
		      code == CURLE_PARTIAL_FILE || code == CURLE_GOT_NOTHING ||
		      code == CURLE_COULDNT_CONNECT || code == CURLE_HTTP2_STREAM ||
		      code == CURLE_HTTP2 || code == CURLE_SEND_FAIL_REWIND;

	if (x->failed < 0)
		return x->failed;
	if (code == CURLE_OPERATION_TIMEDOUT)
		return timeout_err(x);
	return err(passes ? -EAGAIN : -EIO, "%s: %s", x->r->host, curl_easy_strerror(code));
}

int http_do(struct registry *r, const struct http_request *q, struct http_reply *p)
{
	struct exchange x = { .r = r, .q = q, .p = p };
	struct curl_slist *headers = NULL;
	curl_off_t after = 0;
	CURLcode code;
	int e = set_headers(r, q, &headers);

	http_reply_done(p);
	if (e < 0) {
		curl_slist_free_all(headers);
		return e;
	}
	set_options(&x, headers);
	code = curl_easy_perform(r->curl);
	curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &p->status);
	curl_easy_getinfo(r->curl, CURLINFO_RETRY_AFTER, &after);
	p->retry_after = after > 0 ? (uint64_t)after : 0;
	curl_slist_free_all(headers);
	return code == CURLE_OK ? 0 : transport_err(&x, code);
}

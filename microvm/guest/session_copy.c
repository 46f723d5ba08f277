/* SPDX-License-Identifier: Apache-2.0 */
/* Files for `cp`, as the machine's processes see them. */
#include "microvm/guest/init.h"

#include "base/err.h"
#include "base/tree.h"
#include <errno.h>
#include <unistd.h>

static void failed(int fd, int e)
{
	struct guest_failed f = { (uint32_t)-e, 125 };
	const char *text = err_take(e);

	session_send(fd, GUEST_FAILED, &f, sizeof(f), text,
		     strnlen(text, GUEST_REPLY_MAX - sizeof(f)));
}

static void done(int fd, int r)
{
	struct guest_exited e = { 0 };

	if (r < 0)
		failed(fd, r);
	else
		session_send(fd, GUEST_EXITED, &e, sizeof(e), "", 0);
}

/* ---- to the host ---- */

/* A file is several small records: many go at a time. */
struct batch {
	int fd;
	size_t len;
	uint8_t data[2 * (sizeof(struct guest_head) + TREE_RECORD_MAX)];
};

static int batch_send(struct batch *b)
{
	bool sent = session_write(b->fd, &(struct iovec){ b->data, b->len }, 1);

	b->len = 0;
	return sent ? 0 : -EPIPE;
}

static int send_record(void *ctx, const struct iovec *iov, unsigned n)
{
	struct guest_head head = { .type = GUEST_TREE };
	struct batch *b = ctx;

	for (unsigned i = 0; i < n; i++)
		head.len += (uint32_t)iov[i].iov_len;
	if (head.len > TREE_RECORD_MAX)
		return -E2BIG;
	if (b->len + sizeof(head) + head.len > sizeof(b->data) && batch_send(b) < 0)
		return -EPIPE;
	memcpy(b->data + b->len, &head, sizeof(head));
	b->len += sizeof(head);
	for (unsigned i = 0; i < n; i++) {
		memcpy(b->data + b->len, iov[i].iov_base, iov[i].iov_len);
		b->len += iov[i].iov_len;
	}
	return 0;
}

static int copy_out(int fd, const struct config *c)
{
	static struct batch batch;
	struct tree_encoder encoder = { send_record, &batch };
	struct tree_source source;
	struct tree_path path;
	uint32_t directory;
	int r = tree_path_init(&path, c->argv[0]);

	if (r >= 0)
		r = tree_source_open(-1, &path, &source);
	if (r < 0)
		return r;
	directory = source.directory;
	if (!session_send(fd, GUEST_STARTED, &directory, sizeof(directory), "", 0))
		return -EPIPE;
	batch.fd = fd;
	r = tree_read(source.dir, source.name, &tree_encoder_sink, &encoder);
	return r < 0 ? r : batch_send(&batch);
}

/* ---- from the host ---- */

/* 1 = a record and its length, 0 = that was all. */
static int next_record(int fd, uint8_t record[GUEST_CHUNK_MAX], uint32_t *ret_len)
{
	struct guest_head head;
	int r = control_read(fd, &head, sizeof(head));

	if (r < 0)
		return r;
	if (head.type != GUEST_TREE || head.len > GUEST_CHUNK_MAX)
		return -EPROTO;
	*ret_len = head.len;
	r = control_read(fd, record, head.len);
	return r < 0 ? r : head.len > 0;
}

static int receive(int fd, struct tree_writer *w)
{
	static uint8_t record[GUEST_CHUNK_MAX];
	struct tree_decoder d = { .sink = &tree_writer_sink, .ctx = w };
	uint32_t len = 0;
	int r;

	while ((r = next_record(fd, record, &len)) > 0) {
		r = tree_decode(&d, record, len);
		if (r < 0)
			return r;
	}
	return r;
}

static int copy_in(int fd, const struct config *c)
{
	struct tree_writer w = TREE_WRITER_NONE;
	struct tree_path path;
	int r = c->nargs == 2 ? tree_path_init(&path, c->argv[0]) : -EPROTO;

	if (r == 0)
		r = tree_target_open(-1, &path, c->argv[1], c->flags & GUEST_FLAG_DIRECTORY,
				     c->flags & GUEST_FLAG_CONTENT, &w);
	if (r < 0)
		return r;
	w.archive = c->flags & GUEST_FLAG_ARCHIVE;
	if (!session_send(fd, GUEST_STARTED, "", 0, "", 0))
		return -EPIPE;
	r = receive(fd, &w);
	tree_writer_done(&w);
	return r;
}

void session_copy(int fd, bool in, const uint8_t *data, size_t len)
{
	static struct config config;
	int r = config_parse(&config, data, len);

	if (r < 0)
		err(r, "%s", failing_text());
	else if (chdir("/") < 0)
		r = -errno;
	else
		r = in ? copy_in(fd, &config) : copy_out(fd, &config);
	done(fd, r);
}

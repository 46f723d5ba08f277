/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/logfile.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include <errno.h>
#include <linux/falloc.h>
#include <sys/stat.h>

#define PUNCH_STEP (4u << 20) /* bytes dropped from the beginning at a time */

static const char *const stream_names[] = { [LOG_STDOUT] = "stdout", [LOG_STDERR] = "stderr" };

int logfile_open(struct logfile *l, int dir)
{
	_close_ int fd = openat(dir, LOG_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys("log");
	*l = (struct logfile){ .fd = take_fd(fd), .size = (uint64_t)st.st_size };
	return 0;
}

void logfile_close(struct logfile *l)
{
	l->fd = fd_close(l->fd);
}

static void drop_old(struct logfile *l)
{
	uint64_t until;

	if (l->size - l->punched < LOG_KEEP + PUNCH_STEP)
		return;
	until = (l->size - LOG_KEEP) / PUNCH_STEP * PUNCH_STEP;
	/* Where holes cannot be made the log keeps growing: better than losing what is new. */
	fallocate(l->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)until);
	l->punched = until;
}

/* A failed write leaves nothing behind: the next one begins at the same place. */
static int flush(struct logfile *l, const char *data, size_t len)
{
	int r = fd_pwrite_full(l->fd, data, len, (off_t)l->size);

	if (r < 0) {
		if (ftruncate(l->fd, (off_t)l->size) < 0)
			return -errno;
		return r;
	}
	l->size += len;
	drop_old(l);
	return 0;
}

int logfile_add(struct logfile *l, enum log_stream stream, const char *data, size_t len)
{
	char out[2 * LOG_LINE_MAX];
	struct clock_text now = clock_now_text();
	size_t used = 0;
	int r;

	while (len) {
		size_t max = MIN(len, (size_t)LOG_TEXT_MAX);
		const char *end = memchr(data, '\n', max);
		size_t text = end ? (size_t)(end - data) : max;

		if (used + LOG_LINE_MAX > sizeof(out)) {
			r = flush(l, out, used);
			if (r < 0)
				return r;
			used = 0;
		}
		used += (size_t)snprintf(out + used, LOG_LINE_MAX, "%s %s %c ", now.s,
					 stream_names[stream], end ? 'F' : 'P');
		memcpy(out + used, data, text);
		used += text;
		out[used++] = '\n';
		data += text + !!end;
		len -= text + !!end;
	}
	return used ? flush(l, out, used) : 0;
}

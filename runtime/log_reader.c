/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/log_reader.h"

#include "base/fd.h"
#include "base/str.h"
#include <errno.h>

/* One line of the log: "TIME stream F text". */
struct line {
	const char *time, *text;
	size_t time_len, text_len;
	enum log_stream stream;
	bool whole; /* its end is an end of line; else more follows */
};

/* 0 or -EBADMSG: what a full disk or somebody's editor left. */
static int line_parse(const char *s, size_t len, struct line *ret)
{
	const char *end = s + len, *space = memchr(s, ' ', len);
	struct line line = { .time = s };

	if (!space || end - space < (ptrdiff_t)strlen(" stdout F "))
		return -EBADMSG;
	line.time_len = (size_t)(space - s);
	if (memcmp(space, " stdout ", 8) == 0)
		line.stream = LOG_STDOUT;
	else if (memcmp(space, " stderr ", 8) == 0)
		line.stream = LOG_STDERR;
	else
		return -EBADMSG;
	if ((space[8] != 'F' && space[8] != 'P') || space[9] != ' ')
		return -EBADMSG;
	line.whole = space[8] == 'F';
	line.text = space + 10;
	line.text_len = (size_t)(end - line.text);
	*ret = line;
	return 0;
}

/* Calls @fn for each whole line that is there. */
static int each_line(struct log_reader *l, int (*fn)(void *ctx, const struct line *line), void *ctx)
{
	struct line line;
	int r = 0;

	for (;;) {
		ssize_t n = fd_pread_full(l->fd, l->buf + l->len, sizeof(l->buf) - l->len,
					  (off_t)l->off);
		char *s = l->buf, *end;

		if (n <= 0)
			return (int)n;
		l->off += (uint64_t)n;
		l->len += (size_t)n;
		while (r >= 0 && (end = memchr(s, '\n', l->len))) {
			size_t len = (size_t)(end - s);

			if (line_parse(s, len, &line) == 0)
				r = fn(ctx, &line);
			s = end + 1;
			l->len -= len + 1;
		}
		if (r < 0)
			return r;
		/* No line of ours is that long: not one at all. */
		if (l->len == sizeof(l->buf))
			l->len = 0;
		memmove(l->buf, s, l->len);
	}
}

/* The first data, and behind the line that the hole cut. */
static int seek_first(struct log_reader *l)
{
	off_t first = lseek(l->fd, 0, SEEK_DATA);
	char chunk[LOG_LINE_MAX];
	ssize_t n;
	char *end;

	/* ENXIO: nothing but a hole, or nothing at all. */
	if (first < 0 && errno != ENXIO && errno != EINVAL)
		return -errno;
	l->off = first > 0 ? (uint64_t)first : 0;
	if (first <= 0)
		return 0;
	n = fd_pread_full(l->fd, chunk, sizeof(chunk), first);
	if (n < 0)
		return (int)n;
	end = memchr(chunk, '\n', (size_t)n);
	l->off += end ? (uint64_t)(end + 1 - chunk) : (uint64_t)n;
	return 0;
}

/* Counts or skips: which lines begin where, over both streams. */
struct tail {
	bool within[2], skipping[2];
	uint64_t lines; /* that began so far */
	uint64_t skip;
	struct log_reader *l;
};

static int count_line(void *ctx, const struct line *line)
{
	struct tail *t = ctx;

	if (!t->within[line->stream])
		t->skipping[line->stream] = t->lines++ < t->skip;
	t->within[line->stream] = !line->whole;
	return 0;
}

static int flush(struct log_reader *l)
{
	size_t held = l->held;

	l->held = 0;
	return held && l->out[l->stream] >= 0 ? fd_write_full(l->out[l->stream], l->text, held) : 0;
}

static int put(struct log_reader *l, enum log_stream stream, const char *s, size_t len)
{
	int r = 0;

	if (stream != l->stream || l->held + len > sizeof(l->text))
		r = flush(l);
	l->stream = stream;
	/* Longer than any line of ours: somebody else wrote it. */
	len = MIN(len, sizeof(l->text) - l->held);
	memcpy(l->text + l->held, s, len);
	l->held += len;
	return r;
}

static int print_line(void *ctx, const struct line *line)
{
	struct log_reader *l = ctx;
	int r = 0;

	if (l->timestamps && !l->within[line->stream]) {
		r = put(l, line->stream, line->time, line->time_len);
		if (r >= 0)
			r = put(l, line->stream, " ", 1);
	}
	if (r >= 0)
		r = put(l, line->stream, line->text, line->text_len);
	if (r >= 0 && line->whole)
		r = put(l, line->stream, "\n", 1);
	l->within[line->stream] = !line->whole;
	return r;
}

/* Leaves out the first lines, each with all its parts. */
static int print_tail(void *ctx, const struct line *line)
{
	struct tail *t = ctx;

	count_line(t, line);
	return t->skipping[line->stream] ? 0 : print_line(t->l, line);
}

static void rewind_to(struct log_reader *l, uint64_t off)
{
	l->off = off;
	l->len = 0;
}

/*
 * Prints the last @tail lines and stands behind them. Twice through a log of at most 64 MiB is
 * cheap.
 */
static int print_last(struct log_reader *l, uint64_t tail)
{
	struct tail count = { .l = l }, print = { .l = l };
	uint64_t first = l->off;
	int r;

	r = each_line(l, count_line, &count);
	if (r < 0)
		return r;
	rewind_to(l, first);
	print.skip = count.lines > tail ? count.lines - tail : 0;
	r = each_line(l, print_tail, &print);
	return r < 0 ? r : flush(l);
}

int log_reader_open(struct log_reader *l, int dir, int64_t tail)
{
	int r;

	l->fd = openat(dir, LOG_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (l->fd < 0)
		return -errno;
	r = seek_first(l);
	if (r < 0)
		return r;
	return tail >= 0 ? print_last(l, (uint64_t)tail) : 0;
}

int log_reader_copy(struct log_reader *l)
{
	int r = each_line(l, print_line, l);

	return r < 0 ? r : flush(l);
}

void log_reader_close(struct log_reader *l)
{
	l->fd = fd_close(l->fd);
}

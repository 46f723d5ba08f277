/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/fd.h"
#include "base/str.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* Bytes of a line; longer ones are cut. Below PIPE_BUF, so that lines do not mix. */
#define LINE_MAX_ 2048

static const char *log_program;
static int log_fd = STDERR_FILENO;
static enum log_level log_max = LOG_INFO;

void log_setup(const char *program, int fd, enum log_level max)
{
	log_program = program;
	log_fd = fd;
	log_max = max;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char text[LINE_MAX_ / 2], line[LINE_MAX_];
	size_t len = 0;
	int saved = errno;
	va_list ap;

	if (level > log_max || log_fd < 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (log_program) {
		snprintf(line, 64, "%s: ", log_program);
		len = strlen(line);
	}
	/* What a guest or an image sent in cannot begin a line of its own. */
	str_printable(line + len, sizeof(line) - len - 1, text);
	len = strlen(line);
	line[len++] = '\n';
	fd_write_full(log_fd, line, len); /* when it fails, nobody is left to be told */
	errno = saved;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of an instance, written by its supervisor alone: lines as docs/formats/instance.md has
 * them.
 */
#ifndef RUNTIME_LOGFILE_H
#define RUNTIME_LOGFILE_H

#include <stddef.h>
#include <stdint.h>

#define LOG_FILE "log"
/* bytes kept of a log; a container that prints for ever must not fill /run */
#define LOG_KEEP (64u << 20)
#define LOG_TEXT_MAX 4096 /* bytes of text in one line */
#define LOG_LINE_MAX (LOG_TEXT_MAX + 64)

enum log_stream { LOG_STDOUT, LOG_STDERR };

struct logfile {
	int fd;
	uint64_t size, punched;
};

/* clang-format off */
#define LOGFILE_NONE { .fd = -1 }
/* clang-format on */

int logfile_open(struct logfile *l, int dir);
void logfile_close(struct logfile *l);
/* Appends what was printed just now, at most LOG_TEXT_MAX bytes of it at once. */
int logfile_add(struct logfile *l, enum log_stream stream, const char *data, size_t len);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A log's lines, from a place on, given to the stream that each belongs to. */
#ifndef RUNTIME_LOG_READER_H
#define RUNTIME_LOG_READER_H

#include "runtime/logfile.h"
#include <stdbool.h>
#include <stdint.h>

#define LOG_READER_CHUNK (64u << 10) /* bytes read at a time; holds many lines */

struct log_reader {
	int fd;
	int out[2]; /* by enum log_stream */
	bool timestamps;

	uint64_t off;	/* of the next byte to read */
	bool within[2]; /* the stream's last line goes on */
	size_t len;	/* of what was read and is no whole line yet */
	char buf[LOG_READER_CHUNK];

	/* Text that waits to be written, all of one stream. */
	enum log_stream stream;
	size_t held;
	char text[LOG_READER_CHUNK];
};

/*
 * At the beginning of the last @tail lines, or of all there are (< 0). -ENOENT = there is no log.
 */
int log_reader_open(struct log_reader *l, int dir, int64_t tail);
/* Copies all whole lines that are there now. */
int log_reader_copy(struct log_reader *l);
void log_reader_close(struct log_reader *l);

#endif

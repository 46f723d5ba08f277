/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line a message to a descriptor (stderr unless set), "PROGRAM: text". Only for programs that
 * serve; a command's errors go through err.h and are printed by cli/.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Before other threads start. @program is kept, not copied. */
void log_setup(const char *program, int fd, enum log_level max);
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_err(...)   log_line(LOG_ERR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: functions return 0 or a count, or -errno. The text for a person is attached where the
 * failure happens and kept per thread; the first text wins until it is taken, so that clean-up
 * cannot clobber it.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <errno.h>
#include <stdbool.h>

#define ERR_TEXT_MAX 1024 /* bytes of a text, with its NUL; longer ones are cut */

/* Attaches a text to the negative errno @e, unless one waits already; returns @e. Keeps errno. */
int err(int e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As err() for a failed system call: takes -errno, and appends ": " and its meaning to the text. */
int err_sys(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * The waiting text, or NULL. Stays valid until the next err_take() or err_clear() of this thread.
 */
const char *err_text(void);

/*
 * The waiting text, taken: the next err() of this thread attaches its own. When none waits,
 * strerror(-e).
 */
const char *err_take(int e);

/* Forgets the waiting text: for a failure that was handled. */
void err_clear(void);

#endif

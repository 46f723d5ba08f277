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

/*
 * err(e, format, ...): attaches a text to the negative errno @e, unless one waits already; gives
 * @e. Keeps errno. A macro, so that compilers and analysers see the number that comes back.
 */
#define err(e, ...)                                             \
	({                                                      \
		__attribute__((unused)) const int err_e_ = (e); \
		err_attach(__VA_ARGS__);                        \
		err_e_;                                         \
	})
void err_attach(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * err_sys(format, ...): the same for a failed system call: takes -errno, and appends ": " and its
 * meaning to the text.
 */
#define err_sys(...)                                                                    \
	({                                                                              \
		__attribute__((unused)) const int err_e_ = err_attach_sys(__VA_ARGS__); \
		if (err_e_ >= 0)                                                        \
			__builtin_unreachable();                                        \
		err_e_;                                                                 \
	})
int err_attach_sys(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

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

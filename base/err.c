/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/*
 * Two texts a thread: one waits, the other is what err_take() last gave out, so that a caller may
 * wrap it: err(e, "pull: %s", err_take(e)).
 */
static _Thread_local struct {
	char text[2][ERR_TEXT_MAX];
	unsigned int current; /* which of the two waits or is written next */
	bool waiting;
} state;

void err_attach(const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (!state.waiting) {
		va_start(ap, fmt);
		vsnprintf(state.text[state.current], ERR_TEXT_MAX, fmt, ap);
		va_end(ap);
		state.waiting = true;
	}
	errno = saved;
}

/* Cuts the text rather than the meaning of errno. */
static void attach_sys(int e, const char *fmt, va_list ap)
{
	const char *meaning = strerror(e);
	size_t room = ERR_TEXT_MAX - strlen(meaning) - 2;
	char *text = state.text[state.current];
	size_t len;

	vsnprintf(text, room, fmt, ap);
	len = strlen(text);
	snprintf(text + len, ERR_TEXT_MAX - len, ": %s", meaning);
	state.waiting = true;
}

int err_attach_sys(const char *fmt, ...)
{
	int saved = errno ? errno : EIO; /* a short count has no errno */
	va_list ap;

	if (!state.waiting) {
		va_start(ap, fmt);
		attach_sys(saved, fmt, ap);
		va_end(ap);
	}
	errno = saved;
	return -saved;
}

const char *err_text(void)
{
	return state.waiting ? state.text[state.current] : NULL;
}

const char *err_take(int e)
{
	const char *text = err_text();

	if (!text)
		return strerror(e < 0 ? -e : e);
	state.waiting = false;
	state.current ^= 1;
	return text;
}

void err_clear(void)
{
	state.waiting = false;
}

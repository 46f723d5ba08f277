/* SPDX-License-Identifier: Apache-2.0 */
/* Signals by name. */
#include "base/str.h"
#include "engine/engine.h"
#include <signal.h>

int signal_parse(const char *text)
{
	uint64_t n;

	if (!text || !*text)
		return SIGTERM;
	if (str_u64(text, 1, 64, &n) == 0)
		return (int)n;
	if (str_after(text, "SIG"))
		text = str_after(text, "SIG");
	if (str_after(text, "RTMIN+") && str_u64(str_after(text, "RTMIN+"), 0, 30, &n) == 0)
		return SIGRTMIN + (int)n;
	for (int i = 1; i < 32; i++)
		if (sigabbrev_np(i) && streq(sigabbrev_np(i), text))
			return i;
	return 0;
}

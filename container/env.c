/* SPDX-License-Identifier: Apache-2.0 */
/* The environment: the caller's, with PATH and HOME when it has none. */
#include "container/inner.h"

#include "base/mem.h"
#include "base/str.h"

#define DEFAULT_PATH \
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" /* docker's */

int env_setup(struct child *c)
{
	size_t n = strv_len(c->spec->env);
	_free_ char **env = mem_new(n + 3, sizeof(*env));

	if (!env)
		return -ENOMEM;
	if (n)
		memcpy(env, c->spec->env, n * sizeof(*env));
	if (!c->spec->given && !strv_getenv(env, "PATH"))
		env[n++] = (char *)DEFAULT_PATH;
	if (!strv_getenv(env, "HOME")) {
		env[n] = str_fmt("HOME=%s", c->user.home);
		if (!env[n])
			return -ENOMEM;
	}
	c->env = take_ptr(env);
	return 0;
}

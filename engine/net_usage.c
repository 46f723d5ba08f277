/* SPDX-License-Identifier: Apache-2.0 */
/* What a container's network moved, as its own network namespace counts it (proc_pid_net(5)). */
#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "engine/engine_.h"
#include "engine/net_usage.h"
#include "engine/spec.h"

#define DEV_MAX	  (64u << 10)
#define INTERFACE "eth0:"

/* Names stand at a line's begin, behind blanks. */
static const char *find_interface(const char *text)
{
	const char *at = text;

	while ((at = strstr(at, INTERFACE)) && at > text && at[-1] != ' ' && at[-1] != '\n')
		at++;
	return at;
}

/* Behind the name: eight numbers received, of which the first is bytes; then those sent. */
int net_usage_parse(const char *text, struct net_usage *ret)
{
	const char *at = find_interface(text), *in, *out;
	struct net_usage u;

	if (!at)
		return -ENOENT;
	in = str_word(at + strlen(INTERFACE), 0);
	out = str_word(at + strlen(INTERFACE), 8);
	if (str_number(&in, 10, UINT64_MAX, &u.in) < 0 ||
	    str_number(&out, 10, UINT64_MAX, &u.out) < 0)
		return -ENOENT;
	*ret = u;
	return 0;
}

static int read_usage(const struct inst *i, struct net_usage *ret)
{
	_close_ int pidfd = -1;
	_free_ char *text = NULL;
	struct net_usage u = { 0 };
	struct inst_state state;
	char path[48];
	int r = inst_process(i, &pidfd);

	/* Its number when it is held already: not that of one before it, another's by now. */
	if (r >= 0)
		r = inst_state(i, &state);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/net/dev", (int)state.pid);
	r = file_read_all(AT_FDCWD, path, DEV_MAX, &text, NULL);
	if (r >= 0)
		r = net_usage_parse(text, &u);
	/* It was still that process. */
	if (r >= 0)
		r = proc_pidfd_kill(pidfd, 0);
	if (r >= 0)
		*ret = u;
	return r;
}

int engine_net_usage(const struct inst *i, struct net_usage *ret)
{
	_cleanup_(spec_freep) struct run_spec *spec = NULL;
	int r = spec_from_json(inst_config(i), &spec);

	if (r < 0)
		return r;
	if (spec->kind != RUN_CONTAINER || !spec_has_eth0(spec))
		return err(-EOPNOTSUPP, "%s has no network of a container's own", inst_called(i));
	r = read_usage(i, ret);
	return r < 0 ? err(r, "%s: its network: %s", inst_called(i), strerror(-r)) : 0;
}

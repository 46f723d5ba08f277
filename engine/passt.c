/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/passt.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "engine/publish.h"
#include "engine/vmm.h"
#include <sys/socket.h>

#define PASST_FD 3 /* its number in passt */

int passt_find(const char *name, char **ret)
{
	int r = proc_find(name, ret);

	return r == -ENOENT ?
		       err(-EOPNOTSUPP,
			   "network 'user' needs the program %s: install the package passt", name) :
		       r;
}

int passt_failed(const char *name, int status)
{
	return err(-EIO,
		   "%s made no network (%d): is there a route to the world, are the ports free? "
		   "monitor.log of the instance says more",
		   name, status);
}

/* One option and its value. */
static int add(char ***argv, const char *option, const char *value)
{
	int r = strv_add(argv, option);

	return r < 0 || !value ? r : strv_add(argv, value);
}

/* passt's words: ADDRESS/HOST:GUEST. */
static int add_port(char ***argv, const char *text)
{
	_free_ char *spec = NULL;
	struct publish p;
	int r = publish_parse(text, &p);

	if (r < 0)
		return r;
	spec = str_fmt("%s%s%u:%u", p.address, p.address[0] ? "/" : "", p.host, p.guest);
	return spec ? add(argv, p.udp ? "--udp-ports" : "--tcp-ports", spec) : -ENOMEM;
}

struct address {
	char s[16];
};

static struct address dotted(const uint8_t a[4])
{
	struct address t;

	snprintf(t.s, sizeof(t.s), "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
	return t;
}

int passt_add_words(const struct run_spec *spec, char ***argv)
{
	const struct address address = dotted((const uint8_t[])PASST_ADDRESS);
	const struct address gateway = dotted((const uint8_t[])PASST_GATEWAY);
	const struct address dns = dotted((const uint8_t[])PASST_DNS);
	char prefix[8], mtu[8];
	const struct {
		const char *option, *value;
	} options[] = {
		{ "--quiet", NULL },	    { "--address", address.s }, { "--netmask", prefix },
		{ "--gateway", gateway.s }, { "--dns-forward", dns.s }, { "--mtu", mtu },
		{ "--no-map-gw", NULL },
	};
	int r = 0;

	snprintf(prefix, sizeof(prefix), "%u", PASST_PREFIX);
	snprintf(mtu, sizeof(mtu), "%u", PASST_MTU);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(options); i++)
		r = add(argv, options[i].option, options[i].value);
	for (size_t i = 0; r >= 0 && i < strv_len(spec->ports); i++)
		r = add_port(argv, spec->ports[i]);
	return r;
}

static int arguments(const struct run_spec *spec, char ***argv)
{
	char user[32], fd[8];
	unsigned uid = vmm_uid(spec);
	int r = strv_add(argv, "passt");

	snprintf(user, sizeof(user), "%u:%u", uid, uid);
	snprintf(fd, sizeof(fd), "%d", PASST_FD);
	if (r >= 0)
		r = add(argv, "--fd", fd);
	if (r >= 0 && geteuid() == 0)
		r = add(argv, "--runas", user);
	return r < 0 ? r : passt_add_words(spec, argv);
}

/* It goes into the background when it is ready: what we started ends with 0 then. */
static int spawn(const char *path, char **argv, int log_fd, int fd)
{
	const int fds[] = { -1, -1, log_fd, fd };
	_close_ int pidfd = -1;
	int status = 0, r;
	pid_t pid;

	r = proc_spawn(path, argv, NULL, fds, ARRAY_SIZE(fds), &pid, &pidfd);
	if (r == 0)
		r = proc_wait(pidfd, &status);
	if (r < 0)
		return err(r, "%s: %s", path, strerror(-r));
	return status ? passt_failed("passt", status) : 0;
}

int passt_start(const struct run_spec *spec, int log_fd, int *ret_fd)
{
	_strv_free_ char **argv = NULL;
	_close_ int ours = -1, theirs = -1;
	_free_ char *path = NULL;
	int pair[2], r = passt_find("passt", &path);

	if (r >= 0)
		r = arguments(spec, &argv);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys("network socket");
	ours = pair[0];
	theirs = pair[1];
	r = spawn(path, argv, log_fd, theirs);
	if (r < 0)
		return r;
	*ret_fd = take_fd(ours);
	return 0;
}

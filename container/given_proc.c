/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is written to /proc for a given container: always to the host's procfs, whose descriptor the
 * parent has checked, and not by any path of the container's, where something else may lie
 * (CVE-2019-19921, CVE-2025-52881). /proc/sys shows its reader's own namespaces there, too.
 */
#include "container/inner.h"

#include "base/fd.h"
#include "base/str.h"

int given_sysctls(struct child *c)
{
	char *const *s = c->spec->given->sysctls;

	for (; s && s[0] && s[1]; s += 2) {
		_close_ int fd = -1;
		char path[256];

		if (snprintf(path, sizeof(path), "sys/%s", s[0]) >= (int)sizeof(path))
			return err(-ENAMETOOLONG, "sysctl %s", s[0]);
		fd = fd_openat2(c->plan->proc, path, O_WRONLY, 0,
				RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
		if (fd < 0 || write(fd, s[1], strlen(s[1])) < 0)
			return err(fd < 0 ? fd : -errno, "cannot set the sysctl %s to \"%s\": %s",
				   s[0], s[1], strerror(fd < 0 ? -fd : errno));
	}
	return 0;
}

/* proc(5), /proc/PID/attr/exec. AppArmor has a file of its own since Linux 5.8. */
static int set_label(struct child *c, const char *file, const char *prefix, const char *label)
{
	char path[64], text[512];
	_close_ int fd = -1;

	snprintf(path, sizeof(path), "self/attr/%s", file);
	fd = fd_openat2(c->plan->proc, path, O_WRONLY, 0, RESOLVE_BENEATH | RESOLVE_NO_XDEV);
	if (fd < 0)
		return fd;
	if (snprintf(text, sizeof(text), "%s%s", prefix, label) >= (int)sizeof(text))
		return -ENAMETOOLONG;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int given_labels(struct child *c)
{
	const struct ctr_given *g = c->spec->given;
	int r = 0;

	if (g->apparmor) {
		r = set_label(c, "apparmor/exec", "exec ", g->apparmor);
		if (r == -ENOENT)
			r = set_label(c, "exec", "exec ", g->apparmor);
		if (r < 0)
			return err(r, "cannot set the AppArmor profile %s: %s", g->apparmor,
				   strerror(-r));
	}
	if (g->selinux)
		r = set_label(c, "exec", "", g->selinux);
	return r < 0 ? err(r, "cannot set the SELinux label %s: %s", g->selinux, strerror(-r)) : 0;
}

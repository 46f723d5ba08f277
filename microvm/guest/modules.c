/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules of a distribution's kernel: /modules of the initramfs, in the order that /modules/order
 * has (docs/formats/guest.md). Parameters come from the kernel's command line, as modprobe(8) takes
 * them from there. A kernel of ours has none.
 */
#include "microvm/guest/init.h"

#include "base/fd.h"
#include "base/str.h"
#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FOLDER	    "/modules/"
#define ORDER_MAX   65536
#define CMDLINE_MAX 4096
#define PROC	    "/modules/proc"

/* Where "NAME." stands in front of a parameter @word; '-' and '_' are the same there. */
static const char *parameter_of(const char *word, const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = word[i] == '-' ? '_' : word[i];

		if (!word[i] || c != name[i])
			return NULL;
	}
	return word[len] == '.' ? word + len + 1 : NULL;
}

/* All parameters of the module @name (its first @len letters) in @cmdline; the caller frees. */
static char *parameters(const char *cmdline, const char *name, size_t len)
{
	char *found = mem_new(strlen(cmdline) + 2, 1);
	size_t at = 0;

	for (const char *p = cmdline; found && *p;) {
		size_t word = strcspn(p, " \n");
		const char *value = parameter_of(p, name, len);

		if (value && value < p + word) {
			size_t n = (size_t)(p + word - value);

			memcpy(found + at, value, n);
			at += n;
			found[at++] = ' ';
		}
		p += word;
		p += strspn(p, " \n");
	}
	return found;
}

static int load(const char *file, size_t len, const char *cmdline)
{
	_free_ char *path = str_fmt(FOLDER "%.*s", (int)len, file);
	_free_ char *values = parameters(cmdline, file, len - strlen(".ko"));
	_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (!values || !path)
		return -ENOMEM;
	if (fd >= 0 && syscall(SYS_finit_module, fd, values, 0) == 0)
		return 0;
	/* One for hardware that is not here is no harm, nor one that is there already. */
	return errno == ENODEV || errno == EEXIST ? 0 : failing(-errno, "module %s", path);
}

static int load_all(const char *order, const char *cmdline)
{
	int r = 0;

	for (const char *line = order; r == 0 && *line;) {
		size_t len = strcspn(line, "\n");

		if (len > strlen(".ko"))
			r = load(line, len, cmdline);
		line += len + (line[len] == '\n');
	}
	return r;
}

static int read_cmdline(char **ret)
{
	int r;

	if (mkdir(PROC, 0700) < 0 || mount("proc", PROC, "proc", 0, NULL) < 0)
		return -errno;
	r = file_read_all(AT_FDCWD, PROC "/cmdline", CMDLINE_MAX, ret, NULL);
	umount2(PROC, MNT_DETACH);
	return r;
}

int modules_load(void)
{
	_free_ char *order = NULL, *cmdline = NULL;
	int r = file_read_all(AT_FDCWD, FOLDER "order", ORDER_MAX, &order, NULL);

	if (r == -ENOENT)
		return 0;
	if (r >= 0)
		r = read_cmdline(&cmdline);
	return cmdline ? load_all(order, cmdline) : failing(r, "modules");
}

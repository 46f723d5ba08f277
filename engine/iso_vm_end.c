/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ended a microVM whose command did not: its kernel, its VMM, or somebody's signal. What the
 * guest's kernel said last stands in monitor.log, which `--rm` takes away: so it is told here.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/iso_vm.h"

#define LOG_TAIL 32768 /* bytes in which its last words are looked for */
#define PANIC	 "Kernel panic - "
#define QEMU	 "qemu-system-x86_64: "

/* The end of the instance's log, of what this life wrote, a string. */
static void read_tail(const struct iso_vm *v, char *ret, size_t size)
{
	_close_ int fd = openat(v->c.dir, "monitor.log", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	off_t len = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	ssize_t n = 0;

	if (len > v->log_from)
		n = pread(fd, ret, size - 1, MAX(v->log_from, len - (off_t)size + 1));
	ret[n > 0 ? n : 0] = '\0';
	for (ssize_t i = 0; i < n; i++)
		if (!ret[i])
			ret[i] = ' ';
}

/* The rest of the last line that has @mark: false, there is none. */
static bool last_words(const struct iso_vm *v, const char *mark, char *ret, size_t size)
{
	char tail[LOG_TAIL], *line = NULL;

	read_tail(v, tail, sizeof(tail));
	for (char *at = tail; (at = strstr(at, mark)); at += strlen(mark))
		line = at + strlen(mark);
	if (!line)
		return false;
	line[strcspn(line, "\r\n")] = '\0';
	str_printable(ret, size, line);
	return true;
}

static void describe(struct iso_vm *v)
{
	char words[160];

	if (v->wait_status > 128)
		snprintf(v->why, sizeof(v->why), "its VMM was killed by signal %d%s",
			 v->wait_status - 128,
			 v->cgroup && cgroup_oom_killed(v->cgroup) ?
				 ", for want of memory in its cgroup" :
				 "");
	else if (last_words(v, PANIC, words, sizeof(words)))
		snprintf(v->why, sizeof(v->why), "its kernel panicked: %s", words);
	else if (v->failure.kind == VMM_FAILED)
		snprintf(v->why, sizeof(v->why), "%s", v->failure.text);
	else
		snprintf(v->why, sizeof(v->why),
			 "its VMM ended without a word: monitor.log of the instance may say more");
}

const char *iso_vm_why(void *ctx)
{
	struct iso_vm *v = ctx;

	if (v->exit_status >= 0 || v->saved || v->cut || !v->started)
		return NULL;
	describe(v);
	return v->why;
}

int iso_vm_unstarted(const struct iso_vm *v)
{
	char words[160];

	if (v->cut)
		return err(-EIO, "the microVM was ended before its command ran");
	if (last_words(v, PANIC, words, sizeof(words)))
		return err(-EIO, "its kernel panicked before the command ran: %s", words);
	if (v->c.spec->emulated && last_words(v, QEMU, words, sizeof(words)))
		return err(-EIO, "QEMU ended before the command ran: %s", words);
	if (v->failure.kind == VMM_FAILED)
		return iso_vm_failed(&v->failure);
	return err(-EIO, "the microVM ended before its command ran; monitor.log of the instance "
			 "says more");
}

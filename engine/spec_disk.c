/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of a microVM, in what the user says and in config.json. */
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/spec_disk.h"
#include "microvm/microvm.h"
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SECTOR 512

static int add_disk(struct run_spec *s, const char *source, const char *target, bool rdonly)
{
	struct run_volume d = { strdup(source), strdup(target), rdonly };
	size_t cap = s->ndisks;

	if (!d.source || !d.target || mem_grow(&s->disks, &cap, s->ndisks + 1, sizeof(d)) < 0) {
		free(d.source);
		free(d.target);
		return -ENOMEM;
	}
	s->disks[s->ndisks++] = d;
	return 0;
}

static int check_file(const char *text, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_sys("disk '%s'", text);
	if (!S_ISREG(st.st_mode))
		return err(-EINVAL,
			   "disk '%s': it must be a file, as `truncate -s 1G FILE` makes one",
			   text);
	return st.st_size >= SECTOR ? 0 : err(-EINVAL, "disk '%s': the file is empty", text);
}

int spec_parse_disk(struct run_spec *s, const char *text)
{
	_free_ char *file = strdup(text), *real = NULL;
	const char *target = "";
	bool rdonly;
	char *split;
	int r;

	if (!file)
		return -ENOMEM;
	if (s->kind != RUN_VM)
		return err(-EINVAL, "disk '%s': disks are a microVM's: use --vm, or -v", text);
	if (s->ndisks == VM_DISKS_MAX)
		return err(-E2BIG, "disk '%s': a microVM has at most %d", text, VM_DISKS_MAX);
	rdonly = str_ends(file, ":ro");
	if (rdonly || str_ends(file, ":rw"))
		file[strlen(file) - 3] = '\0';
	split = strstr(file, ":/");
	if (split) {
		*split = '\0';
		target = split + 1;
		if (strspn(target, "/.") == strlen(target))
			return err(-EINVAL, "disk '%s': it cannot be in place of the whole root",
				   text);
	}
	real = realpath(file, NULL);
	if (!real)
		return err_sys("disk '%s'", text);
	r = check_file(text, real);
	return r < 0 ? r : add_disk(s, real, target, rdonly);
}

void spec_disks_free(struct run_spec *s)
{
	for (size_t i = 0; i < s->ndisks; i++) {
		free(s->disks[i].source);
		free(s->disks[i].target);
	}
	free(s->disks);
}

void spec_disks_to_json(const struct run_spec *s, json_t *config)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->ndisks; i++)
		json_array_append_new(a, json_pack("{s:s, s:s, s:b}", "source", s->disks[i].source,
						   "target", s->disks[i].target, "readOnly",
						   s->disks[i].rdonly));
	json_object_set_new(config, "disks", a);
	json_object_set_new(config, "diskRate", json_integer((json_int_t)s->disk_rate));
}

int spec_disks_from_json(const json_t *config, struct run_spec *s)
{
	const json_t *a = json_get_array(config, "disks");

	if (json_array_size(a) > VM_DISKS_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < json_array_size(a); i++) {
		const json_t *d = json_array_get(a, i);
		const char *source = json_get_str(d, "source"), *target = json_get_str(d, "target");
		int r = source && target ?
				add_disk(s, source, target, json_get_bool(d, "readOnly", 0)) :
				-EBADMSG;

		if (r < 0)
			return r;
	}
	s->disk_rate = (uint64_t)json_get_int(config, "diskRate", 0);
	return 0;
}

int spec_disk_open(const struct run_volume *d)
{
	_close_ int fd = -1;
	int r = check_file(d->source, d->source);

	/* It may be another thing than what it was: a pipe would have us wait. */
	if (r < 0)
		return r;
	fd = open(d->source, (d->rdonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (fd < 0)
		return err_sys("disk %s", d->source);
	/* Two machines that write one file system destroy it. */
	r = fd_lock(fd, !d->rdonly, false);
	if (r == -EWOULDBLOCK)
		return err(-EBUSY, "disk %s: another microVM has it%s", d->source,
			   d->rdonly ? " to write" : "");
	return r < 0 ? err(r, "disk %s: %s", d->source, strerror(-r)) : take_fd(fd);
}

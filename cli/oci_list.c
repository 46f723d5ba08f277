/* SPDX-License-Identifier: Apache-2.0 */
/* `list` and `ps` of strata-oci. */
#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "cli/oci.h"
#include <stdio.h>
#include <unistd.h>

static int check_format(const struct oci_call *c, bool *ret_json)
{
	*ret_json = c->format && streq(c->format, "json");
	if (c->format && !*ret_json && !streq(c->format, "table"))
		return err(-EINVAL, "--format: \"%s\" is neither table nor json", c->format);
	return 0;
}

static void print_row(const json_t *j)
{
	printf("%-32s %-8lld %-8s %-40s %s\n", json_get_str(j, "id"),
	       (long long)json_get_int(j, "pid", 0), json_get_str(j, "status"),
	       json_get_str(j, "bundle"), json_get_str(j, "created") ?: "");
}

int oci_verb_list(struct oci_call *c)
{
	_json_ json_t *list = NULL;
	bool json;
	int r = check_format(c, &json);

	if (r >= 0)
		r = oci_list(&c->o, &list);
	if (r < 0)
		return r;
	if (json)
		return oci_print(take_ptr(list));
	if (!c->quiet)
		printf("%-32s %-8s %-8s %-40s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED");
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (c->quiet)
			puts(json_get_str(json_array_get(list, i), "id"));
		else
			print_row(json_array_get(list, i));
	}
	return 0;
}

static bool is_in(long pid, const pid_t *pids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (pids[i] == pid)
			return true;
	}
	return false;
}

/* Which word of ps' first line is "PID"; -1: none. */
static int pid_column(const char *header)
{
	int column = 0;

	for (const char *s = header + strspn(header, " "); *s; column++) {
		size_t len = strcspn(s, " \n");

		if (len == 3 && !memcmp(s, "PID", 3))
			return column;
		s += len;
		s += strspn(s, " \n");
	}
	return -1;
}

static long word(const char *line, int column)
{
	const char *s = line + strspn(line, " ");

	for (; column && *s; column--) {
		s += strcspn(s, " ");
		s += strspn(s, " ");
	}
	return strtol(s, NULL, 10);
}

static int filter(FILE *f, const pid_t *pids, size_t n)
{
	_free_ char *line = NULL;
	size_t cap = 0;
	int column;

	if (getline(&line, &cap, f) < 0)
		return err(-EIO, "ps said nothing");
	column = pid_column(line);
	if (column < 0)
		return err(-EINVAL, "ps shows no column PID with these options");
	fputs(line, stdout);
	while (getline(&line, &cap, f) >= 0) {
		if (is_in(word(line, column), pids, n))
			fputs(line, stdout);
	}
	return 0;
}

/* The host's ps(1), of which only what is in the container is shown. */
static int print_table(char *const *options, const pid_t *pids, size_t n)
{
	_free_ char *ps = NULL;
	_strv_free_ char **argv = NULL;
	_close_ int pidfd = -1;
	int pipe_[2], status, r = proc_find("ps", &ps);
	FILE *f;

	if (r < 0)
		return err(r, "ps is not installed; --format json does without");
	r = strv_add(&argv, "ps");
	if (r >= 0 && !*options)
		r = strv_add(&argv, "-ef");
	for (; r >= 0 && *options; options++)
		r = strv_add(&argv, *options);
	if (r >= 0 && pipe2(pipe_, O_CLOEXEC) < 0)
		r = -errno;
	if (r < 0)
		return r;
	r = proc_spawn(ps, argv, NULL, (const int[]){ -1, pipe_[1], STDERR_FILENO }, 3, NULL,
		       &pidfd);
	fd_close(pipe_[1]);
	f = fdopen(pipe_[0], "r");
	if (r >= 0 && f)
		r = filter(f, pids, n);
	if (f)
		fclose(f);
	if (pidfd >= 0)
		proc_wait(pidfd, &status);
	return r;
}

int oci_verb_ps(struct oci_call *c)
{
	_free_ pid_t *pids = NULL;
	size_t n = 0;
	json_t *list;
	bool json;
	int r = check_format(c, &json);

	if (r >= 0)
		r = oci_pids(&c->o, c->rest[0], &pids, &n);
	if (r < 0)
		return r;
	if (!json)
		return print_table(c->rest + 1, pids, n);
	list = json_array();
	for (size_t i = 0; list && i < n; i++)
		json_array_append_new(list, json_integer(pids[i]));
	return oci_print(list);
}

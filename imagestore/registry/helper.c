/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credential helpers: docker-credential-NAME, which holds passwords in a key ring. `get` reads a
 * server's name from its stdin and prints {"Username": ..., "Secret": ...}, where a Username of
 * "<token>" says that the Secret is an identity token; one that has none exits with another status
 * than 0 (docker/docker-credential-helpers, README, "Development").
 */
#include "imagestore/registry/registry.h"

#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define NAME_LEN_MAX 64
#define OUTPUT_MAX   (64u << 10)

/* It becomes part of a program's name. */
static bool name_valid(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	return n > 0 && n <= NAME_LEN_MAX && name[n] == '\0';
}

/* Files in memory for both ends: whatever the helper does, nobody waits for a full pipe. */
static int run(const char *program, int in, int out, int *ret_status)
{
	char *const argv[] = { (char *)program, (char *)"get", NULL };
	posix_spawn_file_actions_t files;
	pid_t pid;
	int r = posix_spawn_file_actions_init(&files);

	if (r)
		return -r;
	r = posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	if (!r)
		r = posix_spawnp(&pid, program, &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (r)
		return -r;
	while (waitpid(pid, ret_status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

static int read_answer(const char *program, int out, struct credentials *ret)
{
	_free_ char *text = malloc(OUTPUT_MAX);
	_json_ json_t *doc = NULL;
	const char *user, *secret;
	ssize_t n = text ? fd_pread_full(out, text, OUTPUT_MAX, 0) : -ENOMEM;
	int r;

	if (n < 0)
		return (int)n;
	if ((size_t)n == OUTPUT_MAX)
		return err(-EFBIG, "%s: it prints over %u bytes", program, OUTPUT_MAX);
	r = json_parse(text, (size_t)n, program, &doc);
	if (r < 0)
		return r;
	user = json_get_str(doc, "Username");
	secret = json_get_str(doc, "Secret");
	if (!user || !secret)
		return err(-EBADMSG, "%s: it gives no Username and Secret", program);
	if (streq(user, "<token>")) {
		ret->identity = strdup(secret);
		return ret->identity ? 0 : -ENOMEM;
	}
	ret->basic = credentials_encode(user, secret);
	return ret->basic ? 0 : -ENOMEM;
}

int credentials_helper(const char *name, const char *server, struct credentials *ret)
{
	_free_ char *program = str_fmt("docker-credential-%s", name);
	_close_ int in = memfd_create("server", MFD_CLOEXEC);
	_close_ int out = memfd_create("credentials", MFD_CLOEXEC);
	int status = 0, r;

	if (!name_valid(name))
		return err(-EINVAL, "a credential helper's name is letters, digits, '-' and '_'");
	if (!program)
		return -ENOMEM;
	if (in < 0 || out < 0)
		return err_sys("%s", program);
	r = fd_pwrite_full(in, server, strlen(server), 0);
	if (r >= 0)
		r = run(program, in, out, &status);
	if (r < 0)
		return err(r, "%s: %s", program, strerror(-r));
	if (WIFSIGNALED(status))
		return err(-EIO, "%s was killed by signal %d", program, WTERMSIG(status));
	return WEXITSTATUS(status) ? 0 : read_answer(program, out, ret);
}

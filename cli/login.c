/* SPDX-License-Identifier: Apache-2.0 */
/* strata login, logout: who we are to a registry. */
#include "cli/cli.h"
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_MAX 4096

/* One line of standard input, without echo when it is a terminal. */
static int read_password(char *ret, int size)
{
	struct termios saved, quiet;
	bool terminal = tcgetattr(STDIN_FILENO, &saved) == 0;
	char *line;

	if (terminal) {
		quiet = saved;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
		fprintf(stderr, "Password: ");
	}
	line = fgets(ret, size, stdin);
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
		fprintf(stderr, "\n");
	}
	if (!line)
		return -1;
	ret[strcspn(ret, "\r\n")] = '\0';
	return 0;
}

int verb_login(struct cli *c, int argc, char **argv)
{
	const char *user = NULL;
	bool from_stdin = false;
	char password[PASSWORD_MAX];
	const struct option_def options[] = {
		{ 'u', "username", OPT_STR, &user, "USER", "who" },
		{ 0, "password-stdin", OPT_FLAG, &from_stdin, NULL,
		  "the password is the first line of standard input" },
		{ 0 },
	};
	const struct usage u = { "login",
				 "-u USER [OPTIONS] HOST[:PORT]",
				 "Tries a password at a registry and keeps it.",
				 options,
				 1,
				 1,
				 false };
	int status, r;

	(void)c;
	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!user)
		return cli_fail_text("login: name the user by --username");
	if (!from_stdin && !isatty(STDIN_FILENO))
		return cli_fail_text(
			"login: no terminal to ask for the password: --password-stdin");
	if (read_password(password, sizeof(password)) < 0)
		return cli_fail_text("login: no password came");
	r = registry_login(argv[0], user, password);
	explicit_bzero(password, sizeof(password));
	return r < 0 ? cli_fail(r) : 0;
}

int verb_logout(struct cli *c, int argc, char **argv)
{
	const struct option_def options[] = { { 0 } };
	const struct usage u = {
		"logout", "HOST[:PORT]", "Forgets the password for a registry.", options, 1,
		1,	  false
	};
	int status, r;

	(void)c;
	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	r = registry_logout(argv[0]);
	return r < 0 ? cli_fail(r) : 0;
}

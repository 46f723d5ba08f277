/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/base/unit.h"
#include "base/userns.h"
#include <sched.h>
#include <sys/wait.h>

static void write_map(pid_t pid, const char *file, const char *map)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	assert_ok(file_write(AT_FDCWD, path, map));
}

/* What @fn gives in a child in a user namespace with these maps, which root writes from outside. */
static int status_of(int (*fn)(void), const char *uids, const char *gids)
{
	int ready[2], go[2], status;
	char byte;
	pid_t pid;

	assert_ok(pipe(ready));
	assert_ok(pipe(go));
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWUSER) < 0 || write(ready[1], "", 1) != 1 ||
		    read(go[0], &byte, 1) != 1)
			_exit(77);
		_exit(fn());
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) == 1) {
		write_map(pid, "uid_map", uids);
		write_map(pid, "gid_map", gids);
		assert_int_equal(write(go[1], "", 1), 1);
	}
	close(ready[0]);
	close(go[0]);
	close(go[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	return WEXITSTATUS(status);
}

static int one_id(void)
{
	return userns_ids() == 1 && userns_outside(0) == 1000 ? 0 : 1;
}

static int another_start(void)
{
	return userns_ids() == 1 && userns_outside(7) == 1002 ? 0 : 1;
}

static int several(void)
{
	return userns_ids() == 30 && userns_outside(9) == 1009 ? 0 : 1;
}

static void of_a_namespace(_unused_ void **state)
{
	if (geteuid())
		skip();
	assert_int_equal(status_of(one_id, "0 1000 1", "0 1000 1"), 0);
	/* None from 0 on, and not the host's all the same. */
	assert_int_equal(status_of(another_start, "5 1000 3", "0 1000 1"), 0);
	/* The smaller of both; what lies behind a gap does not count. */
	assert_int_equal(status_of(several, "0 1000 10\n10 5000 40\n60 9000 5\n",
				   "0 1000 10\n10 7000 20\n"),
			 0);
}

static void of_the_host(_unused_ void **state)
{
	if (userns_ids())
		skip();
	assert_int_equal(userns_outside(0), 0);
	assert_int_equal(userns_outside(12345), 12345);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_namespace),
		cmocka_unit_test(of_the_host),
	};

	return run_units(tests);
}
